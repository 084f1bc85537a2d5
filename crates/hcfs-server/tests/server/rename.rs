use std::collections::BTreeMap;

use hcfs_model::{Revision, RevisionId};
use hcfs_wire::{RenameReason, RenameResult};
use http::Method;

use crate::harness::{Rig, ciphertext, id, rig};

/// Files named by their paths, each with a content of its own.
async fn files<const N: usize>(rig: &Rig, paths: [&str; N]) -> [Revision; N] {
    let mut revisions = [Revision { seq: 0, id: RevisionId([0; 32]) }; N];
    for (index, path) in paths.iter().enumerate() {
        revisions[index] = rig.put(path, 10, index as u64, None).await;
    }
    revisions
}

/// Which of the files made by [`files`] lies at each path.
async fn content(rig: &Rig, paths: &[&str]) -> Vec<Option<u64>> {
    let mut found = Vec::new();
    for path in paths {
        let reply = rig.get(&rig.file_route("download", path)).await;
        found.push((0..9).find(|seed| reply.body == ciphertext(10, *seed)));
    }
    found
}

fn reasons(result: &RenameResult) -> BTreeMap<String, RenameReason> {
    result.failures.iter().map(|failure| (failure.old_path_hash.to_hex(), failure.reason.clone())).collect()
}

#[tokio::test]
async fn a_file_moves_with_its_content() {
    let rig = rig().await;
    let [a] = files(&rig, ["a"]).await;
    let result = rig.rename(&[("a", "b", a.id)]).await;
    assert_eq!((result.status.as_str(), result.renamed_count, result.failures.len()), ("ok", 1, 0));
    let renamed = &result.successes[0];
    assert_eq!((renamed.old_path_hash, renamed.new_path_hash, renamed.new_revision_seq), (id("a"), id("b"), 2));
    assert_eq!(rig.revision("b").await, Some(renamed.revision()));
    assert_eq!(rig.listing().await.files[0].encrypted_path, ciphertext(1, 0));
    assert_eq!(content(&rig, &["a", "b"]).await, [None, Some(0)]);
}

#[tokio::test]
async fn swaps_cycles_and_chains_are_one_permutation() {
    let rig = rig().await;
    let [a, b, c, d, e] = files(&rig, ["a", "b", "c", "d", "e"]).await;
    let result = rig.rename(&[("a", "b", a.id), ("b", "a", b.id)]).await;
    assert_eq!(result.renamed_count, 2, "{result:?}");
    assert_eq!(content(&rig, &["a", "b"]).await, [Some(1), Some(0)]);

    let result = rig.rename(&[("c", "d", c.id), ("d", "e", d.id), ("e", "c", e.id)]).await;
    assert_eq!(result.renamed_count, 3, "{result:?}");
    assert_eq!(content(&rig, &["c", "d", "e"]).await, [Some(4), Some(2), Some(3)]);

    let (a, b) = (rig.revision("a").await.unwrap(), rig.revision("b").await.unwrap());
    let result = rig.rename(&[("a", "b", a.id), ("b", "z", b.id)]).await;
    assert_eq!(result.renamed_count, 2, "{result:?}");
    assert_eq!(content(&rig, &["a", "b", "z"]).await, [None, Some(1), Some(0)]);
    assert_eq!(rig.listing().await.total_count, 5);
}

#[tokio::test]
async fn an_entry_fails_alone_or_with_those_that_wait_for_its_place() {
    let rig = rig().await;
    let [a, b, c, d, e] = files(&rig, ["a", "b", "c", "d", "e"]).await;
    let result = rig
        .rename(&[
            ("a", "b", a.id),
            ("b", "c", b.id),
            ("c", "x", d.id),
            ("d", "y", d.id),
            ("nothing", "z", a.id),
            ("e", "y", e.id),
        ])
        .await;
    let expected = [
        ("a", RenameReason::TargetExists),
        ("b", RenameReason::TargetExists),
        ("c", RenameReason::RevisionMismatch),
        ("nothing", RenameReason::NotFound),
        ("e", RenameReason::TargetExists),
    ];
    let expected = expected.into_iter().map(|(path, reason)| (id(path).to_hex(), reason)).collect();
    assert_eq!(reasons(&result), expected);
    assert_eq!(result.renamed_count, 1);
    assert_eq!(content(&rig, &["a", "b", "c", "y", "e"]).await, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(rig.revision("c").await, Some(c));
}

#[tokio::test]
async fn one_source_moves_once() {
    let rig = rig().await;
    let [a] = files(&rig, ["a"]).await;
    let result = rig.rename(&[("a", "b", a.id), ("a", "c", a.id)]).await;
    assert_eq!(result.renamed_count, 1);
    assert_eq!(result.failures[0].reason, RenameReason::NotFound);
    assert_eq!(content(&rig, &["a", "b", "c"]).await, [None, Some(0), None]);
}

#[tokio::test]
async fn a_paths_number_never_goes_back() {
    let rig = rig().await;
    let [a, b] = files(&rig, ["a", "b"]).await;
    let mut high = b;
    for seed in 2..6 {
        high = rig.put("b", 10, seed, Some(high)).await;
    }
    assert_eq!(high.seq, 5);
    rig.rename(&[("a", "b", a.id), ("b", "a", high.id)]).await;
    let (a, b) = (rig.revision("a").await.unwrap(), rig.revision("b").await.unwrap());
    assert!(b.seq > 5 && a.seq > 5, "{a:?} {b:?}");

    rig.send(Method::DELETE, &rig.file_route("delete", "b"), &[], "").await;
    let c = rig.put("c", 10, 8, None).await;
    let result = rig.rename(&[("c", "b", c.id)]).await;
    assert!(result.successes[0].new_revision_seq > b.seq, "{result:?}");
}

#[tokio::test]
async fn a_batch_is_refused_as_a_whole_only_for_its_form() {
    let rig = rig().await;
    let [a] = files(&rig, ["a"]).await;
    let mut unsigned = rig.rename_request(&[("a", "b", a.id)]);
    unsigned.renames[0].new_path_hash = id("c");
    assert_eq!(rig.post("/rename_files", &unsigned).await.failure(), (400, "invalid_manifest".to_owned()));
    let mut path = rig.rename_request(&[("a", "b", a.id)]);
    path.renames[0].new_relative_path = Some("/etc/passwd".to_owned());
    assert_eq!(rig.post("/rename_files", &path).await.failure(), (400, "invalid_manifest".to_owned()));
    let many: Vec<_> = (0..1001).map(|_| ("a", "b", a.id)).collect();
    let many = rig.rename_request(&many);
    assert_eq!(rig.post("/rename_files", &many).await.failure(), (400, "batch_too_large".to_owned()));
    let mut other = rig.rename_request(&[("a", "b", a.id)]);
    other.ss58_address = crate::harness::account(2);
    assert_eq!(rig.post("/rename_files", &other).await.failure(), (403, "forbidden".to_owned()));
    assert_eq!(rig.revision("a").await, Some(a));
    assert_eq!(rig.rename(&[]).await.renamed_count, 0);
}
