//! Uploads without an encrypted copy on disk.
//!
//! A manifest carries the blob's hash and goes out before the blob. So a file is read twice: [`pin`] makes both hashes and
//! keeps the tag of every frame; [`seal_pinned`] seals the frames again as they are sent, and lets a frame out only if
//! its tag is the kept one. The tag pins the plaintext: a file that changed in between can never be sealed into a second
//! ciphertext under the same nonces that leaves this module (`FORMAT.md`).
//!
//! Whether the file grew, or was replaced, is for the caller to see from its fingerprint.

mod runs;

use std::io;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use hcfs_model::{AccountAddress, CiphertextHash, SaltedHash, blob};

use crate::frame::{self, BaseNonce, LEN_FIELD, TAG, Tag};
use crate::hash::{SaltedJoin, SaltedPiece, SaltedRun};
use crate::phrase::EncryptionKey;
use crate::tree::{Joiner, Piece, PieceHasher};

/// Something that can be read at any place, by several threads at once.
pub trait ReadAt: Sync {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where there are fewer bytes, and whatever the source reports.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..)?.get(..buffer.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// Why a file could not be hashed or pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file is shorter than it was.
    #[error("the file became shorter than {size} bytes while it was read")]
    Changed {
        /// The length it had, in bytes.
        size: u64,
    },
    /// The file is larger than a blob can hold.
    #[error("the file has {size} bytes, more than a blob can hold")]
    TooLarge {
        /// Its length, in bytes.
        size: u64,
    },
    /// The file cannot be read.
    #[error("the file cannot be read at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It was called off.
    #[error("reading was called off")]
    Cancelled,
}

/// Why a pinned file cannot be sealed again.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file is not what it was when it was pinned: this upload must be dropped, and started again under a fresh
    /// nonce.
    #[error("frame {frame} changed since the file was pinned")]
    ChangedSincePinned {
        /// Which frame, from 0.
        frame: u64,
    },
    /// The blob has no such frame or byte.
    #[error("the blob has no frame {frame}")]
    NoSuchFrame {
        /// Which frame, from 0.
        frame: u64,
    },
    /// The file cannot be read.
    #[error("the file cannot be read at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// What is known of a file's blob that exists nowhere: enough to announce it, and to make it again.
///
/// Nothing in it is secret; it may be kept to go on with an upload after a restart.
#[derive(Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Plaintext length, in bytes.
    pub size: u64,
    /// What the frames' nonces are made of.
    pub nonce: BaseNonce,
    /// Hash of the blob.
    pub blob_hash: CiphertextHash,
    /// Salted hash of the plaintext.
    pub salted_hash: SaltedHash,
    /// The tag of every frame, in order.
    pub tags: Vec<Tag>,
}

impl Pinned {
    /// Length of the blob, in bytes.
    #[must_use]
    pub fn blob_len(&self) -> u64 {
        blob::blob_len(self.size)
    }
}

/// What one worker makes of a run of frames.
struct PinnedRun {
    plain: SaltedPiece,
    blob: Piece,
    tags: Vec<Tag>,
}

/// Reads the `size` bytes of a source once, with up to `workers` threads, and pins them under a nonce that is used for
/// nothing else.
///
/// An upload that a restart broke off may be pinned again under its old nonce, and goes on only if the blob's hash is the
/// old one; otherwise it starts again under a fresh nonce.
///
/// # Errors
/// A source that is shorter or cannot be read, a size larger than a blob can hold, or `cancel` was set.
pub fn pin<S: ReadAt + ?Sized>(
    source: &S,
    size: u64,
    key: &EncryptionKey,
    account: &AccountAddress,
    nonce: BaseNonce,
    workers: usize,
    cancel: &AtomicBool,
) -> Result<Pinned, PinError> {
    let header = frame::header_bytes(&nonce, size).map_err(|_| PinError::TooLarge { size })?;
    let mut salted = SaltedJoin::new(account, size);
    let mut blob = Joiner::new(blob::blob_len(size));
    // Grows as frames are read: a file's length is no reason to take memory for its tags.
    let mut tags = Vec::new();
    let work = |frames: Range<u64>, buffer: &mut Vec<u8>| {
        let mut run = blob::frame_bytes(size, frames.clone());
        let mut blob_piece = if frames.start == 0 {
            run.start = 0;
            let mut first = PieceHasher::new(run, blob::blob_len(size));
            first.update(&header);
            first
        } else {
            PieceHasher::new(run, blob::blob_len(size))
        };
        let mut plain = SaltedRun::new(account, size, frames.clone());
        let mut tags = Vec::new();
        for index in frames {
            runs::check(cancel)?;
            read_chunk(source, size, index, buffer, 0).map_err(|error| error.of_pin(size))?;
            plain.update(&buffer[LEN_FIELD..buffer.len() - TAG]);
            tags.push(seal(key, &nonce, index, buffer));
            blob_piece.update(buffer);
        }
        Ok(PinnedRun { plain: plain.finish(), blob: blob_piece.finish(), tags })
    };
    runs::in_order(blob::frames(size), workers, cancel, work, |run| {
        salted.push(run.plain);
        blob.push(run.blob);
        tags.extend(run.tags);
    })?;
    let salted_hash = whole(salted.finish());
    let blob_hash = CiphertextHash(whole(blob.finish()));
    Ok(Pinned { size, nonce, blob_hash, salted_hash, tags })
}

/// The salted hash of the `size` bytes of a source, with up to `workers` threads.
///
/// # Errors
/// A source that is shorter or cannot be read, or `cancel` was set.
pub fn hash_plain<S: ReadAt + ?Sized>(
    source: &S,
    size: u64,
    account: &AccountAddress,
    workers: usize,
    cancel: &AtomicBool,
) -> Result<SaltedHash, PinError> {
    if size <= blob::CHUNK {
        runs::check(cancel)?;
        return hash_small(source, size, account);
    }
    let mut joined = SaltedJoin::new(account, size);
    let work = |frames: Range<u64>, buffer: &mut Vec<u8>| {
        let mut run = SaltedRun::new(account, size, frames.clone());
        for index in frames {
            runs::check(cancel)?;
            read_chunk(source, size, index, buffer, 0).map_err(|error| error.of_pin(size))?;
            run.update(&buffer[LEN_FIELD..buffer.len() - TAG]);
        }
        Ok(run.finish())
    };
    runs::in_order(blob::frames(size), workers, cancel, work, |run| joined.push(run))?;
    Ok(whole(joined.finish()))
}

/// Reads the plaintext behind its salt: one allocation and one update, which counts where files are small and many.
fn hash_small<S: ReadAt + ?Sized>(source: &S, size: u64, account: &AccountAddress) -> Result<SaltedHash, PinError> {
    let mut input = account.as_str().as_bytes().to_vec();
    let salt = input.len();
    input.resize(salt + frame::chunk_len(size, 0), 0);
    source.read_exact_at(&mut input[salt..], 0).map_err(|source| ReadFailed { offset: 0, source }.of_pin(size))?;
    Ok(SaltedHash(*blake3::hash(&input).as_bytes()))
}

/// Seals the frames `frames` of a pinned source again, and appends them to `out`; the blob's header comes before frame 0.
///
/// # Errors
/// A frame whose plaintext is not what was pinned, or a source that became shorter; `out` then holds the frames before
/// it, which may be sent or not. Or a source that cannot be read, or frames the blob does not have.
pub fn seal_pinned<S: ReadAt + ?Sized>(
    source: &S,
    pinned: &Pinned,
    key: &EncryptionKey,
    frames: Range<u64>,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    if frames.start == 0 && !frames.is_empty() {
        let header = frame::header_bytes(&pinned.nonce, pinned.size);
        out.extend_from_slice(&header.map_err(|_| SealError::NoSuchFrame { frame: 0 })?);
    }
    for index in frames {
        seal_one(source, pinned, key, index, out)?;
    }
    Ok(())
}

/// As [`seal_pinned`], for exactly the bytes `bytes` of the blob, wherever they cut its frames: a part of an upload
/// session.
///
/// # Errors
/// As [`seal_pinned`]; nothing is appended to `out` then.
pub fn seal_pinned_bytes<S: ReadAt + ?Sized>(
    source: &S,
    pinned: &Pinned,
    key: &EncryptionKey,
    bytes: Range<u64>,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    if bytes.end > pinned.blob_len() {
        return Err(SealError::NoSuchFrame { frame: blob::frames(pinned.size) });
    }
    if bytes.is_empty() {
        return Ok(());
    }
    let frame_at = |byte: u64| byte.saturating_sub(blob::HEADER) / blob::FRAME;
    let frames = frame_at(bytes.start)..(frame_at(bytes.end - 1) + 1);
    let begin = out.len();
    let mut at = if frames.start == 0 { 0 } else { blob::frame_bytes(pinned.size, frames.clone()).start };
    for index in frames {
        let start = out.len();
        if let Err(error) = seal_pinned(source, pinned, key, index..index + 1, out) {
            out.truncate(begin);
            return Err(error);
        }
        let sealed = out.len() - start;
        let cut = |byte: u64| usize::try_from(byte.saturating_sub(at)).unwrap_or(usize::MAX).min(sealed);
        let (from, to) = (cut(bytes.start), cut(bytes.end));
        at += sealed as u64;
        out.truncate(start + to);
        out.drain(start..start + from);
    }
    Ok(())
}

/// Appends one frame, or nothing.
fn seal_one<S: ReadAt + ?Sized>(
    source: &S,
    pinned: &Pinned,
    key: &EncryptionKey,
    index: u64,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    let missing = SealError::NoSuchFrame { frame: index };
    if index >= blob::frames(pinned.size) {
        return Err(missing);
    }
    let kept = usize::try_from(index).ok().and_then(|index| pinned.tags.get(index)).ok_or(missing)?;
    let start = out.len();
    let sealed = read_chunk(source, pinned.size, index, out, start)
        .map(|()| seal(key, &pinned.nonce, index, &mut out[start..]))
        .map_err(|error| error.of_seal(index));
    match sealed {
        Ok(tag) if tag == *kept => Ok(()),
        Ok(_) => {
            // Another plaintext under a used nonce: it must not even stay in the buffer.
            out[start..].fill(0);
            out.truncate(start);
            Err(SealError::ChangedSincePinned { frame: index })
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// A read that failed, before it is known whose error it is.
struct ReadFailed {
    offset: u64,
    source: io::Error,
}

impl ReadFailed {
    fn is_short(&self) -> bool {
        self.source.kind() == io::ErrorKind::UnexpectedEof
    }

    fn of_pin(self, size: u64) -> PinError {
        if self.is_short() {
            return PinError::Changed { size };
        }
        PinError::Read { offset: self.offset, source: self.source }
    }

    fn of_seal(self, frame: u64) -> SealError {
        if self.is_short() {
            return SealError::ChangedSincePinned { frame };
        }
        SealError::Read { offset: self.offset, source: self.source }
    }
}

/// Reads chunk `index` into `buffer` from `start` on, with room around it for its frame, and nothing behind it.
fn read_chunk<S: ReadAt + ?Sized>(
    source: &S,
    size: u64,
    index: u64,
    buffer: &mut Vec<u8>,
    start: usize,
) -> Result<(), ReadFailed> {
    let length = frame::chunk_len(size, index);
    buffer.resize(start + LEN_FIELD + length + TAG, 0);
    let offset = index * blob::CHUNK;
    source
        .read_exact_at(&mut buffer[start + LEN_FIELD..start + LEN_FIELD + length], offset)
        .map_err(|source| ReadFailed { offset, source })
}

#[expect(clippy::expect_used, reason = "the buffer was sized for this frame")]
fn seal(key: &EncryptionKey, nonce: &BaseNonce, index: u64, frame: &mut [u8]) -> Tag {
    frame::seal_frame(key, nonce, index, frame).expect("a frame's buffer")
}

#[expect(clippy::expect_used, reason = "the runs cover the file, and each got all its bytes")]
fn whole<T>(joined: Option<T>) -> T {
    joined.expect("every run")
}

#[cfg(test)]
mod tests;
