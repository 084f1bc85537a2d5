use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use proptest::prelude::*;

use super::*;
use crate::vectors::{array, bytes, cycle, key, nonce, section};

/// A frame's buffer around a chunk.
fn around(chunk: &[u8]) -> Vec<u8> {
    [&[0; LEN_FIELD][..], chunk, &[0; TAG]].concat()
}

/// The same frame by the independent library.
fn reference(key: &EncryptionKey, nonce: &BaseNonce, index: u64, chunk: &[u8]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let sealed = cipher.encrypt(&nonce.of_frame(index).into(), chunk).unwrap();
    let len = u32::try_from(sealed.len()).unwrap();
    [&len.to_le_bytes()[..], &sealed].concat()
}

#[test]
fn nonce_vectors() {
    for vector in section("frame_nonces") {
        let base = BaseNonce::from_bytes(array(&vector["base_nonce"]));
        assert_eq!(base.of_frame(vector["index"].as_u64().unwrap())[..], bytes(&vector["nonce"]), "{vector}");
    }
}

#[test]
fn size_vectors() {
    for vector in section("sizes") {
        let size = vector["plaintext_len"].as_u64().unwrap();
        assert_eq!(blob::blob_len(size), vector["blob_len"].as_u64().unwrap());
        let frames = u32::try_from(vector["frames"].as_u64().unwrap()).unwrap();
        let header = header_bytes(&nonce(), size).unwrap();
        assert_eq!(header[24..], frames.to_le_bytes());
        assert_eq!(Header::parse(&header, size), Ok(Header { nonce: nonce(), frames }));
    }
}

/// The draft's vector has associated data, which frames have not: it shows that the reference is what it says.
#[test]
fn the_reference_is_xchacha20_poly1305() {
    for vector in section("blobs").iter().filter(|vector| vector["aead"].is_string()) {
        let cipher = XChaCha20Poly1305::new(&array::<32>(&vector["key"]).into());
        let (msg, aad) = (&bytes(&vector["plaintext"])[..], &bytes(&vector["aad"])[..]);
        let sealed = cipher.encrypt(&array::<24>(&vector["nonce"]).into(), Payload { msg, aad }).unwrap();
        assert_eq!(sealed, [bytes(&vector["ciphertext"]), bytes(&vector["tag"])].concat());
    }
}

#[test]
fn frames_are_those_of_the_reference_at_every_small_size_and_at_the_largest() {
    let plain = cycle(CHUNK);
    for len in (0..=600).chain([1023, 1024, 4095, 4096, 65_535, CHUNK - 1, CHUNK]) {
        let mut frame = around(&plain[..len]);
        let tag = seal_frame(&key(), &nonce(), len as u64, &mut frame).unwrap();
        assert_eq!(frame, reference(&key(), &nonce(), len as u64, &plain[..len]), "{len}");
        assert_eq!(frame[frame.len() - TAG..], tag);
        assert_eq!(open_frame(&key(), &nonce(), len as u64, &mut frame).unwrap(), &plain[..len]);
    }
}

#[test]
fn a_buffer_that_cannot_be_a_frame_is_refused() {
    for len in [0, 3, LEN_FIELD + TAG - 1, FRAME + 1] {
        let error = FrameError::NotAFrame { index: 3, bytes: len };
        assert_eq!(seal_frame(&key(), &nonce(), 3, &mut vec![0; len]), Err(error));
        assert_eq!(open_frame(&key(), &nonce(), 3, &mut vec![0; len]), Err(error));
    }
}

#[test]
fn a_length_field_must_say_what_the_buffer_has() {
    let mut frame = around(b"hello");
    seal_frame(&key(), &nonce(), 0, &mut frame).unwrap();
    for found in [0, 15, 20, 22, u32::MAX] {
        frame[..4].copy_from_slice(&found.to_le_bytes());
        let error = FrameError::Length { index: 0, found, expected: 21 };
        assert_eq!(open_frame(&key(), &nonce(), 0, &mut frame), Err(error));
    }
}

#[test]
fn headers_are_refused_that_count_otherwise_than_the_size() {
    let header = |count: u32| [&nonce().as_bytes()[..], &count.to_le_bytes()].concat().try_into().unwrap();
    assert_eq!(Header::parse(&header(0), 0), Err(FrameError::NoFrames));
    for (size, count) in [(0, 2), (blob::CHUNK, 2), (blob::CHUNK + 1, 1), (5 * blob::CHUNK, u32::MAX)] {
        let error = FrameError::Count { found: count, expected: blob::frames(size) };
        assert_eq!(Header::parse(&header(count), size), Err(error));
    }
    let size = blob::MAX_PLAINTEXT + 1;
    assert_eq!(header_bytes(&nonce(), size), Err(FrameError::TooLarge { size }));
    assert_eq!(header_bytes(&nonce(), blob::MAX_PLAINTEXT).unwrap()[24..], [255; 4]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn frames_are_those_of_the_reference(
        chunk in prop::collection::vec(any::<u8>(), 0..3000),
        secret in any::<[u8; 32]>(),
        base in any::<[u8; 24]>(),
        index in any::<u32>(),
    ) {
        let (key, nonce) = (EncryptionKey::from_bytes(&secret), BaseNonce::from_bytes(base));
        let mut frame = around(&chunk);
        seal_frame(&key, &nonce, index.into(), &mut frame).unwrap();
        prop_assert_eq!(&frame, &reference(&key, &nonce, index.into(), &chunk));
        prop_assert_eq!(open_frame(&key, &nonce, index.into(), &mut frame).unwrap(), &chunk);
    }

    #[test]
    fn no_flipped_bit_opens(
        chunk in prop::collection::vec(any::<u8>(), 0..300),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut frame = around(&chunk);
        seal_frame(&key(), &nonce(), 7, &mut frame).unwrap();
        let at = place.index(frame.len());
        frame[at] ^= 1_u8 << bit;
        let opened = open_frame(&key(), &nonce(), 7, &mut frame);
        match at {
            ..LEN_FIELD => {
                let refused = matches!(opened, Err(FrameError::Length { index: 7, .. }));
                prop_assert!(refused);
            }
            _ => prop_assert_eq!(opened, Err(FrameError::Tag { index: 7 })),
        }
    }

    #[test]
    fn no_frame_opens_in_another_place_or_under_another_key(index in 0_u64..1 << 32, other in 0_u64..1 << 32) {
        prop_assume!(index != other);
        let mut frame = around(b"chunk");
        seal_frame(&key(), &nonce(), index, &mut frame).unwrap();
        let mut again = frame.clone();
        prop_assert_eq!(open_frame(&key(), &nonce(), other, &mut frame), Err(FrameError::Tag { index: other }));
        let stranger = EncryptionKey::from_bytes(&[9; 32]);
        prop_assert_eq!(open_frame(&stranger, &nonce(), index, &mut again), Err(FrameError::Tag { index }));
    }
}
