//! Many small files at once: one request for all of them, and one sync of the disk.
//!
//! Each file is sealed, checked and answered for as it would be alone; only the way there is shared. Where the server
//! refuses the batch as such, the files go one by one. Received files take their names after the content of all of them
//! is durable, and count as received after the names are.

use std::sync::Arc;

use hcfs_crypto::frame::{FrameError, HEADER, Header};
use hcfs_crypto::{hash, reader};
use hcfs_fs::{ApplyError, Durability, Staged};
use hcfs_model::{RemoteEntry, blob};
use hcfs_remote::{
    BatchBlob, BatchLimits, BatchUpload, Expected, RemoteError, RemoteErrorKind, Uploaded, WantedBlob, confirm_uploads,
};

use super::Tools;
use super::down::{DownloadJob, Received, download, install, staged_name};
use super::up::{UploadJob, entry, seal, settle_fate, settle_refusal};
use crate::blocking::blocking;
use crate::board::Progress;
use crate::failure::Failure;

/// Files of one batch at most: more would make the others wait for long.
const FILES: usize = 500;
/// Bytes of one batch at most.
const BYTES: u64 = 4 * 1024 * 1024;
/// What the description of a file may take beside its blob, its path aside.
const DESCRIPTION: u64 = 3 * 1024;
/// Received files from which on one sync of the whole file system is cheaper than one for each.
const GROUP: usize = 16;

/// A transfer that may be part of a batch.
pub(crate) trait Batched {
    /// Plaintext bytes.
    fn size(&self) -> u64;
    /// Bytes of the path.
    fn path_len(&self) -> usize;
    /// Whether it goes on with what an earlier try began.
    fn goes_on(&self) -> bool;
}

impl Batched for UploadJob {
    fn size(&self) -> u64 {
        self.local.fingerprint.size
    }

    fn path_len(&self) -> usize {
        self.path.as_str().len()
    }

    fn goes_on(&self) -> bool {
        self.hint.is_some()
    }
}

impl Batched for DownloadJob {
    fn size(&self) -> u64 {
        self.remote.size
    }

    fn path_len(&self) -> usize {
        self.path.as_str().len()
    }

    fn goes_on(&self) -> bool {
        self.hint.is_some()
    }
}

/// Transfers that are gathered for one request.
pub(crate) struct Batch<J> {
    limits: Option<BatchLimits>,
    jobs: Vec<(J, Progress)>,
    bytes: u64,
}

impl<J: Batched> Batch<J> {
    /// An empty batch, for a server that takes so much; without limits nothing is gathered.
    pub(crate) fn new(limits: Option<BatchLimits>) -> Self {
        Self { limits, jobs: Vec::new(), bytes: 0 }
    }

    /// Takes a transfer in. What is full by that comes back, to be started; a transfer that is none for a batch comes back
    /// alone.
    pub(crate) fn add(&mut self, job: J, progress: Progress) -> Option<Vec<(J, Progress)>> {
        let blob_len = blob::blob_len(job.size());
        let Some(limits) = self.limits.filter(|limits| blob_len <= limits.max_blob && !job.goes_on()) else {
            return Some(vec![(job, progress)]);
        };
        // A path is sent sealed, as integers.
        let length = blob_len + DESCRIPTION + 8 * job.path_len() as u64;
        let bytes = limits.max_bytes.min(BYTES);
        let full = if self.bytes + length > bytes { self.take() } else { None };
        self.jobs.push((job, progress));
        self.bytes += length;
        if full.is_none() && self.jobs.len() >= FILES.min(limits.max_entries.max(1) as usize) {
            return self.take();
        }
        full
    }

    /// What was gathered; `None` when that is nothing.
    pub(crate) fn take(&mut self) -> Option<Vec<(J, Progress)>> {
        self.bytes = 0;
        Some(std::mem::take(&mut self.jobs)).filter(|jobs| !jobs.is_empty())
    }
}

/// Whether the server refused a batch for what it is, so that its files may go one by one.
fn is_about_batch(error: &RemoteError) -> bool {
    matches!(
        error.kind,
        RemoteErrorKind::TooLarge
            | RemoteErrorKind::Refused(_)
            | RemoteErrorKind::UnknownCode(_)
            | RemoteErrorKind::NotFound
            | RemoteErrorKind::NotHcfs
            | RemoteErrorKind::Inconsistent
            | RemoteErrorKind::AnswerTooLarge
            | RemoteErrorKind::Local
    )
}

/// Sends small files, and gives what is on the server of each.
pub(crate) async fn upload_many(
    tools: Arc<Tools>,
    jobs: Vec<(UploadJob, Progress)>,
) -> Vec<(UploadJob, Result<RemoteEntry, Failure>)> {
    let _room = tools.buffers.room(jobs.iter().map(|(job, _)| blob::blob_len(job.size())).sum()).await;
    let of = Arc::clone(&tools);
    let seal_all = move || jobs.into_iter().map(|(job, progress)| (seal(&of, &job), job, progress)).collect::<Vec<_>>();
    let (mut ended, mut sealed, mut uploads) = (Vec::new(), Vec::new(), Vec::new());
    for (made, job, progress) in blocking(Arc::clone(&tools.machine), seal_all).await {
        match made {
            Ok(upload) => {
                sealed.push((job, progress));
                uploads.push(upload);
            }
            Err(failure) => ended.push((job, Err(failure))),
        }
    }
    if uploads.is_empty() {
        return ended;
    }
    let answers = send_all(&tools, &uploads).await;
    let mut fates = fates(&tools, &uploads, &answers).await.into_iter();
    for ((job, progress), answer) in sealed.into_iter().zip(answers) {
        let revision = match answer {
            Ok(uploaded) => Ok(uploaded.revision),
            Err(error) if is_lost(&error) => settle_fate(&job, fates.next().unwrap_or(Err(error))),
            Err(error) => Err(settle_refusal(&tools, &job, error).await),
        };
        if revision.is_ok() {
            progress.add(job.size());
        }
        let stored = revision.map(|revision| entry(&job, revision));
        ended.push((job, stored));
    }
    ended
}

fn is_lost(error: &RemoteError) -> bool {
    error.kind == RemoteErrorKind::Ambiguous
}

type Answer = Result<Uploaded, RemoteError>;

/// The answers to uploads: of one request, or, where that is refused, of one for each.
async fn send_all(tools: &Tools, uploads: &[BatchUpload]) -> Vec<Answer> {
    let error = match tools.remote.upload_batch(uploads).await {
        Ok(answers) => return answers,
        Err(error) => error,
    };
    if !is_about_batch(&error) {
        return vec![Err(error); uploads.len()];
    }
    tracing::debug!(%error, "a batch is sent file by file");
    let mut answers: Vec<Answer> = Vec::with_capacity(uploads.len());
    for upload in uploads {
        let answer = match answers.last() {
            Some(Err(last)) if last.concerns_all() => Err(last.clone()),
            _ => tools.remote.upload(&upload.manifest, upload.blob.clone()).await,
        };
        answers.push(answer);
    }
    answers
}

/// What became of the uploads whose answers were lost, in their order; asked for before anything is sent again.
async fn fates(
    tools: &Tools,
    uploads: &[BatchUpload],
    answers: &[Answer],
) -> Vec<Result<Option<hcfs_model::Revision>, RemoteError>> {
    let lost = uploads.iter().zip(answers).filter(|(_, answer)| answer.as_ref().is_err_and(is_lost));
    let lost: Vec<BatchUpload> = lost.map(|(upload, _)| upload.clone()).collect();
    if lost.is_empty() {
        return Vec::new();
    }
    match confirm_uploads(&*tools.remote, tools.folder_hash, &lost).await {
        Ok(fates) => fates.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error); lost.len()],
    }
}

/// Receives small files and puts them under their names.
pub(crate) async fn download_many(
    tools: Arc<Tools>,
    jobs: Vec<(DownloadJob, Progress)>,
) -> Vec<(DownloadJob, Result<Received, Failure>)> {
    let wanted: Vec<WantedBlob> = jobs
        .iter()
        .map(|(job, _)| WantedBlob { file: job.remote.file_id, expected: Some(Expected::from(&job.remote)) })
        .collect();
    let room = tools.buffers.room(jobs.iter().map(|(job, _)| 2 * blob::blob_len(job.size())).sum()).await;
    let (mut ended, mut alone, mut came) = (Vec::new(), Vec::new(), Vec::new());
    match tools.remote.download_batch(tools.folder_hash, &wanted, None).await {
        Ok(blobs) => {
            for ((job, progress), blob) in jobs.into_iter().zip(blobs) {
                match blob {
                    Ok(blob) => came.push((job, progress, blob)),
                    Err(error) if error.kind == RemoteErrorKind::TooLarge => alone.push((job, progress)),
                    Err(error) => ended.push(failed(job, error)),
                }
            }
        }
        Err(error) if is_about_batch(&error) => {
            tracing::debug!(%error, "a batch is fetched file by file");
            alone = jobs;
        }
        Err(error) => return jobs.into_iter().map(|(job, _)| failed(job, error.clone())).collect(),
    }
    ended.extend(put_all(&tools, came).await);
    // Each of these takes room of its own.
    drop(room);
    for (job, progress) in alone {
        let received = download(Arc::clone(&tools), job.clone(), progress).await;
        ended.push((job, received));
    }
    ended
}

fn failed(job: DownloadJob, error: RemoteError) -> (DownloadJob, Result<Received, Failure>) {
    let failure = Failure::remote(&job.path, error);
    (job, Err(failure))
}

/// Opens what came, and puts it under its names.
async fn put_all(
    tools: &Arc<Tools>,
    came: Vec<(DownloadJob, Progress, BatchBlob)>,
) -> Vec<(DownloadJob, Result<Received, Failure>)> {
    if came.is_empty() {
        return Vec::new();
    }
    let of = Arc::clone(tools);
    let work = move || {
        let open = |(job, progress, blob): (DownloadJob, Progress, BatchBlob)| {
            let staged = stage(&of, &job, blob);
            progress.add(job.size());
            (job, staged)
        };
        let staged: Vec<_> = came.into_iter().map(open).collect();
        install_all(&of, staged)
    };
    tools.change(work).await
}

/// Opens a small blob, checks its content and writes it to a part.
fn stage(tools: &Tools, job: &DownloadJob, blob: BatchBlob) -> Result<Staged, Failure> {
    let frame = |error: FrameError| Failure::frame(&job.path, &error);
    let disk = |error: ApplyError| Failure::apply(&job.path, &error);
    let size = job.remote.size;
    let head = blob.bytes.first_chunk::<HEADER>().ok_or(FrameError::TruncatedHeader).map_err(frame)?;
    let nonce = Header::parse(head, size).map_err(frame)?.nonce;
    let mut sealed = blob.bytes[HEADER..].to_vec();
    drop(blob);
    let mut plain = Vec::with_capacity(sealed.len());
    let frames = 0..blob::frames(size);
    reader::open_frames(&tools.owner.keys.encryption, &nonce, size, frames, &mut sealed, |_, chunk| {
        plain.extend_from_slice(chunk);
        Ok::<(), FrameError>(())
    })
    .map_err(frame)?;
    if hash::salted_hash(&tools.owner.account, &plain) != job.remote.hash {
        return Err(Failure::damaged(&job.path, "its content is not what the listing promised"));
    }
    let staged = tools.folder.stage(&staged_name(&job.remote), size).map_err(disk)?;
    staged.write_at(&plain, 0).map_err(disk)?;
    Ok(staged)
}

/// Puts parts under their names: all of them durable at once, where that can be and is worth it.
fn install_all(
    tools: &Tools,
    staged: Vec<(DownloadJob, Result<Staged, Failure>)>,
) -> Vec<(DownloadJob, Result<Received, Failure>)> {
    let is_group = tools.folder.takes_batches() && staged.len() >= GROUP;
    // Content first: after a power loss no name may stand for less than all of its file.
    let is_written = !is_group || tools.folder.sync_all().is_ok();
    let durability = if is_group && is_written { Durability::Batch } else { Durability::Each };
    let put = |(job, part): (DownloadJob, Result<Staged, Failure>)| {
        let received = part.and_then(|part| install(tools, &job, part, durability));
        (job, received)
    };
    let mut ended: Vec<_> = staged.into_iter().map(put).collect();
    if durability == Durability::Batch
        && let Err(error) = tools.folder.sync_all()
    {
        // The names may not last: the files are found as they are by the next look.
        for (job, received) in &mut ended {
            if received.is_ok() {
                *received = Err(Failure::apply(&job.path, &error));
            }
        }
    }
    ended
}
