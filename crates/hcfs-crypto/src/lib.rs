//! Keys, account addresses, signatures, sealed phrases and framed ciphertext.
//!
//! Everything that knows a secret is here, and everything that turns plaintext into what the server may hold, or back.
//! The bytes of the format, and the reasons for them, are in `FORMAT.md` beside this crate's manifest.
//!
//! | module | holds |
//! |---|---|
//! | [`phrase`] | the recovery phrase, the account's address and the keys of a folder |
//! | [`sealed_phrase`] | the phrase at rest, under a password (`enc_mnemonic.json`) |
//! | [`hash`] | salted hashes and blob hashes, whole or from pieces made on several threads |
//! | [`frame`] | one frame: sealed and opened in place |
//! | [`blob`] | whole blobs in memory, for small files |
//! | [`sealed_path`] | a relative path as a blob |
//! | [`reader`] | a blob opened as it arrives, a run of frames in place, and ranges of plaintext |
//! | [`pin`] | uploads without an encrypted copy: hashes and tags first, the same frames again later |
//!
//! Invariants:
//! - No byte leaves an opening function before its frame's tag was checked.
//! - Nothing is allocated from a length that came from outside and was not checked.
//! - Key types wipe themselves when dropped and have neither `Debug` nor `Clone`; share them behind an `Arc`. What the
//!   libraries below hold for the length of a call (`ring`'s copy of a frame's subkey) is theirs and is not wiped.
//!
//! Deliberately absent: HTTP and JSON of the protocol, the texts that are signed, async, and paths of the operating
//! system, but for the one file of [`sealed_phrase`].

pub mod blob;
pub mod frame;
pub mod hash;
pub mod phrase;
pub mod pin;
mod random;
pub mod reader;
pub mod sealed_path;
pub mod sealed_phrase;
mod tree;
#[cfg(test)]
mod vectors;

pub use random::{RandomError, random_bytes};
