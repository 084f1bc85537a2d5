use hcfs_model::{Revision, RevisionId};
use hcfs_wire::{ConflictBody, Envelope, Manifest, UploadResult};
use http::{Method, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{BOUNDARY, Rig, account, ciphertext, eventually, hash, multipart, native, rig, rig_with};

#[tokio::test]
async fn an_upload_is_listed_with_what_its_manifest_says() {
    let rig = rig().await;
    let blob = ciphertext(700_000, 1);
    let mut manifest = rig.manifest("a/b.txt", 700_000, &blob, None);
    manifest.file_name = Some("b.txt".to_owned());
    manifest.relative_path = Some("a/b.txt".to_owned());
    let result: UploadResult = rig.send_upload(native(&manifest, &blob)).await.success();
    assert_eq!(result.created_at, 1_800_000_000);

    let listing = rig.listing().await;
    assert_eq!((listing.total_count, listing.has_more), (1, false));
    let row = &listing.files[0];
    assert_eq!(row.path_hash, manifest.path_hash);
    assert_eq!(row.salted_hash, manifest.salted_hash);
    assert_eq!(row.size_bytes, 700_000);
    assert_eq!(row.revision(), Revision { seq: 1, id: result.revision_id });
    assert_eq!(row.encrypted_path, manifest.encrypted_path);
    assert_eq!(row.relative_path.as_deref(), Some("a/b.txt"));
    assert_eq!(row.file_name.as_deref(), Some("b.txt"));
    assert_eq!(rig.blob_files(), [rig.blob_path(hash(&blob))]);
    assert_eq!(std::fs::read(rig.blob_path(hash(&blob))).unwrap(), blob);
}

#[tokio::test]
async fn sizes_around_a_piece_arrive_whole() {
    let rig = rig().await;
    for (seed, size) in [0, 1, 262_095, 262_096, 262_097, 524_240, 1_500_000].into_iter().enumerate() {
        let path = format!("file {size}");
        rig.put(&path, size, seed as u64, None).await;
        let reply = rig.get(&rig.file_route("download", &path)).await;
        assert_eq!(reply.body, ciphertext(size, seed as u64), "{size}");
    }
}

#[tokio::test]
async fn http2_carries_uploads_and_downloads() {
    let mut rig = rig().await;
    rig.client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let puts = (0..20).map(|seed| {
        let rig = &rig;
        async move { rig.put(&format!("file {seed}"), 400_000, seed, None).await }
    });
    futures_util::future::join_all(puts).await;
    for seed in 0..20 {
        let reply = rig.get(&rig.file_route("download", &format!("file {seed}"))).await;
        assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, ciphertext(400_000, seed).len()));
    }
}

type Change = fn(&Rig, &mut Manifest, &mut Vec<u8>);

#[tokio::test]
async fn a_refused_upload_leaves_no_row_and_no_file() {
    let rig = rig().await;
    let refused: &[(&str, Change, u16, &str)] = &[
        ("signature", |_, m, _| m.signature[3] ^= 1, 400, "invalid_manifest"),
        ("other key", |_, m, _| m.signing_key = [9; 32], 400, "invalid_manifest"),
        ("weak key", |_, m, _| m.signing_key = [0; 32], 400, "invalid_manifest"),
        ("hash", |_, _, blob| blob[50] ^= 1, 400, "invalid_manifest"),
        ("short", |_, _, blob| blob.truncate(600_000), 400, "invalid_manifest"),
        ("empty", |_, _, blob| blob.clear(), 400, "invalid_manifest"),
        ("long", |_, _, blob| blob.push(0), 400, "invalid_manifest"),
        ("far too long", |_, _, blob| blob.resize(3_000_000, 0), 400, "invalid_manifest"),
        ("size", |_, m, _| m.size_bytes -= 1, 400, "invalid_manifest"),
        ("impossible size", |_, m, _| m.size_bytes = u64::MAX, 400, "invalid_manifest"),
        ("seq 0", |_, m, _| m.revision_seq = 0, 400, "invalid_manifest"),
        ("seq max", |_, m, _| m.revision_seq = u64::MAX, 400, "invalid_manifest"),
        ("seq without a next", |_, m, _| m.revision_seq = i64::MAX as u64, 400, "invalid_manifest"),
        ("path", |_, m, _| m.relative_path = Some("../x".to_owned()), 400, "invalid_manifest"),
        ("account", |_, m, _| m.ss58_address = account(2), 403, "forbidden"),
        (
            "base of a file that is not there",
            |_, m, _| (m.base_revision_id, m.revision_seq) = (Some(RevisionId([1; 32])), 2),
            409,
            "conflict",
        ),
    ];
    for (name, change, status, code) in refused {
        let mut blob = ciphertext(700_000, 5);
        let mut manifest = rig.manifest("a", 700_000, &blob, None);
        change(&rig, &mut manifest, &mut blob);
        let reply = rig.send_upload(native(&manifest, &blob)).await;
        assert_eq!(reply.failure(), (*status, (*code).to_owned()), "{name}: {reply:?}");
        // A piece may still be on its way to the disk; its file goes after it.
        eventually(name, || rig.blob_files().is_empty()).await;
    }
    assert_eq!(rig.listing().await.total_count, 0);
}

#[tokio::test]
async fn malformed_bodies_are_refused_with_the_published_code() {
    let rig = rig().await;
    let blob = ciphertext(10, 1);
    let manifest = serde_json::to_vec(&rig.manifest("a", 10, &blob, None)).unwrap();
    let mut without: Value = serde_json::from_slice(&manifest).unwrap();
    without.as_object_mut().unwrap().remove("salted_hash");
    let without = serde_json::to_vec(&without).unwrap();
    let long = vec![b' '; 200_000];
    let mut endless_header = format!("--{BOUNDARY}\r\nX: ").into_bytes();
    endless_header.resize(4_000_000, b'x');
    for (name, body, status, code) in [
        ("no JSON", multipart(&[("manifest", b"{"), ("ciphertext", &blob)]), 400, "invalid_manifest"),
        ("field", multipart(&[("manifest", &without), ("ciphertext", &blob)]), 400, "missing_field"),
        ("order", multipart(&[("ciphertext", &blob), ("manifest", &manifest)]), 400, "missing_field"),
        ("one part", multipart(&[("manifest", &manifest)]), 400, "missing_field"),
        ("no part", multipart(&[]), 400, "missing_field"),
        ("other part", multipart(&[("manifest", &manifest), ("file", &blob)]), 400, "missing_field"),
        ("gateway", multipart(&[("account_ss58", b"5..."), ("file", b"x")]), 400, "invalid_user_id"),
        ("long manifest", multipart(&[("manifest", &long), ("ciphertext", &blob)]), 413, "payload_too_large"),
        ("endless header", endless_header, 413, "payload_too_large"),
        ("no multipart", b"hello".to_vec(), 400, "invalid_manifest"),
        ("nothing", Vec::new(), 400, "invalid_manifest"),
    ] {
        let reply = rig.send_upload(body).await;
        assert_eq!(reply.failure(), (status, code.to_owned()), "{name}: {reply:?}");
    }
    let reply = rig.send(Method::POST, "/upload", &[("content-type", "application/json")], "{}").await;
    assert_eq!(reply.failure(), (400, "missing_field".to_owned()));
    eventually("nothing is left", || rig.blob_files().is_empty()).await;
}

#[tokio::test]
async fn of_many_uploads_of_one_file_exactly_one_wins() {
    let rig = rig().await;
    let mut base = None;
    for round in 0..3 {
        let uploads = (0..16).map(|racer| {
            let blob = ciphertext(2_000, 100 * round + racer);
            let manifest = rig.manifest("race", 2_000, &blob, base);
            let rig = &rig;
            async move { (rig.send_upload(native(&manifest, &blob)).await, hash(&blob)) }
        });
        let replies = futures_util::future::join_all(uploads).await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.into_iter().partition(|(reply, _)| reply.status == StatusCode::OK);
        assert_eq!(won.len(), 1);
        let current = rig.revision("race").await.unwrap();
        assert_eq!(won[0].0.success::<UploadResult>().revision_id, current.id);
        for (reply, _) in lost {
            assert_eq!(reply.status, StatusCode::CONFLICT);
            let Envelope::<Value>::Conflict(conflict) = serde_json::from_slice(&reply.body).unwrap() else {
                panic!("{reply:?}")
            };
            assert_eq!(ConflictBody::current(&conflict).map(|current| current.seq), Some(round + 1));
        }
        assert_eq!(rig.needed_files().await, [rig.blob_path(won[0].1)], "losers and replaced blobs are gone");
        base = Some(current);
    }
}

#[tokio::test]
async fn a_revision_follows_its_base_and_its_number() {
    let rig = rig().await;
    let first = rig.put("a", 10, 1, None).await;
    let second = rig.put("a", 20, 2, Some(first)).await;
    assert_eq!(second.seq, 2);

    let blob = ciphertext(30, 3);
    for (name, base, seq, status, code) in [
        ("a passed base", Some(first.id), 3, 409, "conflict"),
        ("no base", None, 3, 409, "conflict"),
        ("the same number", Some(second.id), 2, 400, "stale_sequence"),
        ("a lower number of a passed base", Some(first.id), 2, 409, "conflict"),
    ] {
        let mut manifest = rig.manifest("a", 30, &blob, None);
        (manifest.base_revision_id, manifest.revision_seq) = (base, seq);
        let reply = rig.send_upload(native(&manifest, &blob)).await;
        assert_eq!(reply.failure(), (status, code.to_owned()), "{name}");
    }
    assert_eq!(rig.revision("a").await, Some(second));

    let mut skips = rig.manifest("a", 30, &blob, Some(second));
    skips.revision_seq = 9;
    rig.send_upload(native(&skips, &blob)).await.success::<UploadResult>();
    assert_eq!(rig.revision("a").await.unwrap().seq, 9);
}

#[tokio::test]
async fn a_new_file_may_go_on_from_a_deleted_ones_number_or_start_again() {
    let rig = rig().await;
    let first = rig.put("a", 10, 1, None).await;
    rig.put("a", 10, 2, Some(first)).await;
    rig.send(Method::DELETE, &rig.file_route("delete", "a"), &[], "").await;

    let blob = ciphertext(10, 3);
    let mut manifest = rig.manifest("a", 10, &blob, None);
    manifest.revision_seq = 3;
    rig.send_upload(native(&manifest, &blob)).await.success::<UploadResult>();
    assert_eq!(rig.revision("a").await.unwrap().seq, 3);

    rig.send(Method::DELETE, &rig.file_route("delete", "a"), &[], "").await;
    assert_eq!(rig.put("a", 10, 4, None).await.seq, 1);
}

#[tokio::test]
async fn a_blob_lives_as_long_as_one_file_has_it() {
    let rig = rig().await;
    let first = rig.put("a", 10, 1, None).await;
    rig.put("b", 10, 1, None).await;
    rig.put("a", 10, 2, Some(first)).await;
    assert_eq!(rig.needed_files().await.len(), 2);
    assert_eq!(rig.get(&rig.file_route("download", "b")).await.body, ciphertext(10, 1), "b has it");
    rig.send(Method::DELETE, &rig.file_route("delete", "b"), &[], "").await;
    assert_eq!(rig.needed_files().await.len(), 1);
    assert_eq!(rig.get(&rig.file_route("download", "a")).await.body, ciphertext(10, 2));
}

#[tokio::test]
async fn uploads_and_deletions_of_one_blob_never_leave_a_row_without_it() {
    let rig = rig().await;
    for _ in 0..8 {
        let work = (0..12).map(|racer| {
            let rig = &rig;
            let path = format!("file {racer}");
            async move {
                let blob = ciphertext(50, 1);
                let manifest = rig.manifest(&path, 50, &blob, None);
                rig.send_upload(native(&manifest, &blob)).await;
                if racer % 2 == 0 {
                    rig.send(Method::DELETE, &rig.file_route("delete", &path), &[], "").await;
                }
            }
        });
        futures_util::future::join_all(work).await;
        for racer in [1, 3, 5, 7, 9, 11] {
            let path = format!("file {racer}");
            assert_eq!(rig.get(&rig.file_route("download", &path)).await.status, StatusCode::OK);
            rig.send(Method::DELETE, &rig.file_route("delete", &path), &[], "").await;
        }
        assert!(rig.needed_files().await.is_empty());
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let rig = rig().await;
    let blob = ciphertext(2_000_000, 1);
    let body = native(&rig.manifest("a", 2_000_000, &blob, None), &blob);
    let mut stream = tokio::net::TcpStream::connect(rig.running.address()).await.unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
        rig.token,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..1_200_000]).await.unwrap();
    eventually("the upload is on the disk", || rig.blob_files().len() == 1).await;
    drop(stream);
    eventually("the upload is gone", || rig.blob_files().is_empty()).await;
    assert_eq!(rig.listing().await.total_count, 0);
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_left() {
    let rig = rig_with(|config| config.limits.reserve_bytes = u64::MAX).await;
    let blob = ciphertext(10, 1);
    let manifest = rig.manifest("a", 10, &blob, None);
    let reply = rig.send_upload(native(&manifest, &blob)).await;
    assert_eq!(reply.failure(), (507, "insufficient_storage".to_owned()));
    assert!(reply.json()["Error"]["message"].as_str().unwrap().contains("no room"), "{reply:?}");
    assert!(rig.blob_files().is_empty());

    let query = json!({"ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex(), "size_bytes": 10});
    let reply = rig.post("/can_upload", &query).await;
    assert_eq!((reply.status, reply.json()["result"].as_bool()), (StatusCode::OK, Some(false)));
}
