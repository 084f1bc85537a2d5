use std::sync::atomic::Ordering;

use hcfs_model::Revision;
use hcfs_wire::{
    Browse, FileTypeSummary, FolderEntries, PathReason, RegisteredPaths, SearchFiles, SourceSummary, UploadResult,
    UploadSource,
};
use http::StatusCode;
use serde_json::json;

use crate::harness::{Reply, Rig, ciphertext, id, native, rig};

/// Uploads a file whose path the server is told.
async fn share(rig: &Rig, path: &str, size: u64) -> Revision {
    rig.now.fetch_add(10, Ordering::Relaxed);
    let blob = ciphertext(size, size);
    let mut manifest = rig.manifest(path, size, &blob, None);
    manifest.relative_path = Some(path.to_owned());
    manifest.file_name = path.rsplit('/').next().map(str::to_owned);
    manifest.source = Some(if size.is_multiple_of(2) { UploadSource::Desktop } else { UploadSource::Mobile });
    let result: UploadResult = rig.send_upload(native(&manifest, &blob)).await.success();
    manifest.revision(result.revision_id)
}

async fn shared() -> Rig {
    let rig = rig().await;
    for (path, size) in [
        ("a/b/one.jpg", 1),
        ("a/b/two.PNG", 2),
        ("a/b-c/three.pdf", 3),
        ("a/four.txt", 4),
        ("Five.TXT", 5),
        ("six", 6),
        ("b/Straße nach Köln.mp4", 7),
    ] {
        share(&rig, path, size).await;
    }
    rig.put("unknown", 8, 8, None).await;
    rig
}

async fn browse(rig: &Rig, query: &str) -> Browse {
    rig.get(&format!("/browse/{}/{}{query}", rig.account, rig.folder)).await.success()
}

fn shown(page: &Browse) -> Vec<String> {
    let folders = page.folders.iter().map(|f| format!("{}/ {} {}", f.name, f.file_count, f.total_bytes));
    folders.chain(page.files.iter().filter_map(|file| file.file_name.clone())).collect()
}

#[tokio::test]
async fn a_directory_shows_its_directories_and_then_its_files() {
    let rig = shared().await;
    let root = browse(&rig, "").await;
    assert_eq!(shown(&root), ["a/ 4 10", "b/ 1 7", "Five.TXT", "six"]);
    assert_eq!((root.total_count, root.has_more, root.limit), (4, false, 50));
    for path in ["a", "/a/", "a/"] {
        assert_eq!(shown(&browse(&rig, &format!("?path={path}")).await), ["b/ 2 3", "b-c/ 1 3", "four.txt"], "{path}");
    }
    assert_eq!(shown(&browse(&rig, "?path=a/b").await), ["one.jpg", "two.PNG"]);
    assert_eq!(shown(&browse(&rig, "?path=a/b&sort_order=desc").await), ["two.PNG", "one.jpg"]);
    assert_eq!(shown(&browse(&rig, "?sort_by=size&sort_order=desc").await)[2..], ["six", "Five.TXT"]);
    assert_eq!(shown(&browse(&rig, "?path=a/b&file_type=.jpg,pdf").await), ["one.jpg"]);
    assert_eq!(shown(&browse(&rig, &format!("?uploaded_by={}", rig.account)).await).len(), 4);
    assert_eq!(shown(&browse(&rig, "?uploaded_by=nobody").await), ["a/ 4 10", "b/ 1 7"]);
    let empty = browse(&rig, "?path=nowhere").await;
    assert_eq!((shown(&empty).len(), empty.total_count), (0, 0));

    let mut paged = Vec::new();
    loop {
        let page = browse(&rig, &format!("?limit=1&offset={}", paged.len())).await;
        assert_eq!((page.total_count, page.limit), (4, 1));
        paged.extend(shown(&page));
        if !page.has_more {
            break;
        }
    }
    assert_eq!(paged, shown(&root));
    assert_eq!(browse(&rig, "?limit=9999").await.limit, 200, "coerced");
    for (query, code) in [
        ("?path=a/../b", "invalid_manifest"),
        ("?path=a%5Cb", "invalid_manifest"),
        ("?path=a%00", "invalid_manifest"),
        ("?file_type=other", "invalid_file_type"),
        ("?limit=x", "invalid_manifest"),
    ] {
        let reply = rig.get(&format!("/browse/{}/{}{query}", rig.account, rig.folder)).await;
        assert_eq!(reply.failure(), (400, code.to_owned()), "{query}");
    }
}

async fn search(rig: &Rig, query: &str) -> Reply {
    rig.get(&format!("/search_files/{}?{query}", rig.account)).await
}

async fn found(rig: &Rig, query: &str) -> Vec<String> {
    let page: SearchFiles = search(rig, query).await.success();
    page.files.into_iter().filter_map(|hit| hit.file.file_name).collect()
}

#[tokio::test]
async fn a_search_finds_names_by_what_they_hold() {
    let rig = shared().await;
    let label = json!({"ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex(), "label": "default"});
    rig.post("/register_folder", &label).await;
    assert_eq!(found(&rig, "q=TXT").await, ["Five.TXT", "four.txt"], "the newest first");
    assert_eq!(found(&rig, "q=txt&sort_by=created_at&sort_order=asc").await, ["four.txt", "Five.TXT"]);
    assert_eq!(found(&rig, "q=txt&sort_by=nonsense&sort_order=asc").await, ["Five.TXT", "four.txt"]);
    assert_eq!(found(&rig, "q=txt&sort_by=size_bytes&sort_order=asc").await, ["four.txt", "Five.TXT"]);
    assert_eq!(found(&rig, "q=stra%C3%9Fe%20nach%20k%C3%B6").await, ["Straße nach Köln.mp4"]);
    assert_eq!(found(&rig, "q=%20a/b/%20&file_type=image").await, ["two.PNG", "one.jpg"]);
    assert_eq!(found(&rig, "q=a/b&size_min=2&size_max=2").await, ["two.PNG"]);
    assert_eq!(found(&rig, "q=a/b&date_from=1800000020&date_to=1800000020").await, ["two.PNG"]);
    for nothing in ["q=tx", "q=", "", "q=%20%20ab%20", "q=zzz", "q=%22%20OR%20%22", "q=txt*", "q=%25%25%25"] {
        assert_eq!(found(&rig, nothing).await, Vec::<String>::new(), "{nothing}");
    }
    let page: SearchFiles = search(&rig, "q=txt&limit=1").await.success();
    assert_eq!((page.files.len(), page.total_count, page.has_more, page.limit), (1, 2, true, 1));
    assert_eq!(page.files[0].folder_hash, rig.folder.to_hex());
    assert_eq!(page.files[0].folder_label, "default");
    let page: SearchFiles = search(&rig, "q=txt&offset=1&limit=500").await.success();
    assert_eq!((page.files.len(), page.has_more, page.limit), (1, false, 200));
    assert_eq!(search(&rig, "q=abc").await.success::<SearchFiles>().limit, 25);
    let long = "x".repeat(257);
    assert_eq!(search(&rig, &format!("q={long}")).await.failure(), (400, "q_too_long".to_owned()));
    assert_eq!(search(&rig, "q=abc&file_type=other").await.failure(), (400, "invalid_file_type".to_owned()));

    let other = hcfs_server::tokens::create(&rig.storage(), &crate::harness::account(2), "").await.unwrap();
    let bearer = format!("Bearer {other}");
    let route = format!("/search_files/{}?q=txt", crate::harness::account(2));
    let reply = rig.send(http::Method::GET, &route, &[("authorization", &bearer)], "").await;
    assert_eq!(reply.success::<SearchFiles>().total_count, 0, "another account's files");
}

#[tokio::test]
async fn what_is_renamed_or_deleted_is_found_under_its_new_name_alone() {
    let rig = rig().await;
    let revision = share(&rig, "old/letter.txt", 2).await;
    let mut request = rig.rename_request(&[("old/letter.txt", "new/letter.doc", revision.id)]);
    request.renames[0].new_relative_path = Some("new/letter.doc".to_owned());
    rig.post("/rename_files", &request).await;
    assert_eq!(search(&rig, "q=old").await.success::<SearchFiles>().total_count, 0);
    assert_eq!(search(&rig, "q=new/let").await.success::<SearchFiles>().total_count, 1);
    assert_eq!(shown(&browse(&rig, "").await), ["new/ 1 2"]);
    rig.send(http::Method::DELETE, &rig.file_route("delete", "new/letter.doc"), &[], "").await;
    assert_eq!(search(&rig, "q=letter").await.success::<SearchFiles>().total_count, 0);
    assert_eq!(browse(&rig, "").await.total_count, 0);
}

#[tokio::test]
async fn a_path_is_registered_once_and_never_replaced() {
    let rig = rig().await;
    rig.put("plain/file.pdf", 10, 1, None).await;
    share(&rig, "known.txt", 2).await;
    let before = rig.listing().await;
    let route = format!("/register_relative_paths/{}/{}", rig.account, rig.folder);
    let entries = |entries: &[(&str, &str)]| {
        let entries: Vec<_> =
            entries.iter().map(|(path, name)| json!({"path_hash": id(path).to_hex(), "relative_path": name})).collect();
        json!({ "entries": entries })
    };
    let body = entries(&[
        ("plain/file.pdf", "plain/file.pdf"),
        ("known.txt", "known.txt"),
        ("known.txt", "other.txt"),
        ("missing", "missing"),
        ("plain/file.pdf", "../x"),
        ("plain/file.pdf", "/etc/passwd"),
    ]);
    let done: RegisteredPaths = rig.post(&route, &body).await.success();
    assert_eq!((done.updated, done.skipped), (1, 1));
    let reasons: Vec<_> = done.errors.iter().map(|error| error.reason.clone()).collect();
    let invalid = PathReason::InvalidPath;
    assert_eq!(reasons, [invalid.clone(), invalid, PathReason::PathMismatch, PathReason::NotFound]);
    assert_eq!(shown(&browse(&rig, "?path=plain").await).len(), 0, "no file name was told");
    assert_eq!(browse(&rig, "?path=plain").await.files[0].relative_path.as_deref(), Some("plain/file.pdf"));
    let after = rig.listing().await;
    assert_eq!(after.files[0].revision(), before.files[0].revision(), "a path is no revision");

    let many: Vec<_> = (0..501).map(|_| ("a", "a")).collect();
    assert_eq!(rig.post(&route, &entries(&many)).await.failure(), (400, "batch_too_large".to_owned()));
    let huge = rig.send(http::Method::POST, &route, &[], vec![b' '; (4 << 20) + 1]).await;
    assert_eq!(huge.failure(), (413, "payload_too_large".to_owned()));
    let unknown = format!("/register_relative_paths/{}/{}", rig.account, "0".repeat(16));
    let done: RegisteredPaths = rig.post(&unknown, &entries(&[("a", "a")])).await.success();
    assert_eq!(done.errors[0].reason, PathReason::NotFound);
}

#[tokio::test]
async fn files_are_counted_by_kind_and_by_source() {
    let rig = shared().await;
    let kinds: FileTypeSummary = rig.get(&format!("/get_file_type_summary/{}", rig.account)).await.success();
    let expected = FileTypeSummary {
        image: 2,
        image_bytes: 3,
        video: 1,
        video_bytes: 7,
        document: 2,
        document_bytes: 9,
        pdf: 1,
        pdf_bytes: 3,
        other: 2,
        other_bytes: 14,
        ..FileTypeSummary::default()
    };
    assert_eq!(kinds, expected);
    let sources: SourceSummary = rig.get(&format!("/get_source_summary/{}", rig.account)).await.success();
    let expected = SourceSummary {
        desktop: 3,
        desktop_bytes: 12,
        mobile: 4,
        mobile_bytes: 16,
        other: 1,
        other_bytes: 8,
        ..SourceSummary::default()
    };
    assert_eq!(sources, expected);
    let reply = rig.get(&format!("/list_folder_entries/{}/{}", rig.account, rig.folder)).await;
    assert_eq!(reply.status, StatusCode::OK);
    let entries: FolderEntries = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(entries.relative_paths, Vec::<String>::new(), "without an envelope");
}
