use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use hcfs_fs::*;

use crate::faults::{EINVAL, ENOSPC, Fault, Script};
use crate::scratch::*;

#[test]
fn a_part_is_private_has_its_room_and_can_be_taken_up_again() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let part = folder.stage("ab-01", 1_000_000).unwrap();
    part.write_at(b"hello", 600_000).unwrap();
    drop(part);
    let meta = std::fs::metadata(scratch.root().join(".hcfs/staged/ab-01")).unwrap();
    assert_eq!((meta.len(), meta.mode() & 0o777), (1_000_000, 0o600));
    assert!(meta.blocks() * 512 >= 1_000_000, "the room is reserved");
    assert!(folder.resume_stage("ab-01", 999).unwrap().is_none(), "another size is another part");
    let part = folder.resume_stage("ab-01", 1_000_000).unwrap().unwrap();
    assert_eq!((part.name(), part.size()), ("ab-01", 1_000_000));
    let mut bytes = [0; 5];
    assert_eq!(part.read_at(&mut bytes, 600_000).unwrap(), 5);
    assert_eq!(&bytes, b"hello");
    folder.discard("ab-01").unwrap();
    folder.discard("ab-01").unwrap();
    assert!(folder.resume_stage("ab-01", 1_000_000).unwrap().is_none());
}

#[test]
fn writes_of_any_length_arrive_whole() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let content: Vec<u8> = (0..9_000_000_u32).map(|index| index.to_le_bytes()[index as usize % 3]).collect();
    let part = folder.stage("0a", content.len() as u64).unwrap();
    for (index, piece) in content.chunks(700_001).enumerate() {
        part.write_at(piece, index as u64 * 700_001).unwrap();
    }
    let logged = || std::mem::take(&mut *scratch.script.log.lock().unwrap());
    assert_eq!(logged().iter().filter(|call| *call == "write back file").count(), 2, "the device begins every 4 MiB");
    part.sync().unwrap();
    assert_eq!(logged(), ["sync file"]);
    assert!(part.write_at(b"x", content.len() as u64).is_err(), "nothing is written past the end");
    assert_eq!(std::fs::read(scratch.root().join(".hcfs/staged/0a")).unwrap(), content);
}

#[test]
fn only_short_hexadecimal_names_are_taken() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    for name in ["", "../a", "a/b", "xyz", &"a".repeat(129)] {
        assert!(folder.stage(name, 1).is_err(), "{name:?}");
        assert!(folder.resume_stage(name, 1).is_err(), "{name:?}");
    }
}

#[test]
fn the_reserve_is_kept_free() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    let gib = 1 << 30;
    *scratch.script.space.lock().unwrap() = Some(Space { free: 100 << 20, total: 100 * gib });
    match folder.stage("aa", 40 << 20) {
        Err(ApplyError::NoSpace { needed, free, .. }) => assert_eq!((needed, free), (40 << 20, 36 << 20)),
        _ => panic!("the last 64 MiB are kept"),
    }
    assert!(folder.stage("aa", 36 << 20).is_ok());
    // On a small disk one hundredth is kept.
    *scratch.script.space.lock().unwrap() = Some(Space { free: 100 << 20, total: gib });
    assert!(folder.stage("bb", 89 << 20).is_ok());
    assert!(folder.stage("cc", 90 << 20).is_err());
    assert!(folder.has_room(89 << 20).is_ok());
    assert!(matches!(folder.has_room(90 << 20), Err(ApplyError::NoSpace { .. })));
}

#[test]
fn a_full_disk_has_its_own_kind_and_leaves_no_part() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    // Discarding, measuring and making the file come first.
    scratch.script.arm(3, Fault::Once(ENOSPC));
    assert!(matches!(folder.stage("aa", 10), Err(ApplyError::NoSpace { .. })));
    scratch.script.disarm();
    assert!(scratch.files(".hcfs/staged").is_empty());
}

#[test]
fn the_device_begins_with_a_fetched_part_when_it_is_told_to() {
    let scratch = Scratch::new();
    let part = scratch.open().fetched("ab").unwrap();
    scratch.script.log.lock().unwrap().clear();
    part.write_back();
    assert_eq!(*scratch.script.log.lock().unwrap(), ["write back file"]);
}

#[test]
fn a_part_is_made_where_its_directory_is_gone_and_where_no_room_can_be_reserved() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    std::fs::remove_dir(scratch.root().join(".hcfs/staged")).unwrap();
    folder.stage("aa", 10).unwrap();
    // The room is reserved by the fourth call.
    scratch.script.arm(3, Fault::Once(EINVAL));
    folder.stage("bb", 10).unwrap();
    assert!(scratch.script.disarm());
    assert_eq!(std::fs::metadata(scratch.root().join(".hcfs/staged/bb")).unwrap().len(), 10);
}

#[test]
fn sweeping_removes_the_parts_no_hint_names() {
    let scratch = Scratch::new();
    let folder = scratch.open();
    drop((staged(&folder, "aa", "1"), staged(&folder, "bb", "2")));
    let swept = folder.sweep(&["bb".to_owned()].into()).unwrap();
    assert_eq!(swept.removed, 1);
    assert_eq!(scratch.files(".hcfs/staged"), [("bb".to_owned(), "2".to_owned())]);
}

#[test]
fn a_fetched_part_has_any_size_and_outlives_the_sweep() {
    let scratch = Scratch::new();
    let folder = Folder::over(Arc::new(LinuxDisk::open(&scratch.root()).unwrap()), None, [9; 16]).unwrap();
    assert_eq!(folder.fetched_names().unwrap(), Vec::<String>::new());
    let file = folder.fetched("ab-01").unwrap().share().unwrap();
    file.write_all_at(b"hello, world", 0).unwrap();
    folder.sweep(&std::collections::BTreeSet::new()).unwrap();
    assert_eq!(folder.fetched_names().unwrap(), ["ab-01"]);
    let part = folder.fetched("ab-01").unwrap();
    let mut read = [0; 16];
    assert_eq!(part.read_at(&mut read, 0).unwrap(), 12, "it is taken up as it was left");
    part.share().unwrap().set_len(5).unwrap();
    install(&folder, part, "sub/greeting", Expect::Absent).unwrap();
    assert_eq!(scratch.read("sub/greeting").unwrap(), "hello");
    assert_eq!(folder.fetched_names().unwrap(), Vec::<String>::new());
    folder.discard_fetched("ab-01").unwrap();
    drop(folder.fetched("ab-02").unwrap());
    folder.discard_fetched("ab-02").unwrap();
    assert_eq!(folder.fetched_names().unwrap(), Vec::<String>::new());
    assert!(folder.fetched("../marker").is_err());
}

#[test]
fn the_first_parts_of_all_are_fetched_side_by_side() {
    for _ in 0..40 {
        let scratch = Scratch::in_memory(Script::default());
        let folder = scratch.open();
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (folder, start) = (&folder, &start);
                scope.spawn(move || {
                    start.wait();
                    folder.fetched(&format!("{number}a")).unwrap();
                });
            }
        });
        assert_eq!(folder.fetched_names().unwrap(), ["0a", "1a", "2a", "3a"]);
    }
}
