//! Batches: whatever the pieces, the same entries; whatever the bytes, no panic and no length believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use hcfs_model::{FileId, RevisionId};
use hcfs_wire::{
    BATCH_START_LEN, BatchEntry, BatchError, BatchFile, BatchLimits, BatchReader, ConflictBody, EntryAnswer,
    EntryOutcome, Envelope, Fault, batch_entry, batch_entry_len, batch_start,
};
use proptest::prelude::*;

const LIMITS: BatchLimits = BatchLimits { max_entries: 8, max_bytes: 4096, max_blob: 64 };

fn written(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = batch_start(u32::try_from(entries.len()).unwrap());
    for (head, body) in entries {
        bytes.extend(batch_entry(head, body.len()).unwrap());
        bytes.extend(body);
    }
    bytes
}

/// Reads a batch that comes in pieces of these lengths, over and over.
fn read(bytes: &[u8], pieces: &[usize]) -> Result<Vec<BatchEntry>, BatchError> {
    let (mut reader, mut entries) = (BatchReader::new(LIMITS), Vec::new());
    let mut rest = bytes;
    let mut lengths = pieces.iter().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*lengths.next().unwrap()).clamp(1, rest.len()));
        rest = after;
        reader.push(piece);
        while let Some(entry) = reader.take()? {
            entries.push(entry);
        }
    }
    reader.finish()?;
    Ok(entries)
}

fn entries() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let bytes = |max| proptest::collection::vec(any::<u8>(), 0..max);
    proptest::collection::vec((bytes(40), bytes(64)), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read_in_whatever_pieces_it_comes(
        entries in entries(),
        pieces in proptest::collection::vec(1_usize..60, 1..5),
    ) {
        let bytes = written(&entries);
        let length = entries.iter().map(|(head, body)| batch_entry_len(head.len(), body.len() as u64)).sum::<u64>();
        prop_assert_eq!(bytes.len() as u64, BATCH_START_LEN + length);
        let read: Vec<_> = read(&bytes, &pieces).unwrap().into_iter().map(|entry| (entry.head, entry.body)).collect();
        prop_assert_eq!(read, entries);
    }

    #[test]
    fn a_batch_that_was_cut_or_grew_is_none(entries in entries(), at in any::<proptest::sample::Index>()) {
        let bytes = written(&entries);
        prop_assert!(read(&bytes[..at.index(bytes.len())], &[7]).is_err());
        prop_assert_eq!(read(&[&bytes[..], &[0]].concat(), &[7]).unwrap_err(), BatchError::Trailing);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        genuine in any::<bool>(),
    ) {
        if genuine {
            bytes.splice(0..0, batch_start(3));
        }
        let _ = read(&bytes, &[11]);
    }
}

#[test]
fn lengths_beyond_the_bounds_are_refused_before_anything_is_kept() {
    assert_eq!(read(&batch_start(9), &[100]).unwrap_err(), BatchError::Count { count: 9, limit: 8 });
    let head = [batch_start(1), u32::MAX.to_le_bytes().to_vec()].concat();
    assert!(matches!(read(&head, &[100]).unwrap_err(), BatchError::Head { index: 0, .. }));
    let body = [batch_start(1), batch_entry(b"{}", 65).unwrap()].concat();
    assert_eq!(read(&body, &[100]).unwrap_err(), BatchError::Body { index: 0, length: 65, limit: 64 });
    assert_eq!(read(b"HCFB\x02\0\0\0\0", &[100]).unwrap_err(), BatchError::Magic);
}

#[test]
fn an_announced_bound_never_lifts_the_own_one() {
    let announced = BatchLimits { max_entries: u32::MAX, max_bytes: 1, max_blob: u64::MAX };
    let bounded = BatchLimits { max_bytes: 1, ..BatchLimits::USUAL };
    assert_eq!(announced.bounded(), bounded);
}

#[test]
fn an_entry_fails_as_the_same_request_alone_would() {
    let file_id = FileId([7; 32]);
    let file = BatchFile { size_bytes: 3, revision_seq: 2, revision_id: RevisionId([9; 32]) };
    let stored = EntryAnswer { file_id, status: 200, answer: Envelope::Success(file) };
    let text = serde_json::to_string(&stored).unwrap();
    let read: EntryOutcome<BatchFile> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, EntryOutcome { file_id, outcome: Ok(file) });

    let answer = Envelope::<BatchFile>::Conflict(ConflictBody::new("moved", Some(file.revision())));
    let text = serde_json::to_string(&EntryAnswer { file_id, status: 409, answer }).unwrap();
    let failure = serde_json::from_str::<EntryOutcome<BatchFile>>(&text).unwrap().outcome.unwrap_err();
    assert_eq!((failure.fault, failure.current), (Fault::Conflict, Some(file.revision())));

    // A failure's status with a success's answer says nothing.
    let text = serde_json::to_string(&EntryAnswer { file_id, status: 404, answer: Envelope::Success(file) }).unwrap();
    let failure = serde_json::from_str::<EntryOutcome<BatchFile>>(&text).unwrap().outcome.unwrap_err();
    assert_eq!(failure.fault, Fault::Foreign);
}
