//! The real program as processes: a server, devices, and what people do to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod mistakes;
mod two_devices;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hcfs_tests::Machine;

/// A server and a token for the account of the first device.
pub(crate) struct Site {
    pub(crate) server: Machine,
    pub(crate) url: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        let mut server = Machine::new().unwrap();
        let url = server.serve(&server.path("data"), "127.0.0.1:0").unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { server, url }
    }

    pub(crate) fn token(&self, account: &str) -> String {
        let data = self.server.path("data");
        let made = self.server.run(&["server", "token", "create", "--account", account, "--data", path(&data)]);
        let made = made.unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout).trim().to_owned()
    }

    /// Kills the server and starts it again on its data, at the same address.
    pub(crate) fn restart(&mut self) {
        self.server.kill();
        let again = self.server.serve(&self.server.path("data"), self.url.trim_start_matches("http://")).unwrap();
        assert_eq!(again, self.url);
    }

    /// A device of a new account, or of the account whose words are given. Its folder is `docs` in its home.
    pub(crate) fn device(&self, name: &str, words: Option<&str>) -> Device {
        let machine = Machine::new().unwrap();
        let folder = machine.path("docs");
        std::fs::create_dir(&folder).unwrap();
        let (token_file, words_file) = (machine.path("token"), machine.path("words"));
        std::fs::write(&token_file, "not yet known").unwrap();
        let mut arguments = vec!["init", "--yes", "--device", name, "--folder", path(&folder), "--label", "docs"];
        arguments.extend(["--server", &self.url, "--token-file", path(&token_file)]);
        if let Some(words) = words {
            std::fs::write(&words_file, words).unwrap();
            arguments.extend(["--mnemonic-file", path(&words_file)]);
        }
        let made = machine.run(&arguments).unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        let account = machine.run(&["key", "show-account"]).unwrap();
        let account = text(&account.stdout).trim().to_owned();
        std::fs::write(&token_file, self.token(&account)).unwrap();
        Device { machine, folder, account }
    }
}

/// A machine with one folder.
pub(crate) struct Device {
    pub(crate) machine: Machine,
    pub(crate) folder: PathBuf,
    pub(crate) account: String,
}

impl Device {
    pub(crate) fn words(&self) -> String {
        std::fs::read_to_string(self.machine.path(".local/state/hcfs/recovery-phrase.txt")).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn sync(&self) {
        let done = self.machine.run(&["sync", "--timeout", "100"]).unwrap();
        assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    }

    pub(crate) fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut pending = vec![self.folder.clone()];
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(&directory).unwrap() {
                let found = entry.unwrap().path();
                if found.ends_with(".hcfs") {
                    continue;
                }
                if found.is_dir() {
                    pending.push(found);
                } else {
                    let name = found.strip_prefix(&self.folder).unwrap();
                    files.insert(path(name).to_owned(), std::fs::read(&found).unwrap());
                }
            }
        }
        files
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A content that is not the same everywhere.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    out.truncate(length);
    out
}
