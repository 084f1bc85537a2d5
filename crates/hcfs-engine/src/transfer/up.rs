//! Sending a file.
//!
//! A blob that fits one request is sealed in memory. A larger one is pinned first and sealed again part by part, so no
//! encrypted copy ever lies on disk; the pinned tags make it impossible to seal two plaintexts under one nonce
//! (`hcfs_crypto::pin`). Either way the content that was sent is the content the plan was made on, or nothing is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hcfs_crypto::frame::BaseNonce;
use hcfs_crypto::pin::{self, Pinned};
use hcfs_crypto::{blob as sealed, hash};
use hcfs_model::{CiphertextHash, FileId, LocalEntry, RelPath, RemoteEntry, Revision, UnixNanos, blob};
use hcfs_remote::{
    BatchUpload, Manifest, RemoteError, RemoteErrorKind, SessionId, SessionOpen, SessionState, Uploaded,
};
use hcfs_state::UploadHint;
use unicode_normalization::UnicodeNormalization;

use super::content::{is_version, may_begin_with};
use super::{Content, Note, Tools};
use crate::blocking::blocking;
use crate::board::Progress;
use crate::failure::Failure;
use crate::machine::Machine;

/// How many parts of a session are sealed or on their way at once.
const PARTS_IN_FLIGHT: usize = 2;

/// One file to send.
pub(crate) struct UploadJob {
    /// Where.
    pub(crate) path: RelPath,
    /// The content the plan was made on.
    pub(crate) local: LocalEntry,
    /// What it replaces.
    pub(crate) base: Option<RemoteEntry>,
    /// The new version's number.
    pub(crate) seq: u64,
    /// A session that was begun.
    pub(crate) hint: Option<UploadHint>,
    /// Where the content is, if it is not in the folder.
    pub(crate) source: Option<std::fs::File>,
    /// Whether the content is only the beginning of the file, which goes on growing.
    pub(crate) is_beginning: bool,
}

impl UploadJob {
    fn file_id(&self) -> FileId {
        self.base.as_ref().map_or_else(|| FileId::of_path(self.path.as_str()), |base| base.file_id)
    }
}

/// Sends a file, and gives what is now on the server.
pub(crate) async fn upload(tools: Arc<Tools>, job: UploadJob, progress: Progress) -> Result<RemoteEntry, Failure> {
    let size = job.local.fingerprint.size;
    if blob::blob_len(size) <= blob::TRANSPORT_CHUNK {
        // The plaintext and its blob.
        let _room = tools.buffers.room(2 * size).await;
        send_small(&tools, job_with_source(&tools, job)?, &progress).await
    } else {
        let _room = tools.buffers.room(PARTS_IN_FLIGHT as u64 * blob::TRANSPORT_CHUNK).await;
        send_large(&tools, job_with_source(&tools, job)?, &progress).await
    }
}

/// A job whose content is open, and was the planned one when it was opened.
struct Open {
    job: UploadJob,
    content: Arc<Content>,
}

fn job_with_source(tools: &Tools, mut job: UploadJob) -> Result<Open, Failure> {
    let content = match job.source.take() {
        Some(file) => Content::Unnamed(file),
        None => in_folder(tools, &job)?,
    };
    Ok(Open { job, content: Arc::new(content) })
}

/// A file of the folder, if it is the version that was planned.
fn in_folder(tools: &Tools, job: &UploadJob) -> Result<Content, Failure> {
    let file = tools
        .folder
        .open_read(&job.path, job.local.disk_path.as_deref())
        .map_err(|error| Failure::apply(&job.path, &error))?;
    match (file.fingerprint(), job.local.fingerprint) {
        (found, seen) if is_version(&found, &seen) => Ok(Content::InFolder(file)),
        (found, seen) if job.is_beginning && may_begin_with(&found, &seen) => Ok(Content::Beginning(file)),
        _ => Err(Failure::MovedHere),
    }
}

/// What sealing a small file brings.
struct SmallBlob {
    blob: Bytes,
    nonce: [u8; 24],
    hash: CiphertextHash,
}

/// Reads and seals a small file. Blocks.
fn seal_small(tools: &Tools, job: &UploadJob, content: &Content) -> Result<SmallBlob, Failure> {
    let path = &job.path;
    let mut plain = vec![0; usize::try_from(job.local.fingerprint.size).map_err(|_| Failure::Changing)?];
    pin::ReadAt::read_exact_at(content, &mut plain, 0).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Failure::Changing,
        _ => Failure::unreadable(path),
    })?;
    // Whatever the fingerprint says: what is sent must be what the plan was made on.
    if !content.is_unchanged() || hash::salted_hash(&tools.owner.account, &plain) != job.local.hash {
        return Err(Failure::Changing);
    }
    let nonce = fresh_nonce(&*tools.machine, path)?;
    let bytes = *nonce.as_bytes();
    let blob =
        sealed::seal_blob(&tools.owner.keys.encryption, nonce, &plain).map_err(|error| Failure::frame(path, &error))?;
    Ok(SmallBlob { hash: hash::blob_hash(&blob), blob: blob.into(), nonce: bytes })
}

/// A small file of the folder, ready to be sent. Blocks.
pub(super) fn seal(tools: &Tools, job: &UploadJob) -> Result<BatchUpload, Failure> {
    let content = in_folder(tools, job)?;
    let made = seal_small(tools, job, &content)?;
    Ok(BatchUpload { manifest: manifest(tools, job, made.hash)?, blob: made.blob })
}

async fn send_small(tools: &Arc<Tools>, open: Open, progress: &Progress) -> Result<RemoteEntry, Failure> {
    let Open { job, content } = open;
    let of = Arc::clone(tools);
    let (job, made) = blocking(Arc::clone(&tools.machine), move || {
        let made = seal_small(&of, &job, &content)?;
        Ok::<_, Failure>((job, made))
    })
    .await?;
    let manifest = manifest(tools, &job, made.hash)?;
    let answer = tools.remote.upload(&manifest, made.blob).await;
    let uploaded = settle_answer(tools, &job, &manifest, &made.nonce, answer).await?;
    progress.add(job.local.fingerprint.size);
    Ok(entry(&job, uploaded))
}

async fn send_large(tools: &Arc<Tools>, open: Open, progress: &Progress) -> Result<RemoteEntry, Failure> {
    let Open { job, content } = open;
    let hint = job.hint.clone().filter(|hint| is_version(&hint.fingerprint, &job.local.fingerprint));
    let (pinned, hint) = pin_again(tools, &job, &content, hint).await?;
    if pinned.salted_hash != job.local.hash || !content.is_unchanged() {
        return Err(Failure::Changing);
    }
    let manifest = manifest(tools, &job, pinned.blob_hash)?;
    let open = SessionOpen::cut(manifest, blob::TRANSPORT_CHUNK)
        .ok_or_else(|| Failure::pin(&job.path, &pin::PinError::TooLarge { size: pinned.size }))?;
    let (session, received) = match hint {
        Some(hint) => resumed(tools, &job, &hint, &open).await?,
        None => opened(tools, &job, &open, &pinned).await?,
    };
    let missing: Vec<u32> = (0..open.chunk_count).filter(|part| !received.contains(part)).collect();
    progress.set(u64::from(open.chunk_count).saturating_sub(missing.len() as u64) * open.chunk_size);
    let mut parts = FuturesUnordered::new();
    for index in missing {
        if parts.len() >= PARTS_IN_FLIGHT
            && let Some(sent) = parts.next().await
        {
            progress.add(sent?);
        }
        parts.push(send_part(tools, &job.path, &content, &pinned, &open, &session, index));
    }
    while let Some(sent) = parts.next().await {
        progress.add(sent?);
    }
    if !content.is_unchanged() {
        let _ = tools.remote.abort_session(&session).await;
        tools.note(Note::Forget(job.path.clone())).await;
        return Err(Failure::Changing);
    }
    let answer = tools.remote.finalize(&session, &open.manifest).await;
    if matches!(&answer, Err(error) if matches!(error.kind, RemoteErrorKind::Conflict { .. } | RemoteErrorKind::Stale))
    {
        // Nobody will go on with it; where this is lost too it expires.
        let _ = tools.remote.abort_session(&session).await;
    }
    let uploaded = settle_answer(tools, &job, &open.manifest, pinned.nonce.as_bytes(), answer).await?;
    Ok(entry(&job, uploaded))
}

/// Reads the file once, under the nonce of an earlier try if there was one. Only if that makes the very blob of that try
/// may it go on; else the nonce is spent, and the file is read again under a fresh one.
async fn pin_again(
    tools: &Arc<Tools>,
    job: &UploadJob,
    content: &Arc<Content>,
    hint: Option<UploadHint>,
) -> Result<(Arc<Pinned>, Option<UploadHint>), Failure> {
    if let Some(hint) = hint {
        let pinned = pin_content(tools, job, content, Some(hint.nonce)).await?;
        if pinned.blob_hash == hint.blob_hash {
            return Ok((Arc::new(pinned), Some(hint)));
        }
        tools.note(Note::Forget(job.path.clone())).await;
    }
    Ok((Arc::new(pin_content(tools, job, content, None).await?), None))
}

/// Reads the file once and pins it under a nonce.
async fn pin_content(
    tools: &Arc<Tools>,
    job: &UploadJob,
    content: &Arc<Content>,
    nonce: Option<[u8; 24]>,
) -> Result<Pinned, Failure> {
    let (owner, content, path) = (tools.owner.clone(), Arc::clone(content), job.path.clone());
    let size = job.local.fingerprint.size;
    let cancel = Arc::new(AtomicBool::new(false));
    let called_off = CallOff(Arc::clone(&cancel));
    let machine = Arc::clone(&tools.machine);
    let pinned = blocking(Arc::clone(&tools.machine), move || {
        let nonce = match nonce {
            Some(bytes) => BaseNonce::from_bytes(bytes),
            None => fresh_nonce(&*machine, &path)?,
        };
        let key = &owner.keys.encryption;
        pin::pin(&*content, size, key, &owner.account, nonce, machine.threads(), &cancel)
            .map_err(|error| Failure::pin(&path, &error))
    })
    .await;
    drop(called_off);
    pinned
}

/// Calls reading off when the transfer is dropped.
pub(crate) struct CallOff(pub(crate) Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Opens a session and has it remembered.
async fn opened(
    tools: &Arc<Tools>,
    job: &UploadJob,
    open: &SessionOpen,
    pinned: &Pinned,
) -> Result<(SessionId, Vec<u32>), Failure> {
    let session = tools.remote.open_session(open).await.map_err(|error| Failure::remote(&job.path, error))?;
    let hint = UploadHint {
        fingerprint: job.local.fingerprint,
        nonce: *pinned.nonce.as_bytes(),
        blob_hash: pinned.blob_hash,
        salted_hash: pinned.salted_hash,
        session: session.id.as_str().to_owned(),
        part_size: open.chunk_size,
        expires: UnixNanos(session.expires_at.saturating_mul(1_000_000_000)),
    };
    tools.note(Note::Upload(job.path.clone(), hint)).await;
    Ok((session.id, Vec::new()))
}

/// Asks how far a session of an earlier try is.
///
/// A session that is gone, or was opened for another version, is forgotten, and the file starts again under a fresh
/// nonce: the blob that was announced under this one may be on the server already.
async fn resumed(
    tools: &Arc<Tools>,
    job: &UploadJob,
    hint: &UploadHint,
    open: &SessionOpen,
) -> Result<(SessionId, Vec<u32>), Failure> {
    let forget = || tools.note(Note::Forget(job.path.clone()));
    let Some(session) = SessionId::new(&hint.session) else {
        forget().await;
        return Err(Failure::MovedThere);
    };
    match tools.remote.session_status(&session).await {
        Ok(status)
            if status.state == SessionState::Receiving
                && status.ciphertext_hash == hint.blob_hash
                && status.total_chunks == open.chunk_count
                && hint.part_size == open.chunk_size =>
        {
            Ok((session, status.chunks_received))
        }
        Ok(_) => {
            forget().await;
            Err(Failure::MovedThere)
        }
        Err(error) if error.kind == RemoteErrorKind::NotFound => {
            forget().await;
            Err(Failure::MovedThere)
        }
        Err(error) => Err(Failure::remote(&job.path, error)),
    }
}

/// Seals one part again and sends it; gives its bytes.
async fn send_part(
    tools: &Arc<Tools>,
    path: &RelPath,
    content: &Arc<Content>,
    pinned: &Arc<Pinned>,
    open: &SessionOpen,
    session: &SessionId,
    index: u32,
) -> Result<u64, Failure> {
    let Some(bytes) = open.part(index) else { return Err(Failure::Changing) };
    let length = bytes.end - bytes.start;
    let (owner, content, pinned, of) = (tools.owner.clone(), Arc::clone(content), Arc::clone(pinned), path.clone());
    let part = blocking(Arc::clone(&tools.machine), move || {
        let mut part = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 2 * hcfs_crypto::frame::FRAME);
        pin::seal_pinned_bytes(&*content, &pinned, &owner.keys.encryption, bytes, &mut part)
            .map(|()| part)
            .map_err(|error| Failure::seal(&of, &error))
    })
    .await?;
    match tools.remote.put_part(session, index, part.into()).await {
        Ok(()) => Ok(length),
        Err(error) if error.kind == RemoteErrorKind::NotFound => {
            // The session expired.
            tools.note(Note::Forget(path.clone())).await;
            Err(Failure::MovedThere)
        }
        Err(error) => Err(Failure::remote(path, error)),
    }
}

/// What the answer to an upload means; one that was lost is asked for before anything is sent again.
async fn settle_answer(
    tools: &Arc<Tools>,
    job: &UploadJob,
    manifest: &Manifest,
    nonce: &[u8; 24],
    answer: Result<Uploaded, RemoteError>,
) -> Result<Revision, Failure> {
    match answer {
        Ok(uploaded) => Ok(uploaded.revision),
        Err(error) if error.kind == RemoteErrorKind::Ambiguous => {
            settle_fate(job, hcfs_remote::confirm_upload(&*tools.remote, manifest, nonce).await)
        }
        Err(error) => Err(settle_refusal(tools, job, error).await),
    }
}

/// What it means what became of an upload whose answer was lost.
pub(super) fn settle_fate(job: &UploadJob, fate: Result<Option<Revision>, RemoteError>) -> Result<Revision, Failure> {
    match fate {
        Ok(Some(revision)) => Ok(revision),
        // The listing will show which version won.
        Ok(None) => Err(Failure::MovedThere),
        Err(error) => Err(Failure::remote(&job.path, error)),
    }
}

/// What it means that an upload was refused.
pub(super) async fn settle_refusal(tools: &Tools, job: &UploadJob, error: RemoteError) -> Failure {
    let is_final = matches!(
        error.kind,
        RemoteErrorKind::Conflict { .. }
            | RemoteErrorKind::Stale
            | RemoteErrorKind::NotFound
            | RemoteErrorKind::Refused(_)
            | RemoteErrorKind::UnknownCode(_)
    );
    if is_final {
        // A session is bound to the version it was opened on: finalized again, it would be refused again.
        tools.note(Note::Forget(job.path.clone())).await;
    }
    match error.kind {
        // The session expired.
        RemoteErrorKind::NotFound => Failure::MovedThere,
        _ => Failure::remote(&job.path, error),
    }
}

pub(super) fn entry(job: &UploadJob, revision: Revision) -> RemoteEntry {
    RemoteEntry { hash: job.local.hash, size: job.local.fingerprint.size, file_id: job.file_id(), revision }
}

/// The signed description of an upload.
fn manifest(tools: &Tools, job: &UploadJob, blob_hash: CiphertextHash) -> Result<Manifest, Failure> {
    let keys = &tools.owner.keys;
    let text = hcfs_remote::upload_text(&blob_hash);
    let encrypted_path = sealed_path(tools, &job.path, job.local.disk_path.as_deref(), job.file_id())?;
    Ok(Manifest {
        ss58_address: tools.owner.account.clone(),
        folder_hash: tools.folder_hash,
        ciphertext_hash: blob_hash,
        size_bytes: job.local.fingerprint.size,
        timestamp: tools.clock.now().seconds(),
        signature: keys.signing.sign(text.as_bytes()),
        signing_key: keys.signing.verifying_key(),
        path_hash: job.file_id(),
        salted_hash: job.local.hash,
        revision_seq: job.seq,
        base_revision_id: job.base.as_ref().map(|base| base.revision.id),
        encrypted_path,
        file_name: tools.share_paths.then(|| job.path.name().to_owned()),
        relative_path: tools.share_paths.then(|| job.path.to_string()),
        source: Some(hcfs_remote::UploadSource::Desktop),
    })
}

/// A path as a blob, in the form its id was made of: a client that does not normalise names makes ids of other forms
/// (protocol §2), and the bytes must hash to the id.
pub(crate) fn sealed_path(
    tools: &Tools,
    path: &RelPath,
    disk_path: Option<&[u8]>,
    id: FileId,
) -> Result<Vec<u8>, Failure> {
    let decomposed: String = path.as_str().nfd().collect();
    let on_disk = disk_path.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let forms = [Some(path.as_str()), on_disk, Some(decomposed.as_str())];
    let form = forms.into_iter().flatten().find(|form| FileId::of_path(form) == id);
    let Some(form) = form else {
        return Err(Failure::damaged(path, "its id is not made of its name"));
    };
    sealed::seal_blob(&tools.owner.keys.encryption, fresh_nonce(&*tools.machine, path)?, form.as_bytes())
        .map_err(|error| Failure::frame(path, &error))
}

fn fresh_nonce(machine: &dyn Machine, path: &RelPath) -> Result<BaseNonce, Failure> {
    let bytes = machine.random().map_err(|_| Failure::unreadable(path))?;
    Ok(BaseNonce::from_bytes(std::array::from_fn(|at| bytes[at])))
}
