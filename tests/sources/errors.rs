//! Each documented error, as the person sees it.

use crate::Scene;
use crate::services::{Item, TaskState};

const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
const MEDIA: &str = "https://media.example/1";

/// One error: how it comes about, and what is said of it.
struct Case {
    what: &'static str,
    kind: &'static str,
    item: &'static str,
    more: &'static [&'static str],
    happens: fn(&Scene),
    code: &'static str,
    exit: i32,
    says: &'static str,
}

const CASES: &[Case] = &[
    Case {
        what: "cid: no or bad token",
        kind: "cid",
        item: CID,
        more: &[],
        happens: |scene| std::fs::write(scene.device.machine.path("credential"), "wrong").unwrap(),
        code: "unauthorized",
        exit: 5,
        says: "does not accept the credential",
    },
    Case {
        what: "cid: the service fails",
        kind: "cid",
        item: CID,
        more: &[],
        happens: |_| {},
        code: "service_failed",
        exit: 3,
        says: "merkledag: not found",
    },
    Case {
        what: "storage_file: not found",
        kind: "storage_file",
        item: "file_99999",
        more: &[],
        happens: |_| {},
        code: "not_found",
        exit: 3,
        says: "the service has no file \"file_99999\"",
    },
    Case {
        what: "storage_file: access denied",
        kind: "storage_file",
        item: "file_1",
        more: &[],
        happens: |scene| {
            scene.services.put("file_1", Item::new("a", "a"));
            scene.services.deny("file_1");
        },
        code: "denied",
        exit: 3,
        says: "access to \"file_1\" is denied",
    },
    Case {
        what: "storage_file: locked",
        kind: "storage_file",
        item: "file_1",
        more: &[],
        happens: |scene| {
            scene.services.put("file_1", Item::new("a", "a"));
            scene.services.lock("file_1", 1000);
        },
        code: "locked",
        exit: 3,
        says: "is locked at the service",
    },
    Case {
        what: "storage_file: unauthorized",
        kind: "storage_file",
        item: "file_1",
        more: &[],
        happens: |scene| std::fs::write(scene.device.machine.path("credential"), "wrong").unwrap(),
        code: "unauthorized",
        exit: 5,
        says: "does not accept the credential",
    },
    Case {
        what: "signed_url: no such file",
        kind: "signed_url",
        item: "file_9",
        more: &[],
        happens: |_| {},
        code: "not_found",
        exit: 3,
        says: "2fbbf3b6-51a1-4f1b-88e2-c00e8b52fbb8",
    },
    Case {
        what: "signed_url: a new link is refused",
        kind: "signed_url",
        item: "file_1",
        more: &[],
        happens: |scene| {
            scene.services.put("file_1", Item::new("a", "a"));
            scene.services.signed_for(-10);
        },
        code: "link_invalid",
        exit: 3,
        says: "refused although it is new",
    },
    Case {
        what: "signed_url: a bad key",
        kind: "signed_url",
        item: "file_1",
        more: &[],
        happens: |scene| std::fs::write(scene.device.machine.path("credential"), "wrong").unwrap(),
        code: "unauthorized",
        exit: 5,
        says: "API key",
    },
    Case {
        what: "download_task: the task fails",
        kind: "download_task",
        item: MEDIA,
        more: &[],
        happens: |scene| scene.services.task_takes(0, TaskState::Error),
        code: "task_failed",
        exit: 3,
        says: "Video unavailable: private video",
    },
    Case {
        what: "download_task: the task is cancelled at the service",
        kind: "download_task",
        item: MEDIA,
        more: &[],
        happens: |scene| scene.services.task_takes(0, TaskState::Cancelled),
        code: "task_cancelled",
        exit: 3,
        says: "was cancelled at the service",
    },
    Case {
        what: "download_task: never done",
        kind: "download_task",
        item: MEDIA,
        more: &["--deadline", "2s"],
        happens: |scene| scene.services.task_takes(1_000_000, TaskState::Completed),
        code: "task_too_slow",
        exit: 3,
        says: "did not end within 2 s",
    },
    Case {
        what: "download_task: the file is gone",
        kind: "download_task",
        item: MEDIA,
        more: &[],
        happens: |_| {},
        code: "task_file_gone",
        exit: 3,
        says: "gone from the service's disk",
    },
    Case {
        what: "url: not found",
        kind: "url",
        item: "URL/files/none",
        more: &[],
        happens: |_| {},
        code: "not_found",
        exit: 3,
        says: "no file",
    },
    Case {
        what: "url: nobody there",
        kind: "url",
        item: "http://127.0.0.1:9/file",
        more: &[],
        happens: |_| {},
        code: "unreachable",
        exit: 3,
        says: "127.0.0.1",
    },
];

fn is_told(case: &Case) {
    let scene = Scene::running();
    (case.happens)(&scene);
    let item = case.item.replace("URL", &scene.services.url);
    scene.add(case.kind, &[&item], case.more);
    let (exit, said) = scene.source_run(case.kind);
    let whole = said["source"]["trouble"]["code"] == case.code;
    let told = if whole { &said["source"]["trouble"] } else { &said["problems"][0] };
    assert_eq!((&told["code"], exit), (&case.code.into(), case.exit), "{}: {said:#}", case.what);
    assert!(told["message"].as_str().unwrap().contains(case.says), "{}: {told:#}", case.what);
    assert!(!told["hint"].as_str().unwrap().is_empty(), "{}: {told:#}", case.what);
    let shown = hcfs_tests::text(&scene.run(&["source", "show", case.kind]).stdout);
    assert!(shown.contains(case.says) || shown.contains("hint:"), "{}: {shown}", case.what);
    assert_eq!(scene.names(), Vec::<String>::new(), "{}: nothing is written", case.what);
    scene.leaks_nothing();
}

/// A test for each, so that they run side by side.
macro_rules! cases {
    ($($name:ident: $at:literal;)*) => {
        $(#[test] fn $name() { is_told(&CASES[$at]); })*

        #[test]
        fn every_case_has_its_test() {
            assert_eq!(CASES.len(), [$($at),*].len());
        }
    };
}

cases! {
    cid_unauthorized: 0;
    cid_service_failed: 1;
    storage_file_not_found: 2;
    storage_file_denied: 3;
    storage_file_locked: 4;
    storage_file_unauthorized: 5;
    signed_url_not_found: 6;
    signed_url_link_refused: 7;
    signed_url_unauthorized: 8;
    download_task_failed: 9;
    download_task_cancelled: 10;
    download_task_too_slow: 11;
    download_task_file_gone: 12;
    url_not_found: 13;
    url_unreachable: 14;
}

#[test]
fn a_locked_file_comes_by_itself_when_it_is_free() {
    let scene = Scene::running();
    scene.services.put("file_1", Item::new("a.txt", "content"));
    scene.services.lock("file_1", 2);
    scene.add("storage_file", &["file_1"], &[]);
    let (exit, said) = scene.source_run("storage_file");
    assert_eq!((exit, &said["problems"][0]["code"]), (3, &"locked".into()), "{said:#}");
    assert!(said["problems"][0]["again_at"].is_i64(), "{said:#}");
    scene.services.lock("file_1", 0);
    scene.brings("storage_file", 1);
    assert_eq!(scene.device.tree()["in/a.txt"], b"content");
    let (_, said) = scene.source_run("storage_file");
    assert_eq!((&said["source"]["problems"], &said["source"]["state"]), (&0.into(), &"idle".into()));
}

#[test]
fn a_renewed_credential_is_found_without_a_restart() {
    let scene = Scene::running();
    scene.services.put("file_1", Item::new("a.txt", "content"));
    let credential = scene.device.machine.path("credential");
    let good = std::fs::read(&credential).unwrap();
    std::fs::write(&credential, "old").unwrap();
    scene.add("storage_file", &["file_1"], &[]);
    assert_eq!(scene.run(&["source", "test", "storage_file"]).status.code(), Some(5));
    assert_eq!(scene.source_run("storage_file").0, 5);
    std::fs::write(&credential, good).unwrap();
    scene.done(&["source", "test", "storage_file"]);
    scene.brings("storage_file", 1);
}
