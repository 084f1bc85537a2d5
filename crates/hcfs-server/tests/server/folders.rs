use hcfs_wire::{Health, ListFolders, Registered, Unregistered};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Reply, Rig, account, rig};

fn registration(rig: &Rig, label: &str, device: Option<&str>) -> Value {
    json!({
        "ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex(),
        "label": label, "device_name": device,
    })
}

async fn list(rig: &Rig) -> ListFolders {
    rig.get(&format!("/list_folders/{}", rig.account)).await.success()
}

async fn unregister(rig: &Rig) -> Reply {
    let body = json!({"ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex()});
    rig.send(Method::DELETE, "/unregister_folder", &[], body.to_string()).await
}

#[tokio::test]
async fn the_server_says_what_it_can_do() {
    let rig = rig().await;
    let nobody = [("authorization", "none")];
    let health: Health = rig.send(Method::GET, "/health", &nobody, "").await.success();
    assert_eq!(health.status, "healthy");
    assert!(health.has("state-etag") && health.has("conditional-delete"));
    for path in ["/healthz", "/readyz"] {
        let reply = rig.send(Method::GET, path, &nobody, "").await;
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"ok"[..]));
    }
    let reply = rig.send(Method::POST, "/health", &nobody, "").await;
    assert_eq!(reply.failure(), (405, "method_not_allowed".to_owned()));
}

#[tokio::test]
async fn a_second_registration_changes_the_first() {
    let rig = rig().await;
    assert_eq!(list(&rig).await.folders, []);
    for (label, device) in [("default", Some("laptop")), ("default", None), ("Default", Some("phone"))] {
        let registered: Registered = rig.post("/register_folder", &registration(&rig, label, device)).await.success();
        assert_eq!(registered.status, "registered");
    }
    rig.put("a", 10, 1, None).await;
    let listed = list(&rig).await;
    assert_eq!((listed.base_address, listed.folders.len()), (rig.account.clone(), 1));
    let folder = &listed.folders[0];
    assert_eq!((folder.label.as_str(), folder.device_name.as_str()), ("Default", "phone"));
    assert_eq!((folder.folder_hash, folder.file_count, folder.total_bytes), (rig.folder, 1, 10));
}

#[tokio::test]
async fn a_registration_is_checked() {
    let rig = rig().await;
    let mut other = registration(&rig, "default", None);
    other["ss58_address"] = account(2).as_str().into();
    assert_eq!(rig.post("/register_folder", &other).await.failure(), (403, "forbidden".to_owned()));
    let mut without = registration(&rig, "default", None);
    without.as_object_mut().unwrap().remove("label");
    assert_eq!(rig.post("/register_folder", &without).await.failure(), (400, "missing_field".to_owned()));
    let slash = registration(&rig, "a/b", None);
    assert_eq!(rig.post("/register_folder", &slash).await.failure(), (400, "invalid_manifest".to_owned()));
    let mut hash = registration(&rig, "default", None);
    hash["folder_hash"] = "xyz".into();
    assert_eq!(rig.post("/register_folder", &hash).await.failure(), (400, "invalid_manifest".to_owned()));
    let reply = rig.get(&format!("/list_folders/{}", account(2))).await;
    assert_eq!(reply.failure(), (403, "forbidden".to_owned()));
}

#[tokio::test]
async fn files_need_no_registration_and_go_with_it() {
    let rig = rig().await;
    assert_eq!(unregister(&rig).await.failure(), (404, "not_found".to_owned()));
    rig.put("a", 10, 1, None).await;
    rig.put("b", 10, 2, None).await;
    assert_eq!(list(&rig).await.folders, []);
    let tag = rig.get(&rig.listing_route("")).await.header("etag").to_owned();

    rig.post("/register_folder", &registration(&rig, "default", None)).await.success::<Registered>();
    let answer: Unregistered = unregister(&rig).await.success();
    assert_eq!((answer.status.as_str(), answer.files_deleted), ("unregistered", 2));
    assert_eq!((list(&rig).await.folders.len(), rig.listing().await.total_count), (0, 0));
    assert!(rig.needed_files().await.is_empty());
    assert_eq!(unregister(&rig).await.failure(), (404, "not_found".to_owned()));
    let after = rig.send(Method::GET, &rig.listing_route(""), &[("if-none-match", &tag)], "").await;
    assert_eq!(after.status, StatusCode::OK, "the state is another one");
}
