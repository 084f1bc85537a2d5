//! The units and the package where they live: under a systemd that booted a Debian of its own.
//!
//! A container is made with systemd-nspawn from a root that mmdebstrap makes once: both take root. The tests whose names
//! begin with `under_systemd` fail where that cannot be had; `cargo xtask test` leaves them out with `--no-services`, and,
//! saying so at the end, for a user or on a kernel that makes no containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests may fail loudly")]

mod container;
mod under_systemd;
mod unit_files;
