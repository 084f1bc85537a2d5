//! The three trees, marks and hints of one folder in SQLite; and, apart, the ledger of the [sources].
//!
//! One [`Store`] is one folder's database: what was last seen on disk (*local*), what was last listed (*remote*), what
//! both sides last agreed on (*synced*), and beside them the marks of changed paths, the revision marks of file ids,
//! resume hints, conflicts, holds and the event log.
//!
//! Invariants:
//! - Observations are kept, never work: after a crash the engine looks again and plans again. A hint is only ever a
//!   shortcut; losing one costs time.
//! - A path is marked changed exactly when its three trees disagree ([`hcfs_model::Row::is_agreed`]) or its listed
//!   revision contradicts its revision mark. Every write keeps that, so a cycle costs what changed.
//! - A revision mark never goes down while its file lives; only [`Store::accept_listed`], a user's decision, lowers it.
//! - Each writing call is one transaction, written in path order and durable when the call returns
//!   (`synchronous=FULL`). A call that changes nothing writes nothing.
//! - Damage is found, not guessed around: a database that fails its checks is moved aside whole and a fresh one is
//!   started ([`Outcome::Rebuilt`]), in which the [`Baseline`] is missing, so that nothing is deleted on its word.
//! - One process at a time: a lock file is held for the lifetime of the store.
//!
//! Deliberately absent: decisions, clocks, threads, async. Times are passed in.

mod aside;
mod changed;
mod check;
mod columns;
mod conflicts;
mod database;
mod edit;
mod error;
mod hints;
mod holds;
mod lock;
mod log;
mod meta;
mod observe;
mod place;
mod schema;
mod seen;
mod settle;
pub mod sources;
mod store;
mod totals;
mod trees;

pub use conflicts::{Conflict, ConflictKind, Decision, RemoteVersion};
pub use edit::Changes;
pub use error::{Inconsistent, StateError};
pub use hints::{DownloadHint, Hints, UploadHint};
pub use holds::Hold;
pub use log::{Event, MAX_EVENTS, MAX_PAGE};
pub use meta::{Baseline, Meta};
pub use observe::{LocalUpdate, RemoteUpdate};
pub use place::{Connected, Held, Place};
pub use seen::{RECENT_HASHES, Seen, Suspicion};
pub use settle::Settled;
pub use store::{Identity, Opened, Outcome, Store};
pub use totals::{Totals, TreeTotals};
pub use trees::{Entries, Known, Merged};
