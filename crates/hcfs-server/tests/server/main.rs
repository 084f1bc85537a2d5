//! The server as its clients see it: over HTTP, on real files, with signed manifests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod batch;
mod changes;
mod connection;
mod deletion;
mod download;
mod folders;
mod gateway;
mod harness;
mod listing;
mod login;
mod names;
mod older;
mod rename;
mod sessions;
mod slow;
mod start;
mod tokens;
mod upload;
