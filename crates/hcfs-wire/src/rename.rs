//! Batched renames: no content is sent.

use std::fmt;

use hcfs_model::{AccountAddress, FileId, FolderHash, Revision, RevisionId};
use serde::{Deserialize, Serialize};

use crate::manifest::check_paths;
use crate::{ManifestError, RenameReason, encoding, limits};

/// `POST /rename_files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameFiles {
    /// The account.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// At most [`limits::MAX_RENAMES`].
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub renames: Vec<Rename>,
    /// Ed25519 signature of [`crate::rename_text`].
    #[serde(with = "encoding::ints64")]
    pub signature: [u8; 64],
    /// Ed25519 public key of the folder.
    #[serde(with = "encoding::ints")]
    pub signing_key: [u8; 32],
}

impl RenameFiles {
    /// The pairs of ids that the signature covers, in the order of the request.
    #[must_use]
    pub fn pairs(&self) -> Vec<(FileId, FileId)> {
        self.renames.iter().map(|rename| (rename.old_path_hash, rename.new_path_hash)).collect()
    }
}

/// One rename.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The file's id now.
    #[serde(with = "encoding::ints")]
    pub old_path_hash: FileId,
    /// The file's id afterwards.
    #[serde(with = "encoding::ints")]
    pub new_path_hash: FileId,
    /// The new path's bytes, sealed as a blob; may be empty.
    #[serde(default, deserialize_with = "encoding::blob::<_, { limits::MAX_ENCRYPTED_PATH }>")]
    pub new_encrypted_path: Vec<u8>,
    /// The new name in plaintext, where the user shares names.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_FILE_NAME }>")]
    pub new_file_name: Option<String>,
    /// The new path in plaintext, where the user shares names.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_RELATIVE_PATH }>")]
    pub new_relative_path: Option<String>,
    /// The revision that is renamed.
    #[serde(with = "encoding::ints")]
    pub base_revision_id: RevisionId,
}

impl Rename {
    /// Checks the forms of the new path.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ManifestError> {
        check_paths(&self.new_encrypted_path, self.new_file_name.as_deref(), self.new_relative_path.as_deref())
    }
}

impl fmt::Debug for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rename")
            .field("old_path_hash", &self.old_path_hash)
            .field("new_path_hash", &self.new_path_hash)
            .field("base_revision_id", &self.base_revision_id)
            .finish_non_exhaustive()
    }
}

/// The answer to `POST /rename_files`; also when every rename failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameResult {
    /// `ok`.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_TEXT }>")]
    pub status: String,
    /// How many renames were made.
    #[serde(default)]
    pub renamed_count: u64,
    /// The renames that were made.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub successes: Vec<Renamed>,
    /// The renames that were not made.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub failures: Vec<RenameFailure>,
}

/// A rename that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// The id before.
    #[serde(with = "encoding::ints")]
    pub old_path_hash: FileId,
    /// The id now.
    #[serde(with = "encoding::ints")]
    pub new_path_hash: FileId,
    /// The id of the revision the rename made.
    #[serde(with = "encoding::ints")]
    pub new_revision_id: RevisionId,
    /// Its sequence number.
    pub new_revision_seq: u64,
}

impl Renamed {
    /// The revision the rename made.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision { seq: self.new_revision_seq, id: self.new_revision_id }
    }
}

/// A rename that was not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameFailure {
    /// The id it was asked for.
    #[serde(with = "encoding::ints")]
    pub old_path_hash: FileId,
    /// Why.
    pub reason: RenameReason,
}
