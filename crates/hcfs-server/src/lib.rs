//! A self-hostable HCFS server.
//!
//! It stores ciphertext and the metadata the protocol gives it, and can decrypt nothing. Plaintext is here only where a
//! client sends it: names it shares, and the files of the gateway's form of an upload. Layers, from the outside in:
//! sockets and their deadlines ([`Server`]), routes and the bearer tokens, and two stores: metadata in SQLite or PostgreSQL,
//! blobs in files or in S3 ([`Storage`]). What a client was told is stored is durable, whenever the process dies:
//!
//! - a blob is durable in its place before a row points to it, and removed some time after the last row is gone;
//! - a request that changes something is one transaction; its answer leaves after the commit;
//! - leftovers of uploads in flight are removed when they end, or at the next start.
//!
//! Every body, queue and wait is bounded ([`Limits`]). Deliberately absent: keys, plaintext, and any decision about what
//! a folder should hold.

mod access;
pub mod accounts;
mod answer;
mod blobs;
mod body;
mod caller;
mod collect;
mod condition;
mod config;
mod connection;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod error;
mod exchange;
mod kind;
pub mod maintenance;
mod metadata;
mod metrics;
mod peer;
mod place;
pub mod publications;
mod range;
mod rate;
mod routes;
mod serve;
mod socket;
mod stores;
mod tls;
pub mod tokens;
mod trust;
mod upkeep;

pub use access::AccountPolicy;
pub use config::{Bucket, Clock, Limits, Secret, ServerConfig, Storage};
pub use error::ServerError;
pub use metadata::MetadataError;
pub use peer::{Network, NetworkError};
pub use rate::Rate;
pub use serve::{RunningServer, Server};
pub use tls::{TlsError, TlsFiles};
