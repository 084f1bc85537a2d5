//! A server that lies, over real HTTP, to the real daemon.
//!
//! One device speaks with the server itself, another through a front that changes what it says. Whatever the front does,
//! nothing wrong may appear in the folder of the second, nothing of it may be deleted, what is wrong must be listed, and
//! the memory of the daemon stays bounded. Once the front is honest the folders agree again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod blobs;
mod front;
mod listings;
mod scene;
mod transport;
