//! The content of files on the server, there and back.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hcfs_api::{ApiError, Done, ErrorCode, routes};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use indicatif::ProgressBar;

use super::{Client, collect, odd, request};
use crate::args::ByteRange;
use crate::error::CliError;

/// Bytes that are read from a file at once.
const PIECE: usize = 256 * 1024;

impl Client {
    /// Opens a file on the server, or a part of it.
    pub(crate) async fn content(&self, label: &str, path: &str, range: Option<ByteRange>) -> Result<Content, CliError> {
        let mut asked = request(Method::GET, &routes::content(label, path), Either::Left(Full::default()), [])?;
        if let Some(range) = range {
            let value = HeaderValue::from_str(&range.to_string()).map_err(|error| odd(&error.to_string()))?;
            asked.headers_mut().insert(header::RANGE, value);
        }
        let response = self.send(asked, None).await?;
        // A whole file in place of a part would end up where the part should be.
        let expected = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        if response.status() != expected {
            return Err(odd(&format!("status {} instead of {expected}", response.status())));
        }
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        let length = length.ok_or_else(|| odd("a file without its length"))?;
        Ok(Content { name: path.to_owned(), length, received: 0, body: response.into_body() })
    }

    /// Sends an open file of `length` bytes to the server.
    pub(crate) async fn put(&self, label: &str, path: &str, replace: bool, body: FileBody) -> Result<Done, CliError> {
        let asked = request(Method::PUT, &routes::put_content(label, path, replace), Either::Right(body), [])?;
        let bytes = collect(self.send(asked, None).await?.into_body(), 64 * 1024).await?;
        serde_json::from_slice(&bytes).map_err(|error| odd(&error.to_string()))
    }
}

/// The plaintext of a file, as it comes.
pub(crate) struct Content {
    name: String,
    length: u64,
    received: u64,
    body: Incoming,
}

impl Content {
    /// Bytes in all.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The next piece; `None` only after exactly [`Content::length`] bytes.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CliError> {
        loop {
            let Some(frame) = self.body.frame().await else {
                return if self.received == self.length { Ok(None) } else { Err(self.broken_off()) };
            };
            let Ok(frame) = frame else { return Err(self.broken_off()) };
            let Ok(bytes) = frame.into_data() else { continue };
            self.received += bytes.len() as u64;
            if self.received > self.length {
                return Err(odd("more bytes than were announced"));
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    fn broken_off(&self) -> CliError {
        let Self { name, length, received, .. } = self;
        CliError::Api(ApiError::new(
            ErrorCode::Damaged,
            format!(
                "\"{name}\" broke off after {received} of {length} bytes: the rest did not come, or is not genuine"
            ),
            "see `hcfs status` and `hcfs problems`, and try again",
        ))
    }
}

/// An open file as the body of a request: exactly as many bytes as it had when it was opened.
pub(crate) struct FileBody {
    file: File,
    path: Box<Path>,
    left: u64,
    bar: ProgressBar,
}

impl FileBody {
    pub(crate) fn new(file: File, path: &Path, length: u64, bar: ProgressBar) -> Self {
        Self { file, path: path.into(), left: length, bar }
    }

    fn piece(&mut self) -> Result<Bytes, Unreadable> {
        let mut piece = vec![0; usize::try_from(self.left).unwrap_or(PIECE).min(PIECE)];
        let failed = |source| Unreadable { path: self.path.clone(), source };
        let read = loop {
            match self.file.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(failed)?,
            }
        };
        if read == 0 {
            return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")));
        }
        piece.truncate(read);
        self.left -= read as u64;
        self.bar.inc(read as u64);
        Ok(piece.into())
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        Poll::Ready(if self.left == 0 { None } else { Some(self.piece().map(Frame::data)) })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A file that is sent cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read \"{}\"", path.display())]
pub(crate) struct Unreadable {
    path: Box<Path>,
    #[source]
    source: io::Error,
}

/// The file's own trouble, where that is what broke a connection.
pub(super) fn of_file(error: &hyper::Error) -> Option<CliError> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(Unreadable { path, source }) = error.downcast_ref() {
            let source = io::Error::new(source.kind(), source.to_string());
            return Some(CliError::file("read", path, source));
        }
        source = error.source();
    }
    None
}
