//! What the house asks of every room: floors, sizes, habits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod cases;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What each crate may depend on within the workspace. Arrows point down only; no crate is left out.
const FLOORS: [(&str, &[&str]); 20] = [
    ("hcfs-model", &[]),
    ("hcfs-testkit", &["hcfs-model"]),
    ("hcfs-crypto", &["hcfs-model"]),
    ("hcfs-wire", &["hcfs-model"]),
    ("hcfs-plan", &["hcfs-model"]),
    ("hcfs-state", &["hcfs-model"]),
    ("hcfs-fs", &["hcfs-model"]),
    ("hcfs-api", &["hcfs-model"]),
    ("hcfs-http", &["hcfs-model"]),
    ("hcfs-remote", &["hcfs-http", "hcfs-wire", "hcfs-model"]),
    ("hcfs-sources", &["hcfs-http", "hcfs-model"]),
    ("hcfs-engine", &["hcfs-plan", "hcfs-crypto", "hcfs-state", "hcfs-fs", "hcfs-remote", "hcfs-model"]),
    ("hcfs-page", &["hcfs-api"]),
    (
        "hcfs-daemon",
        &[
            "hcfs-page",
            "hcfs-engine",
            "hcfs-sources",
            "hcfs-remote",
            "hcfs-fs",
            "hcfs-state",
            "hcfs-api",
            "hcfs-crypto",
            "hcfs-model",
        ],
    ),
    ("hcfs-cli", &["hcfs-api", "hcfs-model"]),
    ("hcfs-server", &["hcfs-wire", "hcfs-model"]),
    ("hcfs", &["hcfs-daemon", "hcfs-cli", "hcfs-server"]),
    ("xtask", &[]),
    ("hcfs-tests", &["hcfs-testkit"]),
    (
        "hcfs-fuzz",
        &[
            "hcfs-api",
            "hcfs-crypto",
            "hcfs-daemon",
            "hcfs-fs",
            "hcfs-http",
            "hcfs-model",
            "hcfs-plan",
            "hcfs-server",
            "hcfs-sources",
            "hcfs-testkit",
            "hcfs-wire",
        ],
    ),
];

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().unwrap()
}

fn sources(metadata: &Metadata) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> =
        ["crates", "tests"].iter().map(|d| metadata.workspace_root.join(d).into_std_path_buf()).collect();
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    let components: Vec<_> = path.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    components.iter().any(|c| matches!(c.as_ref(), "tests" | "benches" | "examples" | "tests.rs"))
}

#[test]
fn every_edge_between_crates_points_down() {
    let allowed: BTreeMap<&str, &[&str]> = FLOORS.into_iter().collect();
    let metadata = metadata();
    for package in &metadata.packages {
        let below = allowed.get(package.name.as_str()).unwrap_or_else(|| panic!("{} has no floor", package.name));
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            if dependency.kind == DependencyKind::Normal {
                assert!(below.contains(&dependency.name.as_str()), "{} -> {}", package.name, dependency.name);
            }
        }
    }
    assert_eq!(metadata.packages.len(), FLOORS.len());
}

#[test]
fn every_crate_inherits_the_lints() {
    for package in metadata().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}

#[test]
fn rooms_are_small_and_named_for_what_they_hold() {
    let mut long = Vec::new();
    for path in sources(&metadata()) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            !["util", "utils", "common", "helper", "helpers", "misc", "manager", "data", "info"]
                .contains(&name.as_str()),
            "{}",
            path.display()
        );
        if is_test(&path) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().take_while(|l| !l.starts_with("#[cfg(test)]")).count();
        if lines > 520 {
            long.push(format!("{lines} {}", path.display()));
        }
    }
    assert!(long.is_empty(), "longer than 520 lines:\n{}", long.join("\n"));
}

/// Where a sleep is the thing tested, or the only way to ask another process again; never a way to wait and hope.
const SLEEPERS: [(&str, &str); 7] = [
    ("hcfs-http/tests/exchange.rs", "a peer that is slow"),
    ("hcfs-http/tests/download.rs", "a peer that is slow"),
    ("hcfs-server/tests/server/start.rs", "the disk is asked again until a deadline"),
    ("hcfs-server/tests/server/harness.rs", "the disk is asked again until a deadline"),
    ("benches/server.rs", "a request that waits before there is anything to tell"),
    ("hcfs-engine/tests/kit/wire.rs", "a network that is slow"),
    ("hcfs-engine/tests/chaos.rs", "devices stopped at random moments"),
];

#[test]
fn tests_neither_sleep_nor_are_ignored() {
    // Split, so that this file does not find itself.
    let habits = [concat!("thread::", "sleep"), concat!("time::", "sleep("), concat!("#[ig", "nore")];
    let paused = concat!("start_", "paused");
    for path in sources(&metadata()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let tested = if is_test(&path) { text.as_str() } else { text.split_once("#[cfg(test)]").map_or("", |p| p.1) };
        for habit in habits {
            // Where time stands still a sleep only moves it on.
            let excused = tested.contains(paused) || SLEEPERS.iter().any(|(file, _)| path.ends_with(file));
            if habit.starts_with("time") && excused {
                continue;
            }
            assert!(!tested.contains(habit), "{habit} in {}", path.display());
        }
    }
}

#[test]
fn the_top_level_is_as_the_user_asked() {
    let root = metadata().workspace_root;
    let mut seen: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    seen.sort();
    assert_eq!(seen, ["Cargo.lock", "Cargo.toml", "README.md", "crates", "migrations", "systemd", "tests"]);
}
