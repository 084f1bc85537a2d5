//! BLAKE3 of one input, hashed in pieces by several threads and joined at the end.
//!
//! BLAKE3 is a tree over chunks of 1,024 bytes, whose left subtrees are always full. A piece of the input, wherever it is
//! cut, holds whole subtrees, which its own thread hashes, and at most one broken chunk at either end, whose bytes are
//! kept for the [`Joiner`]. The result is `blake3::hash` of the whole input.

use std::collections::BTreeMap;
use std::ops::Range;

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};
use blake3::{CHUNK_LEN, Hasher};

/// BLAKE3's chunk, in bytes. Not a chunk of plaintext, which has 256 KiB.
const LEAF: u64 = CHUNK_LEN as u64;

/// A part of a hashed piece.
enum Part {
    /// Bytes of a leaf that the piece holds only in part.
    Bytes(Vec<u8>),
    /// A full subtree of so many leaves.
    Subtree(ChainingValue, u64),
}

/// One hashed piece, for the [`Joiner`].
pub(crate) struct Piece {
    bytes: Range<u64>,
    parts: Vec<Part>,
}

/// Hashes the piece `bytes` of an input of `total` bytes, from left to right.
pub(crate) struct PieceHasher {
    bytes: Range<u64>,
    total: u64,
    at: u64,
    parts: Vec<Part>,
    /// The subtree being hashed, and how many bytes it still takes; 0 when there is none.
    hasher: Hasher,
    room: u64,
}

impl PieceHasher {
    pub(crate) fn new(bytes: Range<u64>, total: u64) -> Self {
        Self { at: bytes.start, bytes, total, parts: Vec::new(), hasher: Hasher::new(), room: 0 }
    }

    /// Takes the next bytes. What lies beyond the end of the piece makes it unusable.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.at < self.bytes.end {
            if self.room == 0 && !self.start_subtree() {
                let begins = self.at.is_multiple_of(LEAF);
                let leaf_end = (self.at / LEAF + 1) * LEAF;
                let now = self.take(&mut bytes, leaf_end.min(self.bytes.end) - self.at);
                // A broken leaf may come in several updates.
                match self.parts.last_mut() {
                    Some(Part::Bytes(leaf)) if !begins => leaf.extend_from_slice(now),
                    _ => self.parts.push(Part::Bytes(now.to_vec())),
                }
                continue;
            }
            let now = self.take(&mut bytes, self.room);
            self.hasher.update(now);
            self.room -= now.len() as u64;
            if self.room == 0 {
                let leaves = self.hasher.count() / LEAF;
                self.parts.push(Part::Subtree(self.hasher.finalize_non_root(), leaves));
            }
        }
        self.at += bytes.len() as u64;
    }

    /// The piece; the joiner will miss it if it did not get exactly its bytes.
    pub(crate) fn finish(self) -> Piece {
        let whole = self.at == self.bytes.end;
        let end = if whole { self.bytes.end } else { self.bytes.start };
        Piece { bytes: self.bytes.start..end, parts: if whole { self.parts } else { Vec::new() } }
    }

    /// Starts the largest full subtree that begins here and ends within the piece; `false` where there is none.
    fn start_subtree(&mut self) -> bool {
        if !self.at.is_multiple_of(LEAF) {
            return false;
        }
        let leaves = (self.bytes.end - self.at) / LEAF;
        let Some(fits) = leaves.checked_ilog2() else { return false };
        // The root is the joiner's to make, so no subtree may be the whole tree.
        let below_root = match self.total {
            ..=LEAF => return false,
            total => (hazmat::left_subtree_len(total) / LEAF).trailing_zeros(),
        };
        let aligned = (self.at / LEAF).trailing_zeros();
        self.room = LEAF << fits.min(below_root).min(aligned);
        self.hasher = Hasher::new();
        self.hasher.set_input_offset(self.at);
        true
    }

    fn take<'b>(&mut self, bytes: &mut &'b [u8], at_most: u64) -> &'b [u8] {
        let length = usize::try_from(at_most).unwrap_or(usize::MAX).min(bytes.len());
        let (now, later) = bytes.split_at(length);
        *bytes = later;
        self.at += length as u64;
        now
    }
}

/// Joins the pieces of an input of `total` bytes, in whatever order they come.
pub(crate) struct Joiner {
    total: u64,
    /// All bytes before this are joined.
    at: u64,
    waiting: BTreeMap<u64, Piece>,
    /// The beginning of the leaf that `at` lies in.
    leaf: Vec<u8>,
    /// Full subtrees from left to right, and how many leaves they have in all.
    subtrees: Vec<ChainingValue>,
    leaves: u64,
}

impl Joiner {
    pub(crate) fn new(total: u64) -> Self {
        Self { total, at: 0, waiting: BTreeMap::new(), leaf: Vec::new(), subtrees: Vec::new(), leaves: 0 }
    }

    /// Takes a piece.
    pub(crate) fn push(&mut self, piece: Piece) {
        self.waiting.insert(piece.bytes.start, piece);
        while let Some(piece) = self.waiting.remove(&self.at) {
            self.at = piece.bytes.end;
            for part in piece.parts {
                match part {
                    Part::Bytes(bytes) => self.leaf.extend_from_slice(&bytes),
                    Part::Subtree(value, leaves) => self.push_subtree(value, leaves),
                }
                if self.leaf.len() == CHUNK_LEN && self.total > LEAF {
                    self.push_leaf();
                }
            }
        }
    }

    /// The hash of the whole input; `None` while a piece is missing.
    pub(crate) fn finish(mut self) -> Option<[u8; 32]> {
        if self.at != self.total {
            return None;
        }
        if self.total <= LEAF {
            return Some(*blake3::hash(&self.leaf).as_bytes());
        }
        if !self.leaf.is_empty() {
            self.push_leaf();
        }
        let mut right = self.subtrees.pop()?;
        while let Some(left) = self.subtrees.pop() {
            if self.subtrees.is_empty() {
                return Some(*hazmat::merge_subtrees_root(&left, &right, Mode::Hash).as_bytes());
            }
            right = hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash);
        }
        None
    }

    fn push_leaf(&mut self) {
        let value = Hasher::new().set_input_offset(self.leaves * LEAF).update(&self.leaf).finalize_non_root();
        self.leaf.clear();
        self.push_subtree(value, 1);
    }

    /// Merges what is complete only now that something follows it: the last merge of all makes the root, and is another.
    fn push_subtree(&mut self, value: ChainingValue, leaves: u64) {
        while self.subtrees.len() > self.leaves.count_ones() as usize {
            if let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) {
                self.subtrees.push(hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash));
            }
        }
        self.subtrees.push(value);
        self.leaves += leaves;
    }
}

#[cfg(test)]
mod tests;
