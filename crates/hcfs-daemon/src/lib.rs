//! The background service: configuration, unlock, supervision, socket.
//!
//! [`Daemon::start`] is behind `hcfs daemon`, `hcfs up` and a one-shot `hcfs sync`: it takes the state directory's lock,
//! opens the keys, keeps every configured folder running ([`EmbeddedServer`] is passed in, so that this crate knows
//! nothing of the server), and answers at the local socket. [`setup`] and [`identity`] make the configuration and the
//! account it starts from.
//!
//! Invariants: one daemon for a state directory and for a socket; while the keys are closed no folder runs; a secret
//! comes from a prompt, a file, the keyring, the environment or the service manager, never from an argument, and goes into no log.
//!
//! Deliberately absent: decisions about files (the engine's), and what the page shows (its own crate's).

mod ask;
pub mod config;
mod daemon;
mod desktop;
pub mod doctor;
mod error;
pub mod identity;
mod keyring;
mod metrics;
mod name_service;
mod notify;
mod page;
mod place;
mod rates;
pub mod secret;
pub mod service;
pub mod setup;
mod socket;
pub mod sources;
mod stream;
mod supervise;
mod view;

pub use ask::{Ask, AskError, Terminal};
pub use config::{Config, ConfigError, Environment};
pub use daemon::{Daemon, Ended, OnLocked, Options, RunningDaemon};
pub use error::DaemonError;
pub use keyring::KeyringProblem;
pub use place::{PlaceError, harden};
pub use supervise::{BoxError, Connect, EmbeddedServer, ServerAt};
