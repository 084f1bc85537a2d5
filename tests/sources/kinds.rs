//! Each kind: added, tested, run, and on to a second device.

use crate::services::{CREDENTIAL, Item, raw_cid, tar_of};
use hcfs_testkit::bytes;

use crate::Scene;

/// Puts one file into every service, adds a source of every kind, and gives names and contents as they should arrive.
fn all_kinds(scene: &Scene) -> Vec<(&'static str, String, Vec<u8>)> {
    let of = |seed| bytes(300_000, seed);
    let cid = raw_cid(&of(1));
    scene.services.put(&cid, Item::new("unused", of(1)));
    scene.services.put("file_78901", Item::new("passport_scan.pdf", of(2)));
    scene.services.put("file_abc123", Item::new("report.png", of(3)));
    scene.services.put("https://media.example/1", Item::new("video one.mp4", of(4)));
    scene.services.put("list.csv", Item { disposition: Some(String::new()), ..Item::new("", of(5)) });
    scene.add("cid", &[&cid], &["--verify", "required"]);
    scene.add("storage_file", &["file_78901"], &["--customer-id", "cust_12345"]);
    scene.add("signed_url", &["file_abc123"], &[]);
    scene.add("download_task", &["https://media.example/1"], &["--quality", "720p"]);
    scene.add("url", &[&format!("{}/files/list.csv", scene.services.url)], &[]);
    vec![
        ("cid", format!("in/{cid}"), of(1)),
        ("storage_file", "in/passport_scan.pdf".into(), of(2)),
        ("signed_url", "in/report.png".into(), of(3)),
        ("download_task", "in/video one.mp4".into(), of(4)),
        ("url", "in/list.csv".into(), of(5)),
    ]
}

#[test]
fn every_kind_brings_its_file_and_a_second_device_gets_it() {
    let scene = Scene::running();
    let expected = all_kinds(&scene);
    for (kind, _, _) in &expected {
        let found = scene.done(&["source", "test", kind]);
        assert!(!found.trim().is_empty(), "{kind}");
    }
    for (kind, name, content) in &expected {
        // It may have been brought already by the run that follows every addition.
        let (code, said) = scene.source_run(kind);
        assert_eq!(
            (code, &said["source"]["files"], &said["source"]["state"]),
            (0, &1.into(), &"idle".into()),
            "{said:#}"
        );
        let tree = scene.device.tree();
        let found = tree.get(name).or_else(|| tree.iter().find(|(found, _)| found.starts_with(name)).map(|(_, b)| b));
        assert!(found == Some(content), "{kind}: {:?}", tree.keys());
    }
    let again = scene.services.take_sent();
    assert!(again >= 5 * 300_000);
    for (kind, _, _) in &expected {
        let (code, said) = scene.source_run(kind);
        assert_eq!((code, &said["source"]["last_run"]["unchanged"]), (0, &1.into()), "{said:#}");
    }
    // Where a service does not say so before it begins to send, what it sends is broken off.
    assert_eq!(scene.services.sent(), 0, "what has not changed is not sent again");

    let (_, shown) = (scene.done(&["source", "list"]), scene.done(&["source", "show", "cid"]));
    assert!(shown.contains("verified"), "{shown}");
    let log = scene.done(&["log"]);
    assert!(log.contains("passport_scan.pdf: brought by storage_file"), "{log}");
    let _ = scene.device.machine.until_idle(5);
    let second = scene.site.device("b", Some(&scene.device.words()));
    second.sync();
    assert_eq!(second.tree(), scene.device.tree());
    scene.leaks_nothing();
}

#[test]
fn requests_are_as_the_documents_say() {
    let scene = Scene::running();
    let expected = all_kinds(&scene);
    for (kind, _, _) in &expected {
        scene.source_run(kind);
    }
    let seen = scene.services.seen();
    let of = |start: &str| {
        let found = seen.iter().find(|seen| seen.target.starts_with(start));
        found.unwrap_or_else(|| panic!("{start}: {:?}", seen.iter().map(|seen| &seen.target).collect::<Vec<_>>()))
    };
    let cid = of("/api/v1/get?arg=");
    assert_eq!((cid.method.as_str(), cid.header("authorization")), ("POST", &*format!("Bearer {CREDENTIAL}")));
    let file = of("/v2/storage/file/file_78901");
    assert_eq!(file.target, "/v2/storage/file/file_78901?customerId=cust_12345");
    assert_eq!((file.header("authorization"), file.header("accept")), (CREDENTIAL, "*/*"));
    let signed = of("/v1/organizations/org_123/files/file_abc123/content");
    assert_eq!(signed.header("x-api-key"), CREDENTIAL);
    let downloads: Vec<_> = seen.iter().filter(|seen| seen.at_downloads).collect();
    assert!(!downloads.is_empty());
    for download in downloads {
        assert_eq!(
            (download.header("x-api-key"), download.header("authorization")),
            ("", ""),
            "no key at the other host"
        );
    }
    assert!(seen.iter().any(|seen| seen.target == "/api/download" && seen.method == "POST"));
    assert!(seen.iter().any(|seen| seen.target == "/api/downloads"));
}

#[test]
fn all_that_is_listed_is_brought_page_by_page() {
    let scene = Scene::running();
    for number in 0..120 {
        scene.services.put(&format!("file_{number:03}"), Item::new(&format!("{number:03}.txt"), bytes(100, number)));
    }
    scene.add("storage_file", &[], &["--all"]);
    let (code, said) = scene.source_run("storage_file");
    assert_eq!((code, &said["source"]["files"]), (0, &120.into()), "{said:#}");
    assert_eq!(scene.names().len(), 120);
    let pages = scene.services.seen().iter().filter(|seen| seen.target.contains("meta.page=")).count();
    assert!(pages >= 3, "{pages}");
    // One is added and one is taken away at the service: the one comes, the other stays.
    scene.services.put("file_new", Item::new("new.txt", "new"));
    scene.services.remove("file_000");
    scene.brings("storage_file", 1);
    assert_eq!(scene.names().len(), 121);
}

#[test]
fn base64_in_json_and_archives_are_unpacked() {
    let scene = Scene::running();
    let content = bytes(1_000_000, 9);
    scene.services.put("file_1", Item { kind: "application/pdf", ..Item::new("scan.pdf", content.clone()) });
    scene.add("storage_file", &["file_1"], &["--accept", "application/json"]);
    scene.source_run("storage_file");
    let cid = raw_cid(&content);
    scene.services.put(&cid, Item { kind: "application/x-tar", ..Item::new("", tar_of("inside.bin", &content)) });
    scene.add("cid", &[&cid], &["--verify", "required"]);
    let (code, said) = scene.source_run("cid");
    assert_eq!(code, 0, "{said:#}");
    let tree = scene.device.tree();
    assert_eq!(tree.len(), 2, "{:?}", tree.keys());
    assert!(tree.values().all(|found| *found == content));
}
