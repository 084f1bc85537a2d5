//! What became of an upload whose answer was lost.

use futures_util::StreamExt;
use hcfs_model::{Revision, blob};
use hcfs_wire::Manifest;

use crate::{Expected, Remote, RemoteError, RemoteErrorKind};

/// The revision an upload made, if it is the current one; `None` when it is not: it was never committed, or something
/// newer has replaced it, and a fresh listing tells which.
///
/// The proof is the blob itself: its base nonce is 24 random bytes that only this upload has.
///
/// # Errors
/// Anything a probe or a download can fail with; the upload's fate is then still unknown.
pub async fn confirm_upload(
    remote: &dyn Remote,
    manifest: &Manifest,
    base_nonce: &[u8; 24],
) -> Result<Option<Revision>, RemoteError> {
    let (folder, file) = (manifest.folder_hash, manifest.file_id());
    let Some(revision) = remote.probe(folder, file).await? else { return Ok(None) };
    if revision.seq != manifest.revision_seq {
        return Ok(None);
    }
    let expected = Expected { revision, size: manifest.size_bytes };
    let download = match remote.download(folder, file, &expected, Some(0..blob::NONCE)).await {
        Err(error) if error.kind == RemoteErrorKind::RangeIgnored => {
            remote.download(folder, file, &expected, None).await
        }
        download => download,
    };
    let mut body = match download {
        Ok(download) => download.body,
        Err(error) => {
            return match error.kind {
                RemoteErrorKind::Moved { .. } | RemoteErrorKind::NotFound => Ok(None),
                _ => Err(error),
            };
        }
    };
    let mut head = Vec::with_capacity(base_nonce.len());
    while head.len() < base_nonce.len() {
        let Some(bytes) = body.next().await.transpose()? else { break };
        head.extend_from_slice(&bytes[..bytes.len().min(base_nonce.len() - head.len())]);
    }
    Ok((head == base_nonce).then_some(revision))
}
