//! The synced folder on disk: scan, watch, stage, apply, trash.
//!
//! # Shape
//! [`Folder`] is one open folder: its root is checked and locked, its own state lies in `.hcfs/`. It is `Sync`, keeps
//! no state per call, and every call is synchronous; callers run them on threads that may block.
//!
//! - [`Folder::scan`] says in path order what lies below the root, and which files need a new hash.
//! - [`Folder::stage`] makes a part in `.hcfs/staged/`; [`Folder::install`] puts it under its name.
//! - [`Folder::install`], [`Folder::remove`] and [`Folder::rename`] act only on what the caller has seen; what they
//!   displace goes to the trash, and what they did not expect is kept beside.
//! - [`Watcher`] says where to look; [`Rules`] say where not to.
//!
//! # Invariants
//! - No byte of the user is lost, whatever call fails or wherever the process dies: a file is under its name, beside it
//!   as a conflict copy, or in the trash.
//! - No call leaves the root or follows a symbolic link below it ([`Disk`]).
//! - Nothing here decides: what to do with a difference is the planner's.
//!
//! Deliberately absent: hashes and keys (the scan only says what needs one), the network, a clock, async.

mod apply;
mod disk;
mod error;
mod fetched;
mod folder;
mod lost;
mod names;
mod rules;
mod scan;
mod stage;
mod trash;
mod watch;

pub use apply::{Displaced, Durability, Expect, Install, Installed, Move, Placed, Remove, Removed, Renamed};
pub use disk::{Disk, DiskFile, Each, Kind, LinuxDisk, Open, Refusal, Rename, Space, Stat};
pub use error::{ApplyError, Difference, Obstacle, RootError};
pub use folder::{Folder, OpenFile, OpenRequest, RootIdentity};
pub use rules::{IGNORE_FILE, RuleError, Rules, Verdict};
pub use scan::{Content, Known, Scan, ScanRequest, Scanned, Scope, is_settled};
pub use stage::Staged;
pub use trash::{Pruned, Swept, Trashed};
pub use watch::{Hint, RescanReason, Watch, WatchError, Watcher};

/// The directory of the folder's own state, below its root.
pub(crate) const STATE_DIR: &str = hcfs_model::RelPath::STATE_DIR;
/// Where staged parts lie.
pub(crate) const STAGED_DIR: &[u8] = b".hcfs/staged";
/// Where displaced files lie.
pub(crate) const TRASH_DIR: &[u8] = b".hcfs/trash";
