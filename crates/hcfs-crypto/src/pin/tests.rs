#![expect(clippy::cast_possible_truncation, reason = "the sizes of tests are small")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;

use super::*;
use crate::blob::seal_blob;
use crate::frame::{CHUNK, FRAME, HEADER};
use crate::hash::{blob_hash, salted_hash};
use crate::vectors::{alice, cycle, key, nonce};

static GO_ON: AtomicBool = AtomicBool::new(false);

fn pinned(plain: &[u8], workers: usize) -> Pinned {
    pin(plain, plain.len() as u64, &key(), &alice(), nonce(), workers, &GO_ON).unwrap()
}

fn sealed_again<S: ReadAt + ?Sized>(source: &S, pinned: &Pinned, frames: Range<u64>) -> (Vec<u8>, Option<SealError>) {
    let mut out = Vec::new();
    let result = seal_pinned(source, pinned, &key(), frames, &mut out);
    (out, result.err())
}

/// A file whose reads do something.
struct Watched<F>(Vec<u8>, F);

impl<F: Fn(u64) -> io::Result<()> + Sync> ReadAt for Watched<F> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (self.1)(offset)?;
        self.0[..].read_exact_at(buffer, offset)
    }
}

#[test]
fn hashes_and_tags_are_those_of_the_blob_at_every_size_and_number_of_workers() {
    let all = cycle(17 * CHUNK + 5);
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK - 1, 8 * CHUNK, 8 * CHUNK + 1, 16 * CHUNK + 977, all.len()]
    {
        let plain = &all[..len];
        let blob = seal_blob(&key(), nonce(), plain).unwrap();
        for workers in 0..=4 {
            let pinned = pinned(plain, workers);
            assert_eq!(pinned.blob_hash, blob_hash(&blob), "{len} bytes, {workers} workers");
            assert_eq!(pinned.salted_hash, salted_hash(&alice(), plain), "{len} bytes, {workers} workers");
            let hashed = hash_plain(plain, len as u64, &alice(), workers, &GO_ON).unwrap();
            assert_eq!(hashed, pinned.salted_hash, "{len} bytes, {workers} workers");
            let tags = blob[HEADER..].chunks(FRAME).map(|frame| *frame.last_chunk::<TAG>().unwrap());
            assert_eq!(pinned.tags, tags.collect::<Vec<_>>());
            assert_eq!((pinned.size, pinned.blob_len()), (len as u64, blob.len() as u64));
        }
        let (out, error) = sealed_again(plain, &pinned(plain, 1), 0..blob::frames(len as u64));
        assert!(error.is_none() && out == blob, "{len}");
    }
}

#[test]
fn a_real_file_pins_and_seals() {
    use std::io::Write;
    let plain = cycle(3 * CHUNK + 17);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&plain).unwrap();
    let of_file = pin(&file, plain.len() as u64, &key(), &alice(), nonce(), 2, &GO_ON).unwrap();
    assert_eq!(of_file, pinned(&plain, 1));
    let blob = seal_blob(&key(), nonce(), &plain).unwrap();
    assert_eq!(sealed_again(&file, &of_file, 1..3).0, blob[HEADER + FRAME..HEADER + 3 * FRAME]);
    file.set_len(plain.len() as u64 - 1).unwrap();
    let (out, error) = sealed_again(&file, &of_file, 2..4);
    assert!(matches!(error, Some(SealError::ChangedSincePinned { frame: 3 })));
    assert_eq!(out, blob[HEADER + 2 * FRAME..HEADER + 3 * FRAME]);
}

#[test]
fn another_plaintext_under_the_same_pin_is_refused_and_not_let_out() {
    let plain = cycle(3 * CHUNK + 17);
    let pinned = pinned(&plain, 2);
    let blob = seal_blob(&key(), nonce(), &plain).unwrap();
    for (at, frame) in [(0, 0), (CHUNK - 1, 0), (CHUNK, 1), (2 * CHUNK + 5, 2), (plain.len() - 1, 3)] {
        let mut changed = plain.clone();
        changed[at] ^= 1;
        let (out, error) = sealed_again(&changed[..], &pinned, 0..4);
        assert!(matches!(error, Some(SealError::ChangedSincePinned { frame: found }) if found == frame), "{at}");
        assert_eq!(out, blob[..HEADER + frame as usize * FRAME], "{at}");
        let mut out = vec![1, 2, 3];
        let end = pinned.blob_len();
        assert!(seal_pinned_bytes(&changed[..], &pinned, &key(), 0..end, &mut out).is_err());
        assert_eq!(out, [1, 2, 3]);
    }
    // Other frames are as they were.
    let mut changed = plain.clone();
    changed[0] ^= 1;
    assert_eq!(sealed_again(&changed[..], &pinned, 1..4).0, blob[HEADER + FRAME..]);
    // Another key seals other frames.
    let mut out = Vec::new();
    let stranger = EncryptionKey::from_bytes(&[1; 32]);
    let error = seal_pinned(&plain[..], &pinned, &stranger, 0..1, &mut out).unwrap_err();
    assert!(matches!(error, SealError::ChangedSincePinned { frame: 0 }));
}

#[test]
fn frames_that_are_not_there_are_refused() {
    let plain = cycle(CHUNK + 1);
    let mut pinned = pinned(&plain, 1);
    assert!(matches!(sealed_again(&plain[..], &pinned, 1..3).1, Some(SealError::NoSuchFrame { frame: 2 })));
    let beyond = 0..pinned.blob_len() + 1;
    let result = seal_pinned_bytes(&plain[..], &pinned, &key(), beyond, &mut Vec::new());
    assert!(matches!(result, Err(SealError::NoSuchFrame { frame: 2 })));
    pinned.tags.pop();
    assert!(matches!(sealed_again(&plain[..], &pinned, 1..2).1, Some(SealError::NoSuchFrame { frame: 1 })));
}

#[test]
fn a_file_that_became_shorter_changed() {
    let plain = cycle(20 * CHUNK);
    for workers in 1..=3 {
        let size = plain.len() as u64 + 1;
        let result = pin(&plain[..], size, &key(), &alice(), nonce(), workers, &GO_ON);
        assert!(matches!(result, Err(PinError::Changed { size: found }) if found == size));
        let result = hash_plain(&plain[..], size, &alice(), workers, &GO_ON);
        assert!(matches!(result, Err(PinError::Changed { .. })));
    }
    let size = blob::MAX_PLAINTEXT + 1;
    let result = pin(&plain[..], size, &key(), &alice(), nonce(), 1, &GO_ON);
    assert!(matches!(result, Err(PinError::TooLarge { .. })));
}

#[test]
fn a_read_error_says_where() {
    let broken = |at: u64| {
        Watched(
            cycle(40 * CHUNK),
            move |offset| {
                if offset == at { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
            },
        )
    };
    let at = 33 * blob::CHUNK;
    let size = 40 * blob::CHUNK;
    for workers in 1..=4 {
        let result = pin(&broken(at), size, &key(), &alice(), nonce(), workers, &GO_ON);
        assert!(matches!(result, Err(PinError::Read { offset, .. }) if offset == at));
        // The slowest run fails while others wait for it.
        let result = hash_plain(&broken(0), size, &alice(), workers, &GO_ON);
        assert!(matches!(result, Err(PinError::Read { offset: 0, .. })));
    }
    let pinned = pinned(&cycle(40 * CHUNK), 1);
    let (out, error) = sealed_again(&broken(at), &pinned, 33..34);
    assert!(out.is_empty() && matches!(error, Some(SealError::Read { offset, .. }) if offset == at));
}

#[test]
fn calling_off_stops_at_the_next_frame() {
    for workers in 1..=3 {
        let (cancel, reads) = (AtomicBool::new(false), AtomicU64::new(0));
        let source = Watched(cycle(40 * CHUNK), |_| {
            if reads.fetch_add(1, Ordering::Relaxed) == 4 {
                cancel.store(true, Ordering::Relaxed);
            }
            Ok(())
        });
        let result = pin(&source, 40 * blob::CHUNK, &key(), &alice(), nonce(), workers, &cancel);
        assert!(matches!(result, Err(PinError::Cancelled)));
        assert!(reads.load(Ordering::Relaxed) <= 5 + workers as u64);
        assert!(matches!(hash_plain(&source, 5, &alice(), workers, &cancel), Err(PinError::Cancelled)));
    }
}

#[test]
fn no_worker_runs_far_ahead_of_the_slowest() {
    let (finished, joined) = (AtomicU64::new(0), AtomicU64::new(0));
    let order = Mutex::new(Vec::new());
    let ahead = runs::AHEAD * 2;
    let work = |frames: Range<u64>, _: &mut Vec<u8>| {
        let run = frames.start / runs::RUN;
        assert!(run < joined.load(Ordering::SeqCst) + ahead, "run {run} started too early");
        if run == 0 {
            // As slow as it may be: until the other worker can do nothing more.
            while finished.load(Ordering::SeqCst) < ahead - 1 {
                std::thread::yield_now();
            }
        }
        finished.fetch_add(1, Ordering::SeqCst);
        Ok(run)
    };
    runs::in_order(runs::RUN * 40 - 3, 2, &GO_ON, work, |run| {
        joined.fetch_add(1, Ordering::SeqCst);
        order.lock().unwrap_or_else(PoisonError::into_inner).push(run);
    })
    .unwrap();
    assert_eq!(order.into_inner().unwrap(), (0..40).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_part_of_the_blob_can_be_made_again(
        len in prop_oneof![0..300_usize, CHUNK - 30..CHUNK + 30, 0..4 * CHUNK],
        ends in any::<[prop::sample::Index; 2]>(),
    ) {
        let plain = cycle(len);
        let pinned = pinned(&plain, 1);
        let blob = seal_blob(&key(), nonce(), &plain).unwrap();
        let mut ends = ends.map(|end| end.index(blob.len() + 1));
        ends.sort_unstable();
        let mut out = vec![9];
        seal_pinned_bytes(&plain[..], &pinned, &key(), ends[0] as u64..ends[1] as u64, &mut out).unwrap();
        prop_assert_eq!(&out[1..], &blob[ends[0]..ends[1]]);
    }
}
