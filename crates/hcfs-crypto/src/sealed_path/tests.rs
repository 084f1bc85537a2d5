use hcfs_model::{AccountAddress, FolderLabel};

use super::*;
use crate::hash::{blob_hash, salted_hash};
use crate::phrase::MasterPhrase;
use crate::vectors::{LONE_SURROGATE, array, bytes, key, nonce, of_kind, plaintext, section, text};

fn sealed(bytes: &[u8]) -> (Vec<u8>, FileId) {
    (seal_blob(&key(), nonce(), bytes).unwrap(), FileId(*blake3::hash(bytes).as_bytes()))
}

#[test]
fn the_published_path_seals_and_opens() {
    let vectors = section("blobs");
    let vector = vectors.iter().find(|vector| vector["note"] == "an encrypted_path").unwrap();
    let path = RelPath::from_bytes(&bytes(&vector["plaintext"])).unwrap();
    let blob = seal_path(&key(), nonce(), &path).unwrap();
    assert_eq!(blob, bytes(&vector["blob"]));
    assert_eq!(open_path(&key(), &blob, &FileId::of_path(path.as_str())), Ok(path));
}

/// Everything of the published manifest that is made here.
#[test]
fn the_published_manifest_is_ours() {
    for vector in of_kind("signing", "manifest") {
        let label = FolderLabel::new(text(&vector["label"])).unwrap();
        let keys = MasterPhrase::parse(text(&vector["master_mnemonic"])).unwrap().folder_keys(&label);
        let manifest = &vector["manifest"];
        let numbers = |name: &str| -> Vec<u8> { serde_json::from_value(manifest[name].clone()).unwrap() };
        let base = |name: &str| BaseNonce::from_bytes(array(&vector[name]));
        let plain = plaintext(&vector);
        let blob = seal_blob(&keys.encryption, base("base_nonce"), &plain).unwrap();
        assert_eq!(blob, bytes(&vector["blob"]));
        assert_eq!(blob_hash(&blob).to_hex(), text(&manifest["ciphertext_hash"]));
        let account = AccountAddress::parse(text(&manifest["ss58_address"])).unwrap();
        assert_eq!(salted_hash(&account, &plain).0[..], numbers("salted_hash"));
        let path = RelPath::new(text(&manifest["relative_path"])).unwrap();
        assert_eq!(FileId::of_path(path.as_str()).0[..], numbers("path_hash"));
        let sealed = seal_path(&keys.encryption, base("encrypted_path_base_nonce"), &path).unwrap();
        assert_eq!(sealed, numbers("encrypted_path"));
        assert_eq!(keys.signing.verifying_key()[..], numbers("signing_key"));
    }
}

#[test]
fn the_id_is_of_the_bytes_as_found_and_the_path_is_nfc() {
    for vector in section("relative_paths") {
        let (raw, Some(valid)) = (text(&vector["path"]), vector["valid"].as_bool()) else { continue };
        let (blob, id) = sealed(raw.as_bytes());
        match open_path(&key(), &blob, &id) {
            Ok(path) => assert_eq!((valid, path.as_str()), (true, text(&vector["normalized"]))),
            Err(error) => assert!(!valid && matches!(error, PathSealError::Path(_)), "{raw:?}: {error}"),
        }
    }
    let (blob, _) = sealed("Re\u{301}sume\u{301}".as_bytes());
    let of_nfc = FileId::of_path("R\u{e9}sum\u{e9}");
    assert_eq!(open_path(&key(), &blob, &of_nfc), Err(PathSealError::OtherFile));
}

#[test]
fn hostile_paths_of_the_vectors_never_leave_the_folder() {
    for vector in section("relative_paths").iter().filter(|vector| vector["name"].is_string()) {
        let Some(raw) = vector["path"].as_str() else { continue };
        let (blob, id) = sealed(raw.as_bytes());
        if let Ok(path) = open_path(&key(), &blob, &id) {
            assert!(path.segments().all(|segment| !matches!(segment, "" | "." | "..")), "{raw:?}");
            assert!(!path.segments().any(|segment| segment.contains(['\\', '\0'])), "{raw:?}");
            assert!(!path.segments().next().unwrap().eq_ignore_ascii_case(".hcfs"), "{raw:?}");
        }
    }
    let (blob, id) = sealed(LONE_SURROGATE.1);
    assert_eq!(open_path(&key(), &blob, &id), Err(PathSealError::Path(PathError::NotUtf8)));
}

#[test]
fn anything_but_this_files_path_is_refused() {
    let (blob, id) = sealed(b"a/b.txt");
    assert_eq!(open_path(&key(), &blob, &FileId([1; 32])), Err(PathSealError::OtherFile));
    let stranger = EncryptionKey::from_bytes(&[1; 32]);
    assert_eq!(open_path(&stranger, &blob, &id), Err(PathSealError::Frame(FrameError::Tag { index: 0 })));
    assert_eq!(open_path(&key(), b"", &id), Err(PathSealError::Frame(FrameError::TruncatedHeader)));
    let (not_text, id) = sealed(b"a\xff");
    assert_eq!(open_path(&key(), &not_text, &id), Err(PathSealError::Path(PathError::NotUtf8)));
    // A file's blob under a path's name, with the id to match.
    let (file, id) = sealed(&[b'a'; 300_000]);
    assert_eq!(open_path(&key(), &file, &id), Err(PathSealError::NotOneFrame { bytes: file.len() }));
    let (file, id) = sealed(&[b'a'; 5000]);
    assert_eq!(open_path(&key(), &file, &id), Err(PathSealError::Path(PathError::TooLong)));
}
