//! What a folder is told before it starts.

use std::path::PathBuf;
use std::sync::Arc;

use hcfs_crypto::phrase::FolderKeys;
use hcfs_model::{AccountAddress, FolderHash, FolderLabel, UnixNanos};
use hcfs_plan::{MaxDelete, Mode, Resolution};

/// The settings of one folder.
#[derive(Debug, Clone)]
pub struct FolderSpec {
    /// The folder's name, the same on every device.
    pub label: FolderLabel,
    /// The directory that is kept in step; absolute.
    pub root: PathBuf,
    /// The folder's database file.
    pub database: PathBuf,
    /// This device's name, for conflict copies and the server's list of folders.
    pub device: String,
    /// Which directions changes take.
    pub mode: Mode,
    /// What happens to a conflict nobody decided.
    pub conflicts: Resolution,
    /// Deletions above this wait for the user.
    pub max_delete: MaxDelete,
    /// gitignore patterns from the configuration.
    pub ignore: Vec<String>,
    /// Whether the server may see names in plaintext.
    pub share_paths: bool,
    /// How many days replaced and deleted files stay in the trash.
    pub trash_days: u32,
    /// How many bytes the trash keeps at most, whatever their age; the oldest go first.
    pub trash_bytes: u64,
    /// How many files are in flight at once.
    pub transfers: usize,
    /// Seconds between two looks at the server.
    pub poll_seconds: u64,
}

impl FolderSpec {
    /// The folder's name on the server.
    #[must_use]
    pub fn folder_hash(&self) -> FolderHash {
        FolderHash::of_label(&self.label)
    }
}

/// Whose folder it is, and the keys that open it.
#[derive(Clone)]
pub struct Owner {
    /// The account the folder belongs to: it salts the content hashes.
    pub account: AccountAddress,
    /// The folder's keys.
    pub keys: Arc<FolderKeys>,
}

/// Where the time comes from; the daemon has the one real clock.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> UnixNanos;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixNanos {
        let since = |d: std::time::Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => UnixNanos(since(after)),
            Err(before) => UnixNanos(-since(before.duration())),
        }
    }
}
