//! Batches, by the client of this project and by hand.

use std::time::Duration;

use hcfs_remote::{
    BaseUrl, BatchUpload, Client, ClientConfig, Expected, FolderChanges, HcfsRemote, Remote, RemoteErrorKind, Token,
    WantedBlob, confirm_uploads,
};
use hcfs_wire::{BATCH_TYPE, BatchLimits, ErrorCode, batch_entry, batch_start};
use http::Method;

use crate::harness::*;

impl Rig {
    fn remote(&self) -> HcfsRemote {
        let base = BaseUrl::parse(&format!("http://{}", self.running.address())).unwrap();
        let http = Client::new(ClientConfig::default()).unwrap();
        HcfsRemote::new(http, base, self.account.clone(), Token::new(&self.token).unwrap())
    }

    fn entry(&self, path: &str, size: u64, seed: u64, base: Option<hcfs_model::Revision>) -> BatchUpload {
        let blob = ciphertext(size, seed);
        BatchUpload { manifest: self.manifest(path, size, &blob, base), blob: blob.into() }
    }

    async fn send_batch(&self, body: Vec<u8>) -> Reply {
        self.send(Method::POST, "/upload_batch", &[("content-type", BATCH_TYPE)], body).await
    }
}

/// A batch of these manifests and blobs.
fn batch(entries: &[BatchUpload]) -> Vec<u8> {
    let mut bytes = batch_start(entries.len() as u32);
    for entry in entries {
        let head = serde_json::to_vec(&entry.manifest).unwrap();
        bytes.extend(batch_entry(&head, entry.blob.len()).unwrap());
        bytes.extend(&entry.blob[..]);
    }
    bytes
}

#[tokio::test]
async fn a_batch_is_announced_stored_durably_and_sent_back() {
    let rig = rig().await;
    let remote = rig.remote();
    let extensions = remote.extensions().await.unwrap();
    assert!(extensions.feed);
    assert_eq!(extensions.upload_batch, Some(BatchLimits::USUAL));
    assert_eq!(extensions.download_batch, Some(BatchLimits::USUAL));
    let entries: Vec<_> = (0..300).map(|number| rig.entry(&format!("f{number}"), number, number, None)).collect();
    let stored = remote.upload_batch(&entries).await.unwrap();
    let revisions: Vec<_> = stored.into_iter().map(|stored| stored.unwrap().revision).collect();
    assert!(rig.blob_files().len() <= 8, "they lie in few packs");

    let rig = rig.restart().await;
    let remote = rig.remote();
    let wanted = |number: u64| {
        let expected = Expected { revision: revisions[number as usize], size: number };
        WantedBlob { file: id(&format!("f{number}")), expected: Some(expected) }
    };
    let all: Vec<_> = (0..300).rev().map(wanted).collect();
    let blobs = remote.download_batch(rig.folder, &all, None).await.unwrap();
    for (blob, entry) in blobs.into_iter().zip(entries.iter().rev()) {
        assert_eq!(blob.unwrap().bytes, entry.blob);
    }
    let fates = confirm_uploads(&remote, rig.folder, &entries).await.unwrap();
    assert_eq!(fates, revisions.iter().copied().map(Some).collect::<Vec<_>>());
    let single = rig.get(&rig.file_route("download", "f7")).await;
    assert_eq!(single.body, entries[7].blob, "the same files as by single requests");
    let FolderChanges::Changed(page) = remote.changes(rig.folder, Some(299), Duration::ZERO).await.unwrap() else {
        panic!("reset")
    };
    assert_eq!((page.changes.len(), page.next), (1, 300));
}

#[tokio::test]
async fn each_upload_of_a_batch_is_judged_alone() {
    let rig = rig().await;
    let remote = rig.remote();
    let a = rig.put("a", 5, 1, None).await;
    let mut unsigned = rig.entry("unsigned", 5, 2, None);
    unsigned.manifest.signature[1] ^= 1;
    let mut foreign = rig.entry("foreign", 5, 3, None);
    foreign.manifest.ss58_address = account(2);
    let mut altered = rig.entry("altered", 5, 4, None);
    altered.blob = ciphertext(5, 99).into();
    let batch = [
        rig.entry("new", 100_000, 5, None),
        rig.entry("a", 5, 6, None),
        unsigned,
        foreign,
        altered,
        rig.entry("a", 6, 7, Some(a)),
        rig.entry("new", 1, 8, None),
    ];
    let results = remote.upload_batch(&batch).await.unwrap();
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().map_err(|error| error.kind.clone())).collect();
    let invalid = RemoteErrorKind::Refused(ErrorCode::InvalidManifest);
    let new = kinds[0].as_ref().unwrap().revision;
    assert_eq!(kinds[1].as_ref().unwrap_err(), &RemoteErrorKind::Conflict { current: Some(a) });
    assert_eq!(kinds[2].as_ref().unwrap_err(), &invalid);
    assert_eq!(kinds[3].as_ref().unwrap_err(), &RemoteErrorKind::Forbidden);
    assert_eq!(kinds[4].as_ref().unwrap_err(), &invalid);
    assert_eq!(kinds[5].as_ref().unwrap().revision.seq, 2);
    assert_eq!(kinds[6].as_ref().unwrap_err(), &RemoteErrorKind::Conflict { current: Some(new) }, "in their order");
    assert_eq!(rig.listing().await.total_count, 2);
    assert!(remote.upload_batch(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_batch_are_refused_and_store_nothing() {
    let rig = rig().await;
    let good = batch(&[rig.entry("a", 5, 1, None), rig.entry("b", 5, 2, None)]);
    let invalid = (400, "invalid_manifest".to_owned());
    assert_eq!(rig.send_batch(good[..good.len() - 1].to_vec()).await.failure(), invalid, "cut");
    assert_eq!(rig.send_batch([&good[..], b"x"].concat()).await.failure(), invalid, "longer");
    assert_eq!(rig.send_batch(b"HCFB\x02\0\0\0\0".to_vec()).await.failure(), invalid, "another version");
    assert_eq!(rig.send_batch(batch_start(1_001)).await.failure(), (400, "batch_too_large".to_owned()));
    let large = (413, "payload_too_large".to_owned());
    let head = [batch_start(1), u32::MAX.to_le_bytes().to_vec()].concat();
    assert_eq!(rig.send_batch(head).await.failure(), large, "an endless head");
    assert_eq!(rig.send_batch(batch(&[rig.entry("c", 300_000, 3, None)])).await.failure(), large, "a large blob");
    let many: Vec<_> = (0..40).map(|number| rig.entry(&format!("f{number}"), 250_000, number, None)).collect();
    assert_eq!(rig.send_batch(batch(&many)).await.failure(), large, "too many bytes");
    let reply = rig.send(Method::POST, "/upload_batch", &[("content-type", "text/plain")], good).await;
    assert_eq!(reply.failure(), (400, "missing_field".to_owned()));
    assert_eq!(rig.listing().await.total_count, 0);
    let head = [batch_start(1), batch_entry(b"{}", 0).unwrap()].concat();
    let reply = rig.send_batch(head).await;
    assert_eq!(reply.json()["Success"]["results"][0]["status"], 400, "a head that is no manifest fails alone");
}

#[tokio::test]
async fn a_download_tells_what_is_not_there_and_what_has_no_room() {
    let rig = rig().await;
    let remote = rig.remote();
    let a = rig.put("a", 5, 1, None).await;
    rig.put("large", 300_000, 2, None).await;
    let wanted = |path: &str, expected| WantedBlob { file: id(path), expected };
    let other = Expected { revision: hcfs_model::Revision { seq: 2, ..a }, size: 5 };
    let moved = Expected { revision: hcfs_model::Revision { id: hcfs_model::RevisionId([1; 32]), ..a }, size: 5 };
    let files = [
        wanted("none", None),
        wanted("large", None),
        wanted("a", Some(other)),
        wanted("a", Some(moved)),
        wanted("a", None),
    ];
    let blobs = remote.download_batch(rig.folder, &files, None).await.unwrap();
    let kinds: Vec<_> = blobs.iter().map(|blob| blob.as_ref().map_err(|error| error.kind.clone())).collect();
    assert_eq!(kinds[0].as_ref().unwrap_err(), &RemoteErrorKind::NotFound);
    assert_eq!(kinds[1].as_ref().unwrap_err(), &RemoteErrorKind::TooLarge);
    let current = RemoteErrorKind::Moved { current: Some(a) };
    assert_eq!(kinds[2].as_ref().unwrap_err(), &current);
    assert_eq!(kinds[3].as_ref().unwrap_err(), &current);
    assert_eq!(kinds[4].as_ref().unwrap().bytes, ciphertext(5, 1));
    let heads = remote.download_batch(rig.folder, &files[..2], Some(0)).await.unwrap();
    assert_eq!(heads[0].as_ref().unwrap_err().kind, RemoteErrorKind::NotFound);
    assert_eq!(heads[1].as_ref().unwrap().bytes.len(), 0, "whether it is there costs no bytes");

    for number in 0..40 {
        rig.put(&format!("f{number}"), 250_000, number, None).await;
    }
    let many: Vec<_> = (0..40).map(|number| wanted(&format!("f{number}"), None)).collect();
    let blobs = remote.download_batch(rig.folder, &many, None).await.unwrap();
    let came = blobs.iter().filter(|blob| blob.is_ok()).count();
    assert_eq!(came, 33, "as many as an answer may hold");
    let late = blobs.into_iter().filter_map(Result::err).all(|error| error.kind == RemoteErrorKind::TooLarge);
    assert!(late);
}

#[tokio::test]
async fn a_download_needs_the_owners_token() {
    let rig = rig().await;
    let body =
        |account: &str| serde_json::json!({"ss58_address": account, "folder_hash": rig.folder.to_hex(), "files": []});
    assert_eq!(rig.post("/download_batch", &body(account(2).as_str())).await.failure(), (403, "forbidden".to_owned()));
    let many: Vec<_> = (0..1_001).map(|_| serde_json::json!({"file_id": id("a").to_hex()})).collect();
    let mut large = body(rig.account.as_str());
    large["files"] = many.into();
    assert_eq!(rig.post("/download_batch", &large).await.failure(), (400, "batch_too_large".to_owned()));
}

#[tokio::test]
async fn a_quota_holds_within_a_batch() {
    let rig = rig_with(|config| config.accounts.quota_bytes = Some(1_000)).await;
    let first = rig.put("replaced", 600, 1, None).await;
    let entries = [
        rig.entry("a", 300, 2, None),
        rig.entry("b", 300, 3, None),
        rig.entry("replaced", 700, 4, Some(first)),
        rig.entry("c", 1, 5, None),
    ];
    let reply = rig.send_batch(batch(&entries)).await;
    let statuses: Vec<_> =
        reply.json()["Success"]["results"].as_array().unwrap().iter().map(|entry| entry["status"].clone()).collect();
    assert_eq!(statuses, [200, 402, 200, 402]);
    assert_eq!(rig.listing().await.total_count, 2);
}
