use hcfs_fs::*;
use hcfs_model::UnixNanos;

use crate::scratch::*;

fn throw(scratch: &Scratch, folder: &Folder, path: &str, content: &str, at: i64) {
    scratch.write(path, content);
    let rules = Rules::new(folder, &[]).unwrap();
    let entry = entry(folder, path);
    let durability = Durability::Batch;
    let request = Remove { target: &rel(path), entry: &entry, rules: &rules, at: UnixNanos(at), durability };
    folder.remove(&request).unwrap();
}

#[test]
fn an_entry_tells_its_path_time_and_size_and_sorts_by_time() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    throw(&scratch, &folder, "b/c d", "22", 2_000);
    throw(&scratch, &folder, "a", "1", 1_000);
    throw(&scratch, &folder, "a", "333", 2_000);
    let list = folder.trash_list().unwrap();
    let seen: Vec<_> = list.iter().map(|entry| (entry.path.as_str(), entry.at.0, entry.size)).collect();
    assert_eq!(seen, [("a", 1_000, 1), ("b/c d", 2_000, 2), ("a", 2_000, 3)]);
    assert!(list.is_sorted_by_key(|entry| entry.id.clone()));
    assert!(list.iter().all(|entry| !entry.id.contains('/')), "{list:?}");
}

#[test]
fn files_of_a_directory_that_came_there_whole_are_told_apart() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let name = "00000000000000000007-000000";
    for file in ["d/a", "d/b"] {
        scratch.write(&format!(".hcfs/trash/{name}/{file}"), file);
    }
    let ids: Vec<String> = folder.trash_list().unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [format!("{name}/d/a"), format!("{name}/d/b")]);
    assert!(matches!(folder.trash_restore(name), Err(ApplyError::NotInTrash { .. })), "which of the two?");
    let directory = folder.trash_restore(&format!("{name}/d"));
    assert!(matches!(directory, Err(ApplyError::NotInTrash { .. })), "{directory:?}");
    assert_eq!(folder.trash_restore(&ids[1]).unwrap(), rel("d/b"));
    assert_eq!(folder.trash_restore(name).unwrap(), rel("d/a"));
}

#[test]
fn what_a_replacement_has_on_its_way_is_no_entry_yet() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    scratch.write(".hcfs/trash/00000000000000000007-000000.moved/a", "on its way");
    assert!(folder.trash_list().unwrap().is_empty());
    assert_eq!(folder.trash_empty().unwrap(), Pruned::default());
    assert_eq!(folder.sweep(&std::collections::BTreeSet::new()).unwrap().healed, [rel("a")]);
}

#[test]
fn the_trash_takes_what_comes_whatever_it_was_left_like() {
    let scratch = Scratch::new();
    throw(&scratch, &scratch.open(), "a", "1", 5);
    let folder = scratch.open();
    throw(&scratch, &folder, "b", "2", 5);
    scratch.write(".hcfs/trash/00000000000000000007-000000", "no entry");
    let listed: Vec<String> = folder.trash_list().unwrap().into_iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(listed, ["a", "b"]);
    std::fs::remove_dir_all(scratch.root().join(".hcfs/trash")).unwrap();
    throw(&scratch, &folder, "c", "3", 5);
    std::fs::create_dir_all(scratch.root().join(".hcfs/trash/00000000000000000008-000000/d/e")).unwrap();
    folder.sweep(&std::collections::BTreeSet::new()).unwrap();
    assert!(!scratch.exists(".hcfs/trash/00000000000000000008-000000"));
    assert_eq!(folder.trash_list().unwrap().len(), 1);
}

#[test]
fn restoring_takes_the_old_name_or_a_free_one_beside_it() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    for content in ["one", "two", "three"] {
        throw(&scratch, &folder, "d/x.txt", content, 5);
    }
    let ids: Vec<String> = folder.trash_list().unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(folder.trash_restore(&ids[0]).unwrap(), rel("d/x.txt"));
    assert_eq!(folder.trash_restore(&ids[1]).unwrap(), rel("d/x (restored).txt"));
    assert_eq!(folder.trash_restore(&ids[2]).unwrap(), rel("d/x (restored) 2.txt"));
    assert_eq!(scratch.read("d/x.txt").unwrap(), "one");
    assert_eq!(scratch.read("d/x (restored).txt").unwrap(), "two");
    assert!(folder.trash_list().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(scratch.root().join(".hcfs/trash")).unwrap().count(), 0, "no empty directory is left");
}

#[test]
fn ids_that_are_none_touch_nothing() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    throw(&scratch, &folder, "a", "1", 5);
    for id in [
        "",
        "a",
        "x/a",
        "00000000000000000005-000001",
        "00000000000000000005-000000.moved",
        "5-1/../../marker",
        "00000000000000000005-000000/b",
        "../staged/x",
        "1-/a",
    ] {
        assert!(matches!(folder.trash_restore(id), Err(ApplyError::NotInTrash { .. })), "{id:?}");
    }
    assert_eq!(folder.trash_list().unwrap().len(), 1);
}

#[test]
fn a_long_name_still_finds_a_free_variant() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let name = format!("{}.txt", "é".repeat(125));
    throw(&scratch, &folder, &name, "old", 5);
    scratch.write(&name, "new");
    let id = folder.trash_list().unwrap()[0].id.clone();
    let restored = folder.trash_restore(&id).unwrap();
    assert!(restored.name().len() <= 255 && restored.name().ends_with(" (restored).txt"), "{restored}");
    assert_eq!(scratch.read(restored.as_str()).unwrap(), "old");
}

#[test]
fn a_variant_of_a_name_keeps_its_extension_and_all_that_there_is_room_for() {
    let long = "x".repeat(251);
    for (name, variant) in [
        ("a.tar.gz", "a.tar (restored).gz".to_owned()),
        (".profile", ".profile (restored)".to_owned()),
        ("a.fifteen_letters", "a (restored).fifteen_letters".to_owned()),
        ("a.sixteen__letters", "a.sixteen__letters (restored)".to_owned()),
        (&format!("{long}.txt"), format!("{} (restored).txt", "x".repeat(240))),
    ] {
        let scratch = Scratch::new();
        let folder = scratch.open();
        throw(&scratch, &folder, name, "old", 5);
        scratch.write(name, "new");
        let id = folder.trash_list().unwrap()[0].id.clone();
        assert_eq!(folder.trash_restore(&id).unwrap(), rel(&variant));
    }
}

#[test]
fn pruning_goes_by_age_then_by_size_the_oldest_first() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let day = 86_400_000_000_000;
    for (path, age) in [("a", 40), ("b", 20), ("c", 10), ("d", 1)] {
        throw(&scratch, &folder, path, "1234567890", (100 - age) * day);
    }
    let now = UnixNanos(100 * day);
    let left = || folder.trash_list().unwrap().iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>();
    assert_eq!(folder.trash_prune(30, 1_000, now).unwrap(), Pruned { files: 1, bytes: 10, left: 30 });
    assert_eq!(left(), ["b", "c", "d"]);
    assert_eq!(folder.trash_prune(30, 25, now).unwrap(), Pruned { files: 1, bytes: 10, left: 20 });
    assert_eq!(left(), ["c", "d"]);
    assert_eq!(folder.trash_empty().unwrap(), Pruned { files: 2, bytes: 20, left: 0 });
    assert!(left().is_empty());
    assert_eq!(folder.trash_prune(30, 0, now).unwrap(), Pruned::default());
}

#[test]
fn restoring_does_not_go_through_a_link() {
    let scratch = Scratch::new();
    let outside = tempfile::tempdir().unwrap();
    let folder = scratch.open();
    throw(&scratch, &folder, "d/a", "1", 5);
    std::os::unix::fs::symlink(outside.path(), scratch.root().join("d")).unwrap();
    let id = folder.trash_list().unwrap()[0].id.clone();
    assert!(matches!(folder.trash_restore(&id), Err(ApplyError::Blocked { by: Obstacle::Symlink, .. })));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(folder.trash_list().unwrap().len(), 1);
}
