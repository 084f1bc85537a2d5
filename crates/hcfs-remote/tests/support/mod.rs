//! What the tests of this crate share: signed uploads, and servers on loopback.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part of it")]

pub mod front;
pub mod front_extensions;
pub mod http;
pub mod replies;

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use futures_util::StreamExt;
use hcfs_model::{AccountAddress, CiphertextHash, FileId, FolderHash, FolderLabel, Revision, SaltedHash, blob};
use hcfs_remote::{Download, Manifest, Rename, RenameFiles};
use hcfs_wire::{UploadSource, rename_text, upload_text};

pub const TOKEN: &str = "a-secret-token";

pub fn account() -> AccountAddress {
    AccountAddress::parse("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY").unwrap()
}

pub fn label() -> FolderLabel {
    FolderLabel::new("default").unwrap()
}

pub fn folder() -> FolderHash {
    FolderHash::of_label(&label())
}

pub fn id(path: &str) -> FileId {
    FileId::of_path(path)
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A blob that nobody can open, of the length a plaintext of `size` bytes has. `fill` tells blobs apart, base nonces
/// included.
pub fn sealed(size: u64, fill: u8) -> Bytes {
    Bytes::from(vec![fill; usize::try_from(blob::blob_len(size)).unwrap()])
}

pub fn nonce(fill: u8) -> [u8; 24] {
    [fill; 24]
}

/// A signed upload of a file of `size` bytes.
pub fn upload(path: &str, size: u64, fill: u8, base: Option<Revision>) -> (Manifest, Bytes) {
    let blob = sealed(size, fill);
    let ciphertext_hash = CiphertextHash(*blake3::hash(&blob).as_bytes());
    let manifest = Manifest {
        ss58_address: account(),
        folder_hash: folder(),
        ciphertext_hash,
        size_bytes: size,
        timestamp: 1_713_139_200,
        signature: key().sign(upload_text(&ciphertext_hash).as_bytes()).to_bytes(),
        signing_key: key().verifying_key().to_bytes(),
        path_hash: id(path),
        salted_hash: SaltedHash([fill; 32]),
        revision_seq: base.map_or(1, |base| base.seq + 1),
        base_revision_id: base.map(|base| base.id),
        encrypted_path: vec![3; 60],
        file_name: None,
        relative_path: None,
        source: Some(UploadSource::Desktop),
    };
    (manifest, blob)
}

/// A signed batch of renames.
pub fn renames(pairs: &[(&str, &str, Revision)]) -> RenameFiles {
    let renames: Vec<_> = pairs
        .iter()
        .map(|(old, new, base)| Rename {
            old_path_hash: id(old),
            new_path_hash: id(new),
            new_encrypted_path: vec![4; 61],
            new_file_name: None,
            new_relative_path: None,
            base_revision_id: base.id,
        })
        .collect();
    let mut request = RenameFiles {
        ss58_address: account(),
        folder_hash: folder(),
        renames,
        signature: [0; 64],
        signing_key: key().verifying_key().to_bytes(),
    };
    request.signature = key().sign(rename_text(&request.pairs()).as_bytes()).to_bytes();
    request
}

/// Reads a download to its end.
pub async fn collect(mut download: Download) -> Result<Vec<u8>, hcfs_remote::RemoteError> {
    let mut all = Vec::new();
    while let Some(piece) = download.body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}
