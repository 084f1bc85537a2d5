//! A server and its devices, set up as a person would.

#![expect(clippy::unwrap_used, reason = "a test whose machines cannot be set up cannot go on")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use hcfs_testkit::files_below;

use crate::{Machine, path, text};

/// A server and a token for the account of the first device.
pub struct Site {
    /// Where the server runs; its data is `data` in the home.
    pub server: Machine,
    /// Where it listens.
    pub url: String,
}

impl Site {
    /// A server that listens.
    ///
    /// # Panics
    /// It does not come up.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Self {
        Self::on(Machine::new().unwrap())
    }

    /// A server that listens, on a machine that was set up.
    ///
    /// # Panics
    /// It does not come up.
    #[must_use]
    pub fn on(mut server: Machine) -> Self {
        let url = server.serve(&server.path("data"), "127.0.0.1:0").unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { server, url }
    }

    /// A new token of an account.
    ///
    /// # Panics
    /// None is made.
    #[must_use]
    pub fn token(&self, account: &str) -> String {
        let data = self.server.path("data");
        let made = self.server.run(&["server", "token", "create", "--account", account, "--data", path(&data)]);
        let made = made.unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout).trim().to_owned()
    }

    /// Kills the server and starts it again on its data, at the same address.
    ///
    /// # Panics
    /// It does not come up.
    pub fn restart(&mut self) {
        self.server.kill();
        let again = self.server.serve(&self.server.path("data"), self.url.trim_start_matches("http://")).unwrap();
        assert_eq!(again, self.url);
    }

    /// A device of a new account, or of the account whose words are given. Its folder is `docs` in its home.
    ///
    /// # Panics
    /// It cannot be set up.
    #[must_use]
    pub fn device(&self, name: &str, words: Option<&str>) -> Device {
        self.device_by(&self.url, name, words)
    }

    /// As [`Site::device`], on another way to the server.
    ///
    /// # Panics
    /// It cannot be set up.
    #[must_use]
    pub fn device_by(&self, url: &str, name: &str, words: Option<&str>) -> Device {
        self.device_on(Machine::new().unwrap(), url, name, words)
    }

    /// As [`Site::device_by`], on a machine that was set up.
    ///
    /// # Panics
    /// It cannot be set up.
    #[must_use]
    pub fn device_on(&self, machine: Machine, url: &str, name: &str, words: Option<&str>) -> Device {
        let folder = machine.path("docs");
        std::fs::create_dir(&folder).unwrap();
        let (token_file, words_file) = (machine.path("token"), machine.path("words"));
        std::fs::write(&token_file, "not yet known").unwrap();
        let mut arguments = vec!["init", "--yes", "--device", name, "--folder", path(&folder), "--label", "docs"];
        arguments.extend(["--server", url, "--token-file", path(&token_file)]);
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
pub struct Device {
    /// The machine.
    pub machine: Machine,
    /// The directory.
    pub folder: PathBuf,
    /// The account's address.
    pub account: String,
}

impl Device {
    /// The words of its account.
    ///
    /// # Panics
    /// It has none: it joined with those of another device.
    #[must_use]
    pub fn words(&self) -> String {
        std::fs::read_to_string(self.machine.path(".local/state/hcfs/recovery-phrase.txt")).unwrap()
    }

    /// Has it look at the server every second. Its daemon must not run yet.
    ///
    /// # Panics
    /// It has no configuration.
    pub fn look_often(&self) {
        let config = self.machine.path(".config/hcfs/config.toml");
        let slow = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, slow.replace("[server]\n", "[server]\npoll_seconds = 1\n")).unwrap();
    }

    /// Writes a file of the folder.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Runs `hcfs sync`.
    ///
    /// # Panics
    /// The folder is not in step in the end.
    pub fn sync(&self) {
        let done = self.machine.run(&["sync", "--timeout", "100"]).unwrap();
        assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    }

    /// Every file of the folder, its own state aside.
    #[must_use]
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        files_below(&self.folder, |name| name != ".hcfs")
    }
}
