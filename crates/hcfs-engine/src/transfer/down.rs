//! Receiving a file.
//!
//! The blob comes in runs of whole frames. While one run is opened, hashed and written on a thread of its own, the next
//! one is received. A connection that breaks is taken up again at the first frame that is not in the staged part. What
//! is large comes over several connections ([`super::wide`]).

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use hcfs_crypto::frame::{BaseNonce, FrameError, HEADER, Header};
use hcfs_crypto::hash::{SaltedHasher, SaltedJoin, SaltedPiece, SaltedRun};
use hcfs_crypto::reader::{self, PlainRange};
use hcfs_fs::{ApplyError, Displaced, Durability, Expect, Install, Installed, Staged};
use hcfs_model::{LocalEntry, RelPath, RemoteEntry, blob};
use hcfs_remote::{BodyStream, Expected, RemoteError, RemoteErrorKind};
use hcfs_state::DownloadHint;
use tokio::sync::mpsc;

use super::wide::{self, CONNECTIONS, Wide, is_wide};
use super::{Note, Tools};
use crate::blocking::blocking;
use crate::board::Progress;
use crate::failure::Failure;

/// Frames that are received, opened and written at a time.
pub(super) const RUN: u64 = 4;
/// After how many frames the progress is noted.
pub(super) const NOTED: u64 = 32;
/// How often a connection may break without a frame arriving.
const TRIES: u32 = 3;

/// One file to receive.
#[derive(Clone)]
pub(crate) struct DownloadJob {
    /// Where.
    pub(crate) path: RelPath,
    /// The version.
    pub(crate) remote: RemoteEntry,
    /// The file it replaces.
    pub(crate) replaces: Option<LocalEntry>,
    /// A part that was begun.
    pub(crate) hint: Option<DownloadHint>,
    /// The name for a version nobody expected in its place.
    pub(crate) aside: RelPath,
}

/// A file that was received and put under its name.
pub(crate) struct Received {
    /// What is now on disk, and since when it is known.
    pub(crate) local: LocalEntry,
    /// When its hash counts as taken.
    pub(crate) hashed_at: hcfs_model::UnixNanos,
    /// Where a version nobody expected is kept.
    pub(crate) displaced: Displaced,
}

/// Receives a file and puts it under its name.
pub(crate) async fn download(tools: Arc<Tools>, job: DownloadJob, progress: Progress) -> Result<Received, Failure> {
    let connections = if is_wide(job.remote.size) { CONNECTIONS as u64 } else { 1 };
    let _room = tools.buffers.room(connections * 2 * job.remote.size.min(RUN * blob::CHUNK)).await;
    let mut part = begin(&tools, &job, &progress).await?;
    let mut tries = 0;
    let mut takes_ranges = true;
    while part.next < blob::frames(job.remote.size) {
        let before = part.next;
        let (after, result) = match wide::receive(&tools, &job, part, &progress, takes_ranges).await {
            Wide::Came(part, result) => (part, result),
            Wide::Not(part) => {
                takes_ranges = false;
                receive(&tools, &job, part, &progress).await
            }
        };
        part = after;
        let Err(failure) = result else { continue };
        tries = if part.next > before { 0 } else { tries + 1 };
        match failure {
            Failure::Unavailable(_) if tries < TRIES => {}
            Failure::Path(_) => {
                give_up(&tools, &job, &part.staged).await;
                return Err(failure);
            }
            _ => {
                remember(&tools, &job, &part).await;
                return Err(failure);
            }
        }
    }
    if part.join.finish() != Some(job.remote.hash) {
        give_up(&tools, &job, &part.staged).await;
        return Err(Failure::damaged(&job.path, "its content is not what the listing promised"));
    }
    put_in_place(&tools, &job, part.staged).await
}

/// A file that is being received.
pub(super) struct Part {
    pub(super) staged: Arc<Staged>,
    pub(super) join: SaltedJoin,
    pub(super) nonce: Option<[u8; 24]>,
    /// The first frame that is not in the staged part.
    pub(super) next: u64,
    /// The frame up to which the progress was noted.
    pub(super) noted: u64,
}

pub(super) fn staged_name(remote: &RemoteEntry) -> String {
    format!("{}-{:x}", remote.file_id, remote.revision.seq)
}

/// Takes a part up where it was left, or starts a new one.
async fn begin(tools: &Arc<Tools>, job: &DownloadJob, progress: &Progress) -> Result<Part, Failure> {
    let part = match take_up(tools, job).await? {
        Some(part) => part,
        None => start_anew(tools, job).await?,
    };
    progress.set(part.next * blob::CHUNK);
    Ok(part)
}

/// What an earlier try left, if it can be gone on with.
async fn take_up(tools: &Arc<Tools>, job: &DownloadJob) -> Result<Option<Part>, Failure> {
    let (remote, path) = (job.remote.clone(), job.path.clone());
    let name = staged_name(&remote);
    let fits = |hint: &DownloadHint| {
        hint.file_id == remote.file_id
            && hint.revision == remote.revision
            && hint.staged == name
            && hint.frames_done <= blob::frames(remote.size)
    };
    let Some(hint) = job.hint.clone().filter(fits) else { return Ok(None) };
    let of = Arc::clone(tools);
    blocking(Arc::clone(&tools.machine), move || {
        let staged = of.folder.resume_stage(&name, remote.size).map_err(|error| Failure::apply(&path, &error))?;
        let Some(staged) = staged else { return Ok(None) };
        let join = rehash(&of, &staged, hint.frames_done, remote.size);
        let (nonce, next) = (Some(hint.base_nonce), hint.frames_done);
        Ok(join.map(|join| Part { staged: Arc::new(staged), join, nonce, next, noted: next }))
    })
    .await
}

async fn start_anew(tools: &Arc<Tools>, job: &DownloadJob) -> Result<Part, Failure> {
    let (of, remote, path) = (Arc::clone(tools), job.remote.clone(), job.path.clone());
    let stale = job.hint.as_ref().map(|hint| hint.staged.clone());
    tools
        .change(move || {
            let name = staged_name(&remote);
            if let Some(stale) = stale.filter(|stale| *stale != name) {
                // What cannot be removed now is removed by the next sweep.
                let _ = of.folder.discard(&stale);
            }
            let staged = of.folder.stage(&name, remote.size).map_err(|error| Failure::apply(&path, &error))?;
            let join = SaltedJoin::new(&of.owner.account, remote.size);
            Ok(Part { staged: Arc::new(staged), join, nonce: None, next: 0, noted: 0 })
        })
        .await
}

/// Hashes what an earlier try left in a part; `None` where it cannot be read.
fn rehash(tools: &Tools, staged: &Staged, frames: u64, size: u64) -> Option<SaltedJoin> {
    let mut join = SaltedJoin::new(&tools.owner.account, size);
    let end = (frames * blob::CHUNK).min(size);
    let mut offset = 0;
    let mut buffer = vec![0; 256 * 1024];
    let mut run = SaltedRun::new(&tools.owner.account, size, 0..frames);
    while offset < end {
        let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
        let read = staged.read_at(&mut buffer[..wanted], offset).ok().filter(|read| *read > 0)?;
        run.update(&buffer[..read]);
        offset += read as u64;
    }
    if frames > 0 {
        join.push(run.finish());
    }
    Some(join)
}

/// Receives frames over one connection until the end or the first error. The part comes back either way.
async fn receive(
    tools: &Arc<Tools>,
    job: &DownloadJob,
    mut part: Part,
    progress: &Progress,
) -> (Part, Result<(), Failure>) {
    let frames = blob::frames(job.remote.size);
    let mut body = match connect(tools, job, &mut part).await {
        Ok(body) => body,
        Err(failure) => return (part, Err(failure)),
    };
    let run = |from: u64| from..(from + RUN).min(frames);
    let length = |run: Range<u64>| {
        let bytes = blob::frame_bytes(job.remote.size, run);
        bytes.end - bytes.start
    };
    let Some(nonce) = part.nonce else { return (part, Err(Failure::damaged(&job.path, "it has no header"))) };
    let mut full = match body.take(length(run(part.next)), Vec::new()).await {
        Ok(full) => full,
        Err(error) => return (part, Err(Failure::remote(&job.path, error))),
    };
    let mut spare = Vec::new();
    loop {
        let now = run(part.next);
        let then = run(now.end);
        let before = part.next;
        let staged = Arc::clone(&part.staged);
        let opening = open_run(tools, job, &staged, nonce, now.clone(), full);
        let (opened, next) = if then.is_empty() {
            (opening.await, Ok(Vec::new()))
        } else {
            tokio::join!(opening, body.take(length(then.clone()), std::mem::take(&mut spare)))
        };
        let (used, result) = opened;
        match result {
            Ok(piece) => part.join.push(piece),
            Err(failure) => return (part, Err(failure)),
        }
        part.next = now.end;
        progress.add(((part.next * blob::CHUNK).min(job.remote.size)).saturating_sub(before * blob::CHUNK));
        if part.next - part.noted >= NOTED {
            remember(tools, job, &part).await;
            part.noted = part.next;
        }
        if then.is_empty() {
            return (part, body.end().await.map_err(|error| Failure::remote(&job.path, error)));
        }
        match next {
            Ok(bytes) => full = bytes,
            Err(error) => return (part, Err(Failure::remote(&job.path, error))),
        }
        spare = used;
    }
}

/// Asks for the blob from the first missing frame on, and reads its header where that is the first.
async fn connect(tools: &Arc<Tools>, job: &DownloadJob, part: &mut Part) -> Result<Body, Failure> {
    let expected = Expected::from(&job.remote);
    let size = job.remote.size;
    let failed = |error| Failure::remote(&job.path, error);
    if part.next > 0 {
        let rest = blob::frame_bytes(size, part.next..blob::frames(size));
        match tools.remote.download(tools.folder_hash, job.remote.file_id, &expected, Some(rest)).await {
            Err(error) if error.kind == RemoteErrorKind::RangeIgnored => {
                part.next = 0;
                part.noted = 0;
                part.join = SaltedJoin::new(&tools.owner.account, size);
            }
            other => return other.map(|download| Body::new(download.body)).map_err(failed),
        }
    }
    let download =
        tools.remote.download(tools.folder_hash, job.remote.file_id, &expected, None).await.map_err(failed)?;
    let mut body = Body::new(download.body);
    part.nonce = Some(*body.header(size).await.map_err(|error| error.of(&job.path))?.as_bytes());
    Ok(body)
}

/// Opens a run of frames, hashes it and writes it to the part. The buffer comes back either way.
pub(super) async fn open_run(
    tools: &Arc<Tools>,
    job: &DownloadJob,
    staged: &Arc<Staged>,
    nonce: [u8; 24],
    frames: Range<u64>,
    mut buffer: Vec<u8>,
) -> (Vec<u8>, Result<SaltedPiece, Failure>) {
    let (owner, path, size, staged) = (tools.owner.clone(), job.path.clone(), job.remote.size, Arc::clone(staged));
    let work = move || {
        let nonce = BaseNonce::from_bytes(nonce);
        let key = &owner.keys.encryption;
        let mut run = SaltedRun::new(&owner.account, size, frames.clone());
        let result = reader::open_frames(key, &nonce, size, frames, &mut buffer, |offset, chunk| {
            staged.write_at(chunk, offset)?;
            run.update(chunk);
            Ok::<(), OpenFailure>(())
        });
        let result = result.map(|()| run.finish()).map_err(|error| match error {
            OpenFailure::Frame(error) => Failure::frame(&path, &error),
            OpenFailure::Disk(error) => Failure::apply(&path, &error),
        });
        (buffer, result)
    };
    tools.change(work).await
}

/// Why a run could not be opened and written.
enum OpenFailure {
    Frame(FrameError),
    Disk(ApplyError),
}

impl From<FrameError> for OpenFailure {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<ApplyError> for OpenFailure {
    fn from(error: ApplyError) -> Self {
        Self::Disk(error)
    }
}

async fn put_in_place(tools: &Arc<Tools>, job: &DownloadJob, staged: Arc<Staged>) -> Result<Received, Failure> {
    let (of, job) = (Arc::clone(tools), job.clone());
    let work = move || {
        // A write that was broken off may still hold the part: then it is opened once more.
        let staged = match Arc::try_unwrap(staged) {
            Ok(staged) => staged,
            Err(shared) => {
                let again = of.folder.resume_stage(shared.name(), shared.size());
                again.map_err(|error| Failure::apply(&job.path, &error))?.ok_or(Failure::MovedHere)?
            }
        };
        install(&of, &job, staged, Durability::Each)
    };
    tools.change(work).await
}

/// Puts a part whose content is verified under its name. Blocks.
pub(super) fn install(
    tools: &Tools,
    job: &DownloadJob,
    part: Staged,
    durability: Durability,
) -> Result<Received, Failure> {
    let expect = job.replaces.as_ref().map_or(Expect::Absent, Expect::This);
    let install = Install { target: &job.path, expect, aside: &job.aside, at: tools.clock.now(), durability };
    let installed = tools.folder.install(part, &install).map_err(|error| Failure::apply(&job.path, &error))?;
    let Installed { placed, displaced } = installed;
    let local = LocalEntry { hash: job.remote.hash, fingerprint: placed.fingerprint, disk_path: placed.disk_path };
    Ok(Received { local, hashed_at: placed.hashed_at, displaced })
}

/// Notes how far a part is.
pub(super) async fn remember(tools: &Arc<Tools>, job: &DownloadJob, part: &Part) {
    let Some(base_nonce) = part.nonce else { return };
    let hint = DownloadHint {
        file_id: job.remote.file_id,
        revision: job.remote.revision,
        base_nonce,
        frames_done: part.next,
        staged: part.staged.name().to_owned(),
    };
    tools.note(Note::Download(job.path.clone(), hint)).await;
}

/// Throws a part away that is of no use.
async fn give_up(tools: &Arc<Tools>, job: &DownloadJob, staged: &Staged) {
    let (folder, name) = (Arc::clone(&tools.folder), staged.name().to_owned());
    // What cannot be removed now is removed by the next sweep.
    let _ = tools.change(move || folder.discard(&name)).await;
    tools.note(Note::Forget(job.path.clone())).await;
}

/// A body that is taken in pieces of known length.
pub(super) struct Body {
    stream: BodyStream,
    rest: Bytes,
}

/// Why the head of a blob could not be read.
pub(super) enum HeadFailure {
    Remote(RemoteError),
    Frame(FrameError),
}

impl HeadFailure {
    pub(super) fn of(self, path: &RelPath) -> Failure {
        match self {
            Self::Remote(error) => Failure::remote(path, error),
            Self::Frame(error) => Failure::frame(path, &error),
        }
    }
}

impl Body {
    pub(super) fn new(stream: BodyStream) -> Self {
        Self { stream, rest: Bytes::new() }
    }

    /// The next `length` bytes, in `buffer`, which is emptied first.
    pub(super) async fn take(&mut self, length: u64, mut buffer: Vec<u8>) -> Result<Vec<u8>, RemoteError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        buffer.clear();
        while buffer.len() < length {
            if self.rest.is_empty() {
                self.rest = match self.stream.next().await {
                    Some(piece) => piece?,
                    None => return Err(RemoteError::new(RemoteErrorKind::Unavailable, "download", "it ended early")),
                };
            }
            let piece = self.rest.len().min(length - buffer.len());
            buffer.extend_from_slice(&self.rest[..piece]);
            self.rest.advance(piece);
        }
        Ok(buffer)
    }

    /// The blob's header, checked against the listed size.
    pub(super) async fn header(&mut self, size: u64) -> Result<BaseNonce, HeadFailure> {
        let bytes = self.take(HEADER as u64, Vec::with_capacity(HEADER)).await.map_err(HeadFailure::Remote)?;
        let bytes = bytes.first_chunk::<HEADER>().ok_or(HeadFailure::Frame(FrameError::TruncatedHeader))?;
        Ok(Header::parse(bytes, size).map_err(HeadFailure::Frame)?.nonce)
    }

    /// Nothing may follow.
    pub(super) async fn end(&mut self) -> Result<(), RemoteError> {
        let trailing = || RemoteError::new(RemoteErrorKind::Inconsistent, "download", "bytes follow the last frame");
        if !self.rest.is_empty() {
            return Err(trailing());
        }
        match self.stream.next().await {
            None => Ok(()),
            Some(Ok(_)) => Err(trailing()),
            Some(Err(error)) => Err(error),
        }
    }
}

/// Sends the plaintext of a range of a file on the server, as its frames are verified. Without a range the whole file is
/// read, and its salted hash is checked at the end.
pub(crate) async fn read_range(
    tools: &Arc<Tools>,
    path: &RelPath,
    remote: &RemoteEntry,
    bytes: Option<Range<u64>>,
    out: &mpsc::Sender<Bytes>,
) -> Result<(), Failure> {
    let frame = |error| Failure::frame(path, &error);
    let failed = |error| Failure::remote(path, error);
    let whole = bytes.is_none();
    let range = PlainRange::new(remote.size, bytes.unwrap_or(0..remote.size)).map_err(frame)?;
    let frames = if whole { 0..blob::frames(remote.size) } else { range.frames() };
    let _room = tools.buffers.room(2 * remote.size.min(RUN * blob::CHUNK)).await;
    let expected = Expected::from(remote);
    let fetch = |wanted| tools.remote.download(tools.folder_hash, remote.file_id, &expected, wanted);
    let mut body = Body::new(fetch((!whole).then_some(0..blob::HEADER)).await.map_err(failed)?.body);
    let nonce = body.header(remote.size).await.map_err(|error| error.of(path))?;
    if !whole && !frames.is_empty() {
        body = Body::new(fetch(Some(range.blob_bytes())).await.map_err(failed)?.body);
    }
    let mut hasher = SaltedHasher::new(&tools.owner.account);
    for index in frames {
        let place = blob::frame_bytes(remote.size, index..index + 1);
        let mut sealed = body.take(place.end - place.start, Vec::new()).await.map_err(failed)?;
        let mut plain = Vec::new();
        let key = &tools.owner.keys.encryption;
        reader::open_frames(key, &nonce, remote.size, index..index + 1, &mut sealed, |offset, chunk| {
            hasher.update(chunk);
            plain.extend_from_slice(range.cut(offset, chunk));
            Ok::<(), FrameError>(())
        })
        .map_err(frame)?;
        if !plain.is_empty() && out.send(plain.into()).await.is_err() {
            return Ok(());
        }
    }
    if whole && hasher.finalize() != remote.hash {
        return Err(Failure::damaged(path, "its content is not what the listing promised"));
    }
    Ok(())
}
