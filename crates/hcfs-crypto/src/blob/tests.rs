#![expect(clippy::cast_possible_truncation, reason = "the sizes of tests are small")]

use serde_json::Value;

use super::*;
use crate::frame::CHUNK;
use crate::hash::blob_hash;
use crate::reader::BlobReader;
use crate::vectors::{bytes, cycle, key, nonce, plaintext, section, text};

fn sealed(plain: &[u8]) -> Vec<u8> {
    seal_blob(&key(), nonce(), plain).unwrap()
}

/// Opens by the streaming reader, in pieces that cut everything.
fn read(blob: &[u8], size: u64) -> Result<Vec<u8>, FrameError> {
    let key = key();
    let mut reader = BlobReader::new(&key, size)?;
    let mut plain = Vec::new();
    for piece in blob.chunks(99_991) {
        reader.push(piece, |offset, chunk| {
            assert_eq!(offset, plain.len() as u64);
            plain.extend_from_slice(chunk);
            Ok::<_, FrameError>(())
        })?;
    }
    reader.finish()?;
    Ok(plain)
}

#[test]
fn blob_vectors() {
    for vector in section("blobs").iter().filter(|vector| vector["aead"].is_null()) {
        let plain = plaintext(vector);
        let blob = sealed(&plain);
        if vector["blob"].is_string() {
            assert_eq!(blob, bytes(&vector["blob"]));
        }
        if let Some(hash) = vector["blob_blake3"].as_str() {
            assert_eq!(blob_hash(&blob).to_hex(), hash);
            assert_eq!(blob.len() as u64, vector["blob_len"].as_u64().unwrap());
            assert_eq!(blake3::hash(&plain).to_hex().as_str(), text(&vector["plaintext_blake3"]));
        }
        assert_eq!(open_blob(&key(), &blob, None).unwrap(), plain);
        assert_eq!(open_blob(&key(), &blob, Some(plain.len() as u64)).unwrap(), plain);
        assert_eq!(read(&blob, plain.len() as u64).unwrap(), plain);
    }
}

#[test]
fn altered_blob_vectors() {
    for vector in section("altered_blobs") {
        let name = text(&vector["name"]);
        let size = vector["of_plaintext_len"].as_u64().unwrap();
        let blob = altered(&vector);
        assert_eq!(blob.len() as u64, vector["blob_len"].as_u64().unwrap(), "{name}");
        assert_eq!(blob_hash(&blob).to_hex(), text(&vector["blob_blake3"]), "{name}");
        assert!(read(&blob, size).is_err(), "{name}");
        assert!(open_blob(&key(), &blob, Some(size)).is_err(), "{name}");
        // Where nothing says how long the plaintext should be, a cut at a frame's end cannot be seen. Everything else
        // can, also what a less strict reader lets pass.
        match (open_blob(&key(), &blob, None), name) {
            (Ok(plain), "last frame dropped, count lowered") => assert_eq!(plain, cycle(2 * CHUNK)),
            (opened, _) => assert!(opened.is_err(), "{name}"),
        }
    }
}

/// The blob of a vector that gives the bytes, or names what was done to a long one.
fn altered(vector: &Value) -> Vec<u8> {
    if vector["blob"].is_string() {
        return bytes(&vector["blob"]);
    }
    let plain = cycle(2 * CHUNK + 5);
    let whole = sealed(&plain);
    let (base, frames) = (&whole[..24], whole[HEADER..].chunks(FRAME).collect::<Vec<_>>());
    let made = |count: u32, frames: &[&[u8]]| [base, &count.to_le_bytes(), &frames.concat()].concat();
    match text(&vector["name"]) {
        "frame dropped" => made(3, &[frames[0], frames[2]]),
        "frame dropped, count lowered" => made(2, &[frames[1], frames[2]]),
        "frame doubled" => made(4, &[frames[0], frames[0], frames[1], frames[2]]),
        "first and last swapped" => made(3, &[frames[2], frames[1], frames[0]]),
        "count lowered, frames kept" => made(2, &frames),
        "last frame dropped, count lowered" => made(2, &frames[..2]),
        "frame really over the limit" => {
            let over = (CHUNK as u32 + 17).to_le_bytes();
            made(3, &[&over, &frames[0][LEN_FIELD..], &[0], frames[1], frames[2]])
        }
        name => panic!("what is {name:?}"),
    }
}

/// Made by the reference: our own sealing refuses to.
#[test]
fn an_authentic_frame_over_the_limit_is_refused() {
    use chacha20poly1305::aead::Aead;
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
    let cipher = XChaCha20Poly1305::new(key().bytes().into());
    let frame = cipher.encrypt(&nonce().of_frame(0).into(), &cycle(CHUNK + 1)[..]).unwrap();
    let len = u32::try_from(frame.len()).unwrap();
    for count in [1_u32, 2] {
        let blob = [&nonce().as_bytes()[..], &count.to_le_bytes(), &len.to_le_bytes(), &frame].concat();
        assert!(open_blob(&key(), &blob, None).is_err());
        assert!(open_blob(&key(), &blob, Some(blob::CHUNK + 1)).is_err());
        assert!(read(&blob, blob::CHUNK + 1).is_err());
    }
}

#[test]
fn each_shape_has_its_own_error() {
    let blob = sealed(&cycle(CHUNK + 9));
    let size = (CHUNK + 9) as u64;
    let open = |blob: &[u8]| open_blob(&key(), blob, Some(size));
    assert_eq!(open(&blob[..27]), Err(FrameError::TruncatedHeader));
    assert_eq!(open(&blob[..HEADER]), Err(FrameError::Truncated { index: 0 }));
    assert_eq!(open(&blob[..HEADER + FRAME]), Err(FrameError::Truncated { index: 1 }));
    assert_eq!(open(&[&blob[..], &[0]].concat()), Err(FrameError::Trailing));
    let found = HEADER as u64 + 20 + blob::CHUNK + 3;
    assert_eq!(open_blob(&key(), &vec![1; found as usize], None), Err(FrameError::BlobLength { found }));
    let count = FrameError::Count { found: 2, expected: blob::frames(u64::MAX) };
    assert_eq!(open_blob(&key(), &blob, Some(u64::MAX)), Err(count));
}
