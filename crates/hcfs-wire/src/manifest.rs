//! The signed description of one upload.

use std::fmt;

use hcfs_model::{AccountAddress, CiphertextHash, FileId, FolderHash, RelPath, Revision, RevisionId, SaltedHash, blob};
use serde::{Deserialize, Serialize};

use crate::{encoding, limits};

/// What an upload claims about its file (protocol §5, *Manifest*).
///
/// The signature covers the ciphertext's hash alone ([`crate::upload_text`]).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The account the file belongs to.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder the file belongs to.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// BLAKE3 of the blob.
    #[serde(with = "encoding::hex_text")]
    pub ciphertext_hash: CiphertextHash,
    /// Plaintext length in bytes.
    pub size_bytes: u64,
    /// When the manifest was made, in seconds since 1970.
    pub timestamp: i64,
    /// Ed25519 signature.
    #[serde(with = "encoding::ints64")]
    pub signature: [u8; 64],
    /// Ed25519 public key of the folder.
    #[serde(with = "encoding::ints")]
    pub signing_key: [u8; 32],
    /// The file's id.
    #[serde(with = "encoding::ints")]
    pub path_hash: FileId,
    /// Salted hash of the plaintext.
    #[serde(with = "encoding::ints")]
    pub salted_hash: SaltedHash,
    /// 1 for a new file, else the current one plus 1.
    pub revision_seq: u64,
    /// The revision this one replaces; `None` for a new file.
    #[serde(default, with = "encoding::ints_option")]
    pub base_revision_id: Option<RevisionId>,
    /// The path's bytes, sealed as a blob; may be empty.
    #[serde(default, deserialize_with = "encoding::blob::<_, { limits::MAX_ENCRYPTED_PATH }>")]
    pub encrypted_path: Vec<u8>,
    /// The last segment of the path in plaintext, where the user shares names with the server.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_FILE_NAME }>")]
    pub file_name: Option<String>,
    /// The path in plaintext, where the user shares names with the server.
    #[serde(default, deserialize_with = "encoding::text_option::<_, { limits::MAX_RELATIVE_PATH }>")]
    pub relative_path: Option<String>,
    /// Which family of clients sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<UploadSource>,
}

/// Why a manifest contradicts itself or its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More plaintext than the format can hold.
    #[error("size_bytes is above what the format can hold")]
    Size,
    /// A sequence number of 0, or above what a signed 64-bit integer holds.
    #[error("revision_seq is out of range")]
    Sequence,
    /// A base revision for the first revision of a file.
    #[error("revision_seq 1 cannot replace a revision")]
    Base,
    /// An `encrypted_path` too short to be a blob.
    #[error("encrypted_path is not a blob")]
    EncryptedPath,
    /// A `relative_path` that breaks the rules of relative paths.
    #[error("relative_path is not a relative path")]
    RelativePath,
    /// A `file_name` with a separator or a NUL byte, or without characters.
    #[error("file_name is not a file name")]
    FileName,
    /// A blob whose length does not follow from `size_bytes`.
    #[error("the blob has {found} bytes, and {expected} follow from size_bytes")]
    BlobLength {
        /// The length that follows from the plaintext's.
        expected: u64,
        /// The blob's length.
        found: u64,
    },
}

impl Manifest {
    /// The file's id.
    #[must_use]
    pub fn file_id(&self) -> FileId {
        self.path_hash
    }

    /// The revision this upload makes, once the server has named it.
    #[must_use]
    pub fn revision(&self, id: RevisionId) -> Revision {
        Revision { seq: self.revision_seq, id }
    }

    /// How many bytes the blob must have.
    #[must_use]
    pub fn blob_len(&self) -> u64 {
        blob::blob_len(self.size_bytes.min(blob::MAX_PLAINTEXT))
    }

    /// Checks what can be seen without the blob, the signature and the current revision.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.size_bytes > blob::MAX_PLAINTEXT {
            return Err(ManifestError::Size);
        }
        if self.revision_seq == 0 || i64::try_from(self.revision_seq).is_err() {
            return Err(ManifestError::Sequence);
        }
        if self.revision_seq == 1 && self.base_revision_id.is_some() {
            return Err(ManifestError::Base);
        }
        check_paths(&self.encrypted_path, self.file_name.as_deref(), self.relative_path.as_deref())
    }

    /// Checks that a blob of `length` bytes can be this manifest's.
    ///
    /// # Errors
    /// [`ManifestError::Size`] or [`ManifestError::BlobLength`].
    pub fn check_blob_len(&self, length: u64) -> Result<(), ManifestError> {
        if self.size_bytes > blob::MAX_PLAINTEXT {
            return Err(ManifestError::Size);
        }
        let expected = self.blob_len();
        if length == expected { Ok(()) } else { Err(ManifestError::BlobLength { expected, found: length }) }
    }
}

/// Checks the three forms a path is sent in, by a manifest or a rename.
pub(crate) fn check_paths(encrypted: &[u8], name: Option<&str>, path: Option<&str>) -> Result<(), ManifestError> {
    // A path has at least one byte, so its blob is longer than that of an empty file.
    if !encrypted.is_empty() && (encrypted.len() as u64) <= blob::blob_len(0) {
        return Err(ManifestError::EncryptedPath);
    }
    if name.is_some_and(|name| name.is_empty() || name.contains(['/', '\\', '\0'])) {
        return Err(ManifestError::FileName);
    }
    if path.is_some_and(|path| RelPath::new(path).is_err()) {
        return Err(ManifestError::RelativePath);
    }
    Ok(())
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("folder_hash", &self.folder_hash)
            .field("path_hash", &self.path_hash)
            .field("size_bytes", &self.size_bytes)
            .field("revision_seq", &self.revision_seq)
            .field("base_revision_id", &self.base_revision_id)
            .finish_non_exhaustive()
    }
}

/// A family of clients, as the service counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadSource {
    /// Sync clients: what this project's client says.
    Desktop,
    /// The web console.
    Console,
    /// Phones.
    Mobile,
    /// Anything else.
    #[serde(other)]
    Other,
}

impl UploadSource {
    /// The text of the family.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Console => "console",
            Self::Mobile => "mobile",
            Self::Other => "other",
        }
    }
}

/// What the server says of an upload that became current. The new sequence number is the manifest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadResult {
    /// The server's name for the upload; opaque.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_TEXT }>")]
    pub upload_id: String,
    /// When it was committed, in seconds since 1970.
    #[serde(default)]
    pub timestamp: i64,
    /// The new revision's id.
    #[serde(with = "encoding::ints")]
    pub revision_id: RevisionId,
    /// When the file was first uploaded, in seconds since 1970.
    #[serde(default)]
    pub created_at: i64,
    /// When the file last changed, in seconds since 1970.
    #[serde(default)]
    pub updated_at: i64,
}
