//! The vocabulary of HCFS.
//!
//! Paths, account addresses, ids, the entries of the three trees, the geometry of a blob, problems and limits: values
//! every other crate speaks in. Each type can only hold what is valid, so the floors above check nothing twice.
//!
//! Deliberately absent: I/O, serialisation, async and clocks.

mod address;
pub mod blob;
mod ids;
mod path;
mod problem;
mod tree;

pub use address::{AccountAddress, AddressError};
pub use ids::{CiphertextHash, FileId, FolderHash, FolderLabel, IdError, LabelError, RevisionId, SaltedHash};
pub use path::{PathError, RelPath};
pub use problem::{Problem, ProblemCode};
pub use tree::{Fingerprint, Inode, LocalEntry, RemoteEntry, Revision, Row, Rows, SyncedEntry, UnixNanos};
