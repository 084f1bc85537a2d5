//! Renames, against a plain model of them.

use std::collections::BTreeMap;

use hcfs_model::{FileId, RevisionId};

use super::{Subject, cases, random, somewhere};
use crate::metadata::{Rename, RenameFailure};

cases![a_batch_of_renames_is_a_permutation];

/// The rule of a batch, said plainly: entries drop out until nothing blocks the rest.
fn model(files: &BTreeMap<u8, u8>, batch: &[(u8, u8)]) -> (BTreeMap<u8, u8>, Vec<Result<(), RenameFailure>>) {
    let mut outcomes = vec![Ok(()); batch.len()];
    for (index, (old, new)) in batch.iter().enumerate() {
        let earlier = |check: &dyn Fn(&(u8, u8)) -> bool| {
            (0..index).any(|before| outcomes[before].is_ok() && check(&batch[before]))
        };
        outcomes[index] = if !files.contains_key(old) || earlier(&|before| before.0 == *old) {
            Err(RenameFailure::NotFound)
        } else if earlier(&|before| before.1 == *new) {
            Err(RenameFailure::TargetExists)
        } else {
            Ok(())
        };
    }
    loop {
        let moves = |path: u8| (0..batch.len()).any(|other| outcomes[other].is_ok() && batch[other].0 == path);
        let stuck = (0..batch.len())
            .find(|index| outcomes[*index].is_ok() && files.contains_key(&batch[*index].1) && !moves(batch[*index].1));
        match stuck {
            Some(index) => outcomes[index] = Err(RenameFailure::TargetExists),
            None => break,
        }
    }
    let going: Vec<_> = (0..batch.len()).filter(|index| outcomes[*index].is_ok()).map(|index| batch[index]).collect();
    let mut after = files.clone();
    for (old, _) in &going {
        after.remove(old);
    }
    for (old, new) in &going {
        after.insert(*new, files[old]);
    }
    (after, outcomes)
}

async fn a_batch_of_renames_is_a_permutation(mut at: Subject) {
    for number in 0..24_u8 {
        at.account = hcfs_model::AccountAddress::from_public_key(random());
        let seed: [u8; 32] = random();
        let told = format!("case {number}, seed {}", hex::encode(seed));
        let mut choices = [0; 64];
        blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut choices);
        let mut choices = choices.into_iter().map(|choice| choice % 8);
        let mut choose = || choices.next().unwrap_or(0);
        let mut files: BTreeMap<u8, u8> = (0..choose()).map(|_| choose()).map(|path| (path, path + 1)).collect();
        for (path, content) in &files {
            at.metadata.commit(at.first(*path, *content), somewhere()).await.unwrap();
        }
        let mut highest: BTreeMap<FileId, u64> = BTreeMap::new();
        for round in 0..3_u8 {
            let batch: Vec<(u8, u8)> = (0..choose()).map(|_| (choose(), choose())).collect();
            let mut renames = Vec::new();
            for (index, (old, to)) in (0..).zip(&batch) {
                let row = at.metadata.file(at.key(*old)).await.unwrap();
                renames.push(Rename {
                    old: at.key(*old).file,
                    new: at.key(*to).file,
                    encrypted_path: Vec::new(),
                    file_name: None,
                    relative_path: Some(format!("{to}")),
                    base: row.map_or(RevisionId([0; 32]), |row| row.revision.id),
                    revision_id: RevisionId([100 + 10 * round + index; 32]),
                });
            }
            let outcomes = at.metadata.rename(at.folder(), renames, 2).await.unwrap();
            let (after, expected) = model(&files, &batch);
            assert_eq!(outcomes.iter().map(|outcome| outcome.map(|_| ())).collect::<Vec<_>>(), expected, "{told}");
            let listing = at.metadata.listing(at.folder(), 0, 100).await.unwrap();
            let found: BTreeMap<_, _> = listing.files.iter().map(|row| (row.file.0[0], row.ciphertext.0[0])).collect();
            assert_eq!((&found, listing.total), (&after, after.len() as u64), "{told}");
            for row in &listing.files {
                let seen = highest.insert(row.file, row.revision.seq).unwrap_or(0);
                assert!(row.revision.seq >= seen, "the number of a path went back: {told}");
            }
            files = after;
        }
        let wrong = Rename {
            old: at.key(files.keys().next().copied().unwrap_or(0)).file,
            new: at.key(99).file,
            encrypted_path: Vec::new(),
            file_name: None,
            relative_path: None,
            base: RevisionId([0xee; 32]),
            revision_id: RevisionId([0xef; 32]),
        };
        let expected = if files.is_empty() { RenameFailure::NotFound } else { RenameFailure::RevisionMismatch };
        assert_eq!(at.metadata.rename(at.folder(), vec![wrong], 2).await.unwrap(), [Err(expected)], "{told}");
    }
}
