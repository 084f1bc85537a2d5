//! One folder kept in step: observe, plan, transfer, apply, record.
//!
//! [`start`] gives a folder a thread of its own and a [`FolderHandle`] to watch and command it. On that thread a session
//! runs cycles:
//!
//! 1. *observe*: the listing becomes the remote tree, a scan the local one (`observe`);
//! 2. *plan*: the planner joins the three trees over the paths where they differ (`decide`);
//! 3. *execute*: stage by stage, transfers side by side (`execute`, `rearrange`, `transfer`);
//! 4. *record*: what was done moves the trees, in one transaction for all that ended at the same time;
//! 5. again, until nothing is left to do. The status says `idle` only then (`cycle`).
//!
//! Invariants:
//! - Nothing is remembered of a cycle but observations and outcomes. A crash, a pause or an error between any two steps
//!   leaves trees from which the next cycle goes on.
//! - One failing file stops only itself: it is a problem, and tried again after a growing pause (`blocked`).
//! - A file is gone from the server only if the server itself says so for its id (`observe::there`).
//! - What is sent is what was planned: the salted hash is checked in the pass that seals (`transfer::up`).
//! - The database is used by this thread alone, and no transaction is open over an await.
//!
//! Deliberately absent: sockets, configuration files, argv, and the choice of what to do with a difference.

mod backoff;
mod blocked;
mod blocking;
mod board;
mod conflicts;
mod cycle;
mod decide;
mod direct;
mod execute;
mod explain;
mod failure;
mod handle;
mod holds;
mod journal;
mod machine;
mod observe;
mod placing;
mod rearrange;
mod recover;
mod root;
mod session;
mod shrinking;
mod spec;
mod start;
mod status;
mod transfer;
mod wants;
mod watching;

/// What a dry run brings, in the planner's own words.
pub use hcfs_plan as plan;

pub use explain::{Explained, PathState};
pub use handle::{CommandError, ConflictSide, FolderHandle, LogPage, OpenConflict, OpenHold, RemoteFile};
pub use hcfs_fs::{Pruned, Trashed};
pub use machine::{Ground, Machine, ThisMachine};
pub use placing::Placing;
pub use recover::{Restored, Version, VersionPlace};
pub use spec::{Clock, FolderSpec, Owner, SystemClock};
pub use start::{Ended, OpenFolder, StartError, open, start};
pub use status::{Direction, Event, EventKind, FolderState, FolderStatus, Transfer};
