//! Codes that one side sends and the other switches on. A code that is not known here is kept as text: it means that
//! the other side is newer.

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::{encoding, limits};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$note])* $variant,)*
            /// A code this version does not know; cut to 64 bytes, without control characters.
            Unknown(String),
        }

        impl $name {
            /// The code of a text.
            #[must_use]
            pub fn from_text(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    _ => Self::Unknown(encoding::printable(text, limits::MAX_CODE)),
                }
            }

            /// The text of the code.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(text) => text,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // One byte more than is kept: a long code must not be cut into a known one.
                let text = encoding::message::<D, { limits::MAX_CODE + 1 }>(deserializer)?;
                Ok(Self::from_text(&text))
            }
        }
    };
}

codes! {
    /// Why a request failed (protocol §4).
    ErrorCode {
        /// A manifest or body that is malformed, inconsistent or wrongly signed.
        InvalidManifest = "invalid_manifest",
        /// A `revision_seq` not above the current one.
        StaleSequence = "stale_sequence",
        /// A file id that is not 64 hexadecimal characters.
        InvalidFileId = "invalid_file_id",
        /// An account that is not an SS58 address.
        InvalidUserId = "invalid_user_id",
        /// More entries than a batch may have.
        BatchTooLarge = "batch_too_large",
        /// A search text of more than 256 characters.
        QTooLong = "q_too_long",
        /// An unknown category of files.
        InvalidFileType = "invalid_file_type",
        /// A field or multipart part that is missing.
        MissingField = "missing_field",
        /// No token, or one the server does not know.
        Unauthorized = "unauthorized",
        /// A token of another account.
        Forbidden = "forbidden",
        /// No such file, folder or session.
        NotFound = "not_found",
        /// Another revision is current.
        Conflict = "conflict",
        /// Another upload of the file came first.
        UploadConflict = "upload_conflict",
        /// The feed does not reach back to the number that was asked for.
        FeedReset = "feed_reset",
        /// A body larger than the endpoint takes.
        PayloadTooLarge = "payload_too_large",
        /// Too many requests.
        RateLimited = "rate_limited",
        /// The account's storage or credit is used up.
        OverQuota = "over_quota",
        /// The metadata store failed.
        DatabaseError = "database_error",
        /// A row without its blob, or a blob store that failed.
        StorageInconsistency = "storage_inconsistency",
        /// The server's disk has no room for the blob.
        InsufficientStorage = "insufficient_storage",
        /// The server is starting, stopping or overloaded.
        Unavailable = "unavailable",
    }
}

codes! {
    /// Why one rename of a batch was not made.
    RenameReason {
        /// No file under the old id.
        NotFound = "not_found",
        /// A file stands under the new id.
        TargetExists = "target_exists",
        /// Another revision is current.
        RevisionMismatch = "revision_mismatch",
        /// The metadata store failed; this entry may be tried again.
        DatabaseError = "database_error",
    }
}

codes! {
    /// Why one path was not registered.
    PathReason {
        /// The path breaks the rules of relative paths.
        InvalidPath = "invalid_path",
        /// No file under the id.
        NotFound = "not_found",
        /// The file has another path already.
        PathMismatch = "path_mismatch",
        /// The metadata store failed; this entry may be tried again.
        DatabaseError = "database_error",
    }
}

codes! {
    /// What became of one file of a batch of deletions.
    DeleteStatus {
        /// It was deleted now.
        Deleted = "deleted",
        /// It was not there.
        AlreadyDeleted = "already_deleted",
    }
}

impl ErrorCode {
    /// The status this code is answered with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidManifest
            | Self::StaleSequence
            | Self::InvalidFileId
            | Self::InvalidUserId
            | Self::BatchTooLarge
            | Self::QTooLong
            | Self::InvalidFileType
            | Self::MissingField
            | Self::Unknown(_) => 400,
            Self::Unauthorized => 401,
            Self::OverQuota => 402,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict | Self::UploadConflict => 409,
            Self::FeedReset => 410,
            Self::PayloadTooLarge => 413,
            Self::RateLimited => 429,
            Self::DatabaseError | Self::StorageInconsistency => 500,
            Self::Unavailable => 503,
            Self::InsufficientStorage => 507,
        }
    }
}
