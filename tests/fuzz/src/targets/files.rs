//! Files a person, another program or another client wrote, and what comes over the local socket.

use std::path::Path;
use std::sync::OnceLock;

use hcfs_api::{AddFolder, MoveRequest, Paths, ResolveRequest, SettleHoldRequest, Status, StreamEvent, UnlockRequest};
use hcfs_crypto::sealed_phrase::{MAX_FILE, SealedPhrase};
use hcfs_daemon::{Config, ConfigError};
use hcfs_fs::{Folder, IGNORE_FILE, OpenRequest, Rules};
use hcfs_model::RelPath;
use tempfile::TempDir;

use super::{kind, text};
use crate::Target;

pub(super) const SEALED_PHRASE: Target = Target {
    name: "sealed_phrase",
    words: &[
        "\"salt\":",
        "\"iv\":",
        "\"data\":",
        "\"iterations\":",
        "600000",
        "0",
        "10000001",
        "AAAAAAAAAAAAAAAA",
        "==",
    ],
    run: sealed_phrase,
};
pub(super) const CONFIG: Target = Target {
    name: "config",
    words: &[
        "device = ",
        "[server]\n",
        "url = ",
        "account = ",
        "token = ",
        "poll_seconds = ",
        "[unlock]\n",
        "with = ",
        "[[folder]]\n",
        "label = ",
        "path = ",
        "ignore = [",
        "mode = ",
        "conflicts = ",
        "share_paths = true",
        "max_delete = { files = 25, percent = 25 }",
        "trash_days = ",
        "[limits]\n",
        "upload = ",
        "\"10MB/s\"",
        "transfers = ",
        "\"keyfile:/",
        "\"credential:",
        "0xff",
        "-1",
        "1979-05-27",
        "\"\"\"",
        "\\u0000",
        "\n",
    ],
    run: config,
};
pub(super) const IGNORE: Target = Target {
    name: "ignore_rules",
    words: &["!", "*", "**", "**/", "/", "[", "]", "[!a-z]", "?", "\\", "#", "{a,b}", "\r\n", "\n", "*.tmp", "target/"],
    run: ignore,
};
pub(super) const SOCKET: Target = Target {
    name: "socket",
    words: &[
        "\"label\":",
        "\"path\":",
        "\"resolution\":\"keep-both\"",
        "\"accept\":",
        "\"folders\":[",
        "\"state\":\"idle\"",
        "\"schema\":1",
        "snapshot",
        "log",
        "status",
        "lost",
        "\n",
    ],
    run: socket,
};

fn sealed_phrase(input: &[u8]) {
    let Ok(sealed) = SealedPhrase::from_json(input) else { return };
    assert!(input.len() <= MAX_FILE);
    let written = sealed.to_json();
    // Its numbers may be written longer than they were.
    if written.len() <= MAX_FILE {
        assert_eq!(SealedPhrase::from_json(&written).unwrap().to_json(), written);
    }
}

fn config(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let home = |name: &str| (name == "HOME").then(|| "/home/somebody".into());
    let paths = Paths::from_env(&home).unwrap();
    match Config::parse(Path::new("config.toml"), text, &paths) {
        Ok(config) => {
            for (label, folder) in &config.folders {
                assert!(folder.path.is_absolute() && !label.as_str().is_empty());
                assert!(folder.max_delete.percent <= 100);
            }
            assert!((1..=64).contains(&config.limits.transfers));
        }
        Err(ConfigError::At { line, column, message, hint, .. }) => {
            assert!(line >= 1 && line <= text.matches('\n').count() + 1 && column >= 1, "{line}:{column}: {message}");
            assert!(!message.is_empty() && !hint.is_empty());
        }
        Err(other) => panic!("an error without a place: {other}"),
    }
}

/// A folder with one directory.
fn folder() -> &'static (TempDir, Folder) {
    static FOLDER: OnceLock<(TempDir, Folder)> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("d")).unwrap();
        let request = OpenRequest { root: place.path(), known: None, new_id: [1; 16], others: &[] };
        let folder = Folder::open(&request).unwrap();
        (place, folder)
    })
}

fn ignore(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let (paths, rules) = text.split_once("\n\n").unwrap_or(("a\nd/b.tmp\nd/e/f", text));
    let (place, folder) = folder();
    std::fs::write(place.path().join(IGNORE_FILE), rules).unwrap();
    std::fs::write(place.path().join("d").join(IGNORE_FILE), rules).unwrap();
    let patterns: Vec<String> = rules.lines().take(8).map(str::to_owned).collect();
    for patterns in [patterns, Vec::new()] {
        let Ok(rules) = Rules::new(folder, &patterns) else { continue };
        for path in paths.lines().take(8).filter_map(|path| RelPath::new(path).ok()) {
            let is_ignored = rules.is_ignored(&path, false);
            assert_eq!(is_ignored, rules.is_ignored(&path, false));
            // Nothing below an ignored directory can be brought back.
            if path.parent().is_some_and(|parent| rules.is_ignored(&parent, true)) {
                assert!(is_ignored, "{path} is not ignored, and its directory is");
            }
        }
    }
}

fn socket(input: &[u8]) {
    let (which, body) = kind(input);
    match which % 7 {
        0 => drop(serde_json::from_slice::<AddFolder>(body)),
        1 => drop(serde_json::from_slice::<MoveRequest>(body)),
        2 => drop(serde_json::from_slice::<ResolveRequest>(body)),
        3 => drop(serde_json::from_slice::<SettleHoldRequest>(body)),
        4 => drop(serde_json::from_slice::<UnlockRequest>(body)),
        5 => {
            if let Ok(status) = serde_json::from_slice::<Status>(body) {
                let written = serde_json::to_vec(&status).unwrap();
                assert_eq!(serde_json::from_slice::<Status>(&written).unwrap(), status);
            }
        }
        _ => {
            let Some((name, data)) = text(body).and_then(|text| text.split_once('\n')) else { return };
            let _ = StreamEvent::parse(name, data);
        }
    }
}
