//! Scenarios: what a seed stands for.
//!
//! A scenario is a setting and a list of steps. Each step has a seed of its own, from which on chance follows that: so
//! steps can be left out and those that stay mean the same. A scenario is written as `VERSION:SEED`, or, with only some of
//! its steps, as `VERSION:SEED:0,3-7`.

use hcfs_testkit::Rng;

use crate::disk::tree::Profile;
use crate::process::Hearing;
use crate::user::Habits;

/// Counts the changes of this generator: a seed means nothing to another version.
pub(crate) const VERSION: u32 = 2;

/// A command to a folder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Scan,
    FullScan,
    Sync,
    Pause,
    Resume,
    Resolve,
    SettleHold,
    DryRun,
    Remove,
    Move,
}

/// What happens in a step, mostly to or on one device.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// A person does some things.
    Act(usize),
    /// A person does something after so many system calls.
    Race(u32),
    /// So many things that are ready are done.
    Go(usize),
    /// So many milliseconds go by, with all that happens in them.
    Wait(u64),
    Order(Order),
    Start,
    Stop,
    Kill,
    KillAt(u32),
    LosePower,
    Suspend(u64),
    SecondInstance,
    Disk(DiskWeather),
    Network {
        percent: usize,
        slow: usize,
    },
    Down,
    Stale,
    Backup,
    Rollback,
    Quota(u64),
    Unmount,
    Replace,
    Unplug,
    Mount,
    Clock(i64),
    CopyDatabase,
    LoseDatabase,
    OldDatabase,
    DamageDatabase,
}

/// What a disk does for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DiskWeather {
    Fine,
    Errors,
    Denials,
    Full,
    ReadOnly,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) seed: u64,
    pub(crate) device: usize,
    pub(crate) what: What,
}

/// What a device is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) profile: Profile,
    /// How the network is from the start: percent of requests that fail, and that are slow.
    pub(crate) network: (usize, usize),
    pub(crate) disk: DiskWeather,
    pub(crate) hearing: Hearing,
    pub(crate) transfers: usize,
}

/// What a scenario is like.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) machines: Vec<Machine>,
    pub(crate) habits: Habits,
    pub(crate) has_tags: bool,
    pub(crate) has_conditional_delete: bool,
    pub(crate) has_feed: bool,
    pub(crate) has_batches: bool,
    pub(crate) page_rows: Option<u32>,
    /// How many files may be deleted at once without a question.
    pub(crate) max_delete: Option<u64>,
    /// Whether conflicts wait for an answer.
    pub(crate) asks: bool,
    pub(crate) share_paths: bool,
    /// What is broken on purpose, for the test of the checks.
    pub(crate) broken: Option<Broken>,
    /// Whether a version that only a trash has counts as lost. A person may let that happen, by accepting a hold.
    pub(crate) is_strict: bool,
}

/// What the checks must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A disk that loses what was synced.
    ForgetfulDisk,
    /// Names are never made durable, whoever asks for it.
    NoNameSync,
    /// Content is never made durable, whoever asks for it.
    NoContentSync,
    /// A server that says it stored a file and did not.
    ForgetfulServer,
    /// Random bytes that come again.
    SameNonces,
    /// A trash that keeps nothing.
    LeakyTrash,
}

#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) setting: Setting,
    pub(crate) steps: Vec<Step>,
    /// The steps that are kept; `None` for all.
    pub(crate) kept: Option<Vec<usize>>,
}

/// Which faults a scenario may have: few at once, so that each has its turn alone and with any other.
#[derive(Clone, Copy)]
struct Families {
    network: bool,
    disk: bool,
    process: bool,
    power: bool,
    clock: bool,
    database: bool,
    root: bool,
    server: bool,
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(VERSION));
        let families = Families {
            network: rng.chance(55),
            disk: rng.chance(25),
            process: rng.chance(45),
            power: rng.chance(25),
            clock: rng.chance(15),
            database: rng.chance(20),
            root: rng.chance(10),
            server: rng.chance(12),
        };
        let setting = setting(&mut rng, families);
        let devices = setting.machines.len();
        let count = 8 + rng.below(18);
        let mut steps = Vec::with_capacity(2 * count);
        for _ in 0..count {
            let device = rng.below(devices);
            let what = what(&mut rng, families);
            steps.push(Step { seed: rng.next_u64(), device, what });
            if !matches!(what, What::Go(_) | What::Wait(_)) && rng.chance(60) {
                let what =
                    if rng.chance(75) { What::Go(1 + rng.below(60)) } else { What::Wait(1 + rng.below(3000) as u64) };
                steps.push(Step { seed: rng.next_u64(), device, what });
            }
        }
        Self { seed, setting, steps, kept: None }
    }

    /// The scenario that a line stands for.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut parts = line.trim().split(':');
        let version: u32 = parts.next()?.parse().ok()?;
        if version != VERSION {
            return None;
        }
        let mut scenario = Self::new(parts.next()?.parse().ok()?);
        if let Some(kept) = parts.next() {
            let mut steps = Vec::new();
            for range in kept.split(',').filter(|range| !range.is_empty()) {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                steps.extend(from.parse::<usize>().ok()?..=to.parse().ok()?);
            }
            scenario.kept = Some(steps);
        }
        Some(scenario)
    }

    /// The line that stands for it.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{VERSION}:{}", self.seed);
        let Some(kept) = &self.kept else { return line };
        line.push(':');
        let mut at = 0;
        while at < kept.len() {
            let first = kept[at];
            let mut last = first;
            while kept.get(at + 1) == Some(&(last + 1)) {
                at += 1;
                last += 1;
            }
            if !line.ends_with(':') {
                line.push(',');
            }
            line.push_str(&if first == last { first.to_string() } else { format!("{first}-{last}") });
            at += 1;
        }
        line
    }

    /// The numbers of the steps that are kept.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.kept.clone().unwrap_or_else(|| (0..self.steps.len()).collect())
    }

    /// The same with only some of its steps.
    pub(crate) fn only(&self, kept: Vec<usize>) -> Self {
        Self { kept: Some(kept), ..self.clone() }
    }
}

fn setting(rng: &mut Rng, families: Families) -> Setting {
    let count = [2, 2, 2, 2, 2, 2, 3, 3, 4][rng.below(9)];
    let machines = (0..count).map(|_| machine(rng, families)).collect();
    Setting {
        machines,
        habits: Habits {
            large: if rng.chance(3) { 30 } else { 0 },
            odd_names: rng.chance(12),
            odd_files: rng.chance(10),
        },
        has_tags: rng.chance(80),
        has_conditional_delete: rng.chance(70),
        has_feed: rng.chance(50),
        has_batches: rng.chance(50),
        page_rows: rng.chance(40).then(|| [1, 2, 3, 5][rng.below(4)]),
        max_delete: rng.chance(15).then(|| rng.below(4) as u64),
        asks: rng.chance(15),
        share_paths: rng.chance(20),
        broken: None,
        is_strict: false,
    }
}

fn machine(rng: &mut Rng, families: Families) -> Machine {
    let mut hearing = Hearing::default();
    if rng.chance(30) {
        let mut one = |percent| if rng.chance(50) { percent } else { 0 };
        hearing = Hearing { drops: one(30), doubles: one(30), shuffles: one(50), overflows: one(20), ..hearing };
    }
    hearing.is_deaf = rng.chance(4);
    hearing.is_limited = rng.chance(2);
    hearing.slow = if rng.chance(15) { 20 } else { 0 };
    Machine {
        profile: Profile {
            step: [4_000_000, 4_000_000, 4_000_000, 1_000_000, 1_000_000_000, 2_000_000_000][rng.below(6)],
            folds_case: rng.chance(5),
            exchanges: !rng.chance(8),
            refuses_to_replace: !rng.chance(5),
            allocates: !rng.chance(5),
            reuses_inodes: rng.chance(30),
            broken: None,
        },
        network: if families.network && rng.chance(70) { network(rng) } else { (0, 0) },
        disk: if families.disk && rng.chance(40) { disk(rng) } else { DiskWeather::Fine },
        hearing,
        transfers: 1 + rng.below(4),
    }
}

fn calls(rng: &mut Rng, most: usize) -> u32 {
    u32::try_from(1 + rng.below(most)).unwrap()
}

fn network(rng: &mut Rng) -> (usize, usize) {
    ([5, 15, 15, 30, 60][rng.below(5)], [0, 0, 20, 60][rng.below(4)])
}

fn disk(rng: &mut Rng) -> DiskWeather {
    let kinds =
        [DiskWeather::Errors, DiskWeather::Errors, DiskWeather::Denials, DiskWeather::Full, DiskWeather::ReadOnly];
    kinds[rng.below(kinds.len())]
}

fn what(rng: &mut Rng, families: Families) -> What {
    if rng.chance(35) {
        return match rng.below(10) {
            0..8 => What::Act(1 + rng.below(3)),
            _ => What::Race(calls(rng, 120)),
        };
    }
    if rng.chance(35) {
        return match rng.below(10) {
            0..5 => What::Go(1 + rng.below(200)),
            5..9 => What::Wait(1 + rng.below(20_000) as u64),
            _ => What::Wait(rng.below(3_600_000) as u64),
        };
    }
    if rng.chance(40) {
        let orders = [
            Order::Sync,
            Order::Sync,
            Order::Scan,
            Order::FullScan,
            Order::Pause,
            Order::Resume,
            Order::Resume,
            Order::Resolve,
            Order::SettleHold,
            Order::DryRun,
            Order::Remove,
            Order::Move,
        ];
        return What::Order(orders[rng.below(orders.len())]);
    }
    fault(rng, families)
}

fn fault(rng: &mut Rng, families: Families) -> What {
    let mut choices: Vec<What> = vec![What::Start, What::Start];
    if families.network {
        let (percent, slow) = network(rng);
        let network = What::Network { percent, slow };
        choices.extend([network, network, network, What::Down, What::Network { percent: 0, slow: 0 }]);
    }
    if families.disk {
        let disk = disk(rng);
        choices.extend([What::Disk(disk), What::Disk(disk), What::Disk(disk), What::Disk(DiskWeather::Fine)]);
    }
    if families.process {
        let calls = calls(rng, 150);
        choices.extend([
            What::Kill,
            What::Kill,
            What::KillAt(calls),
            What::KillAt(calls),
            What::Stop,
            What::SecondInstance,
        ]);
    }
    if families.power {
        choices.extend([What::LosePower, What::LosePower]);
    }
    if families.clock {
        let hours = 1 + rng.below(48) as i64;
        choices.extend([What::Clock(hours * 3600), What::Clock(-hours * 3600), What::Clock(0)]);
        choices.push(What::Suspend(1 + rng.below(10_000_000) as u64));
    }
    if families.database {
        choices.extend([
            What::LoseDatabase,
            What::CopyDatabase,
            What::CopyDatabase,
            What::OldDatabase,
            What::OldDatabase,
            What::DamageDatabase,
        ]);
    }
    if families.root {
        choices.extend([What::Unmount, What::Replace, What::Unplug, What::Mount, What::Mount]);
    }
    if families.server {
        choices.extend([What::Stale, What::Backup, What::Rollback, What::Quota(rng.below(600) as u64)]);
    }
    choices[rng.below(choices.len())]
}
