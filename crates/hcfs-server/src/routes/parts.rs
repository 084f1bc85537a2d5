//! Reading a multipart body: one part after the other, in bounded memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use hcfs_wire::ErrorCode;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use multer::{Field, Multipart};

use crate::answer::Failure;
use crate::body::{BodyError, unreadable};

/// Bytes the multipart reader is given at a time.
const PACE: usize = 64 * 1024;
/// Bytes that a body may have besides the file: the manifest, boundaries and part headers, and what the reader
/// takes ahead of them. Bounds the reader's buffer.
const OVERHEAD: u64 = 2 << 20;

/// The parts of a body.
pub(super) struct Parts {
    parts: Multipart<'static>,
    allowed: Arc<AtomicU64>,
}

impl Parts {
    /// Reads `body`, of whose file `largest` bytes are taken at most.
    ///
    /// # Errors
    /// A body that is no multipart body, or says that it is larger.
    pub(super) fn new(headers: &HeaderMap, body: Body, largest: u64) -> Result<Self, Failure> {
        let boundary = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| multer::parse_boundary(text).ok())
            .ok_or_else(|| Failure::new(ErrorCode::MissingField, "an upload is multipart/form-data with a boundary"))?;
        if body.size_hint().lower() > largest.saturating_add(OVERHEAD) {
            return Err(too_large(largest));
        }
        let allowed = Arc::new(AtomicU64::new(OVERHEAD));
        let parts = Multipart::new(Paced::new(body, Arc::clone(&allowed)), boundary);
        Ok(Self { parts, allowed })
    }

    /// Lets a file of so many bytes in.
    pub(super) fn allow(&self, length: u64) {
        self.allowed.fetch_add(length, Ordering::Relaxed);
    }

    /// The next part; the one before must be dropped.
    pub(super) async fn next(&mut self) -> Result<Field<'static>, Failure> {
        let part = self.parts.next_field().await.map_err(|error| malformed(&error))?;
        part.ok_or_else(|| Failure::new(ErrorCode::MissingField, "a part of the upload is missing"))
    }
}

/// The next bytes of a part; `None` at its end.
pub(super) async fn next_bytes(part: &mut Field<'_>) -> Result<Option<Bytes>, Failure> {
    part.chunk().await.map_err(|error| malformed(&error))
}

/// A file that is larger than one request may bring.
pub(super) fn too_large(largest: u64) -> Failure {
    Failure::new(
        ErrorCode::PayloadTooLarge,
        format!("one request brings at most {largest} bytes of a file; send the others through a session"),
    )
}

fn malformed(error: &multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(source) => unreadable(source.as_ref()),
        error => Failure::invalid(format!("the multipart body is malformed: {error}")),
    }
}

/// A body given to the multipart reader one small piece at a time: the reader takes whatever is ready into its buffer,
/// so without this a fast client would fill the memory. It ends with an error once more came than is allowed.
struct Paced {
    body: Body,
    piece: Bytes,
    seen: u64,
    allowed: Arc<AtomicU64>,
    rests: bool,
}

impl Paced {
    fn new(body: Body, allowed: Arc<AtomicU64>) -> Self {
        Self { body, piece: Bytes::new(), seen: 0, allowed, rests: false }
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.seen > self.allowed.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(BodyError::TooLarge.into())));
        }
        while self.piece.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                // Trailers say nothing here.
                Some(Ok(frame)) => self.piece = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.piece.len().min(PACE);
        self.seen += length as u64;
        self.rests = true;
        Poll::Ready(Some(Ok(self.piece.split_to(length))))
    }
}
