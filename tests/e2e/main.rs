//! The real program as processes: a server, devices, and what people do to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod documents;
mod mistakes;
mod transcripts;
mod two_devices;

use hcfs_testkit::bytes;
use hcfs_tests::{Site, path, text};
