//! What the documentation shows is true: its configuration is read, and its commands run.

use hcfs_testkit::bytes;
use hcfs_tests::{blocks, path, text};

use crate::Scene;
use crate::services::{CREDENTIAL, Item};

const SOURCES: &str = include_str!("../../crates/hcfs/docs/sources.md");

/// The documentation's example with the places of this machine.
fn placed(scene: &Scene, text: &str) -> String {
    let credential = format!("file:{}", path(&scene.device.machine.path("credential")));
    let mut placed = text.replace("documents", "docs");
    for place in ["keyring:pinned", "file:/home/me/.config/hcfs/passports.key", "credential:reports"] {
        placed = placed.replace(place, &credential);
    }
    placed = placed.replace("https://example.org/", &format!("{}/files/", scene.services.url));
    for host in ["storage", "files", "api", "downloader"] {
        placed = placed.replace(&format!("https://{host}.example"), &scene.services.url);
    }
    placed
}

#[test]
fn every_example_is_read_and_every_command_runs() {
    let mut scene = Scene::new();
    scene.services.put("file_78901", Item::new("passport.pdf", bytes(1000, 1)));
    scene.services.put("list.csv", Item::new("list.csv", "a\nb\n"));
    let config = scene.device.machine.path(".config/hcfs/config.toml");
    let examples: Vec<&str> = blocks(SOURCES, "toml").collect();
    assert_eq!(examples.len(), 5, "one for each kind");
    let text_before = std::fs::read_to_string(&config).unwrap();
    let sources: String = examples.iter().map(|example| placed(&scene, example)).collect();
    std::fs::write(&config, format!("{text_before}\n{sources}")).unwrap();
    scene.start();
    let mut ran = 0;
    for line in blocks(SOURCES, "sh").flat_map(str::lines) {
        let line = placed(&scene, line);
        let out = scene.device.machine.shell(&line).env("FILES_KEY", CREDENTIAL).output().unwrap();
        assert!(out.status.success(), "{line}: {}{}", text(&out.stdout), text(&out.stderr));
        ran += 1;
    }
    assert_eq!(ran, 11);
    let list = scene.done(&["source", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["sources"].as_array().unwrap().len(), 5);
    scene.leaks_nothing();
}

/// Every kind of error has its line in the table.
#[test]
fn every_error_is_explained() {
    let source = include_str!("../../crates/hcfs-sources/src/error.rs");
    let codes = source.split("pub fn code(&self)").nth(1).unwrap().split("pub fn ").next().unwrap();
    let codes: Vec<&str> = codes.split('"').skip(1).step_by(2).collect();
    assert!(codes.len() > 25, "{codes:?}");
    for code in codes {
        // Nobody is told of what they ended themselves.
        assert!(code == "cancelled" || SOURCES.contains(&format!("`{code}`")), "{code} is not explained");
    }
}
