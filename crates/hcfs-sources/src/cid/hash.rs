//! The hash functions of multihashes.

use blake2::{Blake2b256, Blake2b512};
use sha2::{Digest, Sha256, Sha512};

/// A hash function with its usual length of digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha2_256,
    Sha2_512,
    Blake2b256,
    Blake2b512,
    Blake3,
}

impl Hash {
    /// The function of a multihash's code and length of digest; none for one that is not known here, or is cut short.
    pub(crate) fn of(code: u64, digest: usize) -> Option<Self> {
        match (code, digest) {
            (0x12, 32) => Some(Self::Sha2_256),
            (0x13, 64) => Some(Self::Sha2_512),
            (0xb220, 32) => Some(Self::Blake2b256),
            (0xb240, 64) => Some(Self::Blake2b512),
            (0x1e, 32) => Some(Self::Blake3),
            _ => None,
        }
    }

    /// Code and length of digest, as varints.
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Sha2_256 => &[0x12, 32],
            Self::Sha2_512 => &[0x13, 64],
            Self::Blake2b256 => &[0xa0, 0xe4, 0x02, 32],
            Self::Blake2b512 => &[0xc0, 0xe4, 0x02, 64],
            Self::Blake3 => &[0x1e, 32],
        }
    }

    /// The multihash of the bytes of all parts.
    pub(crate) fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut running = Running::new(self);
        parts.iter().for_each(|part| running.update(part));
        running.finish()
    }
}

/// A hash that takes bytes in pieces.
pub(crate) struct Running {
    hash: Hash,
    state: State,
}

enum State {
    Sha2_256(Sha256),
    Sha2_512(Sha512),
    Blake2b256(Box<Blake2b256>),
    Blake2b512(Box<Blake2b512>),
    Blake3(Box<blake3::Hasher>),
}

impl Running {
    pub(crate) fn new(hash: Hash) -> Self {
        let state = match hash {
            Hash::Sha2_256 => State::Sha2_256(Sha256::new()),
            Hash::Sha2_512 => State::Sha2_512(Sha512::new()),
            Hash::Blake2b256 => State::Blake2b256(Box::new(Blake2b256::new())),
            Hash::Blake2b512 => State::Blake2b512(Box::new(Blake2b512::new())),
            Hash::Blake3 => State::Blake3(Box::new(blake3::Hasher::new())),
        };
        Self { hash, state }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha2_256(state) => state.update(bytes),
            State::Sha2_512(state) => state.update(bytes),
            State::Blake2b256(state) => Digest::update(state.as_mut(), bytes),
            State::Blake2b512(state) => Digest::update(state.as_mut(), bytes),
            State::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    /// Code, length and digest.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut multihash = self.hash.prefix().to_vec();
        match self.state {
            State::Sha2_256(state) => multihash.extend_from_slice(&state.finalize()),
            State::Sha2_512(state) => multihash.extend_from_slice(&state.finalize()),
            State::Blake2b256(state) => multihash.extend_from_slice(&state.finalize()),
            State::Blake2b512(state) => multihash.extend_from_slice(&state.finalize()),
            State::Blake3(state) => multihash.extend_from_slice(state.finalize().as_bytes()),
        }
        multihash
    }
}
