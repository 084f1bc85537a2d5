use std::time::Duration;

use notify::event::{DataChange, Flag, MetadataKind, RemoveKind};

use super::*;
use pending::{LONGEST, MOST, QUIET};

fn rel(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn shared() -> Shared {
    Shared { root: "/root".into(), state: Mutex::default(), changed: Condvar::new() }
}

fn hints(events: impl IntoIterator<Item = notify::Result<Event>>) -> Vec<Hint> {
    let shared = shared();
    for event in events {
        shared.event(event, Instant::now());
    }
    let gathered = std::mem::take(&mut shared.lock().gathering);
    gathered.into_hints()
}

fn event(kind: EventKind, paths: &[&str]) -> notify::Result<Event> {
    Ok(paths.iter().fold(Event::new(kind), |event, path| event.add_path(path.into())))
}

#[test]
fn lost_events_ask_for_everything_and_for_the_watches_of_directories_made_unseen() {
    let shared = shared();
    shared.event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)), Instant::now());
    let mut state = shared.lock();
    assert_eq!(state.gathering.take_unwatched(), [PathBuf::from("/root")]);
    assert_eq!(std::mem::take(&mut state.gathering).into_hints(), [Hint::Rescan(RescanReason::Overflow)]);
    assert_eq!(hints([Err(notify::Error::generic("read failed"))]), [Hint::Rescan(RescanReason::Overflow)]);
}

#[test]
fn events_become_hints_by_what_has_to_be_looked_at() {
    let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    let meta = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    let found = hints([
        event(data, &["/root/a"]),
        event(meta, &["/root/a"]),
        event(EventKind::Access(AccessKind::Open(AccessMode::Any)), &["/root/read"]),
        event(EventKind::Access(AccessKind::Close(AccessMode::Write)), &["/root/closed"]),
        event(EventKind::Remove(RemoveKind::File), &["/root/gone"]),
        event(EventKind::Create(CreateKind::Folder), &["/root/new"]),
        event(data, &["/root/new/file"]),
        event(data, &["/root/.hcfs/staged/aa"]),
        event(data, &["/elsewhere/x"]),
        event(EventKind::Modify(ModifyKind::Name(RenameMode::Both)), &["/root/x", "/root/y"]),
    ]);
    let expected = [
        Hint::Moved(rel("x"), rel("y")),
        Hint::Subtree(rel("new")),
        Hint::Touched(rel("a")),
        Hint::Touched(rel("closed")),
        Hint::Touched(rel("gone")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn renames_that_go_on_are_one_and_those_that_come_back_are_none() {
    let now = Instant::now();
    let mut pending = Pending::default();
    pending.moved(rel("a"), rel("b"), now);
    pending.moved(rel("b"), rel("c"), now);
    pending.moved(rel("x"), rel("y"), now);
    pending.moved(rel("y"), rel("x"), now);
    assert_eq!(pending.into_hints(), [Hint::Moved(rel("a"), rel("c"))]);
    // A swap through a third name.
    let mut pending = Pending::default();
    for (from, to) in [("a", "t"), ("b", "a"), ("t", "b")] {
        pending.moved(rel(from), rel(to), now);
    }
    assert_eq!(pending.into_hints(), [Hint::Moved(rel("a"), rel("b")), Hint::Moved(rel("b"), rel("a"))]);
}

#[test]
fn hints_wait_for_silence_but_not_for_ever() {
    let start = Instant::now();
    let mut pending = Pending::default();
    assert_eq!(pending.due(), None);
    pending.touch(rel("a"), start);
    assert_eq!(pending.due(), Some(start + QUIET));
    for step in 1..100 {
        pending.touch(rel("a"), start + step * Duration::from_millis(100));
    }
    assert_eq!(pending.due(), Some(start + LONGEST));
}

#[test]
fn what_nobody_takes_stays_bounded_and_loses_nothing() {
    let now = Instant::now();
    let mut ready = Pending::default();
    for round in 0..3 {
        let mut batch = Pending::default();
        for index in 0..MOST / 2 {
            batch.touch(rel(&format!("{round}/{index}")), now);
        }
        ready.absorb(batch);
    }
    assert_eq!(ready.into_hints()[0], Hint::Rescan(RescanReason::Overflow));
    let mut pending = Pending::default();
    for _ in 0..3 * MOST {
        pending.watch(Path::new("/root/d"), Path::new("/root"));
    }
    let unwatched = pending.take_unwatched();
    assert!(unwatched.len() <= MOST && unwatched.contains(&PathBuf::from("/root")));
}

#[test]
fn so_many_are_named_and_one_more_is_a_look_at_everything() {
    let now = Instant::now();
    let many = |touched: usize, subtrees: usize, moved: usize| {
        let mut pending = Pending::default();
        (0..touched).for_each(|number| pending.touch(rel(&format!("t{number}")), now));
        (0..subtrees).for_each(|number| pending.subtree(rel(&format!("s{number}")), now));
        (0..moved).for_each(|number| pending.moved(rel(&format!("a{number}")), rel(&format!("b{number}")), now));
        pending.into_hints()
    };
    for (touched, subtrees, moved) in [(MOST - 5, 2, 3), (2, MOST - 5, 3), (2, 3, MOST - 5), (MOST, 0, 0)] {
        assert_eq!(many(touched, subtrees, moved).len(), MOST);
        assert_eq!(many(touched, subtrees, moved + 1), [Hint::Rescan(RescanReason::Overflow)]);
    }
    let mut pending = Pending::default();
    let (dir, root) = (Path::new("/root/d"), Path::new("/root"));
    (0..MOST).for_each(|_| pending.watch(dir, root));
    assert!(pending.has_unwatched());
    let unwatched = pending.take_unwatched();
    assert!(unwatched.len() == MOST && unwatched.iter().all(|one| one == dir));
    assert!(!pending.has_unwatched());
    (0..=MOST).for_each(|_| pending.watch(dir, root));
    assert_eq!(pending.take_unwatched(), [root]);
}

#[test]
fn the_limit_is_said_with_the_setting_and_the_number_and_outlives_an_overflow() {
    let mut pending = Pending::default();
    let now = Instant::now();
    pending.rescan(limit(70_000), now);
    pending.rescan(RescanReason::Overflow, now);
    let found = pending.into_hints();
    let [Hint::Rescan(reason)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*reason, RescanReason::WatchLimit { needed: 70_000, sysctl: "fs.inotify.max_user_watches" });
    assert!(reason.hint().unwrap().contains("sysctl fs.inotify.max_user_watches=262144"));
    assert!(is_limit(&notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
    let shared = shared();
    assert!(!shared.lock().limited);
    shared.limit(70_000);
    let mut state = shared.lock();
    assert!(state.limited);
    assert_eq!(std::mem::take(&mut state.gathering).into_hints(), found);
}

#[test]
fn too_many_watchers_are_told_from_what_else_keeps_from_watching() {
    let of = |errno| watch_error(Path::new("root"), notify::Error::io(io::Error::from_raw_os_error(errno)));
    let instances = of(libc::EMFILE);
    assert!(matches!(instances, WatchError::Instances { .. }) && instances.hint().contains("max_user_instances"));
    let other = of(libc::ENFILE);
    assert!(matches!(other, WatchError::Io { .. }) && other.hint().contains("from time to time"));
    assert!(!is_limit(&notify::Error::generic("another")));
}

#[test]
fn giving_up_counts_the_directories_and_lets_the_watches_go() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    std::fs::create_dir_all(dir.path().join(".hcfs/staged")).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(crate::disk::LinuxDisk::open(dir.path()).unwrap());
    let inotify = INotifyWatcher::new(|_| {}, notify::Config::default()).unwrap();
    let mut watches = Watches { root: disk.root().to_path_buf(), disk, inotify: Some(inotify) };
    watches.add(&watches.root.clone()).unwrap();
    assert_eq!(watches.give_up(), 3, "the root, a and a/b");
    assert!(watches.inotify.is_none());
    watches.add(&watches.root.clone()).unwrap();
}
