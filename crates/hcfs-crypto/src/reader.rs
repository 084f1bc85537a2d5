//! Opening a blob as it arrives.
//!
//! [`BlobReader`] takes pieces of any length from one connection; [`open_frames`] opens a run of whole frames that lies in
//! one buffer, for a worker of its own; [`PlainRange`] says which bytes of a blob a range of plaintext needs.
//!
//! All are as strict as the format allows (protocol §3): the number of frames and the length of each are known from the
//! listed size before the first byte arrives, and anything else is refused. What the format itself cannot show (frames in
//! another order, a file cut short together with its listed size) shows in the salted hash, which is the caller's to
//! check before the plaintext appears under its name.

use std::ops::Range;

use hcfs_model::blob;

use crate::frame::{self, BaseNonce, FRAME, FrameError, HEADER, Header, LEN_FIELD, TAG};
use crate::phrase::EncryptionKey;

/// Opens a blob, or a run of its frames, from pieces of any length.
///
/// Holds one frame. Nothing is handed out before its tag was checked. After an error it refuses everything.
pub struct BlobReader<'k> {
    key: &'k EncryptionKey,
    size: u64,
    nonce: Option<BaseNonce>,
    /// The frames still to come.
    frames: Range<u64>,
    buffer: Vec<u8>,
    given_up: bool,
}

impl<'k> BlobReader<'k> {
    /// A reader of the whole blob of a plaintext of `size` bytes, header first.
    ///
    /// # Errors
    /// A size larger than a blob can hold.
    pub fn new(key: &'k EncryptionKey, size: u64) -> Result<Self, FrameError> {
        Self::with(key, size, None, 0..blob::frames(size))
    }

    /// A reader of the frames `frames` of such a blob, without the header: for a transfer that is resumed or cut into
    /// ranges. Its bytes are those of [`blob::frame_bytes`].
    ///
    /// # Errors
    /// A size larger than a blob can hold, or frames beyond its last.
    pub fn of_frames(
        key: &'k EncryptionKey,
        size: u64,
        nonce: BaseNonce,
        frames: Range<u64>,
    ) -> Result<Self, FrameError> {
        Self::with(key, size, Some(nonce), frames)
    }

    fn with(
        key: &'k EncryptionKey,
        size: u64,
        nonce: Option<BaseNonce>,
        frames: Range<u64>,
    ) -> Result<Self, FrameError> {
        if size > blob::MAX_PLAINTEXT {
            return Err(FrameError::TooLarge { size });
        }
        if frames.end > blob::frames(size) {
            return Err(FrameError::Truncated { index: blob::frames(size) });
        }
        let room = frame_len(size, frames.start).max(HEADER);
        Ok(Self { key, size, nonce, frames, buffer: Vec::with_capacity(room), given_up: false })
    }

    /// The base nonce, once the header has arrived.
    #[must_use]
    pub fn nonce(&self) -> Option<&BaseNonce> {
        self.nonce.as_ref()
    }

    /// The next frame to be opened: where a transfer that broke off goes on.
    #[must_use]
    pub fn next_frame(&self) -> u64 {
        self.frames.start
    }

    /// Takes the next bytes, and calls `each` for every chunk they complete with its place in the plaintext and its
    /// bytes. An empty file has one empty chunk.
    ///
    /// # Errors
    /// The first departure from the format, or what `each` returned; the reader is of no use then.
    pub fn push<E: From<FrameError>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.given_up {
            return Err(FrameError::GivenUp.into());
        }
        self.given_up = true;
        let mut rest = bytes;
        while !rest.is_empty() {
            let wanted = self.wanted().ok_or(FrameError::Trailing)?;
            let (now, later) = rest.split_at(rest.len().min(wanted - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.nonce.is_some() {
                self.check_length()?;
            }
            if self.buffer.len() == wanted {
                self.complete(&mut each)?;
            }
        }
        self.given_up = false;
        Ok(())
    }

    /// The end of the bytes.
    ///
    /// # Errors
    /// Anything that is missing, or an earlier error.
    pub fn finish(self) -> Result<(), FrameError> {
        if self.given_up {
            return Err(FrameError::GivenUp);
        }
        if self.nonce.is_none() {
            return Err(FrameError::TruncatedHeader);
        }
        if self.frames.is_empty() { Ok(()) } else { Err(FrameError::Truncated { index: self.frames.start }) }
    }

    /// How many bytes the header or frame has that is being collected; `None` after the last.
    fn wanted(&self) -> Option<usize> {
        if self.nonce.is_none() {
            return Some(HEADER);
        }
        (!self.frames.is_empty()).then(|| frame_len(self.size, self.frames.start))
    }

    /// Refuses a wrong length field as soon as it is there, not when a whole frame was waited for.
    fn check_length(&self) -> Result<(), FrameError> {
        match self.buffer.first_chunk() {
            Some(field) => check_len_field(self.size, self.frames.start, *field),
            None => Ok(()),
        }
    }

    fn complete<E: From<FrameError>>(&mut self, each: &mut impl FnMut(u64, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let index = self.frames.start;
        match &self.nonce {
            None => {
                let header = self.buffer.first_chunk().ok_or(FrameError::TruncatedHeader)?;
                self.nonce = Some(Header::parse(header, self.size)?.nonce);
            }
            Some(nonce) => {
                let chunk = frame::open_frame(self.key, nonce, index, &mut self.buffer)?;
                each(index * blob::CHUNK, chunk)?;
                self.frames.start += 1;
            }
        }
        self.buffer.clear();
        Ok(())
    }
}

/// Opens the frames `frames` of the blob of a plaintext of `size` bytes, which lie in `buffer`, in place; calls `each` for
/// every chunk with its place in the plaintext and its bytes.
///
/// # Errors
/// The first departure from the format, too few or too many bytes, or what `each` returned.
pub fn open_frames<E: From<FrameError>>(
    key: &EncryptionKey,
    nonce: &BaseNonce,
    size: u64,
    frames: Range<u64>,
    buffer: &mut [u8],
    mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = buffer;
    for index in frames {
        if index >= blob::frames(size) {
            return Err(FrameError::Truncated { index }.into());
        }
        let field = rest.first_chunk().ok_or(FrameError::Truncated { index })?;
        check_len_field(size, index, *field)?;
        let (frame, later) =
            rest.split_at_mut_checked(frame_len(size, index)).ok_or(FrameError::Truncated { index })?;
        each(index * blob::CHUNK, frame::open_frame(key, nonce, index, frame)?)?;
        rest = later;
    }
    if rest.is_empty() { Ok(()) } else { Err(FrameError::Trailing.into()) }
}

/// Bytes of frame `index` of a plaintext of `size` bytes.
fn frame_len(size: u64, index: u64) -> usize {
    (LEN_FIELD + frame::chunk_len(size, index) + TAG).min(FRAME)
}

pub(crate) fn check_len_field(size: u64, index: u64, field: [u8; LEN_FIELD]) -> Result<(), FrameError> {
    let found = u32::from_le_bytes(field);
    let expected = blob::chunk_len(size, index) + blob::TAG;
    if u64::from(found) == expected { Ok(()) } else { Err(FrameError::Length { index, found, expected }) }
}

/// A range of a plaintext, and what of the blob it takes to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRange {
    size: u64,
    bytes: Range<u64>,
}

impl PlainRange {
    /// The bytes `bytes` of a plaintext of `size` bytes; what lies beyond its end is cut off.
    ///
    /// # Errors
    /// A size larger than a blob can hold.
    pub fn new(size: u64, bytes: Range<u64>) -> Result<Self, FrameError> {
        if size > blob::MAX_PLAINTEXT {
            return Err(FrameError::TooLarge { size });
        }
        let end = bytes.end.min(size);
        Ok(Self { size, bytes: bytes.start.min(end)..end })
    }

    /// The plaintext bytes meant.
    #[must_use]
    pub fn bytes(&self) -> Range<u64> {
        self.bytes.clone()
    }

    /// The frames that hold them; none for an empty range.
    #[must_use]
    pub fn frames(&self) -> Range<u64> {
        if self.bytes.is_empty() { 0..0 } else { blob::frames_of(self.bytes.clone()) }
    }

    /// Where those frames lie in the blob. To open them takes the base nonce too, from the blob's first
    /// [`HEADER`] bytes.
    #[must_use]
    pub fn blob_bytes(&self) -> Range<u64> {
        blob::frame_bytes(self.size, self.frames())
    }

    /// The part of an opened chunk that lies in the range; `offset` is the chunk's place in the plaintext.
    #[must_use]
    pub fn cut<'c>(&self, offset: u64, chunk: &'c [u8]) -> &'c [u8] {
        let place = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(chunk.len());
        &chunk[place(self.bytes.start)..place(self.bytes.end)]
    }
}

#[cfg(test)]
mod tests;
