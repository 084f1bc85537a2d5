//! Seeded scenarios of several devices, a server and faults, each in one thread and repeatable to the last step.
//!
//! The engine, the planner, the database and the code that changes a folder are the real ones. What they stand on is a
//! model: [`disk`] knows what survives a loss of power, [`database`] outlives the process, [`network`] delays, loses and
//! reorders, [`process`] gives hints and threads, and time is that of a paused runtime. [`script`] makes a scenario of a
//! seed, [`world`] lives it, [`check`] looks at the end whether every promise was kept; some are watched all the time
//! ([`world`]: what the status says; [`disk`]: that nothing of a person's is unlinked; [`network`]: nonces).
//!
//! `HCFS_SIM=LINE cargo test -p hcfs-tests --test sim` runs the scenario of a line and prints everything that happens;
//! `cargo xtask soak` runs many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod check;
mod database;
mod device;
mod disk;
mod executor;
mod fault;
mod later;
mod ledger;
mod network;
mod process;
mod run;
mod scene;
mod script;
mod shrink;
mod steps;
mod user;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fault::Tally;
use run::run;
use scene::locked;
use script::{Broken, Scenario};

/// Scenarios that found something once.
const REGRESSIONS: &str = include_str!("regressions.txt");
/// How many seeds are run besides.
const SEEDS: u64 = 240;
/// How many kinds of fault must have taken effect in them.
const KINDS: usize = 45;

fn regressions() -> Vec<Scenario> {
    let lines = REGRESSIONS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).filter_map(Scenario::read).collect()
}

/// Runs scenarios on two threads; gives the first failure, as a line, and what went wrong on purpose.
fn all(scenarios: &[Scenario]) -> (Option<String>, Tally) {
    let (next, steps) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let result = Mutex::new((None, Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run(scenario, false);
                    steps.fetch_add(outcome.steps, Ordering::Relaxed);
                    let mut result = locked(&result);
                    result.1 += &outcome.tally;
                    if let Some(why) = outcome.violation {
                        result.0.get_or_insert(format!("cargo xtask soak --replay {} # {why}", scenario.line()));
                    }
                }
            });
        }
    });
    println!("{} scenarios of {} steps", scenarios.len(), steps.into_inner());
    result.into_inner().unwrap()
}

#[test]
fn whatever_happens_all_devices_agree_in_the_end_and_nothing_is_lost() {
    if let Ok(line) = std::env::var("HCFS_SIM") {
        let outcome = run(&Scenario::read(&line).expect("a line of this version"), true);
        println!("{}", outcome.lines.join("\n"));
        assert_eq!(outcome.violation, None);
        return;
    }
    let (failure, tally) = all(&(0..SEEDS).map(Scenario::new).collect::<Vec<_>>());
    assert_eq!(failure, None);
    let missed: Vec<&str> = tally.kinds().filter(|(_, count)| *count == 0).map(|(words, _)| words).collect();
    assert!(tally.kinds().count() - missed.len() >= KINDS, "these faults had no turn: {missed:?}");
}

#[test]
fn what_failed_once_does_not_fail_again() {
    assert_eq!(all(&regressions()).0, None);
}

#[test]
fn a_seed_means_the_same_every_time() {
    for seed in 1_000..1_012 {
        let scenario = Scenario::new(seed);
        let (one, other) = (run(&scenario, false), run(&scenario, true));
        assert_eq!((one.trace, one.picks), (other.trace, other.picks), "seed {seed}");
        let written = Scenario::read(&scenario.line()).unwrap();
        assert_eq!(run(&written, false).trace, one.trace, "seed {seed}");
    }
}

#[test]
fn a_line_holds_a_scenario_with_only_some_of_its_steps() {
    let scenario = Scenario::new(7).only(vec![0, 1, 2, 5, 8, 9]);
    assert_eq!(scenario.line(), format!("{}:7:0-2,5,8-9", script::VERSION));
    assert_eq!(Scenario::read(&scenario.line()).unwrap().numbers(), scenario.numbers());
    assert!(Scenario::read("0:7").is_none() && Scenario::read("x").is_none());
}

/// Whether a scenario fails in this way because this is broken.
fn is_noticed(broken: Broken, words: &str) -> bool {
    // What only the trash has counts where it is the trash that is broken.
    let is_strict = broken != Broken::LeakyTrash;
    let fails = |seed, broken| {
        let mut scenario = Scenario::new(seed);
        (scenario.setting.broken, scenario.setting.is_strict) = (broken, is_strict);
        run(&scenario, false).violation.is_some_and(|why| why.contains(words))
    };
    (0..400).any(|seed| fails(seed, Some(broken)) && !fails(seed, None))
}

#[test]
fn the_checks_notice_a_disk_that_loses_what_was_synced() {
    assert!(is_noticed(Broken::ForgetfulDisk, "lost: "));
}

#[test]
fn the_checks_notice_names_that_are_not_synced() {
    assert!(is_noticed(Broken::NoNameSync, "lost: "));
}

#[test]
fn the_checks_notice_content_that_is_not_synced() {
    assert!(is_noticed(Broken::NoContentSync, "lost: "));
    assert!(is_noticed(Broken::NoContentSync, "spoiled: "));
}

#[test]
fn the_checks_notice_a_server_that_forgets() {
    assert!(is_noticed(Broken::ForgetfulServer, "says that it is idle"));
}

#[test]
fn the_checks_notice_a_nonce_that_comes_again() {
    assert!(is_noticed(Broken::SameNonces, "a nonce serves two plaintexts"));
}

#[test]
fn the_checks_notice_a_trash_that_keeps_nothing() {
    assert!(is_noticed(Broken::LeakyTrash, "lost: "));
}

#[test]
fn a_failing_scenario_is_shrunk_to_the_steps_that_matter() {
    let failing = (0..400).find_map(|seed| {
        let mut scenario = Scenario::new(seed);
        scenario.setting.broken = Some(Broken::LeakyTrash);
        run(&scenario, false).violation.map(|_| scenario)
    });
    let failing = failing.expect("a violation");
    let (smallest, why) = shrink::shrink(&failing);
    assert!(smallest.numbers().len() < failing.numbers().len() && !why.is_empty());
    assert_eq!(run(&smallest, false).violation, Some(why));
}
