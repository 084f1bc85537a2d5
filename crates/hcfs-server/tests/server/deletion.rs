use hcfs_model::RevisionId;
use hcfs_wire::{ConflictBody, DeleteStatus, DeletedFile, DeletedFiles, Envelope};
use http::Method;
use serde_json::{Value, json};

use crate::harness::{id, rig};

#[tokio::test]
async fn a_file_is_deleted_once() {
    let rig = rig().await;
    rig.put("a", 10, 1, None).await;
    let route = rig.file_route("delete", "a");
    let deleted: DeletedFile = rig.send(Method::DELETE, &route, &[], "").await.success();
    assert_eq!((deleted.status, deleted.file_id), (DeleteStatus::Deleted, id("a")));
    assert_eq!(deleted.folder_hash, rig.folder.to_hex());
    assert_eq!(rig.send(Method::DELETE, &route, &[], "").await.failure(), (404, "not_found".to_owned()));
    assert_eq!(rig.get(&rig.file_route("download", "a")).await.failure(), (404, "not_found".to_owned()));
    assert!(rig.needed_files().await.is_empty());
}

#[tokio::test]
async fn a_conditional_deletion_spares_another_revision() {
    let rig = rig().await;
    let first = rig.put("a", 10, 1, None).await;
    let second = rig.put("a", 10, 2, Some(first)).await;
    let route = rig.file_route("delete", "a");
    let only = |revision: RevisionId| format!("\"{revision}\"");

    let reply = rig.send(Method::DELETE, &route, &[("if-match", &only(first.id))], "").await;
    assert_eq!(reply.failure(), (409, "conflict".to_owned()));
    let Envelope::<Value>::Conflict(conflict) = serde_json::from_slice(&reply.body).unwrap() else {
        panic!("{reply:?}")
    };
    assert_eq!(ConflictBody::current(&conflict), Some(second));
    for malformed in ["\"x\"", "W/\"1\"", "abc", ""] {
        let reply = rig.send(Method::DELETE, &route, &[("if-match", malformed)], "").await;
        assert_eq!(reply.failure(), (400, "invalid_manifest".to_owned()), "{malformed}");
    }
    assert_eq!(rig.revision("a").await, Some(second));

    rig.send(Method::DELETE, &route, &[("if-match", &only(second.id))], "").await.success::<DeletedFile>();
    let reply = rig.send(Method::DELETE, &route, &[("if-match", &only(second.id))], "").await;
    assert_eq!(reply.failure(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_batch_says_what_became_of_each_file() {
    let rig = rig().await;
    for (seed, path) in ["a", "b", "c"].iter().enumerate() {
        rig.put(path, 10, seed as u64, None).await;
    }
    let request = |ids: Vec<String>, quiet: bool| {
        json!({
            "ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex(),
            "file_ids": ids, "quiet": quiet,
        })
    };
    let ids = vec![id("a").to_hex(), id("gone").to_hex(), "zz".to_owned()];
    let answer: DeletedFiles = rig.post("/delete_files", &request(ids, false)).await.success();
    assert_eq!(answer.files_deleted, 1);
    assert_eq!(answer.deleted.len(), 2);
    assert_eq!((answer.deleted[0].file_id, &answer.deleted[0].status), (id("a"), &DeleteStatus::Deleted));
    assert_eq!((answer.deleted[1].file_id, &answer.deleted[1].status), (id("gone"), &DeleteStatus::AlreadyDeleted));
    assert_eq!((answer.errors[0].file_id.as_str(), answer.errors[0].error.as_str()), ("zz", "invalid_file_id"));

    let ids = vec![id("b").to_hex(), id("b").to_hex(), "zz".to_owned()];
    let quiet: DeletedFiles = rig.post("/delete_files", &request(ids, true)).await.success();
    assert_eq!((quiet.files_deleted, quiet.deleted.len(), quiet.errors.len()), (1, 0, 1));
    assert_eq!(rig.listing().await.total_count, 1);
    assert_eq!(rig.needed_files().await.len(), 1);

    let many = vec![id("c").to_hex(); 1001];
    let reply = rig.post("/delete_files", &request(many, false)).await;
    assert_eq!(reply.failure(), (400, "batch_too_large".to_owned()));
    assert_eq!(rig.listing().await.total_count, 1);

    let padded = format!("{}{}", request(Vec::new(), false), " ".repeat(2 << 20));
    let reply = rig.send(Method::POST, "/delete_files", &[], padded).await;
    assert_eq!(reply.failure(), (413, "payload_too_large".to_owned()));
}
