//! Seeded scenarios: people change files on several devices while requests fail and devices stop and start. In the end
//! everything agrees, and nothing that was not destroyed by a person is lost.
//!
//! `HCFS_CHAOS_SEEDS=1000` runs more of them, `HCFS_CHAOS_FROM=77` starts with another seed. Devices are real threads, so
//! a seed gives the same changes and faults, but not always the same order of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hcfs_engine::{FolderSpec, FolderState, FolderStatus};
use hcfs_model::FileId;
use hcfs_plan::{MaxDelete, Resolution};
use hcfs_remote::memory::{Call, MemoryServer};
use hcfs_remote::{ConnectFailure, RemoteErrorKind};
use hcfs_testkit::{Person, Rng, Written};
use kit::wire::{Noise, Wire};
use kit::{Device, folder, owner, server};

/// Seeds that found something once.
const REGRESSIONS: [u64; 1] = [10_160];
/// How many are run without being asked for more.
const SEEDS: u64 = 10;
/// How often all devices sync before they must agree.
const ROUNDS: usize = 40;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn whatever_happens_all_devices_agree_in_the_end_and_nothing_is_lost() {
    let (from, asked) = (number("HCFS_CHAOS_FROM"), number("HCFS_CHAOS_SEEDS"));
    let first = from.unwrap_or(0);
    let mut seeds: Vec<u64> = (first..first + asked.unwrap_or(if from.is_some() { 1 } else { SEEDS })).collect();
    if from.is_none() {
        seeds.extend(REGRESSIONS);
    }
    for seed in seeds {
        let started = Instant::now();
        let mut world = World::new(seed);
        world.live().await;
        if let Err(wrong) = world.end().await {
            panic!("seed {seed}: {wrong}\n{}", world.story().await);
        }
        if asked.is_some() {
            println!("seed {seed}: {:?}", started.elapsed());
        }
    }
}

fn settings(spec: &mut FolderSpec) {
    // Here nobody answers holds.
    spec.max_delete = MaxDelete { files: 1_000_000, percent: 100 };
}

struct World {
    rng: Rng,
    server: MemoryServer,
    noise: Arc<Noise>,
    devices: Vec<Device>,
    people: Vec<Person>,
    written: Written,
    has_tags: bool,
    story: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let server = server();
        let noise = Noise::new(seed);
        let mut capabilities = Vec::new();
        let has_tags = rng.chance(70);
        if has_tags {
            capabilities.push("state-etag");
        }
        if rng.chance(70) {
            capabilities.push("conditional-delete");
        }
        server.set_capabilities(&capabilities);
        if rng.chance(50) {
            server.set_page_rows([1, 2, 3, 5, 8][rng.below(5)]);
        }
        let mut world = Self {
            server,
            noise,
            devices: Vec::new(),
            people: Vec::new(),
            written: Written::default(),
            has_tags,
            story: vec![format!("capabilities {capabilities:?}")],
            rng,
        };
        for name in ["anna", "bert", "cleo"].into_iter().take(2 + world.rng.below(2)) {
            world.add_device(name);
        }
        world
    }

    fn add_device(&mut self, name: &str) {
        let noise = Arc::clone(&self.noise);
        let way = Box::new(move |remote: &_| Arc::new(Wire::new(remote, &noise)) as Arc<dyn hcfs_remote::Remote>);
        let device = Device::by(name, &self.server, settings, way);
        self.people.push(Person::new(&device.root(), device.place.path()));
        self.devices.push(device);
    }

    fn tell(&mut self, device: usize, what: &str) {
        self.story.push(format!("{}: {what}", self.devices[device].name));
    }

    /// People, faults and stops, in any order.
    async fn live(&mut self) {
        self.noise.set_percent([0, 5, 15, 15, 40][self.rng.below(5)]);
        for _ in 0..15 + self.rng.below(30) {
            let device = self.rng.below(self.devices.len());
            match self.rng.below(100) {
                0..45 => self.work(device).await,
                45..85 => self.command(device).await,
                85..92 => self.stop(device).await,
                92..95 => {
                    let kind = RemoteErrorKind::Unreachable(ConnectFailure::Refused);
                    let kind = self.rng.chance(50).then_some(kind);
                    self.tell(device, &format!("down: {kind:?}"));
                    self.devices[device].remote.set_down(kind);
                }
                _ => {
                    let pause = self.rng.below(30) as u64;
                    self.story.push(format!("{pause} ms go by"));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
        }
    }

    /// A person changes some files, sometimes while all devices are at it.
    async fn work(&mut self, device: usize) {
        let is_busy = self.rng.chance(40);
        if is_busy {
            for device in self.devices.iter().filter(|device| device.is_running()) {
                device.handle().scan(true).await.unwrap();
            }
            self.tell(device, "while all scan:");
        }
        for _ in 0..1 + self.rng.below(4) {
            if is_busy {
                tokio::time::sleep(Duration::from_micros(self.rng.below(6_000) as u64)).await;
            }
            let what = self.people[device].act(&mut self.rng, &mut self.written);
            self.tell(device, &what);
        }
    }

    async fn command(&mut self, device: usize) {
        if !self.devices[device].is_running() {
            self.tell(device, "start");
            self.devices[device].start();
            return;
        }
        let handle = self.devices[device].handle().clone();
        let what = match self.rng.below(100) {
            0..45 => {
                self.tell(device, "sync");
                let status = self.devices[device].sync().await;
                format!("synced: {:?}", status.state)
            }
            45..80 => {
                handle.scan(self.rng.chance(50)).await.unwrap();
                "scan".to_owned()
            }
            80..86 => {
                handle.pause().await.unwrap();
                "pause".to_owned()
            }
            86..94 => {
                handle.resume().await.unwrap();
                "resume".to_owned()
            }
            _ => {
                let ways = [Resolution::KeepLocal, Resolution::AcceptRemote, Resolution::KeepBoth];
                let way = ways[self.rng.below(ways.len())];
                match handle.conflicts().await.unwrap().first() {
                    Some(open) => format!("resolve {}: {way:?}: {:?}", open.path, handle.resolve(open.id, way).await),
                    None => "no conflicts".to_owned(),
                }
            }
        };
        self.tell(device, &what);
    }

    async fn stop(&mut self, device: usize) {
        if !self.devices[device].is_running() {
            return;
        }
        if self.rng.chance(60) {
            self.devices[device].handle().scan(true).await.unwrap_or_default();
            // At any moment of the cycle that this began.
            tokio::time::sleep(Duration::from_micros(self.rng.below(20_000) as u64)).await;
        }
        let is_told = self.rng.chance(60);
        self.tell(device, if is_told { "stop" } else { "abandon" });
        if is_told { self.devices[device].stop().await } else { self.devices[device].abandon().await }
    }

    /// Peace: everything must come to agree now.
    async fn end(&mut self) -> Result<(), String> {
        self.noise.set_percent(0);
        self.story.push("peace".to_owned());
        for device in 0..self.devices.len() {
            self.devices[device].remote.set_down(None);
            if !self.devices[device].is_running() {
                self.devices[device].start();
            }
            self.devices[device].handle().resume().await.unwrap();
        }
        if self.rng.chance(25) {
            self.add_device("dora");
        }
        self.settle().await?;
        self.check_trees()?;
        self.check_nothing_lost()?;
        self.check_rest().await?;
        for device in &mut self.devices {
            device.restart().await;
        }
        self.settle().await?;
        self.check_trees()?;
        for device in &self.devices {
            let staged = device.staged();
            if !staged.is_empty() {
                return Err(format!("{} keeps staged parts: {staged:?}", device.name));
            }
        }
        let reused = self.noise.reused_nonces();
        if reused.is_empty() { Ok(()) } else { Err(format!("nonces were used twice: {reused:?}")) }
    }

    /// Syncs until every device says that it is idle and nothing moved since the last round.
    async fn settle(&mut self) -> Result<(), String> {
        let mut before = None;
        let mut states: Vec<Arc<FolderStatus>> = Vec::new();
        for _ in 0..ROUNDS {
            states.clear();
            for device in 0..self.devices.len() {
                self.answer_questions(device).await?;
                let status = self.devices[device].sync().await;
                self.tell(device, &format!("{:?}, cycle {}", status.state, status.cycles));
                states.push(status);
            }
            let now = (self.server.files(folder()), self.trees());
            let is_idle = states.iter().all(|status| status.state == FolderState::Idle);
            if is_idle && before.as_ref() == Some(&now) {
                return Ok(());
            }
            before = Some(now);
        }
        Err(format!("it never comes to rest: {states:#?}"))
    }

    /// As a person would. A file that a device made anew without having seen its earlier life counts from 1 again, which
    /// those who saw that cannot tell from an older version.
    async fn answer_questions(&mut self, device: usize) -> Result<(), String> {
        let handle = self.devices[device].handle().clone();
        for open in handle.conflicts().await.map_err(|error| error.to_string())? {
            let way = if self.rng.chance(70) { Resolution::KeepBoth } else { Resolution::KeepLocal };
            let answer = handle.resolve(open.id, way).await;
            self.tell(device, &format!("resolve {}: {way:?}: {answer:?}", open.path));
        }
        for hold in handle.holds().await.map_err(|error| error.to_string())? {
            let is_accepted = self.rng.chance(70);
            let answer = handle.settle_hold(hold.id, is_accepted).await;
            self.tell(device, &format!("{} of {:?}: accepted {is_accepted}: {answer:?}", hold.kind, hold.examples));
        }
        Ok(())
    }

    fn trees(&self) -> Vec<BTreeMap<String, Vec<u8>>> {
        self.devices.iter().map(Device::tree).collect()
    }

    /// All trees are the server's.
    fn check_trees(&self) -> Result<(), String> {
        let account = owner().account;
        let listed = self.server.files(folder());
        let listed: BTreeMap<FileId, _> = listed.into_iter().map(|(id, file)| (id, file.salted_hash)).collect();
        for (device, tree) in self.devices.iter().zip(self.trees()) {
            if let Some(left) = tree.keys().find(|path| path.contains(".hcfs-rename-")) {
                return Err(format!("{} has a temporary name: {left}", device.name));
            }
            let here = tree
                .iter()
                .map(|(path, content)| (FileId::of_path(path), hcfs_crypto::hash::salted_hash(&account, content)));
            if here.collect::<BTreeMap<_, _>>() != listed {
                return Err(format!("{} is not what the server has", device.name));
            }
        }
        Ok(())
    }

    /// What a person wrote, and no person destroyed, is in a tree or in a trash.
    fn check_nothing_lost(&self) -> Result<(), String> {
        let mut found: BTreeSet<Vec<u8>> = self.written.overwritten.clone();
        for (device, person) in self.devices.iter().zip(&self.people) {
            found.extend(person.destroyed());
            found.extend(device.tree().into_values());
            found.extend(device.trash().into_iter().map(|(_, content)| content));
        }
        let mut lost = self.written.all.difference(&found);
        match lost.next() {
            None => Ok(()),
            Some(content) => {
                let start = String::from_utf8_lossy(&content[..content.len().min(12)]).into_owned();
                Err(format!("lost: {} bytes that start with {start:?}, and {} others", content.len(), lost.count()))
            }
        }
    }

    /// Where nothing changed, a look costs one request and writes nothing.
    async fn check_rest(&mut self) -> Result<(), String> {
        let files = self.server.files(folder());
        for device in &self.devices {
            device.remote.take_calls();
            let status = device.sync().await;
            let calls = device.remote.take_calls();
            let is_cheap = match &calls[..] {
                [Call::ListingPage { tagged: true, .. }] => true,
                calls => !self.has_tags && calls.iter().all(|call| matches!(call, Call::ListingPage { .. })),
            };
            if status.state != FolderState::Idle || !is_cheap {
                return Err(format!("{} asks though nothing changed: {calls:?} {status:#?}", device.name));
            }
        }
        if self.server.files(folder()) == files { Ok(()) } else { Err("a look changed the server".to_owned()) }
    }

    /// What happened, for who has to find out why.
    async fn story(&self) -> String {
        let mut text = self.story.join("\n");
        for device in &self.devices {
            let _ = write!(text, "\n\n{}:", device.name);
            for (path, content) in device.tree() {
                let start = String::from_utf8_lossy(&content[..content.len().min(8)]).into_owned();
                let _ = write!(text, "\n  {path}: {start:?} {}", content.len());
            }
            if device.is_running() {
                for event in device.handle().log(0, 10_000).await.unwrap_or_default() {
                    let path = event.path.map(|path| path.to_string()).unwrap_or_default();
                    let _ = write!(text, "\n  {} {} {path}: {}", event.id, event.kind.as_str(), event.text);
                }
            }
        }
        text
    }
}
