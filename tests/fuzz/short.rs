//! Every target over its corpus, and over mutations of it for a moment.
//!
//! `HCFS_FUZZ_MILLIS=60000` gives each target more time. `cargo xtask soak fuzz` is the way to find something new.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use hcfs_fuzz::{Mutator, TARGETS, Target};

/// How long each target is given.
const MILLIS: u64 = 1_200;

/// Runs one input; where it breaks a promise, it is kept and shown.
fn run(target: &Target, input: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let path = std::env::temp_dir().join(format!("hcfs-fuzz-{}", target.name));
        std::fs::write(&path, input).unwrap();
        let start = String::from_utf8_lossy(&input[..input.len().min(200)]).into_owned();
        panic!("{}: {from} of {} bytes, kept at {}: {start:?}", target.name, input.len(), path.display());
    }
}

#[test]
fn every_parser_keeps_its_promises() {
    let millis = std::env::var("HCFS_FUZZ_MILLIS").map_or(MILLIS, |text| text.parse().unwrap());
    for target in TARGETS {
        let inputs = target.inputs().unwrap();
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for (path, input) in &inputs {
            run(target, input, &path.display().to_string());
        }
        let corpus: Vec<Vec<u8>> = inputs.into_iter().map(|(_, input)| input).collect();
        let mut mutator = Mutator::new(1, &corpus, target.words);
        let (begin, mut count) = (Instant::now(), 0_u64);
        while begin.elapsed() < Duration::from_millis(millis) {
            run(target, &mutator.next_input(), &format!("mutation {count}"));
            count += 1;
        }
        println!("{}: {} of the corpus, {count} mutations", target.name, corpus.len());
    }
}
