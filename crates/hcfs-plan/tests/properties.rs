//! What holds for every three trees, over stories that shrink, over seeds, and over the seeds that once failed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use hcfs_testkit::{Rng, ops};
use model::properties::{Story, all, killed, one_device, restricted, two_devices};
use proptest::prelude::*;

mod model;

fn stories() -> impl Strategy<Value = Story> {
    (ops(8, 16), ops(8, 6), ops(8, 6), ops(8, 1)).prop_map(|(base, here, there, unagree)| Story {
        base,
        here,
        there,
        unagree,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_runs_loses_nothing_and_leaves_nothing_to_do(story in stories(), seed: u64) {
        one_device(&story, &mut Rng::new(seed)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_plan_stopped_anywhere_loses_nothing_and_is_taken_up(story in stories(), seed: u64) {
        killed(&story, &mut Rng::new(seed)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn two_devices_come_to_hold_the_same(story in stories(), seed: u64) {
        two_devices(&story, &mut Rng::new(seed)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_restricted_plan_keeps_to_its_restrictions(story in stories(), seed: u64) {
        restricted(&story, &mut Rng::new(seed)).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn seeds_hold() {
    for seed in 0..3000 {
        if let Err(violation) = all(seed) {
            panic!("seed {seed}: {violation}");
        }
    }
}

/// Seeds that found something once: a download into a directory that holds an ignored file; a deletion before a baseline
/// where a file gave way to a directory; a rename undone by a hold, which left a file in another one's way; a temporary
/// name that equal contents elsewhere kept from being told.
#[test]
fn seeds_that_failed_once_hold() {
    for seed in [
        1_099_511_629_630,
        1_099_511_629_684,
        1_099_511_630_354,
        1_099_511_631_158,
        1_099_511_649_231,
        1_099_511_629_903,
        1_099_511_650_962,
        1_099_511_797_944,
        2_199_023_256_551,
        2_199_023_256_555,
        2_199_023_256_612,
        2_199_023_272_671,
    ] {
        if let Err(violation) = all(seed) {
            panic!("seed {seed}: {violation}");
        }
    }
}
