//! The server over real stores: PostgreSQL from this machine's packages, an S3 store in this process, and `hcfs server` as
//! processes that are killed.
//!
//! `cargo xtask test` installs PostgreSQL. What needs it fails without it; `cargo xtask test --no-services` leaves
//! `shared_stores` and `two_nodes` out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, reason = "test code")]

#[allow(dead_code, reason = "the benchmark uses more of it")]
mod client;
mod kills;
mod services;
mod shared_stores;
mod two_nodes;
