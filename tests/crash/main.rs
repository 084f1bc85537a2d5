//! The real program, killed: two devices and a server as processes, people who work on, and SIGKILL at any moment.
//!
//! A run is some work with at least one kill in it, then peace, in which everything must come to agree again. Ten runs
//! share the machines of one seed, so a later run starts from whatever the earlier ones left behind.
//!
//! `cargo xtask soak crash --runs 300 --seed 0` runs more of them; `HCFS_CRASH_RUNS` and `HCFS_CRASH_SEED` are the same
//! for `cargo test`. Processes are not on one clock: a seed gives the same work and the same kills after the same pauses,
//! but not always the same order of what happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod checks;
mod world;

use std::time::Instant;

use world::{Kills, World};

/// Runs on the machines of one seed.
const RUNS_OF_A_SEED: u64 = 10;
/// How many are run without being asked for more.
const RUNS: u64 = 30;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn killed_at_any_moment_nothing_is_lost() {
    let runs = number("HCFS_CRASH_RUNS").unwrap_or(RUNS);
    let mut seed = number("HCFS_CRASH_SEED").unwrap_or(0);
    let (begin, mut done, mut kills) = (Instant::now(), 0, Kills::default());
    while done < runs {
        let mut world = World::new(seed);
        let wanted = RUNS_OF_A_SEED.min(runs - done);
        let ended = (0..wanted).try_for_each(|_| world.run()).and_then(|()| world.end());
        if let Err(wrong) = ended {
            let again = format!("cargo xtask soak crash --runs {RUNS_OF_A_SEED} --seed {seed}");
            panic!("seed {seed}: {wrong}\n{}\nagain: {again}", world.story());
        }
        kills.add(&world.kills);
        done += wanted;
        println!("seed {seed}: {done} of {runs} runs after {:?}", begin.elapsed());
        seed += 1;
    }
    println!("{done} runs in {:?}: {kills}; nothing lost", begin.elapsed());
}
