//! Seeded generators, and seeded people, for the tests of every floor.
//!
//! Everything is small and adversarial: few names and few contents, so that what is rare in a home directory (equal
//! contents, a file where a directory was, a name that comes back) happens all the time. The same seed gives the same
//! trees.
//!
//! Deliberately absent: anything that knows how trees are synced.

mod entries;
mod files;
mod person;
mod rng;
mod trees;

pub use entries::{hash, local, path, remote, revision, row, synced};
pub use files::{bytes, files_below};
pub use person::{Person, Written};
pub use rng::Rng;
pub use trees::{Agreed, File, LocalTree, Op, RemoteTree, SyncedTree, Trees, Version, join, ops};
