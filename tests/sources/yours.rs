//! What a person did to a file that was brought is theirs.

use crate::Scene;
use crate::services::{Fault, Item, TaskState};

fn scene() -> Scene {
    let scene = Scene::running();
    scene.services.put("a.txt", Item::new("a.txt", "first"));
    scene.add("url", &[&format!("{}/files/a.txt", scene.services.url)], &[]);
    let (code, said) = scene.source_run("url");
    assert_eq!(code, 0, "{said:#}");
    assert_eq!(scene.names(), ["in/a.txt"]);
    scene
}

#[test]
fn a_new_version_replaces_what_was_brought_and_the_old_one_is_in_the_trash() {
    let scene = scene();
    scene.services.put("a.txt", Item::new("a.txt", "second, and longer"));
    scene.brings("url", 1);
    assert_eq!(scene.device.tree()["in/a.txt"], b"second, and longer");
    let trash = scene.done(&["trash", "list"]);
    assert!(trash.contains("a.txt"), "{trash}");
}

#[test]
fn an_edited_file_is_left_and_the_new_version_put_beside_it() {
    let scene = scene();
    scene.device.write("in/a.txt", "mine");
    scene.services.put("a.txt", Item::new("a.txt", "second"));
    scene.brings("url", 1);
    let names = scene.names();
    assert_eq!(names.len(), 2, "{names:?}");
    let tree = scene.device.tree();
    assert_eq!(tree["in/a.txt"], b"mine");
    let beside = names.iter().find(|name| name.contains(" (url, ")).unwrap();
    assert_eq!(tree[beside], b"second");
    // From now on the file beside is the source's, and the edited one its owner's.
    scene.services.put("a.txt", Item::new("a.txt", "third"));
    scene.brings("url", 1);
    assert_eq!(scene.names(), names);
    assert_eq!((&scene.device.tree()["in/a.txt"][..], &scene.device.tree()[beside][..]), (&b"mine"[..], &b"third"[..]));
}

#[test]
fn a_deleted_file_stays_deleted_until_somebody_asks() {
    let scene = scene();
    std::fs::remove_file(scene.device.folder.join("in/a.txt")).unwrap();
    scene.services.put("a.txt", Item::new("a.txt", "second"));
    let item = format!("{}/files/a.txt", scene.services.url);
    scene.services.take_sent();
    scene.brings("url", 0);
    assert_eq!((scene.names(), scene.services.sent()), (vec![], 0));
    let (code, _) = scene.source_run_with("url", &["--again", &item]);
    assert_eq!((code, scene.device.tree()["in/a.txt"].as_slice()), (0, &b"second"[..]));
}

#[test]
fn a_file_that_is_there_already_is_taken_for_what_it_is() {
    let mut scene = scene();
    // As after the loss of what was remembered.
    scene.device.machine.kill();
    std::fs::remove_file(scene.device.machine.path(".local/state/hcfs/sources.sqlite")).unwrap();
    scene.start();
    scene.source_run("url");
    assert_eq!(scene.names(), ["in/a.txt"]);
    let (_, said) = scene.source_run("url");
    assert_eq!(said["source"]["files"], 1, "{said:#}");
}

#[test]
fn a_paused_folder_gets_nothing_and_goes_on_when_resumed() {
    let scene = scene();
    scene.done(&["folder", "pause", "docs"]);
    let _ = scene.device.machine.until("a source that waits", |status| status["sources"][0]["state"] == "waiting");
    scene.services.put("a.txt", Item::new("a.txt", "second"));
    let (code, said) = scene.source_run("url");
    assert_eq!((code, &said["error"]["code"]), (1, &"stopped".into()), "{said:#}");
    assert_eq!(scene.device.tree()["in/a.txt"], b"first");
    scene.done(&["folder", "resume", "docs"]);
    let _ = scene.device.machine.until("a source that is idle", |status| status["sources"][0]["state"] == "idle");
    scene.brings("url", 1);
    assert_eq!(scene.device.tree()["in/a.txt"], b"second");
}

#[test]
fn a_pause_in_the_middle_keeps_what_is_there() {
    let scene = Scene::running();
    let content = hcfs_testkit::bytes(4 << 20, 8);
    scene.services.put("a.bin", Item::new("a.bin", content.clone()));
    scene.services.next("/files/a.bin", Fault::Hold(3 << 20));
    scene.add("url", &[&format!("{}/files/a.bin", scene.services.url)], &[]);
    let _ = scene.device.machine.until("a file under way", |status| {
        status["sources"][0]["state"] == "running" && scene.services.sent() == 3 << 20
    });
    scene.done(&["folder", "pause", "docs"]);
    let _ = scene.device.machine.until("a source that waits", |status| status["sources"][0]["state"] == "waiting");
    assert_eq!(scene.names(), Vec::<String>::new(), "{}", scene.done(&["log"]));
    scene.services.release();
    scene.services.forget_seen();
    scene.done(&["folder", "resume", "docs"]);
    let _ = scene.device.machine.until("a source that is done", |status| status["sources"][0]["files"] == 1);
    assert!(scene.device.tree()["in/a.bin"] == content);
    let seen = scene.services.seen();
    assert!(seen.iter().all(|seen| seen.header("range").starts_with("bytes=")), "it goes on where it was: {seen:?}");
}

#[test]
fn a_source_that_is_removed_leaves_its_files_and_its_folder_can_go_then() {
    let scene = scene();
    let refused = scene.run(&["folder", "remove", "docs", "--yes"]);
    assert_eq!(refused.status.code(), Some(2), "{}", hcfs_tests::text(&refused.stderr));
    scene.done(&["source", "remove", "url", "--yes"]);
    assert_eq!(scene.run(&["source", "run", "url"]).status.code(), Some(2));
    assert_eq!(scene.names(), ["in/a.txt"]);
    scene.done(&["folder", "remove", "docs", "--yes"]);
}

#[test]
fn a_task_is_found_again_cleaned_up_and_cancelled() {
    let scene = Scene::running();
    scene.services.put("https://media.example/1", Item::new("one.mp4", "one"));
    scene.services.task_takes(1_000, TaskState::Completed);
    scene.add("download_task", &["https://media.example/1"], &["--cleanup"]);
    let shown = scene
        .device
        .machine
        .until("a task that is prepared", |status| status["sources"][0]["transfers"][0]["stage"] == "preparing");
    assert!(shown["sources"][0]["transfers"][0]["percent"].is_u64(), "{shown:#}");
    assert_eq!(scene.services.tasks().len(), 1);
    scene.done(&["source", "cancel", "download_task"]);
    let ended = scene.services.tasks();
    assert!(ended.iter().all(|(_, state)| *state == TaskState::Cancelled), "{ended:?}");
    scene.services.task_takes(1, TaskState::Completed);
    let (code, said) = scene.source_run("download_task");
    assert_eq!(code, 0, "{said:#}");
    assert_eq!(scene.device.tree()["in/one.mp4"], b"one");
    assert!(
        scene.services.tasks().iter().all(|(_, state)| *state == TaskState::Cancelled),
        "the finished one is removed"
    );
}
