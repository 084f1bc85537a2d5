//! One frame of a blob, and the header before the first (protocol §3, `FORMAT.md`).
//!
//! A frame is `length u32 LE ‖ ciphertext ‖ tag`, sealed and opened in the buffer it lies in; nothing is allocated.
//! XChaCha20-Poly1305 is made of HChaCha20 (which gives every frame a subkey) and `ring`'s ChaCha20-Poly1305, the
//! fastest of the libraries measured; the bytes are those of any XChaCha20-Poly1305.

use chacha20::{R20, hchacha};
use hcfs_model::blob;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::phrase::EncryptionKey;
use crate::random::{self, RandomError};

/// Plaintext bytes of a full chunk; [`blob::CHUNK`] as a length in memory.
pub const CHUNK: usize = 256 * 1024;
/// Bytes of a full frame; [`blob::FRAME`] as a length in memory.
pub const FRAME: usize = LEN_FIELD + CHUNK + TAG;
/// Bytes before a frame's ciphertext.
pub const LEN_FIELD: usize = 4;
/// Bytes of a tag.
pub const TAG: usize = 16;
/// Bytes before the first frame.
pub const HEADER: usize = 28;

const _: () = assert!(CHUNK as u64 == blob::CHUNK && FRAME as u64 == blob::FRAME && HEADER as u64 == blob::HEADER);

/// The authentication tag of a frame.
pub type Tag = [u8; TAG];

/// Why a blob does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The blob ends within its header.
    #[error("the header is truncated")]
    TruncatedHeader,
    /// The header says that there are no frames.
    #[error("the header counts no frames")]
    NoFrames,
    /// The number of frames is not the one a plaintext of the expected size has.
    #[error("the header counts {found} frames, and {expected} are expected")]
    Count {
        /// What the header says.
        found: u32,
        /// What the size demands.
        expected: u64,
    },
    /// A length field that is not the one this frame must have.
    #[error("frame {index} says it has {found} bytes, and {expected} are expected")]
    Length {
        /// Which frame, from 0.
        index: u64,
        /// What the length field says: ciphertext and tag, in bytes.
        found: u32,
        /// What the size demands.
        expected: u64,
    },
    /// The blob ends within a frame, or before it.
    #[error("frame {index} is truncated")]
    Truncated {
        /// Which frame, from 0.
        index: u64,
    },
    /// A frame that was not sealed by this key for this place, or was altered.
    #[error("frame {index} is not authentic")]
    Tag {
        /// Which frame, from 0.
        index: u64,
    },
    /// Bytes after the last frame.
    #[error("bytes follow the last frame")]
    Trailing,
    /// A blob's length that no plaintext has.
    #[error("no blob has {found} bytes")]
    BlobLength {
        /// Length of the blob, in bytes.
        found: u64,
    },
    /// A plaintext above the largest the format can hold.
    #[error("a plaintext of {size} bytes is larger than a blob can hold")]
    TooLarge {
        /// Plaintext length, in bytes.
        size: u64,
    },
    /// A buffer that cannot be a frame: shorter than an empty one or longer than a full one.
    #[error("frame {index} cannot have {bytes} bytes")]
    NotAFrame {
        /// Which frame, from 0.
        index: u64,
        /// Length of the buffer, in bytes.
        bytes: usize,
    },
    /// The blob was used again after an earlier error.
    #[error("the blob was given up at an earlier error")]
    GivenUp,
}

/// The 24 bytes that the nonces of a blob's frames are made of.
///
/// Neither `Copy` nor `Clone`, and taken by value where something is sealed: **one base nonce seals one plaintext**. To
/// seal another under it would give both away.
#[derive(Debug, PartialEq, Eq)]
pub struct BaseNonce([u8; 24]);

impl BaseNonce {
    /// A fresh one.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 24];
        random::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The one with these bytes: from a blob that is to be opened, or from an upload that was pinned.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }

    /// The nonce of frame `index`: the first 8 bytes XORed with the index as u64 LE.
    #[must_use]
    pub fn of_frame(&self, index: u64) -> [u8; 24] {
        let mut nonce = self.0;
        for (byte, counter) in nonce.iter_mut().zip(index.to_le_bytes()) {
            *byte ^= counter;
        }
        nonce
    }
}

/// What stands before the first frame of a blob.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frames' nonces are made of.
    pub nonce: BaseNonce,
    /// How many frames follow; never 0.
    pub frames: u32,
}

impl Header {
    /// Reads the header of a blob whose plaintext has `size` bytes.
    ///
    /// # Errors
    /// A count of 0, or another count than a plaintext of that size has.
    pub fn parse(bytes: &[u8; HEADER], size: u64) -> Result<Self, FrameError> {
        let mut nonce = [0; 24];
        nonce.copy_from_slice(&bytes[..24]);
        let frames = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
        if frames == 0 {
            return Err(FrameError::NoFrames);
        }
        if u64::from(frames) != blob::frames(size) {
            return Err(FrameError::Count { found: frames, expected: blob::frames(size) });
        }
        Ok(Self { nonce: BaseNonce(nonce), frames })
    }
}

/// The header of the blob of a plaintext of `size` bytes.
///
/// # Errors
/// A plaintext larger than a blob can hold.
pub fn header_bytes(nonce: &BaseNonce, size: u64) -> Result<[u8; HEADER], FrameError> {
    let frames = u32::try_from(blob::frames(size)).map_err(|_| FrameError::TooLarge { size })?;
    let mut header = [0; HEADER];
    header[..24].copy_from_slice(&nonce.0);
    header[24..].copy_from_slice(&frames.to_le_bytes());
    Ok(header)
}

/// Seals frame `index` in the buffer it lies in, and returns its tag.
///
/// `frame` has [`LEN_FIELD`] bytes, then the plaintext of the chunk (at most [`CHUNK`] bytes), then [`TAG`] bytes; the
/// first and the last are written, the plaintext is replaced by its ciphertext.
///
/// # Errors
/// A buffer that is too short or too long for a frame.
pub fn seal_frame(key: &EncryptionKey, nonce: &BaseNonce, index: u64, frame: &mut [u8]) -> Result<Tag, FrameError> {
    let (len, chunk, tag) = parts(index, frame)?;
    let (subkey, nonce) = frame_key(key, nonce, index);
    let bytes = chunk.len();
    let sealed = subkey
        .seal_in_place_separate_tag(nonce, Aad::empty(), chunk)
        .map_err(|_| FrameError::NotAFrame { index, bytes })?;
    tag.copy_from_slice(sealed.as_ref());
    *len = len_field(bytes);
    Ok(*tag)
}

/// Opens frame `index` in the buffer it lies in, and returns its plaintext.
///
/// `frame` is the whole frame and nothing else; where it has to end is the caller's to know (from the listed size).
///
/// # Errors
/// A buffer that cannot be a frame, a length field that does not say the same as the buffer's length, or a tag that
/// does not match; the buffer's content is of no use then.
pub fn open_frame<'f>(
    key: &EncryptionKey,
    nonce: &BaseNonce,
    index: u64,
    frame: &'f mut [u8],
) -> Result<&'f mut [u8], FrameError> {
    let (len, chunk, tag) = parts(index, frame)?;
    if *len != len_field(chunk.len()) {
        let expected = (chunk.len() + TAG) as u64;
        return Err(FrameError::Length { index, found: u32::from_le_bytes(*len), expected });
    }
    open_chunk(key, nonce, index, chunk, *tag)?;
    Ok(chunk)
}

/// Opens the ciphertext of a chunk in place.
pub(crate) fn open_chunk(
    key: &EncryptionKey,
    nonce: &BaseNonce,
    index: u64,
    chunk: &mut [u8],
    tag: Tag,
) -> Result<(), FrameError> {
    let (subkey, nonce) = frame_key(key, nonce, index);
    match subkey.open_in_place_separate_tag(nonce, Aad::empty(), tag.into(), chunk, 0..) {
        Ok(_) => Ok(()),
        Err(_) => Err(FrameError::Tag { index }),
    }
}

/// A frame's length field, chunk and tag.
type Parts<'f> = (&'f mut [u8; LEN_FIELD], &'f mut [u8], &'f mut Tag);

fn parts(index: u64, frame: &mut [u8]) -> Result<Parts<'_>, FrameError> {
    let bytes = frame.len();
    let error = FrameError::NotAFrame { index, bytes };
    if bytes > FRAME {
        return Err(error);
    }
    let (len, rest) = frame.split_first_chunk_mut().ok_or(error)?;
    let (chunk, tag) = rest.split_last_chunk_mut().ok_or(error)?;
    Ok((len, chunk, tag))
}

/// What stands before a chunk of `chunk` bytes.
#[expect(clippy::cast_possible_truncation, reason = "a chunk has at most 256 KiB")]
fn len_field(chunk: usize) -> [u8; LEN_FIELD] {
    ((chunk + TAG) as u32).to_le_bytes()
}

/// Plaintext bytes of frame `index` of a plaintext of `size` bytes; [`blob::chunk_len`] as a length in memory.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "at most 256 KiB")]
pub fn chunk_len(size: u64, index: u64) -> usize {
    blob::chunk_len(size, index) as usize
}

/// XChaCha20's subkey and inner nonce of one frame.
#[expect(clippy::expect_used, reason = "the key has the 32 bytes the algorithm asks for")]
fn frame_key(key: &EncryptionKey, nonce: &BaseNonce, index: u64) -> (LessSafeKey, Nonce) {
    let nonce = nonce.of_frame(index);
    let mut head = [0; 16];
    head.copy_from_slice(&nonce[..16]);
    let mut inner = [0; 12];
    inner[4..].copy_from_slice(&nonce[16..]);
    let mut subkey = hchacha::<R20>(key.bytes().into(), &head.into());
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, &subkey).expect("32 bytes");
    zeroize::Zeroize::zeroize(subkey.as_mut_slice());
    (LessSafeKey::new(unbound), Nonce::assume_unique_for_key(inner))
}

#[cfg(test)]
mod tests;
