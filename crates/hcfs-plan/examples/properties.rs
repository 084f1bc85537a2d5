//! Runs the planner's properties over many random triples of trees, and says how many hold:
//! `cargo run --release -p hcfs-plan --example properties -- --triples 1000000 --seed 1`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "the model is written for tests"
)]

#[path = "../tests/model/mod.rs"]
mod model;

use std::process::ExitCode;
use std::time::Instant;

use hcfs_model::Rows;
use hcfs_plan::{Context, plan};
use hcfs_testkit::{Rng, path, row};
use model::Device;
use model::properties::{Story, all};

fn main() -> ExitCode {
    let (mut triples, mut seed) = (100_000_u64, 1_u64);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (name.as_str(), value) {
            ("--triples", Some(value)) => triples = value,
            ("--seed", Some(value)) => seed = value,
            ("--only", Some(value)) => {
                println!("{:#?}\n{:?}", Story::random(&mut Rng::new(value)), all(value));
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("usage: properties [--triples N] [--seed N] | --only SEED");
                return ExitCode::from(2);
            }
        }
    }
    let start = Instant::now();
    let mut violations = 0_u64;
    for number in 0..triples {
        let seed = seed.wrapping_mul(1 << 40).wrapping_add(number);
        if let Err(violation) = all(seed) {
            violations += 1;
            if violations <= 10 {
                println!("triple {seed}: {violation}");
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "seed {seed}: {triples} triples of trees, {violations} violations, {seconds:.1} s, {:.0} triples/s",
        triples as f64 / seconds
    );
    println!("below: time on one processor");
    planning_alone(seed);
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How fast plans are made, without the model that runs them.
fn planning_alone(seed: u64) {
    let mut rng = Rng::new(seed);
    let inputs: Vec<_> = (0..20_000)
        .map(|_| {
            let (device, server) = Device::of("one", &Story::random(&mut rng).trees());
            (device.rows(&server), device.context(&server))
        })
        .collect();
    report("small trees", &inputs);
    let context = Context { baseline: true, device: "one".into(), date: "2025-01-31".into(), ..Context::default() };
    let kinds = [("new", "A--", None), ("agreed", "AAA", None), ("both created", "AB-", None)];
    let moves = [("moved here", "-AA", Some("A--")), ("moved there", "A-A", Some("-A-"))];
    for (name, letters, moved) in kinds.into_iter().chain(moves) {
        report(name, &[(large(letters, moved), context.clone())]);
    }
}

/// 200,000 rows in 2,000 directories, of 23 contents. Inodes tell nothing, so that moves are known by content.
fn large(letters: &str, moved: Option<&str>) -> Rows {
    let mut rows = Rows::new();
    let count = if moved.is_some() { 100_000 } else { 200_000 };
    for number in 0..count {
        let content = |letters: &str| {
            let mut signs = letters
                .chars()
                .map(|sign| if sign == '-' { '-' } else { char::from(sign as u8 + (number % 23) as u8) });
            std::array::from_fn(|_| signs.next().unwrap())
        };
        let place = format!("{}/{}/{number}.txt", number / 1000, number % 1000 / 100);
        rows.insert(path(&format!("old/{place}")), row(content(letters), number));
        if let Some(letters) = moved {
            rows.insert(path(&format!("new/{place}")), row(content(letters), number + 1_000_000));
        }
    }
    rows
}

fn report(name: &str, inputs: &[(Rows, Context)]) {
    let rows: usize = inputs.iter().map(|(rows, _)| rows.len()).sum();
    let start = on_processor();
    let plans = inputs.iter().filter_map(|(rows, context)| plan(rows, context).ok());
    let actions: usize = plans.map(|plan| plan.actions().count()).sum();
    let seconds = on_processor() - start;
    println!(
        "planning {name}: {} plans of {rows} rows, {actions} actions, {:.0} ms, {:.2} million rows/s",
        inputs.len(),
        seconds * 1e3,
        rows as f64 / seconds / 1e6
    );
}

/// Seconds this thread has had a processor: on a machine that does other things the wall clock says little.
fn on_processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}
