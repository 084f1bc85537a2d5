//! The published vectors of the wire: signed texts, signatures, manifests, rename bodies, sizes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

use hcfs_model::{CiphertextHash, FileId, blob};
use hcfs_wire::{Manifest, RenameFiles, SignatureError, rename_text, upload_text, verify_rename, verify_upload};
use serde_json::Value;

fn vectors(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let found: Vec<Value> =
        all["signing"].as_array().unwrap().iter().filter(|vector| vector["kind"] == kind).cloned().collect();
    assert!(!found.is_empty(), "no vector of kind {kind}");
    found
}

fn manifest() -> Manifest {
    serde_json::from_value(vectors("manifest")[0]["manifest"].clone()).unwrap()
}

#[test]
fn upload_text_is_the_published_one() {
    for vector in vectors("manifest text") {
        let placeholder = vector["ciphertext_hash"].as_str().unwrap();
        let hash = CiphertextHash([0xab; 32]);
        let expected =
            vector["text"].as_str().unwrap().replace(&format!("hash {placeholder} that"), &format!("hash {hash} that"));
        assert_eq!(upload_text(&hash), expected);
    }
}

#[test]
fn rename_text_is_the_published_one_in_any_order() {
    for vector in vectors("rename text") {
        let mut pairs: Vec<(FileId, FileId)> = vector["pairs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| {
                let id = |index: usize| FileId::from_hex(pair[index].as_str().unwrap()).unwrap();
                (id(0), id(1))
            })
            .collect();
        assert_eq!(rename_text(&pairs), vector["text"].as_str().unwrap());
        pairs.reverse();
        assert_eq!(rename_text(&pairs), vector["text"].as_str().unwrap());
    }
}

#[test]
fn published_signatures_fit_and_others_do_not() {
    for vector in vectors("manifest signature") {
        let mut manifest = manifest();
        manifest.ciphertext_hash = CiphertextHash::from_hex(vector["ciphertext_hash"].as_str().unwrap()).unwrap();
        assert_eq!(verify_upload(&manifest), Err(SignatureError::Mismatch), "the other upload's signature");
        hex::decode_to_slice(vector["signature"].as_str().unwrap(), &mut manifest.signature).unwrap();
        hex::decode_to_slice(vector["signing_key"].as_str().unwrap(), &mut manifest.signing_key).unwrap();
        assert_eq!(verify_upload(&manifest), Ok(()));
        manifest.signature[5] ^= 1;
        assert_eq!(verify_upload(&manifest), Err(SignatureError::Mismatch));
        manifest.signing_key = [0; 32];
        assert_eq!(verify_upload(&manifest), Err(SignatureError::Key), "a weak key");
    }
}

#[test]
fn manifests_read_verify_and_write_byte_for_byte() {
    for vector in vectors("manifest") {
        let manifest: Manifest = serde_json::from_value(vector["manifest"].clone()).unwrap();
        manifest.check().unwrap();
        verify_upload(&manifest).unwrap();
        let blob = hex::decode(vector["blob"].as_str().unwrap()).unwrap();
        manifest.check_blob_len(blob.len() as u64).unwrap();
        assert!(manifest.check_blob_len(blob.len() as u64 + 1).is_err());
        assert_eq!(manifest.file_id(), FileId::of_path(manifest.relative_path.as_deref().unwrap()));
        assert_eq!(serde_json::to_value(&manifest).unwrap(), vector["manifest"]);
        // The order of fields is part of what other writers produce; readers do not depend on it.
        let text = serde_json::to_string(&manifest).unwrap();
        let places: Vec<_> =
            ["ss58_address", "ciphertext_hash", "signature\"", "path_hash", "base_rev", "relative_path"]
                .iter()
                .map(|name| text.find(name).unwrap())
                .collect();
        assert!(places.is_sorted(), "{places:?}");
    }
}

#[test]
fn rename_bodies_read_verify_and_write() {
    for vector in vectors("rename body") {
        let request: RenameFiles = serde_json::from_value(vector["body"].clone()).unwrap();
        verify_rename(&request).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), vector["body"]);
        let mut reversed = request.clone();
        reversed.renames.reverse();
        verify_rename(&reversed).unwrap();
        let mut other = request;
        other.renames[0].new_path_hash = FileId([9; 32]);
        assert_eq!(verify_rename(&other), Err(SignatureError::Mismatch));
    }
}

#[test]
fn the_old_name_of_the_account_field_is_read() {
    let mut body = vectors("manifest")[0]["manifest"].clone();
    let account = body.as_object_mut().unwrap().remove("ss58_address").unwrap();
    body["user_id"] = account;
    body["a field of tomorrow"] = Value::from(1);
    assert_eq!(serde_json::from_value::<Manifest>(body).unwrap(), manifest());
}

#[test]
fn blob_sizes_are_the_published_ones() {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    for vector in all["sizes"].as_array().unwrap() {
        let mut manifest = manifest();
        manifest.size_bytes = vector["plaintext_len"].as_u64().unwrap();
        assert_eq!(manifest.blob_len(), vector["blob_len"].as_u64().unwrap());
        assert_eq!(blob::frames(manifest.size_bytes), vector["frames"].as_u64().unwrap());
    }
}

#[test]
fn ids_of_paths_are_the_published_ones() {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    for vector in all["hashes"].as_array().unwrap().iter().filter(|vector| vector["kind"] == "path_hash") {
        assert_eq!(FileId::of_path(vector["path"].as_str().unwrap()).to_hex(), vector["hash"].as_str().unwrap());
    }
}
