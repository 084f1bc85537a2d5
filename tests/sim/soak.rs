//! Runs scenarios for as long as it is told to, on all cores, and shrinks those that fail.
//!
//! `--seeds N` scenarios, or as many as `--minutes M` allow; `--from S` begins with another seed, `--threads T` uses fewer
//! cores. It ends with a summary, and with an error if a promise was broken. `--replay LINE` runs one scenario and prints
//! everything that happens in it.
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

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fault::Tally;
use run::run;
use scene::locked;
use script::Scenario;

/// How many failures are shrunk before it ends.
const FAILURES: usize = 10;

/// One of so many scenarios is run twice, and has to be the same twice.
const REPEATED: u64 = 1_000;

/// After so many scenarios it says how far it is.
const TOLD: u64 = 100_000;

#[derive(Default)]
struct Sum {
    scenarios: u64,
    steps: u64,
    picks: u64,
    tally: Tally,
    failures: Vec<(String, String)>,
}

struct Wanted {
    from: u64,
    seeds: u64,
    until: Option<Instant>,
    threads: usize,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str| value(name).map(|text| text.parse::<u64>().expect("a number"));
    if let Some(line) = value("--replay") {
        return replay(line);
    }
    let minutes = number("--minutes");
    let wanted = Wanted {
        from: number("--from").unwrap_or(0),
        seeds: number("--seeds").unwrap_or(if minutes.is_some() { u64::MAX } else { 20_000 }),
        until: minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes)),
        threads: number("--threads").map_or_else(cores, |threads| usize::try_from(threads).unwrap()),
    };
    // A process that is killed unwinds; what else panics is told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let begin = Instant::now();
    let sum = soak(&wanted);
    tell(&sum, begin.elapsed(), wanted.threads);
    if sum.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn replay(line: &str) -> ExitCode {
    let Some(scenario) = Scenario::read(line) else {
        eprintln!("\"{line}\" is no scenario of this version ({})", script::VERSION);
        return ExitCode::FAILURE;
    };
    let outcome = run(&scenario, true);
    println!("{}\n{:#?}", outcome.lines.join("\n"), scenario.setting);
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(why) => {
            println!("{line}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn soak(wanted: &Wanted) -> Sum {
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..wanted.threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let is_over = wanted.until.is_some_and(|until| Instant::now() >= until);
                    if number >= wanted.seeds || is_over || locked(&sum).failures.len() >= FAILURES {
                        return;
                    }
                    one(wanted.from + number, &sum);
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

fn one(seed: u64, sum: &Mutex<Sum>) {
    let scenario = Scenario::new(seed);
    let outcome = run(&scenario, false);
    if seed.is_multiple_of(REPEATED) && run(&scenario, false).trace != outcome.trace {
        println!("{} does not mean the same every time", scenario.line());
        locked(sum).failures.push((scenario.line(), "it cannot be repeated".to_owned()));
    }
    {
        let mut sum = locked(sum);
        sum.scenarios += 1;
        sum.steps += outcome.steps as u64;
        sum.picks += outcome.picks;
        sum.tally += &outcome.tally;
        if sum.scenarios.is_multiple_of(TOLD) {
            eprintln!("{} scenarios, {} violations so far", sum.scenarios, sum.failures.len());
        }
    }
    if outcome.violation.is_some() {
        let (smallest, why) = shrink::shrink(&scenario);
        println!("cargo xtask soak --replay {} # {why}", smallest.line());
        locked(sum).failures.push((smallest.line(), why));
    }
}

fn tell(sum: &Sum, took: Duration, threads: usize) {
    let minutes = took.as_secs_f64() / 60.0;
    println!("scenarios   {:>12}", sum.scenarios);
    println!("steps       {:>12}", sum.steps);
    println!("events      {:>12}", sum.picks);
    println!("violations  {:>12}", sum.failures.len());
    println!("per minute  {:>12.0}  ({:.1} min, {threads} threads)", sum.scenarios as f64 / minutes, minutes);
    let kinds: Vec<(&str, u64)> = sum.tally.kinds().collect();
    let met = kinds.iter().filter(|(_, count)| *count > 0).count();
    println!("fault kinds {met:>12}  of {}", kinds.len());
    for (words, count) in kinds {
        println!("{count:>14}  {words}");
    }
}
