//! The command line: arguments, rendering, exit codes.
//!
//! [`parse`] reads the arguments. A [`LocalCommand`] is for the program to hand to the daemon's or the server's library;
//! a [`SocketCommand`] is carried out by [`run_socket`], which speaks with the daemon over its socket. [`show_live`]
//! draws what the daemon does, for `hcfs up`.
//!
//! Invariants: results go to stdout and everything else to stderr; names from outside never reach a terminal with control
//! characters in them; no file is replaced unless that was asked for; the exit code of an error comes from the one table
//! of `hcfs-api`.
//!
//! Deliberately absent: the engine, the database, and everything else behind the socket.

pub mod args;
mod client;
mod completions;
mod doctor;
mod error;
mod man;
mod progress;
pub mod render;
mod run;
mod terminal;

pub use args::{Command, GlobalOptions, Invocation, LocalCommand, SocketCommand, Stop, parse};
pub use client::is_reachable;
pub use completions::print_completions;
pub use doctor::{MetDaemon, meet, print_checkup};
pub use error::CliError;
pub use hcfs_api::{ApiError, Checkup, ErrorCode, ExitCode, Paths, PathsError};
pub use hcfs_model::AccountAddress;
pub use man::write_pages;
pub use progress::{FetchBar, show_live};
pub use run::{print_version, run_socket};
pub use terminal::Terminal;

/// One line of JSON as every command prints it: these fields, and the schema's number.
#[must_use]
pub fn json_object(fields: &[(&str, serde_json::Value)]) -> String {
    let mut object = serde_json::Map::new();
    object.insert("schema".to_owned(), hcfs_api::SCHEMA.into());
    object.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    serde_json::Value::Object(object).to_string()
}
