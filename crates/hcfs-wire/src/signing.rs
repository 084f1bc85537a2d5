//! The texts that clients sign, and the verification of their signatures. Secret keys are not here.

use std::fmt::Write;

use ed25519_dalek::{Signature, VerifyingKey};
use hcfs_model::{CiphertextHash, FileId};

use crate::{Manifest, RenameFiles};

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// `signing_key` is no Ed25519 public key, or a weak one.
    #[error("signing_key is not an Ed25519 public key")]
    Key,
    /// The account's address is no sr25519 public key.
    #[error("the address is not an sr25519 public key")]
    Account,
    /// The signature is not this key's over this text.
    #[error("the signature does not fit")]
    Mismatch,
}

/// What the uploader of a blob signs (protocol §5, byte for byte).
#[must_use]
pub fn upload_text(hash: &CiphertextHash) -> String {
    format!(
        "I here by declare that the file with hash {} that i am uploading is in par with the ToS of the provider",
        hash.to_hex()
    )
}

/// What the renamer of files signs, given pairs of old and new ids in any order (protocol §5, byte for byte).
#[must_use]
pub fn rename_text(pairs: &[(FileId, FileId)]) -> String {
    let mut pairs = pairs.to_vec();
    pairs.sort_by_key(|(old, _)| *old);
    let mut text = String::from(
        "I hereby declare that I am renaming the following files on HCFS with the understanding that I have read and \
         agree to the Terms of Service: ",
    );
    for (index, (old, new)) in pairs.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _infallible = write!(text, "{comma}{old}:{new}");
    }
    text
}

/// Checks a manifest's signature, strictly: weak keys and malleable signatures are refused.
///
/// # Errors
/// The key or the signature is bad.
pub fn verify_upload(manifest: &Manifest) -> Result<(), SignatureError> {
    verify(&upload_text(&manifest.ciphertext_hash), &manifest.signing_key, &manifest.signature)
}

/// Checks the signature of a batch of renames, strictly.
///
/// # Errors
/// The key or the signature is bad.
pub fn verify_rename(request: &RenameFiles) -> Result<(), SignatureError> {
    verify(&rename_text(&request.pairs()), &request.signing_key, &request.signature)
}

fn verify(text: &str, key: &[u8; 32], signature: &[u8; 64]) -> Result<(), SignatureError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| SignatureError::Key)?;
    if key.is_weak() {
        return Err(SignatureError::Key);
    }
    key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature)).map_err(|_| SignatureError::Mismatch)
}
