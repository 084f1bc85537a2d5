//! Uploads, deletions and collections of the same contents, in every order that time allows.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hcfs_model::RevisionId;

use super::{Subject, cases, random};
use crate::blobs::BlobPlace;
use crate::collect::Collector;
use crate::metadata::{Committed, Removal};

cases![a_row_never_loses_its_blob];

/// One upload between its two stores: placed, but without a row.
struct Pending {
    file: u8,
    place: BlobPlace,
}

/// The same few contents are uploaded again and again while they are deleted and collected, with time passing anywhere in
/// between. What is decided is decided by the stores and the names alone, so steps can be put into any order here: they
/// stand for servers that know nothing of each other.
async fn a_row_never_loses_its_blob(at: Subject) {
    let seed: [u8; 32] = random();
    let mut choices = vec![0; 4 * 250];
    blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut choices);
    let collector = Collector { metadata: at.metadata.as_ref(), blobs: at.blobs.as_ref(), clock: &at.clock, grace: 0 };
    let mut pending: Vec<Pending> = Vec::new();
    let mut rows: BTreeMap<u8, RevisionId> = BTreeMap::new();
    let mut collected = 0;
    for step in choices.chunks(4) {
        let told = || format!("seed {}", hex::encode(seed));
        let file = step[1] % 6;
        match step[0] % 8 {
            // An upload's blob is placed; large and small ones.
            0..=2 => {
                let length = if step[2] % 4 == 0 { 300_000 } else { 50 };
                let mut receiving = at.blobs.receive(length as u64).await.unwrap();
                receiving.write(Bytes::from(vec![file; length])).await.unwrap();
                let place = receiving.finish().await.unwrap().place().await.unwrap();
                pending.push(Pending { file, place });
            }
            // An upload's row is made, if there is still time; any of those that are under way.
            3 | 4 if !pending.is_empty() => {
                let Pending { file, place } = pending.swap_remove(usize::from(step[2]) % pending.len());
                if place.object.takes_rows(at.clock.seconds()) {
                    let mut new = at.first(file, file);
                    new.revision.id = RevisionId(random());
                    new.revision.seq = rows.len() as u64 + 1_000 * u64::from(step[3]) + 1;
                    new.base = rows.get(&file).copied();
                    new.ciphertext.0 = *blake3::hash(&vec![file; place.length as usize]).as_bytes();
                    let id = new.revision.id;
                    if let Committed::Stored(_) = at.metadata.commit(new, place).await.unwrap() {
                        rows.insert(file, id);
                    }
                }
            }
            5 => {
                let removed = at.metadata.remove(at.key(file), None, 1).await.unwrap();
                assert_eq!(rows.remove(&file).is_some(), removed == Removal::Removed, "{}", told());
            }
            6 => {
                if step[2] % 4 == 0 {
                    collector.sweep().await.unwrap();
                }
                collected += collector.remove_marked().await.unwrap();
            }
            // From minutes to days.
            _ => {
                let seconds = [60, 300, 700, 1_300, 40_000, 90_000, 180_000][usize::from(step[2]) % 7];
                at.time.fetch_add(seconds, Ordering::Relaxed);
            }
        }
        for file in rows.keys() {
            let row = at.metadata.file(at.key(*file)).await.unwrap().unwrap();
            let open = at.blobs.open(row.place).await.unwrap();
            assert!(open.is_some(), "a row without its blob: {}", told());
        }
    }
    at.time.fetch_add(1_000_000, Ordering::Relaxed);
    for _ in 0..2 {
        collector.sweep().await.unwrap();
        collected += collector.remove_marked().await.unwrap();
        at.time.fetch_add(1_000_000, Ordering::Relaxed);
    }
    assert!(collected > 0, "nothing was ever collected");
    // Only what rows point to is left of this case: every other object of the store is settled and gone.
    for shard in 0..=u8::MAX {
        let listed = at.blobs.list(shard).await.unwrap();
        let objects: Vec<_> = listed.into_iter().map(|(object, _)| object).collect();
        assert_eq!(at.metadata.unreferenced(objects).await.unwrap(), []);
    }
}
