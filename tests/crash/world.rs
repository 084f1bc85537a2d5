//! Machines, the people at them, and the one who pulls their plugs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use hcfs_testkit::{Person, Rng, Written};
use hcfs_tests::{Device, Drive, Machine, Site, text};
use serde_json::Value;

/// How often all devices sync before they must agree.
const ROUNDS: usize = 40;

/// How often each was killed.
#[derive(Default)]
pub(crate) struct Kills(BTreeMap<&'static str, u64>);

impl Kills {
    pub(crate) fn add(&mut self, other: &Self) {
        for (who, count) in &other.0 {
            *self.0.entry(who).or_default() += count;
        }
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kills", self.0.values().sum::<u64>())?;
        self.0.iter().try_for_each(|(who, count)| write!(f, ", {count} of {who}"))
    }
}

/// What a kill takes with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The process alone.
    Process,
    /// The process, and what its drive was not yet given.
    Power,
}

/// Two devices and a server, each a process.
pub(crate) struct World {
    rng: Rng,
    /// The drive of the server and that of the second device, where power is cut: the first device is the witness.
    drives: Option<[Drive; 2]>,
    pub(crate) site: Site,
    pub(crate) devices: Vec<Device>,
    pub(crate) people: Vec<Person>,
    pub(crate) written: Written,
    pub(crate) kills: Kills,
    story: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, cut: Cut) -> Self {
        let mut rng = Rng::new(seed);
        let machines = [Machine::new().unwrap(), Machine::new().unwrap()];
        let drives = (cut == Cut::Power).then(|| {
            let commit = 1 + rng.below(30);
            let options = format!("noauto_da_alloc,commit={commit}");
            machines.each_ref().map(|machine| Drive::over(&machine.path(""), 512, &options).unwrap())
        });
        let [server, second] = machines;
        let site = Site::on(server);
        let first = site.device("anna", None);
        let second = site.device_on(second, &site.url, "bert", Some(&first.words()));
        let mut world = Self {
            rng,
            drives,
            site,
            devices: Vec::new(),
            people: Vec::new(),
            written: Written::default(),
            kills: Kills::default(),
            story: Vec::new(),
        };
        for device in [first, second] {
            world.add(device);
        }
        for drive in world.drives.iter().flatten() {
            drive.sync().unwrap();
        }
        world
    }

    /// A device that looks every second, and a person at it.
    fn add(&mut self, mut device: Device) {
        device.look_often();
        self.people.push(Person::new(&device.folder, &device.machine.path("")));
        device.machine.spawn(&["daemon"]).unwrap();
        self.devices.push(device);
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.story.push(what.into());
    }

    /// Work and kills, then peace.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        self.tell("-- a run begins");
        for _ in 0..1 + self.rng.below(4) {
            self.work();
            // Just then, while it is noticed, while it is moved, or when it has long been done.
            let within = [2_000, 60_000, 250_000, 800_000][self.rng.below(4)];
            self.pass(within);
            self.kill()?;
        }
        self.settle()?;
        self.check()
    }

    /// Lets some time pass.
    fn pass(&mut self, within_micros: usize) {
        let pause = self.rng.below(within_micros) as u64;
        self.tell(format!("{pause} µs"));
        // The moment of a kill is what is tested: nothing is waited for.
        std::thread::park_timeout(Duration::from_micros(pause));
    }

    /// Some people change some files.
    fn work(&mut self) {
        for _ in 0..1 + self.rng.below(8) {
            let who = self.rng.below(self.people.len());
            if who == 1 && self.drives.is_some() && self.rng.chance(70) {
                // What is made durable by hand takes the daemon's own work along.
                continue;
            }
            let what = self.people[who].act(&mut self.rng, &mut self.written);
            self.tell(format!("{who}: {what}"));
            if let (1, Some([_, drive])) = (who, &self.drives) {
                drive.sync().unwrap();
            }
            if self.rng.chance(30) {
                self.pass(20_000);
            }
        }
    }

    /// Kills something, and starts it again.
    fn kill(&mut self) -> Result<(), String> {
        self.all_run()?;
        let (devices, server) = match self.rng.below(10) {
            // The witness keeps running where power is cut.
            _ if self.drives.is_some() && self.rng.chance(60) => (vec![1], false),
            _ if self.drives.is_some() => (vec![1].split_off(self.rng.below(2)), true),
            0..3 => (vec![0], false),
            3..6 => (vec![1], false),
            6..8 => (vec![], true),
            _ => (vec![0, 1], true),
        };
        for &device in &devices {
            self.devices[device].machine.kill();
            self.tell(format!("kill device {device}"));
            *self.kills.0.entry("a device").or_default() += 1;
        }
        if server {
            self.site.server.kill();
            self.tell("kill the server");
            *self.kills.0.entry("the server").or_default() += 1;
        }
        self.cut_power(&devices, server);
        // Nobody works at a machine without power.
        if self.drives.is_none() && self.rng.chance(50) {
            self.work();
            self.pass(30_000);
        }
        if server {
            self.site.restart();
        }
        for device in devices {
            self.devices[device].machine.spawn(&["daemon"]).unwrap();
        }
        self.tell("start again");
        Ok(())
    }

    fn cut_power(&self, devices: &[usize], server: bool) {
        let Some([of_server, of_device]) = &self.drives else { return };
        if server {
            of_server.cut_power().unwrap();
        }
        if devices.contains(&1) {
            of_device.cut_power().unwrap();
        }
    }

    /// Whatever was started and not killed still runs.
    pub(crate) fn all_run(&mut self) -> Result<(), String> {
        if !self.site.server.is_running() {
            return Err("the server ended by itself".to_owned());
        }
        match self.devices.iter_mut().position(|device| !device.machine.is_running()) {
            Some(device) => Err(format!("device {device} ended by itself")),
            None => Ok(()),
        }
    }

    /// Syncs until every device says that it is idle, and the folders are equal.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.tell("peace");
        for _ in 0..ROUNDS {
            let mut is_idle = true;
            for device in 0..self.devices.len() {
                let _ = self.devices[device].machine.until("a daemon that answers", |_| true);
                self.answer_questions(device);
                let synced = self.devices[device].machine.run(&["sync", "--timeout", "60"]).unwrap();
                is_idle &= synced.status.success();
                self.tell(format!("device {device}: {}", text(&synced.stdout).trim()));
            }
            let first = self.devices[0].tree();
            if is_idle && self.devices.iter().all(|device| device.tree() == first) && self.rests() {
                return self.all_run();
            }
        }
        Err("it never comes to rest".to_owned())
    }

    /// Nothing is left to do, and nothing to ask. What a device sent last may have become a question of another that was
    /// idle before.
    fn rests(&mut self) -> bool {
        for number in 0..self.devices.len() {
            let waited = self.devices[number].machine.run(&["wait", "--timeout", "60"]).unwrap();
            self.tell(format!("device {number}: wait: {}", text(&waited.stdout).trim()));
            if !waited.status.success() {
                return false;
            }
        }
        true
    }

    /// As a person would.
    fn answer_questions(&mut self, device: usize) {
        for open in self.listed(device, "conflicts") {
            let path = open["path"].as_str().unwrap().to_owned();
            let way = if self.rng.chance(70) { "keep-both" } else { "keep-local" };
            self.told(device, &["conflicts", "resolve", &path, way]);
        }
        for hold in self.listed(device, "holds") {
            let id = hold["id"].to_string();
            let answer = if self.rng.chance(70) { "accept" } else { "restore" };
            self.tell(format!("{hold}"));
            self.told(device, &["holds", answer, &id, "--yes"]);
        }
    }

    fn listed(&self, device: usize, what: &str) -> Vec<Value> {
        let out = self.devices[device].machine.run(&[what, "--json"]).unwrap();
        let list: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        list[what].as_array().cloned().unwrap_or_default()
    }

    /// Runs a command that may come too late.
    fn told(&mut self, device: usize, command: &[&str]) {
        let out = self.devices[device].machine.run(command).unwrap();
        let said = [text(&out.stdout), text(&out.stderr)].concat();
        self.tell(format!("device {device}: {}: {}", command.join(" "), said.trim()));
    }

    /// A device that was never there finds it all on the server, and everybody ends when told.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        let words = self.devices[0].words();
        let late = self.site.device("cleo", Some(&words));
        self.add(late);
        self.tell("a third device");
        self.settle()?;
        self.check()?;
        for (number, device) in self.devices.iter_mut().enumerate() {
            let codes = device.machine.terminate();
            if codes != [Some(0)] {
                return Err(format!("device {number} was told to end and ended with {codes:?}"));
            }
        }
        Ok(())
    }

    /// What happened, for who has to find out why.
    pub(crate) fn story(&self) -> String {
        let mut text = self.story.join("\n");
        for (number, device) in self.devices.iter().enumerate() {
            let _ = write!(text, "\n\ndevice {number}: {:#?}", device.machine.status());
            for (path, content) in device.tree() {
                let start = String::from_utf8_lossy(&content[..content.len().min(8)]).into_owned();
                let _ = write!(text, "\n  {path}: {start:?} {}", content.len());
            }
            let log = device.machine.run(&["log"]).map(|out| out.stdout).unwrap_or_default();
            let _ = write!(text, "\n{}", String::from_utf8_lossy(&log));
            let _ = write!(text, "\n{}", device.machine.said());
        }
        text
    }
}
