//! A server in memory, with the rules of the real one, for tests and simulation.
//!
//! [`MemoryServer`] holds the account's folders. Each device has a [`MemoryRemote`] of its own, which records every
//! request ([`Call`]) so that a test can assert what something costs, and can be told to fail ([`Fault`]) or to let
//! something else happen first ([`MemoryRemote::before_next`]).
//!
//! Invariants: it verifies signatures, hashes, lengths, base revisions and sequence numbers as a real server does; it
//! has no clock and no randomness, so the same requests make the same revisions and sessions.
//!
//! Deliberately absent: tokens, other accounts, gateway files, and everything the trait does not ask for.

mod batch;
mod call;
mod feed;
mod server;
mod sessions;
mod twin;

pub use call::{Call, Fault};
pub use server::{MemoryServer, StoredFile};
pub use twin::MemoryRemote;
