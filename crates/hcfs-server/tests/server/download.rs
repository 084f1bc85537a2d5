use http::{Method, StatusCode};

use crate::harness::{account, ciphertext, hash, rig};

#[tokio::test]
async fn a_download_carries_the_files_description() {
    let rig = rig().await;
    let revision = rig.put("a", 1_000_000, 1, None).await;
    let blob = ciphertext(1_000_000, 1);
    let reply = rig.get(&rig.file_route("download", "a")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.body, blob);
    for (name, value) in [
        ("content-length", blob.len().to_string()),
        ("x-size-bytes", "1000000".to_owned()),
        ("x-revision-id", revision.id.to_hex()),
        ("x-revision-seq", "1".to_owned()),
        ("x-file-id", crate::harness::id("a").to_hex()),
        ("x-ss58-address", rig.account.to_string()),
        ("x-folder-hash", rig.folder.to_hex()),
        ("accept-ranges", "bytes".to_owned()),
        ("content-range", String::new()),
    ] {
        assert_eq!(reply.header(name), value, "{name}");
    }

    let head = rig.send(Method::HEAD, &rig.file_route("download", "a"), &[("range", "bytes=0-0")], "").await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.header("content-length"), blob.len().to_string());
    assert_eq!(head.header("x-revision-id"), revision.id.to_hex());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn ranges_give_their_bytes() {
    let rig = rig().await;
    rig.put("a", 1_000_000, 1, None).await;
    let blob = ciphertext(1_000_000, 1);
    let total = blob.len();
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-300000", 100..300_001),
        ("bytes=262144-", 262_144..total),
        ("bytes=-5", total - 5..total),
        ("bytes=999999-99999999", 999_999..total),
    ] {
        let reply = rig.send(Method::GET, &rig.file_route("download", "a"), &[("range", range)], "").await;
        assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(reply.body, blob[part.clone()], "{range}");
        assert_eq!(reply.header("content-range"), format!("bytes {}-{}/{total}", part.start, part.end - 1));
        assert_eq!(reply.header("content-length"), part.len().to_string());
        assert_eq!(reply.header("x-size-bytes"), "1000000");
    }
    let beyond = format!("bytes={total}-");
    let reply = rig.send(Method::GET, &rig.file_route("download", "a"), &[("range", &beyond)], "").await;
    assert_eq!(reply.failure(), (416, "range_not_satisfiable".to_owned()));
    assert_eq!(reply.header("content-range"), format!("bytes */{total}"));
}

#[tokio::test]
async fn a_range_of_another_revision_gives_the_whole_file() {
    let rig = rig().await;
    let first = rig.put("a", 1_000, 1, None).await;
    let second = rig.put("a", 1_000, 2, Some(first)).await;
    for (revision, status) in [(first, StatusCode::OK), (second, StatusCode::PARTIAL_CONTENT)] {
        let tag = format!("\"{}\"", revision.id);
        let headers = [("range", "bytes=10-19"), ("if-range", tag.as_str())];
        assert_eq!(rig.send(Method::GET, &rig.file_route("download", "a"), &headers, "").await.status, status);
    }
}

#[tokio::test]
async fn what_cannot_be_downloaded_has_its_code() {
    let rig = rig().await;
    rig.put("a", 1_000, 1, None).await;
    let (account_text, folder) = (&rig.account, &rig.folder);
    let id = crate::harness::id("a");
    for (path, status, code) in [
        (rig.file_route("download", "b"), 404, "not_found"),
        (format!("/download/{account_text}/{}/{id}", "0".repeat(16)), 404, "not_found"),
        (format!("/download/{account_text}/{folder}/{}", "z".repeat(64)), 400, "invalid_file_id"),
        (format!("/download/{account_text}/{folder}/{}", "a".repeat(63)), 400, "invalid_file_id"),
        (format!("/download/{account_text}/{folder}/%ff"), 400, "invalid_manifest"),
        (format!("/download/{account_text}/DEFAULT/{id}"), 400, "invalid_manifest"),
        (format!("/download/{}/{folder}/{id}", account(2)), 403, "forbidden"),
        (format!("/download/nobody/{folder}/{id}"), 400, "invalid_user_id"),
        (format!("/elsewhere/{account_text}"), 404, "unknown_route"),
    ] {
        assert_eq!(rig.get(&path).await.failure(), (status, code.to_owned()), "{path}");
    }

    let blob = rig.blob_path(hash(&ciphertext(1_000, 1)));
    std::fs::remove_file(&blob).unwrap();
    let reply = rig.get(&rig.file_route("download", "a")).await;
    assert_eq!(reply.failure(), (500, "storage_inconsistency".to_owned()));

    std::fs::write(blob, b"short").unwrap();
    let reply = rig.get(&rig.file_route("download", "a")).await;
    assert_eq!(reply.failure(), (500, "storage_inconsistency".to_owned()));
}

#[tokio::test]
async fn conditions_are_kept() {
    let rig = rig().await;
    let revision = rig.put("a", 1_000, 1, None).await;
    let current = format!("\"{}\"", revision.id);
    let other = format!("\"{}\"", "0".repeat(64));
    for method in [Method::GET, Method::HEAD] {
        for (name, tag, status) in [
            ("if-none-match", &current, 304),
            ("if-none-match", &other, 200),
            ("if-match", &current, 200),
            ("if-match", &other, 412),
        ] {
            let headers = [(name, tag.as_str()), ("range", "bytes=5000-")];
            let headers = if status == 200 { &headers[..1] } else { &headers[..] };
            let reply = rig.send(method.clone(), &rig.file_route("download", "a"), headers, "").await;
            assert_eq!(reply.status.as_u16(), status, "{method} {name} {tag}");
            if status == 304 {
                assert_eq!((reply.header("etag"), reply.body.len()), (current.as_str(), 0));
            }
        }
    }
}
