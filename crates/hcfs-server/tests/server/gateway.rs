use hcfs_model::FolderLabel;
use hcfs_server::{ServerError, publications};
use hcfs_wire::{DeletedFile, Health, Published, SearchFiles, UploadResult, capability};
use http::{Method, StatusCode};

use crate::harness::{BOUNDARY, Reply, Rig, account, ciphertext, eventually, hash, id, rig, rig_with};

fn body(account: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"account_ss58\"\r\n\r\n{account}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: text/plain\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn send(rig: &Rig, name: &str, bytes: &[u8]) -> Reply {
    rig.send_upload(body(rig.account.as_str(), name, bytes)).await
}

fn route(rig: &Rig, route: &str, name: &str) -> String {
    format!("/{route}/{}/{}", rig.account, id(name))
}

#[tokio::test]
async fn a_gateway_file_is_stored_as_it_comes() {
    let rig = rig().await;
    let first: UploadResult = send(&rig, "letter.txt", b"dear aunt").await.success();
    let reply = rig.get(&route(&rig, "download", "letter.txt")).await;
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"dear aunt"[..]));
    for (name, value) in [
        ("x-size-bytes", "9"),
        ("x-folder-hash", ""),
        ("x-revision-seq", "1"),
        ("x-file-id", &id("letter.txt").to_hex()),
        ("x-revision-id", &first.revision_id.to_hex()),
    ] {
        assert_eq!(reply.header(name), value, "{name}");
    }
    let part = rig.send(Method::GET, &route(&rig, "download", "letter.txt"), &[("range", "bytes=-4")], "").await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &b"aunt"[..]));

    let large = ciphertext(1_000_000, 1);
    let second: UploadResult = send(&rig, "letter.txt", &large).await.success();
    assert_ne!(first.revision_id, second.revision_id);
    let reply = rig.get(&route(&rig, "download", "letter.txt")).await;
    assert_eq!((reply.header("x-revision-seq"), &reply.body[..]), ("2", &large[..]));
    let found: SearchFiles = rig.get(&format!("/search_files/{}?q=letter", rig.account)).await.success();
    assert_eq!((found.total_count, found.files[0].folder_hash.as_str()), (1, ""));
    assert_eq!(
        rig.get(&format!("/list_folders/{}", rig.account)).await.json()["Success"]["folders"],
        serde_json::json!([])
    );

    let route = route(&rig, "delete", "letter.txt");
    let gone = || rig.send(Method::DELETE, &route, &[], "");
    assert_eq!(gone().await.success::<DeletedFile>().folder_hash, "");
    assert_eq!(gone().await.failure(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_gateway_upload_that_is_wrong_is_refused_and_leaves_nothing() {
    let rig = rig_with(|config| config.limits.upload_bytes = 500_000).await;
    let own = rig.account.to_string();
    let invalid = (400, "invalid_manifest");
    for (what, body, expected) in [
        ("no name", body(&own, "", b"x"), (400, "missing_field")),
        ("a path", body(&own, "a/b", b"x"), invalid),
        ("out", body(&own, "..", b"x"), invalid),
        ("a NUL", body(&own, "a\0b", b"x"), invalid),
        ("a long name", body(&own, &"x".repeat(1_025), b"x"), invalid),
        ("another account", body(account(2).as_str(), "a", b"x"), (403, "forbidden")),
        ("no account", body("nobody", "a", b"x"), (400, "invalid_user_id")),
        ("a long account", body(&"5".repeat(4_000), "a", b"x"), (400, "invalid_user_id")),
        ("too large", body(&own, "a", &vec![0; 500_001]), (413, "payload_too_large")),
        ("far too large", body(&own, "a", &vec![0; 3_000_000]), (413, "payload_too_large")),
    ] {
        let reply = rig.send_upload(body).await;
        assert_eq!(reply.failure(), (expected.0, expected.1.to_owned()), "{what}: {reply:?}");
    }
    let only_account = crate::harness::multipart(&[("account_ss58", own.as_bytes())]);
    assert_eq!(rig.send_upload(only_account).await.failure(), (400, "missing_field".to_owned()));
    let other = crate::harness::multipart(&[("account_ss58", own.as_bytes()), ("other", b"x")]);
    assert_eq!(rig.send_upload(other).await.failure(), (400, "missing_field".to_owned()));
    eventually("nothing is left", || rig.blob_files().is_empty()).await;
    send(&rig, "a", &vec![0; 500_000]).await.success::<UploadResult>();

    let blob = ciphertext(600_000, 1);
    let native = crate::harness::native(&rig.manifest("a", 600_000, &blob, None), &blob);
    assert_eq!(rig.send_upload(native).await.failure(), (413, "payload_too_large".to_owned()));
    let blob = ciphertext(10, 1);
    let mut reserved = rig.manifest("a", 10, &blob, None);
    reserved.folder_hash = hcfs_model::FolderHash::from_hex("ffffffffffffffff").unwrap();
    let reply = rig.send_upload(crate::harness::native(&reserved, &blob)).await;
    assert_eq!(reply.failure(), (400, "invalid_manifest".to_owned()));
}

#[tokio::test]
async fn whoever_runs_the_server_publishes_and_withdraws_by_path() {
    let rig = rig().await;
    rig.put("alps/1.jpg", 1_000, 1, None).await;
    let (storage, folder) = (rig.storage(), FolderLabel::new("default").unwrap());
    let published = publications::publish(&storage, &rig.account, &folder, "alps/1.jpg").await.unwrap();
    assert_eq!(published, hash(&ciphertext(1_000, 1)));
    let public = format!("/public/download/{published}");
    assert_eq!(rig.get(&public).await.body, ciphertext(1_000, 1));
    assert_eq!(publications::withdraw(&storage, &rig.account, &folder, "alps/1.jpg").await.unwrap(), published);
    assert_eq!(rig.get(&public).await.status, StatusCode::NOT_FOUND);
    let again = publications::withdraw(&storage, &rig.account, &folder, "alps/1.jpg").await;
    assert!(matches!(again, Err(ServerError::NotPublished { .. })), "{again:?}");
    let other = publications::publish(&storage, &rig.account, &folder, "alps").await;
    assert!(matches!(other, Err(ServerError::NoSuchFile { .. })), "{other:?}");
}

#[tokio::test]
async fn everybody_may_fetch_what_is_published_until_it_is_withdrawn_or_changed() {
    let rig = rig().await;
    assert!(rig.get("/health").await.success::<Health>().has(capability::PUBLISH));
    let revision = rig.put("a", 1_000, 1, None).await;
    let blob = ciphertext(1_000, 1);
    let public = format!("/public/download/{}", hash(&blob));
    let fetch = |headers: Vec<(&'static str, String)>| {
        let (rig, public) = (&rig, &public);
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let headers = [&[("authorization", "")][..], &headers].concat();
            rig.send(Method::GET, public, &headers, "").await
        }
    };
    let none = || (404, "not_found".to_owned());
    assert_eq!(fetch(vec![]).await.failure(), none());
    let publish = rig.file_route("publish", "a");
    let refused = rig.send(Method::POST, &publish, &[("authorization", "")], "").await;
    assert_eq!(refused.failure(), (401, "unauthorized".to_owned()));
    let published: Published = rig.send(Method::POST, &publish, &[], "").await.success();
    assert_eq!((published.status.as_str(), published.ciphertext_hash), ("published", hash(&blob)));
    rig.send(Method::POST, &publish, &[], "").await.success::<Published>();

    let reply = fetch(vec![]).await;
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &blob[..]));
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("content-disposition"), "attachment");
    for private in ["x-ss58-address", "x-file-id", "x-folder-hash", "x-revision-id", "x-size-bytes"] {
        assert_eq!(reply.header(private), "", "{private}");
    }
    let part = fetch(vec![("range", "bytes=1-2".to_owned())]).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &blob[1..3]));
    let tag = reply.header("etag").to_owned();
    assert_eq!(fetch(vec![("if-none-match", tag)]).await.status, StatusCode::NOT_MODIFIED);

    let withdraw = || rig.send(Method::DELETE, &publish, &[], "");
    assert_eq!(withdraw().await.success::<Published>().status, "withdrawn");
    assert_eq!(withdraw().await.failure(), none());
    assert_eq!(fetch(vec![]).await.failure(), none());
    rig.send(Method::POST, &publish, &[], "").await.success::<Published>();
    let second = rig.put("a", 1_000, 2, Some(revision)).await;
    assert_eq!(fetch(vec![]).await.failure(), none(), "another revision is not published");
    rig.put("a", 1_000, 1, Some(second)).await;
    assert_eq!(fetch(vec![]).await.failure(), none(), "nor the same content sent again");
    rig.send(Method::POST, &publish, &[], "").await.success::<Published>();
    rig.send(Method::DELETE, &rig.file_route("delete", "a"), &[], "").await;
    assert_eq!(fetch(vec![]).await.failure(), none(), "deleted");
    assert_eq!(rig.send(Method::POST, &publish, &[], "").await.failure(), none());
    let bad = rig.get("/public/download/zz").await;
    assert_eq!(bad.failure(), (400, "invalid_file_id".to_owned()));

    send(&rig, "page.html", b"<script>").await.success::<UploadResult>();
    let gateway = route(&rig, "publish", "page.html");
    let published: Published = rig.send(Method::POST, &gateway, &[], "").await.success();
    let page = rig.get(&format!("/public/download/{}", published.ciphertext_hash)).await;
    assert_eq!((page.header("content-type"), &page.body[..]), ("application/octet-stream", &b"<script>"[..]));
}
