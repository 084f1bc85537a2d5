//! From the body of an answer to the content of a file.

use std::io;
use std::sync::Arc;

use super::json::{JsonError, JsonFile};
use super::tar::{self, BLOCK, Member, TarError, TarReader};

/// Says of a name in an archive whether the service packs its files under such.
pub(crate) type IsWrapper = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How content lies in a body.
#[derive(Clone)]
pub(crate) enum Form {
    /// The body is the content.
    Plain,
    /// A JSON object with the content in base64.
    Json,
    /// The body is the content, or an archive of it if the name in there is one the service packs files under.
    PerhapsPacked(IsWrapper),
    /// The body is an archive, of which the content's header has gone by already.
    Packed(Member),
}

/// A body is not of its form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error(transparent)]
    Json(JsonError),
    #[error(transparent)]
    Tar(TarError),
    #[error(transparent)]
    Io(io::Error),
}

impl From<JsonError> for DecodeError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Io(error) => Self::Io(error),
            error => Self::Json(error),
        }
    }
}

impl From<TarError> for DecodeError {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Io(error) => Self::Io(error),
            error => Self::Tar(error),
        }
    }
}

/// Takes a body in pieces.
pub(crate) enum Decoder {
    Plain,
    Json(Box<JsonFile>),
    /// The start of a body that may be an archive.
    Sniff {
        block: Vec<u8>,
        is_wrapper: IsWrapper,
        total: Option<u64>,
    },
    Tar(Box<TarReader>),
}

impl Decoder {
    /// A decoder of a body of `total` bytes. `done` bytes of content went by before, for a form that goes on.
    pub(crate) fn new(form: Form, done: u64, total: Option<u64>) -> Self {
        match form {
            Form::Plain => Self::Plain,
            Form::Json => Self::Json(Box::new(JsonFile::new())),
            Form::PerhapsPacked(_) if done > 0 => Self::Plain,
            Form::PerhapsPacked(is_wrapper) => Self::Sniff { block: Vec::with_capacity(BLOCK), is_wrapper, total },
            Form::Packed(member) => Self::Tar(Box::new(TarReader::inside(member, done, total))),
        }
    }

    /// Takes the next bytes of the body and gives those of the content to `out`.
    pub(crate) fn push(
        &mut self,
        mut piece: &[u8],
        out: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), DecodeError> {
        if let Self::Sniff { block, is_wrapper, total } = self {
            let (start, rest) = piece.split_at(piece.len().min(BLOCK - block.len()));
            block.extend_from_slice(start);
            if block.len() < BLOCK {
                return Ok(());
            }
            piece = rest;
            let block = std::mem::take(block);
            let packed = tar::is_header(&block) && tar::name_in(&block).is_some_and(|name| is_wrapper(&name));
            *self = if packed { Self::Tar(Box::new(TarReader::new(*total))) } else { Self::Plain };
            self.push(&block, out)?;
        }
        match self {
            Self::Plain => out(piece).map_err(DecodeError::Io),
            Self::Json(file) => Ok(file.push(piece, out)?),
            Self::Tar(reader) => Ok(reader.push(piece, out)?),
            // Not reached: it was just replaced.
            Self::Sniff { .. } => Ok(()),
        }
    }

    /// Says that the body has ended.
    pub(crate) fn finish(&mut self, out: &mut impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), DecodeError> {
        match self {
            Self::Plain => Ok(()),
            Self::Json(file) => Ok(file.finish()?),
            Self::Tar(reader) => Ok(reader.finish()?),
            Self::Sniff { block, .. } => out(&std::mem::take(block)).map_err(DecodeError::Io),
        }
    }

    /// The file in the archive, if the body is one.
    pub(crate) fn member(&self) -> Option<&Member> {
        match self {
            Self::Tar(reader) => reader.member(),
            _ => None,
        }
    }

    /// Content type and message of error of a JSON object.
    pub(crate) fn json(&self) -> Option<&JsonFile> {
        match self {
            Self::Json(file) => Some(file),
            _ => None,
        }
    }

    /// Whether another run can go on in the middle.
    pub(crate) fn can_resume(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Tar(reader) => reader.member().is_some(),
            Self::Json(_) | Self::Sniff { .. } => false,
        }
    }
}
