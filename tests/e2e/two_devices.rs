//! What the program is for.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use hcfs_tests::Machine;

use crate::{Site, bytes, path, text};

#[test]
fn up_makes_everything_and_a_second_device_joins() {
    let mut first = Machine::new().unwrap();
    let folder = first.path("my-folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("hello"), "from the first device").unwrap();
    first.spawn(&["up", path(&folder)]).unwrap();
    let status = first.until_idle(1);

    let words = first.path(".local/state/hcfs/recovery-phrase.txt");
    assert_eq!(std::fs::metadata(&words).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&words).unwrap().split_whitespace().count(), 24);
    let log = std::fs::read_to_string(first.path("background.log")).unwrap();
    assert!(log.contains(path(&words)), "{log}");

    let (url, account) = (status["server"]["url"].as_str().unwrap(), status["server"]["account"].as_str().unwrap());
    let token = first.run(&["server", "token", "create", "--account", account]).unwrap();
    assert!(token.status.success(), "{}", text(&token.stderr));

    let mut second = Machine::new().unwrap();
    let other = second.path("elsewhere");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(second.path("token"), &token.stdout).unwrap();
    let label = status["folders"][0]["label"].as_str().unwrap();
    let joined = second.run(&[
        "init",
        "--yes",
        "--folder",
        path(&other),
        "--label",
        label,
        "--server",
        url,
        "--token-file",
        path(&second.path("token")),
        "--mnemonic-file",
        path(&words),
    ]);
    let joined = joined.unwrap();
    assert!(joined.status.success(), "{}", text(&joined.stderr));
    second.spawn(&["daemon"]).unwrap();
    let status = second.until_idle(1);
    assert_eq!(status["server"]["account"].as_str().unwrap(), account);
    assert_eq!(std::fs::read(other.join("hello")).unwrap(), b"from the first device");

    // An edit here is noticed there by its own poll.
    std::fs::write(other.join("answer"), "from the second device").unwrap();
    let _ = second.until_idle(2);
    let _ = first.until_idle(2);
    assert_eq!(std::fs::read(folder.join("answer")).unwrap(), b"from the second device");
}

#[test]
fn the_status_is_read_by_any_http_client() {
    let mut machine = Machine::new().unwrap();
    let folder = machine.path("f");
    std::fs::create_dir(&folder).unwrap();
    machine.spawn(&["up", path(&folder)]).unwrap();
    let _ = machine.until_idle(0);
    let socket = machine.path("run/hcfs/hcfs.sock");
    let get = |arguments: &[&str]| {
        let out = Command::new("curl").args(["--silent", "--unix-socket", path(&socket)]).args(arguments).output();
        text(&out.unwrap().stdout)
    };
    let status: serde_json::Value = serde_json::from_str(&get(&["http://hcfs/v1/status"])).unwrap();
    assert_eq!(status["folders"][0]["state"], "idle");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = get(&["--header", "Origin: http://example.org", "http://hcfs/v1/status"]);
    assert!(refused.contains("forbidden"), "{refused}");
}

#[test]
fn edits_conflicts_and_renames_without_a_daemon() {
    let site = Site::new();
    let a = site.device("a", None);
    for number in 0..200 {
        a.write(&format!("old/{number}"), format!("{number}"));
    }
    a.write("text", "base");
    a.sync();
    let b = site.device("b", Some(&a.words()));
    assert_eq!(a.account, b.account);
    b.sync();
    assert_eq!(a.tree(), b.tree());

    std::fs::rename(a.folder.join("old"), a.folder.join("new")).unwrap();
    a.write("text", "from a");
    b.write("text", "from b");
    a.sync();
    let ended = b.machine.run(&["sync"]).unwrap();
    assert_eq!(ended.status.code(), Some(3), "a conflict is left: {}", text(&ended.stderr));
    a.sync();
    assert_eq!(a.tree(), b.tree());
    assert!(!b.folder.join("old").exists());
    let kept: Vec<_> = b.tree().into_keys().filter(|name| name.starts_with("text")).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
}

#[test]
fn the_server_side_is_read_and_changed_without_a_local_copy() {
    let site = Site::new();
    let mut a = site.device("a", None);
    a.write("docs/one", "content of one");
    a.machine.spawn(&["daemon"]).unwrap();
    let _ = a.machine.until_idle(1);
    let run = |arguments: &[&str]| {
        let out = a.machine.run(arguments).unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
        text(&out.stdout)
    };
    assert!(run(&["ls"]).contains("docs/one"));
    assert_eq!(run(&["cat", "docs/one"]), "content of one");
    assert_eq!(run(&["cat", "docs/one", "--range", "8-9"]), "of");
    std::fs::write(a.machine.path("local"), "put from outside").unwrap();
    run(&["put", path(&a.machine.path("local")), "docs/two"]);
    run(&["mv", "docs/two", "docs/three"]);
    run(&["get", "docs/three", path(&a.machine.path("fetched"))]);
    assert_eq!(std::fs::read(a.machine.path("fetched")).unwrap(), b"put from outside");
    let again = a.machine.run(&["get", "docs/three", path(&a.machine.path("fetched"))]).unwrap();
    assert!(!again.status.success(), "get must not overwrite");
    run(&["rm", "--yes", "docs/one"]);
    a.sync();
    assert_eq!(a.tree().into_keys().collect::<Vec<_>>(), ["docs/three"]);
}

/// Kills device and server in the middle of large transfers, some times over, and looks that nothing is lost.
#[test]
fn killed_in_the_middle_of_large_transfers_everything_arrives() {
    let mut site = Site::new();
    let a = site.device("a", None);
    let b = site.device("b", Some(&a.words()));
    let content = bytes(60 << 20, 7);
    a.write("large", &content);
    a.write("small", "small");
    let mut machines = [a, b];
    for device in &mut machines {
        for round in 0..3 {
            device.machine.spawn(&["daemon"]).unwrap();
            let _ = device.machine.until("a transfer under way", |status| {
                let folder = &status["folders"][0];
                let done = folder["transfers"].as_array().into_iter().flatten().any(|t| t["done"].as_u64() > Some(0));
                done || folder["state"] == "idle"
            });
            device.machine.kill();
            if round == 1 {
                site.restart();
            }
        }
        device.sync();
    }
    assert_eq!(machines[1].tree(), machines[0].tree());
    assert_eq!(machines[1].tree()["large"], content);
    let staged = machines[1].folder.join(".hcfs/staged");
    assert_eq!(std::fs::read_dir(staged).unwrap().count(), 0, "parts are left");
    let left = std::fs::read_dir(site.server.path("data")).unwrap().count();
    assert!(left > 0);
}
