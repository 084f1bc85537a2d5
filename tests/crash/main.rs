//! The real program, killed: two devices and a server as processes, people who work on, and SIGKILL at any moment.
//!
//! A run is some work with at least one kill in it, then peace, in which everything must come to agree again. Ten runs
//! share the machines of one seed, so a later run starts from whatever the earlier ones left behind.
//!
//! `cargo xtask soak crash --runs 300 --seed 0` runs more of them, `soak power` those with power cuts; `HCFS_CRASH_RUNS`
//! and `HCFS_CRASH_SEED` are the same for `cargo test`. Processes are not on one clock: a seed gives the same work and the same kills after the same pauses,
//! but not always the same order of what happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod checks;
mod drives;
mod world;

use std::time::Instant;

use hcfs_tests::has_drives;
use world::{Cut, Kills, World};

/// Runs on the machines of one seed.
const RUNS_OF_A_SEED: u64 = 10;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn killed_at_any_moment_nothing_is_lost() {
    soak("crash", 30, Cut::Process);
}

/// As above, on real file systems that lose what they had not yet been given by the time of the kill.
#[test]
fn cut_off_from_power_at_any_moment_nothing_is_lost() {
    if has_drives() {
        soak("power", 10, Cut::Power);
    }
}

/// Runs as many as the environment asks for, or the usual number.
fn soak(name: &str, usual: u64, cut: Cut) {
    let of = |what: &str| number(&format!("HCFS_{}_{what}", name.to_uppercase()));
    let runs = of("RUNS").unwrap_or(usual);
    let mut seed = of("SEED").unwrap_or(0);
    let (begin, mut done, mut kills) = (Instant::now(), 0, Kills::default());
    while done < runs {
        let mut world = World::new(seed, cut);
        let wanted = RUNS_OF_A_SEED.min(runs - done);
        let ended = (0..wanted).try_for_each(|_| world.run()).and_then(|()| world.end());
        if let Err(wrong) = ended {
            let again = format!("cargo xtask soak {name} --runs {RUNS_OF_A_SEED} --seed {seed}");
            panic!("seed {seed}: {wrong}\n{}\nagain: {again}", world.story());
        }
        kills.add(&world.kills);
        done += wanted;
        println!("{name}: seed {seed}: {done} of {runs} runs after {:?}", begin.elapsed());
        seed += 1;
    }
    println!("{name}: {done} runs in {:?}: {kills}; nothing lost", begin.elapsed());
}
