#![expect(clippy::cast_possible_truncation, reason = "the sizes of tests are small")]

use proptest::prelude::*;

use super::*;
use crate::blob::seal_blob;
use crate::frame::CHUNK;
use crate::hash::salted_hash;
use crate::vectors::{alice, cycle, key, nonce};

fn sealed(plain: &[u8]) -> Vec<u8> {
    seal_blob(&key(), nonce(), plain).unwrap()
}

/// Pushes `bytes` in pieces of the lengths `steps`, over and over, and returns what came out before any error.
fn push_all(mut reader: BlobReader<'_>, bytes: &[u8], steps: &[usize]) -> (Vec<u8>, Result<(), FrameError>) {
    let mut plain = Vec::new();
    let mut rest = bytes;
    for step in steps.iter().cycle() {
        let (now, later) = rest.split_at((*step).min(rest.len()));
        rest = later;
        let pushed = reader.push(now, |_, chunk| {
            plain.extend_from_slice(chunk);
            Ok(())
        });
        if pushed.is_err() {
            return (plain, pushed);
        }
        if rest.is_empty() {
            break;
        }
    }
    (plain, reader.finish())
}

fn read(blob: &[u8], size: u64) -> (Vec<u8>, Result<(), FrameError>) {
    push_all(BlobReader::new(&key(), size).unwrap(), blob, &[70_001])
}

/// `base ⊕ d`: the header under which every frame opens at its place ⊕ d.
fn moved_base(blob: &[u8], d: u64) -> [u8; 24] {
    BaseNonce::from_bytes(*blob.first_chunk().unwrap()).of_frame(d)
}

#[test]
fn a_blob_cut_anywhere_is_truncated_and_gives_only_whole_frames() {
    let plain = cycle(CHUNK + 100);
    let blob = sealed(&plain);
    let size = plain.len() as u64;
    let second = HEADER + FRAME;
    let cuts = (0..=33).chain(second - 2..=second + 6).chain(blob.len() - 18..blob.len());
    for cut in cuts {
        let (got, result) = read(&blob[..cut], size);
        let (frames, error) = match cut {
            ..HEADER => (0, FrameError::TruncatedHeader),
            HEADER.. if cut < second => (0, FrameError::Truncated { index: 0 }),
            _ => (CHUNK, FrameError::Truncated { index: 1 }),
        };
        assert_eq!((got.len(), result), (frames, Err(error)), "{cut}");
        assert_eq!(got, plain[..frames]);
    }
}

#[test]
fn bytes_after_the_last_frame_are_refused() {
    for len in [0, 5, CHUNK] {
        let blob = [sealed(&cycle(len)), vec![0]].concat();
        assert_eq!(read(&blob, len as u64).1, Err(FrameError::Trailing), "{len}");
    }
}

#[test]
fn a_size_that_is_not_the_blobs_is_refused() {
    let blob = sealed(&cycle(CHUNK + 100));
    let count = |expected| Err(FrameError::Count { found: 2, expected });
    assert_eq!(read(&blob, 5).1, count(1));
    assert_eq!(read(&blob, 3 * blob::CHUNK).1, count(3));
    let length = Err(FrameError::Length { index: 1, found: 116, expected: 115 });
    assert_eq!(read(&blob, blob::CHUNK + 99).1, length);
    let size = blob::MAX_PLAINTEXT + 1;
    assert_eq!(BlobReader::new(&key(), size).err(), Some(FrameError::TooLarge { size }));
}

#[test]
fn a_wrong_length_is_refused_before_the_frame_is_waited_for() {
    let mut blob = sealed(&cycle(CHUNK + 100));
    blob[HEADER..HEADER + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let key = key();
    let mut reader = BlobReader::new(&key, blob::CHUNK + 100).unwrap();
    reader.push(&blob[..HEADER + 3], |_, _| Ok::<_, FrameError>(())).unwrap();
    let error = FrameError::Length { index: 0, found: u32::MAX, expected: blob::CHUNK + 16 };
    assert_eq!(reader.push(&blob[HEADER + 3..HEADER + 4], |_, _| Ok(())), Err(error));
}

#[test]
fn a_short_frame_that_is_not_the_last_is_refused_though_authentic() {
    // Two frames of 2 and 3 bytes: what the public reader takes for a file of 5.
    let frame = |index, chunk: &[u8]| {
        let mut frame = [&[0; 4], chunk, &[0; 16]].concat();
        frame::seal_frame(&key(), &nonce(), index, &mut frame).unwrap();
        frame
    };
    let blob = [&nonce().as_bytes()[..], &[2, 0, 0, 0], &frame(0, b"ab"), &frame(1, b"cde")].concat();
    assert_eq!(read(&blob, 5).1, Err(FrameError::Count { found: 2, expected: 1 }));
    let listed = blob::CHUNK + 3;
    let length = FrameError::Length { index: 0, found: 18, expected: blob::CHUNK + 16 };
    assert_eq!(read(&blob, listed), (Vec::new(), Err(length)));
}

#[test]
fn permuted_and_sliced_frames_show_in_the_salted_hash() {
    let plain = cycle(4 * CHUNK);
    let size = plain.len() as u64;
    let blob = sealed(&plain);
    let frames: Vec<&[u8]> = blob[HEADER..].chunks(FRAME).collect();
    for d in 1..4_u64 {
        let permuted: Vec<u8> = (0..4_u64).flat_map(|place| frames[(place ^ d) as usize].to_vec()).collect();
        let forged = [&moved_base(&blob, d)[..], &4_u32.to_le_bytes(), &permuted].concat();
        let (got, result) = read(&forged, size);
        assert_eq!((got.len(), result), (plain.len(), Ok(())));
        assert_ne!(salted_hash(&alice(), &got), salted_hash(&alice(), &plain), "{d}");
    }
    // The last two frames as a file of their own: refused for the listed size, and for its own only the hash can tell.
    let sliced = [&moved_base(&blob, 2)[..], &2_u32.to_le_bytes(), frames[2], frames[3]].concat();
    assert_eq!(read(&sliced, size).1, Err(FrameError::Count { found: 2, expected: 4 }));
    assert_eq!(read(&sliced, size / 2), (plain[2 * CHUNK..].to_vec(), Ok(())));
    // Without the moved base no frame opens anywhere else.
    let swapped = [&blob[..HEADER], frames[1], frames[0], frames[2], frames[3]].concat();
    assert_eq!(read(&swapped, size), (Vec::new(), Err(FrameError::Tag { index: 0 })));
}

#[test]
fn nothing_is_taken_after_an_error() {
    let plain = cycle(2 * CHUNK);
    let blob = sealed(&plain);
    let key = key();
    let mut reader = BlobReader::new(&key, plain.len() as u64).unwrap();
    let refused = reader.push(&blob, |_, _| Err(FrameError::Trailing));
    assert_eq!(refused, Err(FrameError::Trailing));
    assert_eq!(reader.push(&blob, |_, _| Ok(())), Err(FrameError::GivenUp));
    assert_eq!(reader.finish(), Err(FrameError::GivenUp));
}

#[test]
fn an_empty_file_is_one_empty_chunk() {
    let key = key();
    let mut reader = BlobReader::new(&key, 0).unwrap();
    let mut chunks = Vec::new();
    reader
        .push(&sealed(&[]), |offset, chunk| {
            chunks.push((offset, chunk.to_vec()));
            Ok::<_, FrameError>(())
        })
        .unwrap();
    assert_eq!((chunks, reader.finish()), (vec![(0, Vec::new())], Ok(())));
}

#[test]
fn a_transfer_that_broke_off_goes_on_at_the_next_frame() {
    let plain = cycle(3 * CHUNK + 5);
    let (blob, size) = (sealed(&plain), plain.len() as u64);
    let key = key();
    let mut reader = BlobReader::new(&key, size).unwrap();
    let mut got = Vec::new();
    reader
        .push(&blob[..HEADER + 2 * FRAME + 1000], |_, chunk| {
            got.extend_from_slice(chunk);
            Ok::<_, FrameError>(())
        })
        .unwrap();
    assert_eq!(reader.next_frame(), 2);
    let base = BaseNonce::from_bytes(*reader.nonce().unwrap().as_bytes());
    let rest = HEADER + 2 * FRAME..;
    let other = BaseNonce::from_bytes([0; 24]);
    let resumed = |nonce| BlobReader::of_frames(&key, size, nonce, 2..4).unwrap();
    let (more, result) = push_all(resumed(base), &blob[rest.clone()], &[50_000]);
    assert_eq!(([got, more].concat(), result), (plain, Ok(())));
    assert_eq!(push_all(resumed(other), &blob[rest], &[50_000]).1, Err(FrameError::Tag { index: 2 }));
    let beyond = BlobReader::of_frames(&key, size, nonce(), 2..5);
    assert_eq!(beyond.err(), Some(FrameError::Truncated { index: 4 }));
}

#[test]
fn a_run_must_fill_its_buffer_exactly() {
    let plain = cycle(3 * CHUNK + 5);
    let (blob, size) = (sealed(&plain), plain.len() as u64);
    let open = |bytes: &[u8], frames: Range<u64>| {
        let mut places = Vec::new();
        let result = open_frames(&key(), &nonce(), size, frames, &mut bytes.to_vec(), |offset, chunk| {
            assert_eq!(chunk, &plain[offset as usize..][..chunk.len()]);
            places.push(offset / blob::CHUNK);
            Ok::<_, FrameError>(())
        });
        (places, result)
    };
    let run = &blob[HEADER + FRAME..];
    assert_eq!(open(run, 1..4), (vec![1, 2, 3], Ok(())));
    assert_eq!(open(run, 1..3), (vec![1, 2], Err(FrameError::Trailing)));
    assert_eq!(open(run, 1..5), (vec![1, 2, 3], Err(FrameError::Truncated { index: 4 })));
    assert_eq!(open(&run[..2 * FRAME - 1], 1..3), (vec![1], Err(FrameError::Truncated { index: 2 })));
    assert_eq!(open(&run[..FRAME], 2..3), (vec![], Err(FrameError::Tag { index: 2 })));
    assert_eq!(open(&run[..FRAME], 3..4).1, Err(FrameError::Length { index: 3, found: 262_160, expected: 21 }));
    assert_eq!(open(&[], 1..1), (vec![], Ok(())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_pieces_give_the_plaintext_back(
        len in prop_oneof![0..200_usize, CHUNK - 3..CHUNK + 3, 0..3 * CHUNK],
        steps in prop::collection::vec(prop_oneof![1..40_usize, 1..600_000_usize], 1..6),
    ) {
        // Only small steps would take for ever.
        let steps: Vec<usize> = steps.into_iter().chain([len / 50 + 1]).collect();
        let plain = cycle(len);
        let reader = BlobReader::new(&key(), len as u64).map(|reader| push_all(reader, &sealed(&plain), &steps));
        prop_assert_eq!(reader, Ok((plain, Ok(()))));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused_and_gives_nothing_of_its_frame(
        len in prop_oneof![0..200_usize, CHUNK..CHUNK + 200],
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let plain = cycle(len);
        let mut blob = sealed(&plain);
        let at = place.index(blob.len());
        blob[at] ^= 1_u8 << bit;
        let (got, result) = read(&blob, len as u64);
        prop_assert!(result.is_err(), "byte {}", at);
        let intact = if at < HEADER { 0 } else { (at - HEADER) / FRAME * CHUNK };
        prop_assert_eq!(got, &plain[..intact]);
    }

    #[test]
    fn a_range_of_plaintext_comes_from_a_range_of_the_blob(
        len in prop_oneof![0..200_usize, CHUNK - 3..CHUNK + 3, 0..4 * CHUNK],
        ends in any::<[prop::sample::Index; 2]>(),
    ) {
        let plain = cycle(len);
        let mut ends = ends.map(|end| end.index(len + 2));
        ends.sort_unstable();
        let range = PlainRange::new(len as u64, ends[0] as u64..ends[1] as u64).unwrap();
        let wanted = &plain[ends[0].min(len)..ends[1].min(len)];
        prop_assert_eq!(range.bytes().end - range.bytes().start, wanted.len() as u64);
        let place = range.blob_bytes();
        let mut buffer = sealed(&plain)[place.start as usize..place.end as usize].to_vec();
        prop_assert!(buffer.len() <= wanted.len().div_ceil(CHUNK).saturating_add(1) * FRAME);
        let mut got = Vec::new();
        open_frames(&key(), &nonce(), len as u64, range.frames(), &mut buffer, |offset, chunk| {
            got.extend_from_slice(range.cut(offset, chunk));
            Ok::<_, FrameError>(())
        }).unwrap();
        prop_assert_eq!(&got[..], wanted);
    }
}
