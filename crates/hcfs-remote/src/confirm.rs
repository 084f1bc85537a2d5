//! What became of uploads whose answer was lost.

use futures_util::StreamExt;
use hcfs_model::{FileId, FolderHash, Revision, blob};
use hcfs_wire::Manifest;

use crate::{BatchUpload, Expected, Remote, RemoteError, RemoteErrorKind, WantedBlob};

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

/// As [`confirm_upload`], of the uploads of a batch of one folder, in their order: with one request where the server
/// sends batches. The base nonces are the first bytes of the blobs.
///
/// # Errors
/// As [`confirm_upload`]; the fate of all of them is then still unknown.
pub async fn confirm_uploads(
    remote: &dyn Remote,
    folder: FolderHash,
    uploads: &[BatchUpload],
) -> Result<Vec<Option<Revision>>, RemoteError> {
    let Some(limits) = remote.extensions().await?.download_batch else {
        let mut fates = Vec::with_capacity(uploads.len());
        for upload in uploads {
            let nonce = base_nonce(upload)?;
            fates.push(confirm_upload(remote, &upload.manifest, &nonce).await?);
        }
        return Ok(fates);
    };
    let mut fates = Vec::with_capacity(uploads.len());
    for part in uploads.chunks(limits.max_entries.max(1) as usize) {
        let wanted: Vec<WantedBlob> = part.iter().map(|upload| wanted(upload.manifest.file_id())).collect();
        let heads = remote.download_batch(folder, &wanted, Some(blob::NONCE)).await?;
        for (upload, head) in part.iter().zip(heads) {
            let nonce = base_nonce(upload)?;
            fates.push(match head {
                Ok(head) if head.bytes[..] == nonce && head.found.revision.seq == upload.manifest.revision_seq => {
                    Some(head.found.revision)
                }
                Ok(_) => None,
                Err(error) if error.kind == RemoteErrorKind::NotFound => None,
                Err(error) if error.kind == RemoteErrorKind::TooLarge => {
                    confirm_upload(remote, &upload.manifest, &nonce).await?
                }
                Err(error) => return Err(error),
            });
        }
    }
    Ok(fates)
}

fn wanted(file: FileId) -> WantedBlob {
    WantedBlob { file, expected: None }
}

/// The bytes a blob begins with.
fn base_nonce(upload: &BatchUpload) -> Result<[u8; 24], RemoteError> {
    upload.blob.first_chunk().copied().ok_or_else(|| {
        let object = format!("upload of file {}", upload.manifest.file_id());
        RemoteError::new(RemoteErrorKind::Local, object, "its blob has no base nonce")
    })
}
