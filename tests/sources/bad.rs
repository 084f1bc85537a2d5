//! Bad input: a clear error, nothing written outside, nothing overwritten, no credential leaked.

use std::os::unix::fs::PermissionsExt as _;

use crate::services::{Fault, Item, raw_cid};
use hcfs_testkit::bytes;

use crate::Scene;

#[test]
fn names_that_try_to_leave_the_folder_do_not() {
    let scene = Scene::running();
    let names = [
        "attachment; filename=\"../../../evil\"",
        "attachment; filename=\"/etc/evil\"",
        "attachment; filename=\"..\\\\..\\\\evil\"",
        "attachment; filename*=UTF-8''..%2F..%2Fevil",
        "attachment; filename=\"..\"",
        "attachment; filename=\".hcfs\"",
        "attachment; filename=\"evil\u{7f}\u{1}.txt\"",
    ];
    // Control characters cannot be sent in a header: the last is written as it can be.
    let sent: Vec<String> = names.iter().map(|name| name.replace(['\u{7f}', '\u{1}'], "%0A")).collect();
    let items: Vec<String> = (0..sent.len()).map(|number| format!("{}/files/{number}", scene.services.url)).collect();
    for (number, disposition) in sent.iter().enumerate() {
        let item =
            Item { disposition: Some(disposition.clone()), ..Item::new("", format!("content {number}").as_str()) };
        scene.services.put(&number.to_string(), item);
    }
    let home = scene.device.machine.path("");
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    scene.add("url", &items, &[]);
    let (code, said) = scene.source_run("url");
    assert_eq!((code, &said["source"]["files"]), (0, &7.into()), "{said:#}");
    let found = scene.names();
    assert_eq!(found.len(), names.len(), "each has its own name: {found:?}");
    assert!(found.iter().all(|name| name.starts_with("in/") && name.matches('/').count() == 1), "{found:?}");
    assert!(!home.join("evil").exists() && !std::path::Path::new("/etc/evil").exists());
    // Names are stable: another run moves nothing.
    scene.source_run("url");
    assert_eq!(scene.names(), found);
}

#[test]
fn two_items_with_one_name_and_a_file_of_the_persons_own() {
    let scene = Scene::running();
    scene.device.write("in/scan.pdf", "the person's own");
    for number in 1..=3 {
        let content = format!("content {number}");
        scene.services.put(&format!("file_{number}"), Item::new("scan.pdf", content.as_str()));
    }
    scene.add("storage_file", &["file_1", "file_2", "file_3"], &[]);
    let (code, said) = scene.source_run("storage_file");
    assert_eq!(code, 0, "{said:#}");
    let tree = scene.device.tree();
    assert_eq!(tree["in/scan.pdf"], b"the person's own");
    let mut contents: Vec<_> = tree.values().map(|content| hcfs_tests::text(content)).collect();
    contents.sort();
    assert_eq!(contents, ["content 1", "content 2", "content 3", "the person's own"]);
    assert!(tree.keys().all(|name| name.ends_with(".pdf")), "{:?}", tree.keys());
}

/// An answer that is no file: what was there stays, and nothing new is there.
fn is_refused(kind: &str, code: &str, more: &[&str], prepare: impl Fn(&Scene) -> String) {
    let scene = Scene::running();
    let item = prepare(&scene);
    scene.add(kind, &[&item], more);
    let (exit, said) = scene.source_run(kind);
    assert_ne!(exit, 0, "{said:#}");
    assert_eq!(said["problems"][0]["code"], code, "{said:#}");
    assert_eq!(scene.names(), Vec::<String>::new(), "{kind} {code}");
    let parts = scene.device.folder.join(".hcfs/fetched");
    let left = std::fs::read_dir(parts).map_or(0, Iterator::count);
    assert!(left <= 1, "{left}");
    scene.leaks_nothing();
}

#[test]
fn a_page_where_a_file_was_due() {
    is_refused("storage_file", "wrong_content", &[], |scene| {
        let page = || Fault::Answer(200, "text/html", "<html>log in".into());
        scene.services.put("file_1", Item::new("a.bin", "content"));
        (0..10).for_each(|_| scene.services.next("/v2/storage/file/file_1", page()));
        "file_1".into()
    });
}

#[test]
fn json_where_bytes_were_due() {
    is_refused("storage_file", "wrong_content", &[], |scene| {
        let answer = || Fault::Answer(200, "application/json", r#"{"status":"ok"}"#.into());
        (0..10).for_each(|_| scene.services.next("/v2/storage/file/file_1", answer()));
        "file_1".into()
    });
}

#[test]
fn bytes_where_json_was_due() {
    is_refused("storage_file", "wrong_content", &["--accept", "application/json"], |scene| {
        let answer = || Fault::Answer(200, "application/octet-stream", "bytes".into());
        (0..10).for_each(|_| scene.services.next("/v2/storage/file/file_1", answer()));
        "file_1".into()
    });
}

#[test]
fn base64_with_errors() {
    is_refused("storage_file", "undecodable", &["--accept", "application/json"], |scene| {
        let body = r#"{"contentType":"application/pdf","data":"JVBERi0x!!!!"}"#;
        let answer = || Fault::Answer(200, "application/json", body.into());
        (0..10).for_each(|_| scene.services.next("/v2/storage/file/file_1", answer()));
        "file_1".into()
    });
}

#[test]
fn content_that_is_not_that_of_its_cid() {
    is_refused("cid", "mismatch", &[], |scene| {
        let cid = raw_cid(&bytes(100_000, 1));
        scene.services.put(&cid, Item::new("", bytes(100_000, 2)));
        cid
    });
}

#[test]
fn content_that_was_wrong_once_is_fetched_again() {
    let scene = Scene::running();
    let content = bytes(100_000, 1);
    let cid = raw_cid(&content);
    scene.services.put(&cid, Item::new("", content.clone()));
    scene.services.next("/api/v1/get", Fault::OtherBytes);
    scene.add("cid", &[&cid], &[]);
    let _ = scene.device.machine.until("a problem", |status| status["sources"][0]["problems"] == 1);
    scene.brings("cid", 1);
    assert!(scene.device.tree().values().all(|found| *found == content));
}

#[test]
fn a_service_that_forgets_or_mistakes_the_range_does_no_harm() {
    for lie in [Fault::NoRange, Fault::OtherRange(1000)] {
        let scene = Scene::running();
        let content = bytes(1_000_000, 5);
        scene.services.put("a.bin", Item::new("a.bin", content.clone()));
        scene.services.next("/files/a.bin", Fault::Cut(400_000));
        scene.services.next("/files/a.bin", lie.clone());
        scene.add("url", &[&format!("{}/files/a.bin", scene.services.url)], &[]);
        let mut last = scene.source_run("url");
        if last.0 != 0 {
            assert_eq!(last.1["problems"][0]["code"], "unsteady", "{lie:?}: {:#}", last.1);
            last = scene.source_run("url");
        }
        assert_eq!(last.0, 0, "{lie:?}: {:#}", last.1);
        assert!(scene.device.tree()["in/a.bin"] == content, "{lie:?}");
    }
}

#[test]
fn a_keyring_that_is_not_there_is_told_and_waited_for_no_longer_than_a_moment() {
    let scene = Scene::running();
    let out = scene.run(&[
        "source",
        "add",
        "kept",
        "storage_file",
        "--item",
        "a",
        "--into",
        "docs",
        "--base-url",
        "https://files.example",
        "--credential",
        "keyring:files",
    ]);
    assert!(out.status.success(), "{}", hcfs_tests::text(&out.stderr));
    let out = scene.run(&["source", "test", "kept"]);
    let told = hcfs_tests::text(&out.stderr);
    assert_eq!(out.status.code(), Some(6), "{told}");
    assert!(told.contains("keyring") && told.contains("hint:") && !told.contains("panicked"), "{told}");
    assert!(!scene.device.machine.said().contains("panicked"), "{}", scene.device.machine.said());
}

#[test]
fn a_size_that_is_not_the_announced_one() {
    for size in [10, 1_000_000] {
        is_refused("signed_url", "wrong_size", &[], |scene| {
            scene.services.put("file_1", Item::new("a.bin", bytes(100_000, 1)));
            scene.services.say_size(Some(size));
            "file_1".into()
        });
    }
}

#[test]
fn a_body_that_breaks_off_again_and_again_is_put_together() {
    let scene = Scene::running();
    let content = bytes(1_000_000, 5);
    scene.services.put("a.bin", Item::new("a.bin", content.clone()));
    for _ in 0..3 {
        scene.services.next("/files/a.bin", Fault::Cut(200_000));
    }
    scene.add("url", &[&format!("{}/files/a.bin", scene.services.url)], &[]);
    let (code, said) = scene.source_run("url");
    assert_eq!(code, 0, "{said:#}");
    assert_eq!(scene.device.tree()["in/a.bin"], content);
}

#[test]
fn a_redirect_to_another_host_takes_no_credential_along() {
    let scene = Scene::running();
    scene.services.put("file_1", Item::new("a.bin", "content"));
    let elsewhere = format!("{}/stolen", scene.services.downloads);
    for _ in 0..10 {
        scene.services.next("/v2/storage/file/file_1", Fault::Redirect(elsewhere.clone()));
    }
    scene.add("storage_file", &["file_1"], &[]);
    let (code, _) = scene.source_run("storage_file");
    assert_ne!(code, 0);
    for seen in scene.services.seen().iter().filter(|seen| seen.at_downloads) {
        assert_eq!(seen.header("authorization"), "", "{}", seen.target);
    }
    assert_eq!(scene.names(), Vec::<String>::new());
    scene.leaks_nothing();
}

#[test]
fn ids_credentials_and_addresses_that_are_none() {
    let scene = Scene::running();
    let credential = scene.device.machine.path("credential");
    scene.add("storage_file", &["../../admin"], &[]);
    let (code, said) = scene.source_run("storage_file");
    assert_eq!((code, &said["source"]["trouble"]["code"]), (1, &"bad_item".into()), "{said:#}");
    assert!(scene.services.seen().is_empty(), "nothing is asked for");
    scene.done(&["source", "remove", "storage_file", "--yes"]);

    std::fs::write(&credential, "to\nken").unwrap();
    scene.add("cid", &["bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"], &[]);
    let (code, said) = scene.source_run("cid");
    assert_ne!(code, 0);
    let told = said["source"]["trouble"]["message"].as_str().unwrap();
    assert!(told.contains("more than one line") && !told.contains("ken\""), "{told}");
    assert!(scene.services.seen().is_empty());

    std::fs::write(&credential, "token").unwrap();
    std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o644)).unwrap();
    let out = scene.run(&["source", "test", "cid"]);
    let told = hcfs_tests::text(&out.stderr);
    assert_eq!(out.status.code(), Some(77), "{told}");
    assert!(told.contains("open to other users") && told.contains("chmod 600"), "{told}");

    for (arguments, word) in [
        (vec!["--base-url", "http://files.example"], "not encrypted"),
        (vec!["--base-url", "https://a", "--credential", "s3cret-on-argv"], "does not say where"),
        (vec!["--base-url", "https://a", "--credential", "env:X", "--quality", "720p"], "quality"),
    ] {
        let mut line = vec!["source", "add", "new", "storage_file", "--item", "a", "--into", "docs"];
        line.extend(arguments);
        let out = scene.run(&line);
        let told = hcfs_tests::text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{told}");
        assert!(told.contains(word) && told.contains("hint:") && !told.contains("s3cret"), "{told}");
    }
    let out = scene.run(&["source", "add", "new", "url", "--item", "https://a/b", "--into", "nowhere"]);
    assert!(hcfs_tests::text(&out.stderr).contains("not configured"));
}
