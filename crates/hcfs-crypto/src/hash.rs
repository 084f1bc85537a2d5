//! The hashes of contents and blobs (protocol §2).
//!
//! A content's hash is salted with the account's address, so that it says nothing to a server that holds the same content
//! of another account. [`SaltedRun`] and [`SaltedJoin`] make the same hash from runs of frames that several workers hold.

use std::ops::Range;

use hcfs_model::{AccountAddress, CiphertextHash, SaltedHash, blob};

use crate::tree::{Joiner, Piece, PieceHasher};

/// Up to this size a plaintext is copied behind its salt: two updates halve BLAKE3's speed on small inputs.
const COPIED: usize = 64 * 1024;

/// A salted hash, made as the plaintext passes by from its first byte to its last.
#[derive(Clone)]
pub struct SaltedHasher(blake3::Hasher);

impl SaltedHasher {
    /// A hash for contents of this account.
    #[must_use]
    pub fn new(account: &AccountAddress) -> Self {
        Self::with_salt(account.as_str().as_bytes())
    }

    fn with_salt(salt: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(salt);
        Self(hasher)
    }

    /// Takes the next bytes of the plaintext.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes taken.
    #[must_use]
    pub fn finalize(&self) -> SaltedHash {
        SaltedHash(*self.0.finalize().as_bytes())
    }
}

/// The salted hash of a plaintext in memory.
#[must_use]
pub fn salted_hash(account: &AccountAddress, plaintext: &[u8]) -> SaltedHash {
    if plaintext.len() <= COPIED {
        let salt = account.as_str().as_bytes();
        let mut input = Vec::with_capacity(salt.len() + plaintext.len());
        input.extend_from_slice(salt);
        input.extend_from_slice(plaintext);
        return SaltedHash(*blake3::hash(&input).as_bytes());
    }
    let mut hasher = SaltedHasher::new(account);
    hasher.update(plaintext);
    hasher.finalize()
}

/// The hash of a whole blob in memory.
#[must_use]
pub fn blob_hash(blob: &[u8]) -> CiphertextHash {
    CiphertextHash(*blake3::hash(blob).as_bytes())
}

/// The part of a salted hash that one worker makes, over a run of whole chunks.
pub struct SaltedRun(PieceHasher);

/// A finished [`SaltedRun`].
pub struct SaltedPiece(Piece);

impl SaltedRun {
    /// For the chunks of `frames` of a plaintext of `size` bytes.
    #[must_use]
    pub fn new(account: &AccountAddress, size: u64, frames: Range<u64>) -> Self {
        let salt = account.as_str().as_bytes();
        let length = salt.len() as u64;
        let place = |frame: u64| length.saturating_add(frame.saturating_mul(blob::CHUNK).min(size));
        // The first run has the salt too.
        let start = if frames.start == 0 { 0 } else { place(frames.start) };
        let mut hasher = PieceHasher::new(start..place(frames.end), length.saturating_add(size));
        if frames.start == 0 {
            hasher.update(salt);
        }
        Self(hasher)
    }

    /// Takes the next bytes of the run.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The run's part of the hash. A run that got fewer or more bytes than it has will be missing in the join.
    #[must_use]
    pub fn finish(self) -> SaltedPiece {
        SaltedPiece(self.0.finish())
    }
}

/// Joins the runs of a plaintext into its salted hash.
pub struct SaltedJoin(Joiner);

impl SaltedJoin {
    /// For a plaintext of `size` bytes.
    #[must_use]
    pub fn new(account: &AccountAddress, size: u64) -> Self {
        Self(Joiner::new(size.saturating_add(account.as_str().len() as u64)))
    }

    /// Takes a run; they may come in any order, but the parts of those that came early (some 3 KiB each) wait in memory.
    pub fn push(&mut self, piece: SaltedPiece) {
        self.0.push(piece.0);
    }

    /// The hash; `None` if a run is missing.
    #[must_use]
    pub fn finish(self) -> Option<SaltedHash> {
        self.0.finish().map(SaltedHash)
    }
}

#[cfg(test)]
mod tests;
