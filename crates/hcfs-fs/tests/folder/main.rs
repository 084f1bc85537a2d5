//! The crate through its public face, on real directories.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test that fails should stop where it fails"
)]

mod apply;
mod crash;
mod faults;
mod lost;
mod open;
mod race;
mod refusals;
mod rules;
mod scan;
mod scratch;
mod stage;
mod trash;
mod watch;
