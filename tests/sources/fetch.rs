//! `hcfs fetch`: one file, without a daemon.

use hcfs_tests::{Machine, path, text};

use crate::services::{CREDENTIAL, Fault, Item, Services, raw_cid};
use hcfs_testkit::bytes;

struct Fetching {
    services: Services,
    machine: Machine,
}

impl Fetching {
    fn new() -> Self {
        let fetching = Self { services: Services::start(), machine: Machine::new().unwrap() };
        std::fs::create_dir(fetching.machine.path("here")).unwrap();
        fetching
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut line = vec!["fetch"];
        line.extend(arguments);
        let mut command = self.machine.hcfs(&line);
        command.current_dir(self.machine.path("here")).env("KEY", CREDENTIAL).output().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.machine.path("here"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_file_of_each_kind_is_fetched_to_its_name_a_path_and_stdout() {
    let fetching = Fetching::new();
    let content = bytes(500_000, 1);
    let cid = raw_cid(&content);
    let media = "https://media.example/1";
    let address = format!("{}/files/a.bin", fetching.services.url);
    for id in [&cid, "file_1", media, "a.bin"] {
        fetching.services.put(id, Item::new("a.bin", content.clone()));
    }
    let base = ["--base-url", &fetching.services.url];
    let key = ["--credential", "env:KEY"];
    let organization = ["--organization", "org_123"];
    let options: [(&str, &str, Vec<&str>); 5] = [
        ("cid", &cid, [base, key].concat()),
        ("storage_file", "file_1", [base, key].concat()),
        ("signed_url", "file_1", [base, key, organization].concat()),
        ("download_task", media, base.to_vec()),
        ("url", &address, vec![]),
    ];
    for (kind, item, more) in options {
        let to = |target: &str| {
            let mut line = vec![kind, item, target];
            line.extend(&more);
            fetching.run(&line)
        };
        let out = to("-");
        assert!(out.status.success(), "{kind}: {}", text(&out.stderr));
        assert!(out.stdout == content, "{kind}");
        let out = to(&format!("{kind}.out"));
        assert!(out.status.success(), "{kind}: {}", text(&out.stderr));
        assert!(std::fs::read(fetching.machine.path("here").join(format!("{kind}.out"))).unwrap() == content);
        assert!(text(&out.stdout).contains("488.3 KiB"), "{}", text(&out.stdout));
    }
    let out = fetching.run(&["url", &address, "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&told["bytes"], &told["schema"]), (&500_000.into(), &1.into()), "{told}");
    assert!(fetching.names().contains(&"a.bin".to_owned()), "{:?}", fetching.names());
}

#[test]
fn nothing_is_replaced_unless_asked_and_nothing_is_left_of_a_failure() {
    let fetching = Fetching::new();
    fetching.services.put("a.txt", Item::new("a.txt", "from the service"));
    let address = format!("{}/files/a.txt", fetching.services.url);
    let here = fetching.machine.path("here").join("a.txt");
    std::fs::write(&here, "mine").unwrap();
    for line in [vec!["url", &address], vec!["url", &address, "a.txt"]] {
        let out = fetching.run(&line);
        assert_eq!(out.status.code(), Some(1));
        assert!(text(&out.stderr).contains("--force"), "{}", text(&out.stderr));
        assert_eq!(std::fs::read(&here).unwrap(), b"mine");
    }
    assert!(fetching.run(&["url", &address, "--force"]).status.success());
    assert_eq!(std::fs::read(&here).unwrap(), b"from the service");
    fetching.services.next("/files/a.txt", Fault::Answer(404, "text/html", "<html>".into()));
    let out = fetching.run(&["url", &address, "other"]);
    assert!(!out.status.success());
    let out =
        fetching.run(&["storage_file", "file_1", "--base-url", &fetching.services.url, "--credential", "env:NONE"]);
    assert_eq!(out.status.code(), Some(6), "{}", text(&out.stderr));
    let out =
        fetching.run(&["storage_file", "x", "--base-url", &fetching.services.url, "--credential", "env:KEY", "-"]);
    assert_eq!((out.status.code(), out.stdout.len()), (Some(1), 0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("no file \"x\"") && !text(&out.stderr).contains(CREDENTIAL));
    assert_eq!(fetching.names(), ["a.txt"], "{}", path(&here));
}
