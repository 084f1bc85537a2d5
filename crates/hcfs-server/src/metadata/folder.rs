//! Folders: registration.

use async_trait::async_trait;
use hcfs_model::{AccountAddress, FolderHash};

use super::Outcome;

/// Names one folder of one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FolderKey {
    /// Whose it is.
    pub(crate) account: AccountAddress,
    /// Which one.
    pub(crate) folder: FolderHash,
}

impl FolderKey {
    /// Where an account's gateway files lie, which are in no folder: under a hash that no label is found for.
    pub(crate) fn gateway(account: AccountAddress) -> Self {
        Self { account, folder: gateway() }
    }

    /// Whether the hash stands for the gateway's files.
    pub(crate) fn is_gateway(folder: FolderHash) -> bool {
        folder == gateway()
    }
}

#[expect(clippy::expect_used, reason = "16 lower-case hexadecimal characters are a folder's hash")]
fn gateway() -> FolderHash {
    FolderHash::from_hex("ffffffffffffffff").expect("a folder's hash")
}

/// A registered folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderRow {
    pub(crate) label: String,
    pub(crate) hash: FolderHash,
    pub(crate) device_name: Option<String>,
    pub(crate) file_count: u64,
    pub(crate) total_bytes: u64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// The registry of folders.
#[async_trait]
pub(crate) trait Folders: Send + Sync {
    /// Registers a folder, or changes the label and device of a registered one.
    async fn register(&self, key: FolderKey, label: String, device: Option<String>, now: i64) -> Outcome<()>;

    /// An account's registered folders, by label.
    async fn folders(&self, account: AccountAddress) -> Outcome<Vec<FolderRow>>;

    /// Takes back a folder's registration and removes its files; how many there were, or `None` for a folder that
    /// has neither registration nor files.
    async fn unregister(&self, key: FolderKey, now: i64) -> Outcome<Option<u64>>;
}

/// A folder hash as it is stored: its eight bytes.
pub(super) fn folder_bytes(folder: FolderHash) -> [u8; 8] {
    let mut bytes = [0; 8];
    // The type's text is always 16 hexadecimal characters.
    let _ = hex::decode_to_slice(folder.to_hex(), &mut bytes);
    bytes
}
