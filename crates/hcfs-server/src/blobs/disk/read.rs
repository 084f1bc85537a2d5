//! Sending a blob: a stream of large pieces, the next read while the one before is sent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::blobs::{BlobPlace, OpenBlob, PIECE, Source, WriteError};

/// Opens a blob; `None` when it is not all there. Blocks.
pub(super) fn open(path: &Path, place: BlobPlace) -> Result<Option<OpenBlob>, WriteError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if file.metadata()?.len() < place.end() {
        return Ok(None);
    }
    Ok(Some(OpenBlob { length: place.length, bytes: Box::new(OpenFile { file: Arc::new(file), at: place.at }) }))
}

struct OpenFile {
    file: Arc<File>,
    /// Where the blob starts.
    at: u64,
}

impl Source for OpenFile {
    fn body(self: Box<Self>, range: Range<u64>) -> axum::body::Body {
        let Self { file, at } = *self;
        axum::body::Body::new(BlobReader { file, next: at + range.start, end: at + range.end, reading: None })
    }
}

/// The bytes of a blob as a body.
#[derive(Debug)]
struct BlobReader {
    file: Arc<File>,
    next: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl BlobReader {
    fn read_ahead(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let length = usize::try_from(self.end - self.next).unwrap_or(PIECE).min(PIECE);
        if length == 0 {
            return None;
        }
        let (file, at) = (Arc::clone(&self.file), self.next);
        self.next += length as u64;
        Some(tokio::task::spawn_blocking(move || {
            let mut piece = BytesMut::zeroed(length);
            file.read_exact_at(&mut piece, at)?;
            Ok(piece.freeze())
        }))
    }
}

impl Body for BlobReader {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.reading.is_none() {
            self.reading = self.read_ahead();
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other).flatten();
        self.reading = if read.is_ok() { self.read_ahead() } else { None };
        if read.is_err() {
            self.next = self.end;
        }
        Poll::Ready(Some(read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none() && self.next == self.end
    }

    fn size_hint(&self) -> SizeHint {
        // A piece read ahead is no longer counted by `next`; an exact hint is only right before the first.
        if self.reading.is_none() { SizeHint::with_exact(self.end - self.next) } else { SizeHint::default() }
    }
}
