//! Sources end to end: the real program against services that speak each document's API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod bad;
mod docs;
mod errors;
mod fetch;
mod kinds;
mod resume;
#[allow(unreachable_pub, reason = "the benchmark uses it too")]
mod services;
mod yours;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use hcfs_tests::{Device, Site, path, text};
use serde_json::Value;

use crate::services::{CREDENTIAL, Services};

/// A device with a running daemon, and the services.
pub(crate) struct Scene {
    pub(crate) services: Services,
    pub(crate) site: Site,
    pub(crate) device: Device,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (services, site) = (Services::start(), Site::new());
        let device = site.device("a", None);
        std::fs::write(device.machine.path("credential"), format!("{CREDENTIAL}\n")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(device.machine.path("credential"), mode).unwrap();
        Self { services, site, device }
    }

    pub(crate) fn running() -> Self {
        let mut scene = Self::new();
        scene.start();
        scene
    }

    pub(crate) fn start(&mut self) {
        self.device.machine.spawn(&["daemon"]).unwrap();
        let _ = self.device.machine.until("a folder that takes files", |status| {
            status["folders"][0]["state"] == "idle" || status["folders"][0]["state"] == "attention"
        });
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.device.machine.run(arguments).unwrap()
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let out = self.run(arguments);
        assert!(out.status.success(), "{arguments:?}: {}{}", text(&out.stdout), text(&out.stderr));
        text(&out.stdout)
    }

    /// Adds a source of a kind named as the kind; `more` are further options.
    #[track_caller]
    pub(crate) fn add(&self, kind: &str, items: &[&str], more: &[&str]) {
        let credential = format!("file:{}", path(&self.device.machine.path("credential")));
        let mut arguments = vec!["source", "add", kind, kind, "--into", "docs/in"];
        arguments.extend(items.iter().flat_map(|item| ["--item", *item]));
        if kind != "url" {
            arguments.extend(["--base-url", &self.services.url]);
        }
        if !["url", "download_task"].contains(&kind) {
            arguments.extend(["--credential", &credential]);
        }
        if kind == "signed_url" {
            arguments.extend(["--organization", "org_123"]);
        }
        arguments.extend(more);
        self.done(&arguments);
    }

    /// Runs a source and gives what `--json` says.
    pub(crate) fn source_run(&self, name: &str) -> (i32, Value) {
        self.source_run_with(name, &[])
    }

    pub(crate) fn source_run_with(&self, name: &str, more: &[&str]) -> (i32, Value) {
        let mut arguments = vec!["source", "run", name, "--json", "--timeout", "100"];
        arguments.extend(more);
        let out = self.run(&arguments);
        let said = if out.stdout.is_empty() { &out.stderr } else { &out.stdout };
        let value = serde_json::from_slice(said);
        let value = value.unwrap_or_else(|_| panic!("{}{}", text(&out.stdout), text(&out.stderr)));
        (out.status.code().unwrap(), value)
    }

    /// Runs a source that must bring so many files.
    #[track_caller]
    pub(crate) fn brings(&self, name: &str, files: u64) -> Value {
        let (code, said) = self.source_run(name);
        let brought = &said["source"]["last_run"]["brought"];
        assert_eq!((code, brought), (0, &files.into()), "{said:#}\n{}", self.device.machine.said());
        said
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.device.tree().into_keys().collect()
    }

    /// That the credential is in nothing that was printed, logged or kept, but for its own file.
    #[track_caller]
    pub(crate) fn leaks_nothing(&self) {
        let mut pending = vec![self.device.machine.path("")];
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let found = entry.unwrap().path();
                if found.is_dir() {
                    pending.push(found);
                } else if found.is_file() && !found.ends_with("credential") {
                    let content = std::fs::read(&found).unwrap();
                    for secret in [CREDENTIAL, "signed-token-"] {
                        let leaked = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                        assert!(!leaked, "{secret} in {}", found.display());
                    }
                }
            }
        }
    }
}
