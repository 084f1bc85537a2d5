//! A daemon that is killed in the middle goes on where it stopped.

use hcfs_testkit::bytes;
use hcfs_tests::path;

use crate::Scene;
use crate::services::{Content, Item, raw_cid};

const SIZE: usize = 10 << 20;

/// Lets the source bring a part of its file, kills the daemon, and lets it bring the rest.
fn killed_in_the_middle(kind: &str, item: &str, id: &str, name: &str, asked: &str) {
    let mut scene = Scene::new();
    let content = bytes(SIZE, 3);
    scene.services.put(id, Item::new(name, content.clone()));
    let config = scene.device.machine.path(".config/hcfs/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    // Slow enough to be caught, and the limit is seen to hold.
    std::fs::write(&config, format!("{text}\n[limits]\ndownload = \"2MB/s\"\n")).unwrap();
    scene.start();
    let item = item.replace("URL", &scene.services.url);
    scene.add(kind, &[&item], &[]);
    let under_way = |least: u64| {
        move |status: &serde_json::Value| status["sources"][0]["transfers"][0]["done"].as_u64() >= Some(least)
    };
    let status = scene.device.machine.until("a part of the file", under_way(6_000_000));
    assert_eq!(status["sources"][0]["transfers"][0]["size"], SIZE);
    scene.device.machine.kill();
    assert_eq!(scene.names(), Vec::<String>::new(), "nothing unfinished has a name");
    let parts = scene.device.folder.join(".hcfs/fetched");
    assert_eq!(std::fs::read_dir(&parts).unwrap().count(), 1, "{}", path(&parts));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("2MB/s", "0")).unwrap();
    scene.services.forget_seen();
    scene.start();
    let (code, said) = scene.source_run(kind);
    assert_eq!(code, 0, "{said:#}");
    let tree = scene.device.tree();
    assert_eq!(tree.len(), 1);
    assert!(tree.values().all(|found| *found == content));
    assert_eq!(std::fs::read_dir(&parts).unwrap().count(), 0, "no part is left");
    let seen = scene.services.seen();
    let ranged: Vec<u64> = seen
        .iter()
        .filter(|seen| seen.target.contains(asked))
        .filter_map(|seen| seen.header("range").strip_prefix("bytes=")?.split('-').next()?.parse().ok())
        .collect();
    assert!(ranged.first().is_some_and(|from| *from > 2_000_000), "{kind} began anew: {ranged:?}");
    // A run after the one that went on asks for a newer version alone.
    let is_partial = |name: &str| ["range", "if-none-match", "if-modified-since"].contains(&name);
    let whole = seen.iter().filter(|seen| seen.target.contains(asked));
    let whole = whole.filter(|seen| !seen.headers.keys().any(|name| is_partial(name.as_str()))).count();
    assert_eq!(whole, 0, "{kind}: nothing is asked for from its beginning");
    scene.leaks_nothing();
}

#[test]
fn cid() {
    let cid = raw_cid(&bytes(SIZE, 3));
    killed_in_the_middle("cid", &cid, &cid, "", "/api/v1/get");
}

#[test]
fn storage_file() {
    killed_in_the_middle("storage_file", "file_1", "file_1", "one.bin", "/v2/storage/file/file_1");
}

#[test]
fn signed_url() {
    killed_in_the_middle("signed_url", "file_1", "file_1", "one.bin", "/download?token=");
}

#[test]
fn download_task() {
    let media = "https://media.example/1";
    killed_in_the_middle("download_task", media, media, "one.mp4", "/file");
}

#[test]
fn url() {
    killed_in_the_middle("url", "URL/files/one.bin", "one.bin", "one.bin", "/files/one.bin");
}

#[test]
fn a_link_that_expires_on_the_way_is_renewed() {
    use crate::services::Fault;

    let scene = Scene::running();
    let content = Content::pattern(3 << 20);
    scene.services.put("file_1", Item::new("one.bin", content.to_vec()));
    scene.services.next("/v1/organizations/org_123/files/file_1/download", Fault::Cut(1 << 20));
    let expired = r#"{"success":false,"error":{"code":"TOKEN_INVALID","message":"expired"}}"#;
    scene.services.next(
        "/v1/organizations/org_123/files/file_1/download",
        Fault::Answer(401, "application/json", expired.to_owned()),
    );
    scene.add("signed_url", &["file_1"], &[]);
    let (code, said) = scene.source_run("signed_url");
    assert_eq!(code, 0, "{said:#}");
    assert!(scene.services.all_faults_happened());
    assert_eq!(scene.device.tree()["in/one.bin"], content.to_vec());
    assert!(scene.services.sent() < 4 << 20, "it went on where it stopped: {}", scene.services.sent());
}
