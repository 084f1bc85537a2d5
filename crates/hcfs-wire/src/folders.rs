//! Health, and the registry of folders.

use hcfs_model::{AccountAddress, FolderHash};
use serde::{Deserialize, Serialize};

use crate::{BatchLimits, encoding, limits};

/// The answer to `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `healthy`.
    #[serde(deserialize_with = "encoding::message::<_, { limits::MAX_TEXT }>")]
    pub status: String,
    /// The server's version.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_TEXT }>")]
    pub version: String,
    /// What the server can do beyond the protocol ([`crate::capability`]).
    #[serde(default, deserialize_with = "encoding::texts::<_, 256, { limits::MAX_TEXT }>")]
    pub capabilities: Vec<String>,
    /// How much one batch may hold, where the server takes or sends batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchLimits>,
}

impl Health {
    /// Whether the server announces a capability.
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|have| have == capability)
    }
}

/// `POST /register_folder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterFolder {
    /// The account.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The hash of the label.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// What people call the folder.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_LABEL }>")]
    pub label: String,
    /// Which device registered it.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_LABEL }>")]
    pub device_name: Option<String>,
}

/// The answer to `POST /register_folder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// `registered`.
    #[serde(deserialize_with = "encoding::message::<_, { limits::MAX_TEXT }>")]
    pub status: String,
}

/// `DELETE /unregister_folder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnregisterFolder {
    /// The account.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
}

/// The answer to `DELETE /unregister_folder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unregistered {
    /// `unregistered`.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_TEXT }>")]
    pub status: String,
    /// How many files went with it.
    pub files_deleted: u64,
}

/// The answer to `GET /list_folders/{ss58}`. A reader uses `Row<FolderEntry>` as `F`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "F: Deserialize<'de>"))]
pub struct ListFolders<F = FolderEntry> {
    /// The account.
    #[serde(with = "encoding::address")]
    pub base_address: AccountAddress,
    /// Its folders.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_FOLDERS }>")]
    pub folders: Vec<F>,
}

/// One folder of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// What people call the folder.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_LABEL }>")]
    pub label: String,
    /// The hash of the label.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// How many files it has.
    #[serde(default)]
    pub file_count: u64,
    /// Their plaintext bytes.
    #[serde(default)]
    pub total_bytes: u64,
    /// When it was registered, in seconds since 1970.
    #[serde(default)]
    pub created_at: i64,
    /// When a file in it last changed, in seconds since 1970.
    #[serde(default)]
    pub updated_at: i64,
    /// Which device registered it; empty when none was named.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_LABEL }>")]
    pub device_name: String,
    /// How many accounts share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_count: Option<u64>,
}
