//! Browsing, searching and counting: endpoints of servers that know paths.

use std::fmt;

use hcfs_model::{AccountAddress, FolderHash};
use serde::{Deserialize, Serialize};

use crate::{RemoteFileEntry, encoding, limits};

/// Query of `GET /browse/{ss58}/{folder_hash}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowseQuery {
    /// The directory; the folder's root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many entries to skip, folders and files together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many entries to send at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// What to order files by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<String>,
    /// `asc` or `desc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<String>,
    /// Categories or `.ext`, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// Only files of this uploader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded_by: Option<String>,
}

/// The answer to `GET /browse/{ss58}/{folder_hash}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Browse {
    /// The account.
    #[serde(with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// The directory.
    #[serde(default, deserialize_with = "encoding::text::<_, { limits::MAX_RELATIVE_PATH }>")]
    pub path: String,
    /// Its directories on this page; they come before the files.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_PAGE_ROWS as usize }>")]
    pub folders: Vec<BrowseFolder>,
    /// Its files on this page.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_PAGE_ROWS as usize }>")]
    pub files: Vec<RemoteFileEntry>,
    /// How many entries the directory has.
    pub total_count: u64,
    /// Whether entries follow.
    pub has_more: bool,
    /// How many entries were skipped.
    #[serde(default)]
    pub offset: u64,
    /// How many entries the page could have had.
    #[serde(default)]
    pub limit: u64,
}

/// One directory of a directory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowseFolder {
    /// Its name.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_FILE_NAME }>")]
    pub name: String,
    /// Files below it at any depth.
    pub file_count: u64,
    /// Their plaintext bytes.
    pub total_bytes: u64,
}

impl fmt::Debug for BrowseFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowseFolder")
            .field("file_count", &self.file_count)
            .field("total_bytes", &self.total_bytes)
            .finish_non_exhaustive()
    }
}

/// Query of `GET /search_files/{ss58}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchQuery {
    /// What the name contains, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Categories or `.ext`, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// Plaintext bytes at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_min: Option<u64>,
    /// Plaintext bytes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_max: Option<u64>,
    /// First uploaded at or after, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_from: Option<i64>,
    /// First uploaded at or before, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_to: Option<i64>,
    /// How many hits to skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many hits to send at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// What to order by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<String>,
    /// `asc` or `desc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<String>,
}

/// The answer to `GET /search_files/{ss58}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchFiles {
    /// The account.
    #[serde(with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The hits of this page.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_PAGE_ROWS as usize }>")]
    pub files: Vec<SearchHit>,
    /// How many hits there are.
    pub total_count: u64,
    /// Whether hits follow.
    pub has_more: bool,
    /// How many hits were skipped.
    #[serde(default)]
    pub offset: u64,
    /// How many hits the page could have had.
    #[serde(default)]
    pub limit: u64,
}

/// One hit: a row of a listing and the folder it lies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHit {
    /// The folder's hash; empty for a gateway file.
    #[serde(default, deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub folder_hash: String,
    /// The folder's label; empty when it was never registered.
    #[serde(default, deserialize_with = "encoding::text::<_, { limits::MAX_LABEL }>")]
    pub folder_label: String,
    /// The row.
    #[serde(flatten)]
    pub file: RemoteFileEntry,
}

/// `POST /can_upload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanUploadQuery {
    /// The account.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// Plaintext bytes to come.
    pub size_bytes: u64,
}

/// The answer to `POST /can_upload`, which comes without an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanUpload {
    /// Whether the upload would be taken.
    pub result: bool,
    /// Why not.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "encoding::text_option::<_, { limits::MAX_MESSAGE }>"
    )]
    pub error: Option<String>,
}

/// The answer to `GET /get_user_summary/{ss58}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSummary {
    /// The account.
    #[serde(with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// Plaintext bytes of all files.
    pub total_bytes: u64,
    /// How many files.
    pub file_count: u64,
    /// When the account's first file came, in seconds since 1970.
    #[serde(default)]
    pub created_at: i64,
    /// When a file of the account last changed, in seconds since 1970.
    #[serde(default)]
    pub updated_at: i64,
}

macro_rules! summary {
    ($(#[$doc:meta])* $name:ident { $($what:literal: $count:ident, $bytes:ident;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                #[doc = concat!("How many ", $what, " files.")]
                pub $count: u64,
                #[doc = concat!("Plaintext bytes of ", $what, " files.")]
                pub $bytes: u64,
            )*
        }
    };
}

summary! {
    /// The answer to `GET /get_file_type_summary/{ss58}`.
    FileTypeSummary {
        "image": image, image_bytes;
        "video": video, video_bytes;
        "audio": audio, audio_bytes;
        "document": document, document_bytes;
        "PDF": pdf, pdf_bytes;
        "archive": archive, archive_bytes;
        "code": code, code_bytes;
        "other": other, other_bytes;
    }
}

summary! {
    /// The answer to `GET /get_source_summary/{ss58}`.
    SourceSummary {
        "desktop": desktop, desktop_bytes;
        "console": console, console_bytes;
        "mobile": mobile, mobile_bytes;
        "other": other, other_bytes;
    }
}
