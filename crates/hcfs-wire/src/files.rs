//! Listing, deleting and naming files.

use std::fmt;

use hcfs_model::{AccountAddress, CiphertextHash, FileId, FolderHash, RemoteEntry, Revision, RevisionId, SaltedHash};
use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{DeleteStatus, PathReason, encoding, limits, parse};

/// Parts of a chunk-native file that are read at most.
const MAX_CHUNK_HASHES: usize = 65_536;

/// One file of a listing (protocol §5, *RemoteFileEntry*).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFileEntry {
    /// The file's id.
    #[serde(with = "encoding::ints")]
    pub path_hash: FileId,
    /// Salted hash of the plaintext.
    #[serde(with = "encoding::ints")]
    pub salted_hash: SaltedHash,
    /// Plaintext length in bytes.
    pub size_bytes: u64,
    /// Sequence number of the current revision.
    pub revision_seq: u64,
    /// Id of the current revision.
    #[serde(with = "encoding::ints")]
    pub revision_id: RevisionId,
    /// The path's bytes, sealed as a blob; may be empty.
    #[serde(default, deserialize_with = "encoding::blob::<_, { limits::MAX_ENCRYPTED_PATH }>")]
    pub encrypted_path: Vec<u8>,
    /// The name in plaintext, where the server knows it.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_FILE_NAME }>")]
    pub file_name: Option<String>,
    /// The path in plaintext, where the server knows it.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_RELATIVE_PATH }>")]
    pub relative_path: Option<String>,
    /// The storage layer's name for the blob.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_TEXT }>")]
    pub arion_hash: Option<String>,
    /// The storage layer's names for the blob's parts.
    #[serde(default, deserialize_with = "encoding::texts_option::<_, MAX_CHUNK_HASHES, { limits::MAX_TEXT }>")]
    pub chunk_hashes: Option<Vec<String>>,
    /// Who uploaded it, in a shared folder.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "encoding::text_option::<_, { limits::MAX_TEXT }>"
    )]
    pub uploaded_by: Option<String>,
    /// When the file was first uploaded, in seconds since 1970.
    #[serde(default)]
    pub created_at: i64,
    /// When the file last changed, in seconds since 1970.
    #[serde(default)]
    pub updated_at: i64,
}

impl RemoteFileEntry {
    /// The file's id.
    #[must_use]
    pub fn file_id(&self) -> FileId {
        self.path_hash
    }

    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision { seq: self.revision_seq, id: self.revision_id }
    }

    /// What the remote tree keeps of the row.
    #[must_use]
    pub fn entry(&self) -> RemoteEntry {
        RemoteEntry {
            hash: self.salted_hash,
            size: self.size_bytes,
            file_id: self.path_hash,
            revision: self.revision(),
        }
    }
}

impl fmt::Debug for RemoteFileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFileEntry")
            .field("path_hash", &self.path_hash)
            .field("salted_hash", &self.salted_hash)
            .field("size_bytes", &self.size_bytes)
            .field("revision_seq", &self.revision_seq)
            .field("revision_id", &self.revision_id)
            .finish_non_exhaustive()
    }
}

/// A row that was read, or what is known of one that could not be: one bad row does not hide the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<T> {
    /// A row of the expected shape.
    Read(T),
    /// A JSON value of another shape.
    Broken(BrokenRow),
}

/// What is known of a row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// The file's id, where that much could be read.
    pub file_id: Option<FileId>,
    /// Which rule was broken.
    pub reason: String,
}

/// Only from JSON text: the row's text is kept until it is known to have the right shape.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct OnlyId {
            #[serde(with = "encoding::ints")]
            path_hash: FileId,
        }

        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        Ok(serde_json::from_str(raw).map_or_else(
            |error| {
                let file_id = serde_json::from_str::<OnlyId>(raw).ok().map(|id| id.path_hash);
                Self::Broken(BrokenRow { file_id, reason: parse::reason(&error) })
            },
            Self::Read,
        ))
    }
}

/// Which rows of a listing are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageQuery {
    /// How many rows to skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many rows to send at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The answer to `GET /get_state/{ss58}/{folder_hash}`. A reader uses `Row<RemoteFileEntry>` as `F`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "F: Deserialize<'de>"))]
pub struct GetState<F = RemoteFileEntry> {
    /// The account.
    #[serde(with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// The rows of this page.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_PAGE_ROWS as usize }>")]
    pub files: Vec<F>,
    /// How many rows the whole listing has.
    pub total_count: u64,
    /// Whether rows follow.
    pub has_more: bool,
    /// How many rows were skipped.
    #[serde(default)]
    pub offset: u64,
    /// How many rows the page could have had.
    #[serde(default)]
    pub limit: u64,
}

/// The answer to `DELETE /delete/{ss58}/{folder_hash}/{file_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedFile {
    /// `deleted`.
    pub status: DeleteStatus,
    /// The file's id.
    #[serde(with = "encoding::hex_text")]
    pub file_id: FileId,
    /// The account.
    #[serde(with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder; empty for a gateway file.
    #[serde(default, deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub folder_hash: String,
}

/// The answer to `POST` and `DELETE /publish/{ss58}/{folder_hash}/{file_id}` (an extension,
/// [`crate::capability::PUBLISH`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// `published` or `withdrawn`.
    #[serde(deserialize_with = "encoding::message::<_, { limits::MAX_TEXT }>")]
    pub status: String,
    /// The file's id.
    #[serde(with = "encoding::hex_text")]
    pub file_id: FileId,
    /// What `GET /public/download/{hash}` takes. The next revision of the file has another, which is not published.
    #[serde(with = "encoding::hex_text")]
    pub ciphertext_hash: CiphertextHash,
}

/// `POST /delete_files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteFiles {
    /// The account.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// Ids as sent, at most [`limits::MAX_DELETE_IDS`]; one that is no id fails alone.
    #[serde(deserialize_with = "encoding::texts::<_, { limits::BATCH_SLACK }, { limits::MAX_TEXT }>")]
    pub file_ids: Vec<String>,
    /// Whether the answer leaves out the files that were deleted.
    #[serde(default)]
    pub quiet: bool,
}

/// The answer to `POST /delete_files`; also when every deletion failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedFiles {
    /// What became of the files.
    #[serde(default, deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub deleted: Vec<DeletedEntry>,
    /// The files that could not be deleted.
    #[serde(default, deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub errors: Vec<DeleteError>,
    /// How many files were deleted.
    pub files_deleted: u64,
}

/// One file of a batch that is gone now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedEntry {
    /// The file's id.
    #[serde(with = "encoding::hex_text")]
    pub file_id: FileId,
    /// Whether it was there.
    pub status: DeleteStatus,
}

/// One file of a batch that could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteError {
    /// The id as sent.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub file_id: String,
    /// Why.
    #[serde(deserialize_with = "encoding::message::<_, { limits::MAX_MESSAGE }>")]
    pub error: String,
}

/// The answer to `GET /list_folder_entries/{ss58}/{folder_hash}`, which comes without an envelope: empty directories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntries {
    /// Paths of directories.
    #[serde(deserialize_with = "encoding::texts::<_, 100_000, { limits::MAX_RELATIVE_PATH }>")]
    pub relative_paths: Vec<String>,
}

/// `POST /register_relative_paths/{ss58}/{folder_hash}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterPaths {
    /// At most [`limits::MAX_PATH_ENTRIES`].
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub entries: Vec<PathEntry>,
}

/// One file's path.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathEntry {
    /// The file's id.
    #[serde(with = "encoding::hex_text")]
    pub path_hash: FileId,
    /// Its path. One that breaks the rules fails alone, so only its length is bounded here.
    #[serde(deserialize_with = "encoding::text::<_, { 4 * limits::MAX_RELATIVE_PATH }>")]
    pub relative_path: String,
}

impl fmt::Debug for PathEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathEntry").field("path_hash", &self.path_hash).finish_non_exhaustive()
    }
}

/// The answer to `POST /register_relative_paths`; also when every entry failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredPaths {
    /// How many files have a path now that had none.
    pub updated: u64,
    /// How many files had this path already.
    pub skipped: u64,
    /// The entries that were refused.
    #[serde(default, deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub errors: Vec<PathError>,
}

/// One path that was not registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathError {
    /// The file's id.
    #[serde(with = "encoding::hex_text")]
    pub path_hash: FileId,
    /// Why.
    pub reason: PathReason,
}

/// Whether a value is JSON at all: what a reader needs to know before it calls an answer foreign.
pub(crate) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}
