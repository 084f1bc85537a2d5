//! Receiving a large file over several connections.
//!
//! The file is cut into segments, each asked for by its range; some are on their way at a time, and each goes through
//! [`super::down`]'s runs: opened, written to its place and hashed while the next run is received. What counts as received,
//! for a later try, is what has come without a gap. So a connection that is slow, or one that is kept slow, does not make
//! the whole file so, and more than one core opens frames.

use std::ops::Range;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use hcfs_crypto::hash::SaltedPiece;
use hcfs_fs::Staged;
use hcfs_model::blob;
use hcfs_remote::{Expected, RemoteError, RemoteErrorKind};

use super::Tools;
use super::down::{Body, DownloadJob, NOTED, Part, RUN, open_run, remember};
use crate::board::Progress;
use crate::failure::Failure;

/// Connections of one file.
pub(super) const CONNECTIONS: usize = 3;
/// Frames of one segment.
const SEGMENT: u64 = 32;
/// Frames from which on several connections are worth it.
const WIDE: u64 = 2 * SEGMENT;

/// Whether a file of `size` bytes comes over several connections.
pub(super) fn is_wide(size: u64) -> bool {
    blob::frames(size) >= WIDE
}

/// What came of several connections.
pub(super) enum Wide {
    /// The part, with what came, and how it ended.
    Came(Part, Result<(), Failure>),
    /// The file is to come over one connection: what is left is little, or the server does not send ranges.
    Not(Part),
}

/// Receives what is missing until the end or the first error.
pub(super) async fn receive(
    tools: &Arc<Tools>,
    job: &DownloadJob,
    mut part: Part,
    progress: &Progress,
    takes_ranges: bool,
) -> Wide {
    let frames = blob::frames(job.remote.size);
    if !takes_ranges || frames - part.next < WIDE {
        return Wide::Not(part);
    }
    let nonce = match nonce(tools, job, &part).await {
        Ok(Some(nonce)) => nonce,
        Ok(None) => return Wide::Not(part),
        Err(failure) => return Wide::Came(part, Err(failure)),
    };
    part.nonce = Some(nonce);
    let starts = (part.next..frames).step_by(usize::try_from(SEGMENT).unwrap_or(usize::MAX));
    let segments = starts.map(|start| start..(start + SEGMENT).min(frames));
    let staged = Arc::clone(&part.staged);
    let fetch = |segment: Range<u64>| fetch(tools, job, &staged, nonce, segment, progress);
    let mut arriving = stream::iter(segments).map(fetch).buffered(CONNECTIONS);
    while let Some((done, result)) = arriving.next().await {
        for (run, piece) in done {
            part.join.push(piece);
            part.next = run.end;
        }
        match result {
            Ok(()) => {}
            Err(Ended::NoRanges) => return Wide::Not(part),
            Err(Ended::Failed(failure)) => {
                // What came of later segments comes again.
                progress.set((part.next * blob::CHUNK).min(job.remote.size));
                return Wide::Came(part, Err(failure));
            }
        }
        if part.next - part.noted >= NOTED {
            remember(tools, job, &part).await;
            part.noted = part.next;
        }
    }
    drop(arriving);
    Wide::Came(part, Ok(()))
}

/// The blob's base nonce; `None` where the server does not send ranges.
async fn nonce(tools: &Tools, job: &DownloadJob, part: &Part) -> Result<Option<[u8; 24]>, Failure> {
    if let Some(nonce) = part.nonce {
        return Ok(Some(nonce));
    }
    match open(tools, job, 0..blob::HEADER).await {
        Ok(mut body) => {
            let nonce = body.header(job.remote.size).await.map_err(|error| error.of(&job.path))?;
            Ok(Some(*nonce.as_bytes()))
        }
        Err(error) if error.kind == RemoteErrorKind::RangeIgnored => Ok(None),
        Err(error) => Err(Failure::remote(&job.path, error)),
    }
}

async fn open(tools: &Tools, job: &DownloadJob, bytes: Range<u64>) -> Result<Body, RemoteError> {
    let expected = Expected::from(&job.remote);
    let download = tools.remote.download(tools.folder_hash, job.remote.file_id, &expected, Some(bytes)).await?;
    Ok(Body::new(download.body))
}

/// Why a segment ended early.
enum Ended {
    NoRanges,
    Failed(Failure),
}

/// The runs of a segment that came, without a gap from its start, and how it ended.
type Segment = (Vec<(Range<u64>, SaltedPiece)>, Result<(), Ended>);

async fn fetch(
    tools: &Arc<Tools>,
    job: &DownloadJob,
    staged: &Arc<Staged>,
    nonce: [u8; 24],
    segment: Range<u64>,
    progress: &Progress,
) -> Segment {
    let mut done = Vec::new();
    let result = runs(tools, job, staged, nonce, segment, progress, &mut done).await;
    let result = result.map_err(|error| match error {
        Missed::Remote(error) if error.kind == RemoteErrorKind::RangeIgnored => Ended::NoRanges,
        Missed::Remote(error) => Ended::Failed(Failure::remote(&job.path, error)),
        Missed::Run(failure) => Ended::Failed(failure),
    });
    (done, result)
}

/// Why a run did not come.
enum Missed {
    Remote(RemoteError),
    Run(Failure),
}

impl From<RemoteError> for Missed {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

async fn runs(
    tools: &Arc<Tools>,
    job: &DownloadJob,
    staged: &Arc<Staged>,
    nonce: [u8; 24],
    segment: Range<u64>,
    progress: &Progress,
    done: &mut Vec<(Range<u64>, SaltedPiece)>,
) -> Result<(), Missed> {
    let size = job.remote.size;
    let run = |from: u64| from..(from + RUN).min(segment.end);
    let length = |run: &Range<u64>| {
        let bytes = blob::frame_bytes(size, run.clone());
        bytes.end - bytes.start
    };
    let mut body = open(tools, job, blob::frame_bytes(size, segment.clone())).await?;
    let mut now = run(segment.start);
    let mut full = body.take(length(&now), Vec::new()).await?;
    let mut spare = Vec::new();
    loop {
        let then = run(now.end);
        let opening = open_run(tools, job, staged, nonce, now.clone(), full);
        let ((used, opened), next) = if then.is_empty() {
            (opening.await, Ok(Vec::new()))
        } else {
            tokio::join!(opening, body.take(length(&then), std::mem::take(&mut spare)))
        };
        let piece = opened.map_err(Missed::Run)?;
        progress.add((now.end * blob::CHUNK).min(size) - now.start * blob::CHUNK);
        done.push((now, piece));
        if then.is_empty() {
            return Ok(body.end().await?);
        }
        full = next?;
        spare = used;
        now = then;
    }
}
