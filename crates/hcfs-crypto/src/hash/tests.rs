#![expect(clippy::cast_possible_truncation, reason = "the sizes of tests are small")]

use hcfs_model::{FileId, RelPath};

use super::*;
use crate::frame::CHUNK;
use crate::vectors::{alice, bytes, cycle, of_kind, plaintext, text};

#[test]
fn hash_vectors() {
    for vector in of_kind("hashes", "blake3") {
        assert_eq!(blob_hash(&bytes(&vector["input"])).to_hex(), text(&vector["hash"]));
    }
    for vector in of_kind("hashes", "path_hash") {
        assert_eq!(FileId::of_path(text(&vector["path"])).to_hex(), text(&vector["hash"]));
    }
    for vector in of_kind("hashes", "path_hash of an NFD path") {
        let path = text(&vector["path"]);
        let normalized = RelPath::new(path).unwrap();
        assert_eq!(normalized.as_str(), text(&vector["normalized"]));
        assert_eq!(FileId::of_path(normalized.as_str()).to_hex(), text(&vector["hash"]));
        assert_eq!(FileId::of_path(path).to_hex(), text(&vector["hash_without_normalization"]));
    }
    for vector in of_kind("hashes", "salted_hash") {
        let plain = plaintext(&vector);
        // One vector's salt is no address.
        let mut hasher = SaltedHasher::with_salt(text(&vector["ss58"]).as_bytes());
        plain.chunks(1000).for_each(|bytes| hasher.update(bytes));
        assert_eq!(hasher.finalize().to_hex(), text(&vector["hash"]));
        if let Ok(account) = AccountAddress::parse(text(&vector["ss58"])) {
            assert_eq!(salted_hash(&account, &plain).to_hex(), text(&vector["hash"]));
        }
    }
}

#[test]
fn copied_and_streamed_inputs_hash_alike() {
    for len in [0, 1, COPIED - 1, COPIED, COPIED + 1, CHUNK] {
        let plain = cycle(len);
        let whole = blake3::hash(&[alice().as_str().as_bytes(), &plain].concat());
        assert_eq!(salted_hash(&alice(), &plain).0, *whole.as_bytes(), "{len}");
    }
}

#[test]
fn runs_joined_in_any_order_are_the_whole() {
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 777] {
        let plain = cycle(len);
        let size = len as u64;
        let frames = blob::frames(size);
        let mut join = SaltedJoin::new(&alice(), size);
        for start in (0..frames).step_by(2).collect::<Vec<_>>().into_iter().rev() {
            let end = (start + 2).min(frames);
            let mut run = SaltedRun::new(&alice(), size, start..end);
            for chunk in plain.chunks(CHUNK).skip(start as usize).take(2) {
                run.update(chunk);
            }
            join.push(run.finish());
        }
        assert_eq!(join.finish(), Some(salted_hash(&alice(), &plain)), "{len}");
    }
}
