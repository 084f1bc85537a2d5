//! Sending a blob: a stream of large pieces, the next read while the one before is sent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hcfs_model::CiphertextHash;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::{BlobStore, PIECE};

/// A blob opened for reading; it stays readable when it is removed meanwhile.
#[derive(Debug)]
pub(crate) struct OpenBlob {
    file: Arc<File>,
    /// How many bytes it has.
    pub(crate) length: u64,
}

impl BlobStore {
    /// Opens a blob; `None` when there is none.
    pub(crate) async fn open_blob(self: &Arc<Self>, hash: CiphertextHash) -> io::Result<Option<OpenBlob>> {
        let store = Arc::clone(self);
        let open = move || match File::open(store.path(hash)) {
            Ok(file) => Ok(Some(OpenBlob { length: file.metadata()?.len(), file: Arc::new(file) })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        tokio::task::spawn_blocking(open).await.map_err(io::Error::other)?
    }
}

impl OpenBlob {
    /// A body of these bytes of the blob.
    pub(crate) fn body(self, range: Range<u64>) -> BlobReader {
        BlobReader { file: self.file, next: range.start, end: range.end, reading: None }
    }
}

/// The bytes of a blob as a body.
#[derive(Debug)]
pub(crate) struct BlobReader {
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
