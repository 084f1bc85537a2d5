//! What a person gets wrong: each mistake has its own sentence, hint and exit code, and loses nothing.

use std::process::Output;

use hcfs_tests::Machine;

use crate::{Site, path, text};

fn says(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(said.contains("hint:"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_wrong_phrase() {
    let machine = Machine::new().unwrap();
    std::fs::create_dir(machine.path("f")).unwrap();
    let folder = machine.path("f");
    for (words, said) in [("abandon abandon notaword", "word"), (&"abandon ".repeat(24), "checksum")] {
        std::fs::write(machine.path("words"), words).unwrap();
        let out = machine.run(&["init", "--folder", path(&folder), "--mnemonic-file", path(&machine.path("words"))]);
        let out = out.unwrap();
        let told = text(&out.stderr);
        assert!(!out.status.success() && told.contains(said), "{told}");
        assert!(!told.contains("notaword"), "the words themselves are never shown: {told}");
    }
}

#[test]
fn a_bad_token_and_a_token_of_another_account() {
    let site = Site::new();
    let a = site.device("a", None);
    let b = site.device("b", None);
    a.write("file", "1");
    let token = a.machine.path("token");
    std::fs::write(&token, "no-such-token").unwrap();
    says(&a.machine.run(&["sync"]).unwrap(), 5, &["token"]);
    std::fs::copy(b.machine.path("token"), &token).unwrap();
    says(&a.machine.run(&["sync"]).unwrap(), 5, &["another account"]);
    std::fs::write(&token, site.token(&a.account)).unwrap();
    a.sync();
}

#[test]
fn an_unreachable_server_and_one_that_is_none() {
    let site = Site::new();
    let a = site.device("a", None);
    a.write("file", "1");
    let config = a.machine.path(".config/hcfs/config.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    let with = |url: &str| std::fs::write(&config, good.replace(&site.url, url)).unwrap();
    with("http://127.0.0.1:9");
    says(&a.machine.run(&["sync", "--timeout", "20"]).unwrap(), 3, &["cannot be reached"]);
    with("http://192.0.2.1");
    let out = a.machine.run(&["sync", "--timeout", "20"]).unwrap();
    let told = text(&out.stderr);
    assert!(!out.status.success() && told.contains("https"), "{told}");
    std::fs::write(&config, good).unwrap();
    a.sync();
}

#[test]
fn folders_that_cannot_be_synced() {
    let site = Site::new();
    let a = site.device("a", None);
    let home = |name: &str| a.machine.path(name);
    std::fs::write(home("plain"), "").unwrap();
    std::fs::create_dir(a.folder.join("inside")).unwrap();
    let add = |label: &str, at: &str| {
        let folder = home(at);
        a.machine.run(&["init", "--folder", path(&folder), "--label", label]).unwrap()
    };
    for (at, word) in [("missing", "missing"), ("plain", "directory"), ("docs/inside", "docs")] {
        let out = add("other", at);
        says(&out, out.status.code().unwrap(), &[word]);
        assert!(!out.status.success());
    }
    a.sync();
}

#[test]
fn a_folder_held_by_another_instance() {
    let site = Site::new();
    let mut a = site.device("a", None);
    a.machine.spawn(&["daemon"]).unwrap();
    let _ = a.machine.until_idle(0);
    says(&a.machine.run(&["daemon"]).unwrap(), 7, &["process"]);
}

#[test]
fn a_wrong_configuration_names_line_and_key() {
    let site = Site::new();
    let a = site.device("a", None);
    let config = a.machine.path(".config/hcfs/config.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{good}\n[limits]\nuplaod = \"1\"\n")).unwrap();
    let line = (good.lines().count() + 3).to_string();
    says(&a.machine.run(&["daemon"]).unwrap(), 78, &["uplaod", &line]);
    std::fs::write(&config, &good).unwrap();
    a.sync();
}

#[test]
fn a_wrong_password() {
    let site = Site::new();
    let a = site.device("a", None);
    let key = a.machine.path(".local/state/hcfs/unlock.key");
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, "another secret, long enough to be one, but not the right one for this").unwrap();
    says(&a.machine.run(&["sync"]).unwrap(), 6, &["password"]);
    std::fs::write(&key, good).unwrap();
    a.sync();
}

#[test]
fn a_damaged_database_is_rebuilt_and_nothing_is_deleted() {
    let site = Site::new();
    let a = site.device("a", None);
    a.write("file", "1");
    a.sync();
    let state = a.machine.path(".local/state/hcfs");
    let mut pending = vec![state];
    let mut damaged = 0;
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let found = entry.unwrap().path();
            if found.is_dir() {
                pending.push(found);
            } else if found.extension().is_some_and(|e| e == "db") {
                std::fs::write(&found, "no database").unwrap();
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 1);
    a.sync();
    assert_eq!(a.tree()["file"], b"1");
}

#[test]
fn no_daemon_and_wrong_use() {
    let machine = Machine::new().unwrap();
    says(&machine.run(&["status"]).unwrap(), 4, &["daemon"]);
    assert_eq!(machine.run(&["no-such-command"]).unwrap().status.code(), Some(2));
    assert_eq!(machine.run(&["--help"]).unwrap().status.code(), Some(0));
}

#[test]
fn the_doctor_finds_several_mistakes_at_once() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    let a = site.device("a", None);
    std::fs::remove_file(a.machine.path(".local/state/hcfs/recovery-phrase.txt")).unwrap();
    let open = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(a.machine.path("token"), open(0o600)).unwrap();
    let sound = a.machine.run(&["doctor", "--json"]).unwrap();
    assert_eq!(sound.status.code(), Some(0), "{}", text(&sound.stdout));

    std::fs::set_permissions(a.machine.path(".local/state/hcfs/unlock.key"), open(0o644)).unwrap();
    std::fs::write(a.machine.path("token"), "no-such-token").unwrap();
    std::fs::remove_dir(&a.folder).unwrap();
    let found = a.machine.run(&["doctor", "--json"]).unwrap();
    assert_eq!(found.status.code(), Some(1), "{}", text(&found.stdout));
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let checks = found["checks"].as_array().unwrap();
    let failed: Vec<&str> =
        checks.iter().filter(|check| check["verdict"] == "fail").map(|check| check["name"].as_str().unwrap()).collect();
    // What opens the account is closed to the program as long as others can read it; the token it reads all the same.
    assert_eq!(failed, ["secret", "unlock", "directory"], "{checks:#?}");
    std::fs::set_permissions(a.machine.path(".local/state/hcfs/unlock.key"), open(0o600)).unwrap();
    let found = a.machine.run(&["doctor", "--quiet"]).unwrap();
    let said = text(&found.stdout);
    assert_eq!(found.status.code(), Some(1), "{said}");
    assert!(said.contains("fail  token ") && said.contains("hint: check the token"), "{said}");
    assert!(!said.contains("ok  "), "{said}");
}
