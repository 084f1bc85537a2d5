//! The honest device, the one that is lied to, and what must hold between them.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_testkit::files_below;
use hcfs_tests::{Device, Site, text};
use serde_json::Value;

use crate::front::Front;

/// Bytes a daemon may take at most, whatever a server sends.
const MEMORY: u64 = 160 << 20;

pub(crate) struct Scene {
    /// Kept alive.
    _site: Site,
    pub(crate) honest: Device,
    pub(crate) front: Front,
    pub(crate) victim: Device,
    daemon: u32,
    /// Every content the honest device had under a name.
    known: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Scene {
    /// Both devices have these files.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let site = Site::new();
        let front = Front::new(&site.url);
        let honest = site.device("honest", None);
        let mut victim = site.device_by(&front.url, "victim", Some(&honest.words()));
        let daemon = victim.machine.spawn(&["daemon"]).unwrap();
        let mut scene = Self { _site: site, honest, front, victim, daemon, known: BTreeMap::new() };
        scene.publish(files);
        let _ = scene.victim.machine.until("a daemon that answers", |_| true);
        scene.victim.sync();
        scene.agree();
        scene
    }

    /// The honest device sends files.
    pub(crate) fn publish(&mut self, files: &[(&str, &[u8])]) {
        for (name, content) in files {
            self.honest.write(name, content);
            self.known.entry((*name).to_owned()).or_default().insert(content.to_vec());
        }
        self.honest.sync();
    }

    /// The victim looks, and does not come to be in step. Nothing wrong is in its folder, and nothing is missing of it.
    pub(crate) fn refuses(&self) -> Value {
        let before = self.victim.tree();
        let synced = self.sync();
        assert_eq!(synced.0, Some(3), "it says that it is in step: {}", synced.1);
        self.unharmed(&before);
        self.status()
    }

    /// The victim looks; the exit code and what it said.
    pub(crate) fn sync(&self) -> (Option<i32>, String) {
        let out = self.victim.machine.run(&["sync", "--timeout", "20"]).unwrap();
        (out.status.code(), [text(&out.stdout), text(&out.stderr)].concat())
    }

    /// The victim's folder as the status shows it.
    pub(crate) fn status(&self) -> Value {
        self.victim.machine.status().unwrap()["folders"][0].clone()
    }

    /// What the folder had is there, and only what the honest device wrote is.
    pub(crate) fn unharmed(&self, before: &BTreeMap<String, Vec<u8>>) {
        let after = self.victim.tree();
        for name in before.keys() {
            assert!(after.contains_key(name), "{name} was deleted");
        }
        for (name, content) in &after {
            let known = self.known.get(name).is_some_and(|known| known.contains(content));
            assert!(known, "{name} holds {} bytes nobody wrote there", content.len());
        }
        let home: Vec<_> = std::fs::read_dir(self.victim.machine.path("")).unwrap().flatten().collect();
        let strange = home.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).find(|name| {
            !["docs", "token", "words", "background.log", "run", ".config", ".local"].contains(&name.as_str())
        });
        assert_eq!(strange, None, "something left the folder");
        let peak = self.peak();
        assert!(peak <= MEMORY, "the daemon took {} MiB", peak >> 20);
    }

    /// The most memory the daemon took so far, in bytes.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// Codes of the problems and kinds of the holds that are listed, with their paths or examples.
    pub(crate) fn listed(&self) -> Vec<String> {
        let of = |what: &str| -> Vec<Value> {
            let out = self.victim.machine.run(&[what, "--json"]).unwrap();
            let list: Value = serde_json::from_slice(&out.stdout).unwrap();
            list[what].as_array().unwrap().clone()
        };
        let problems = of("problems").into_iter().map(|problem| {
            let path = problem["path"].as_str().unwrap_or_default();
            assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{problem}");
            format!("{} {path}", problem["code"].as_str().unwrap()).trim().to_owned()
        });
        let holds = of("holds").into_iter().map(|hold| {
            let example = hold["examples"][0].as_str().unwrap_or_default();
            format!("{} {example}", hold["kind"].as_str().unwrap()).trim().to_owned()
        });
        let mut listed: Vec<String> = problems.chain(holds).collect();
        listed.sort();
        listed.dedup();
        listed
    }

    /// What the victim's trash holds.
    pub(crate) fn trash(&self) -> BTreeSet<Vec<u8>> {
        files_below(&self.victim.folder.join(".hcfs/trash"), |_| true).into_values().collect()
    }

    /// With an honest server the folders become equal again.
    pub(crate) fn agree(&self) {
        self.front.be_honest();
        for _ in 0..5 {
            let (code, said) = self.sync();
            if code == Some(0) && self.victim.tree() == self.honest.tree() {
                return;
            }
            if code != Some(0) {
                eprintln!("not yet: {said}");
            }
        }
        panic!("the folders do not agree again: {:#?} {:?}", self.status(), self.listed());
    }
}
