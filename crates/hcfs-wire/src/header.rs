//! Names of headers, in lower case as HTTP libraries want them.

/// Plaintext bytes of a download.
pub const SIZE_BYTES: &str = "x-size-bytes";
/// Id of the revision a download carries, in hexadecimal.
pub const REVISION_ID: &str = "x-revision-id";
/// Sequence number of the revision a download carries.
pub const REVISION_SEQ: &str = "x-revision-seq";
/// The file's id, in hexadecimal.
pub const FILE_ID: &str = "x-file-id";
/// The account of a download.
pub const SS58_ADDRESS: &str = "x-ss58-address";
/// The folder of a download; empty for a gateway file.
pub const FOLDER_HASH: &str = "x-folder-hash";
/// Sent only where the configuration has a value for it.
pub const BILLING_BYPASS: &str = "x-billing-bypass";
/// The tag of a folder's state, on `get_state` answers ([`crate::StateTag`]).
pub const ETAG: &str = "etag";
/// The tag a client knows, on the first `get_state` request ([`crate::StateTag`]).
pub const IF_NONE_MATCH: &str = "if-none-match";
/// The revision a client wants to delete ([`crate::revision_tag`]).
pub const IF_MATCH: &str = "if-match";
