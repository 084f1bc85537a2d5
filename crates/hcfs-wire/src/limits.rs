//! Bounds of the protocol (§5), and the bounds this implementation adds where the protocol names none.

/// Rows of one `get_state` page at most.
pub const MAX_PAGE_ROWS: u32 = 5_000;
/// Rows of a `get_state` page when none are asked for.
pub const DEFAULT_PAGE_ROWS: u32 = 1_000;
/// Rows of a `browse` or `search_files` page at most; more is coerced, not refused.
pub const MAX_BROWSE_ROWS: u32 = 200;
/// Rows of a `browse` page when none are asked for.
pub const DEFAULT_BROWSE_ROWS: u32 = 50;
/// Rows of a `search_files` page when none are asked for.
pub const DEFAULT_SEARCH_ROWS: u32 = 25;
/// Characters of a search text at most.
pub const MAX_SEARCH_CHARS: usize = 256;
/// Characters below which a search text finds nothing.
pub const MIN_SEARCH_CHARS: usize = 3;
/// Ids of one `delete_files` request at most.
pub const MAX_DELETE_IDS: usize = 1_000;
/// Entries of one `register_relative_paths` request at most.
pub const MAX_PATH_ENTRIES: usize = 500;
/// Bytes of a `register_relative_paths` body at most.
pub const MAX_PATHS_BODY: usize = 4 * 1024 * 1024;
/// Renames of one `rename_files` request at most.
pub const MAX_RENAMES: usize = 1_000;
/// Bytes of a `rename_files` body at most.
pub const MAX_RENAME_BODY: usize = 16 * 1024 * 1024;
/// Bytes of one part of an upload session at most.
pub const MAX_SESSION_CHUNK: u64 = 16 * 1024 * 1024;
/// Parts of one upload session at most.
pub const MAX_SESSION_CHUNKS: u32 = 100_000;
/// Bytes of `encrypted_path` at most.
pub const MAX_ENCRYPTED_PATH: usize = 8 * 1024;
/// Bytes of `file_name` at most.
pub const MAX_FILE_NAME: usize = 1_024;
/// Bytes of `relative_path` at most.
pub const MAX_RELATIVE_PATH: usize = 4_096;
/// Bytes of a folder label or device name at most.
pub const MAX_LABEL: usize = 1_024;
/// Bytes of any other text in an answer at most.
pub const MAX_TEXT: usize = 256;
/// Tokens of one account at most.
pub const MAX_TOKENS: usize = 1_000;
/// Folders of one account at most.
pub const MAX_FOLDERS: usize = 10_000;
/// Bytes of a manifest as JSON at most.
pub const MAX_MANIFEST_BODY: usize = 128 * 1024;
/// Bytes of any small request or answer as JSON at most.
pub const MAX_SMALL_BODY: usize = 1024 * 1024;
/// Bytes of one page of rows as JSON at most. A page that would be larger is asked for with fewer rows.
pub const MAX_PAGE_BODY: usize = 32 * 1024 * 1024;
/// Bytes of an error's body that are read at most.
pub const MAX_ERROR_BODY: usize = 64 * 1024;
/// Bytes of a server's message that are kept.
pub const MAX_MESSAGE: usize = 512;
/// Bytes of an unknown code that are kept.
pub const MAX_CODE: usize = 64;

/// Entries of one batch upload or batch download at most.
pub const MAX_BATCH_ENTRIES: u32 = 1_000;
/// Bytes of one batch at most, framing included.
pub const MAX_BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of one blob of a batch at most: what is larger is worth a request of its own.
pub const MAX_BATCH_BLOB: u64 = 256 * 1024;
/// Bytes of the answer to a batch upload as JSON at most.
pub const MAX_BATCH_ANSWER: usize = 4 * 1024 * 1024;
/// Seconds that a request for changes waits at most; more is coerced, not refused. Below what proxies wait for an answer.
pub const MAX_FEED_WAIT: u64 = 50;

/// How many entries of a request's batch are read before it is refused outright. Above the batch's own limit, so
/// that a batch slightly too large can be answered with `batch_too_large`.
pub(crate) const BATCH_SLACK: usize = 10_000;
