//! Publications of a server's storage, for whoever runs the server: files whose blob everybody may fetch by its hash.
//!
//! Owners publish over HTTP. These functions work whether or not a server runs on the storage; one that runs sees the
//! change with its next request.

use hcfs_model::{AccountAddress, CiphertextHash, FileId, FolderHash, FolderLabel};

use crate::metadata::{FileKey, FolderKey};
use crate::stores::open_metadata;
use crate::{Clock, ServerError, Storage};

/// Publishes a file's current blob; gives its hash, by which `GET /public/download/{hash}` finds it. The publication ends
/// with the file's next content.
///
/// # Errors
/// [`ServerError::NoSuchFile`], or the database cannot be used.
pub async fn publish(
    storage: &Storage,
    account: &AccountAddress,
    folder: &FolderLabel,
    path: &str,
) -> Result<CiphertextHash, ServerError> {
    let (metadata, file) = (open_metadata(storage).await?, FileId::of_path(path));
    let published = metadata.publish(key(account, folder, file), Clock::system().seconds()).await;
    published.map_err(|source| ServerError::database(storage, source))?.ok_or(ServerError::NoSuchFile { file })
}

/// Ends a publication; gives the hash that was published.
///
/// # Errors
/// [`ServerError::NotPublished`], or the database cannot be used.
pub async fn withdraw(
    storage: &Storage,
    account: &AccountAddress,
    folder: &FolderLabel,
    path: &str,
) -> Result<CiphertextHash, ServerError> {
    let (metadata, file) = (open_metadata(storage).await?, FileId::of_path(path));
    let withdrawn = metadata.withdraw(key(account, folder, file)).await;
    withdrawn.map_err(|source| ServerError::database(storage, source))?.ok_or(ServerError::NotPublished { file })
}

fn key(account: &AccountAddress, folder: &FolderLabel, file: FileId) -> FileKey {
    FileKey { folder: FolderKey { account: account.clone(), folder: FolderHash::of_label(folder) }, file }
}
