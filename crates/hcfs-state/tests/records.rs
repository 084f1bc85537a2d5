//! Hints, conflicts, holds, the log and the small values; and that saying the same again writes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test that fails")]

mod kit;

use hcfs_model::{CiphertextHash, FileId, UnixNanos};
use hcfs_state::{
    Baseline, Conflict, ConflictKind, Decision, DownloadHint, Event, Hold, Known, LocalUpdate, MAX_EVENTS, Meta,
    RemoteUpdate, RemoteVersion, Settled, StateError, UploadHint,
};
use kit::{Scratch, existing, found, listed, local, open, path, remote, salted, synced};

fn upload_hint() -> UploadHint {
    UploadHint {
        fingerprint: local(3).fingerprint,
        nonce: [9; 24],
        blob_hash: CiphertextHash([8; 32]),
        salted_hash: salted(3),
        session: "session-1".to_owned(),
        part_size: 8 << 20,
        expires: UnixNanos(77),
    }
}

fn download_hint() -> DownloadHint {
    DownloadHint {
        file_id: FileId::of_path("b"),
        revision: kit::revision(4, 4),
        base_nonce: [5; 24],
        frames_done: 12,
        staged: "0a1b".to_owned(),
    }
}

fn conflict() -> Conflict {
    Conflict {
        path: path("dir/a.txt"),
        kind: ConflictKind::BothModified,
        copy: Some(path("dir/a (conflict, home, 2026-11-21).txt")),
        at: UnixNanos(5),
        local: Some((salted(1), 10)),
        remote: Some(RemoteVersion { hash: salted(2), size: 20, revision: kit::revision(3, 3) }),
        remote_at: Some(UnixNanos(5)),
        device: "home".to_owned(),
        decision: None,
    }
}

fn hold() -> Hold {
    Hold {
        kind: "mass_deletion_here".to_owned(),
        scope: Some("photos".to_owned()),
        count: 30,
        total: 40,
        examples: vec![path("photos/1"), path("photos/2\n")],
        at: UnixNanos(6),
        accepted: None,
    }
}

fn event(text: &str) -> Event {
    Event { at: UnixNanos(1), kind: "uploaded".to_owned(), path: Some(path("a")), text: text.to_owned() }
}

fn meta() -> Meta {
    Meta {
        root: Some([1; 16]),
        root_inode: Some(u64::MAX),
        device: Some([2; 16]),
        device_name: "home".to_owned(),
        baseline: Baseline { local: true, remote: false },
        last_cycle: Some(UnixNanos(-3)),
        last_full_scan: None,
    }
}

#[test]
fn an_idle_folder_writes_nothing() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let tagged = RemoteUpdate { tag: Some("t1".to_owned()), ..listed(&[("a", 1, 1), ("b/c", 2, 1)]) };
    let everything = |store: &mut hcfs_state::Store| {
        store.put_meta(&meta()).unwrap();
        store.record_local(&found(&[("a", 1), ("b/c", 2)]), true).unwrap();
        store.record_remote(&tagged, true).unwrap();
        store.settle(&[synced("a", 1, 1)], &[]).unwrap();
        store.put_upload_hint(&path("b"), &upload_hint()).unwrap();
        store.put_download_hint(&path("b"), &download_hint()).unwrap();
        let id = store.put_hold(&hold()).unwrap();
        store.accept_hold(id, UnixNanos(8)).unwrap();
        let id = store.put_conflict(&conflict()).unwrap();
        store.decide_conflict(id, Some(Decision::Skip)).unwrap();
        let full = Meta { baseline: Baseline { local: true, remote: true }, ..meta() };
        store.put_meta(&full).unwrap();
    };
    everything(&mut store);
    let files = scratch.files();

    store.record_local(&LocalUpdate::default(), false).unwrap();
    store.record_local(&found(&[("a", 1), ("b/c", 2)]), true).unwrap();
    store.record_remote(&RemoteUpdate { tag: tagged.tag.clone(), ..RemoteUpdate::default() }, true).unwrap();
    store.record_remote(&tagged, true).unwrap();
    store.settle(&[], &[]).unwrap();
    store.settle(&[synced("a", 1, 1)], &[]).unwrap();
    store.put_upload_hint(&path("b"), &upload_hint()).unwrap();
    store.put_download_hint(&path("b"), &download_hint()).unwrap();
    store.remove_hints(&path("none")).unwrap();
    store.put_hold(&Hold { at: UnixNanos(99), ..hold() }).unwrap();
    let id = store.put_conflict(&Conflict { at: UnixNanos(99), ..conflict() }).unwrap();
    store.decide_conflict(id, Some(Decision::Skip)).unwrap();
    store.put_meta(&store.meta().unwrap()).unwrap();
    store.remove_conflict(99).unwrap();
    store.remove_hold(99).unwrap();
    assert!(!store.accept_listed(&path("a")).unwrap());
    store.check_all().unwrap();
    store.changed_rows().unwrap();
    assert!(scratch.files() == files, "something was written");

    store.append_event(&event("x")).unwrap();
    assert!(scratch.files() != files, "the look at the files sees no write");
}

#[test]
fn a_doubted_hash_is_renewed_once() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let at = |at| LocalUpdate { at: UnixNanos(at), ..found(&[("a", 1)]) };
    let hashed_at = |store: &hcfs_state::Store| store.known_files().next().unwrap().unwrap().1.hashed_at.0;
    store.record_local(&at(1_000_000_000), true).unwrap();
    // Still within the granularity of the file's times: as doubtful as before.
    for doubtful in [1_500_000_000, 1_999_999_995] {
        assert!(store.record_local(&at(doubtful), true).unwrap().is_empty());
        assert_eq!(hashed_at(&store), 1_000_000_000);
    }
    assert!(store.record_local(&at(60_000_000_000), true).unwrap().is_empty());
    assert_eq!(hashed_at(&store), 60_000_000_000);
    store.record_local(&at(90_000_000_000), true).unwrap();
    assert_eq!(hashed_at(&store), 60_000_000_000);
}

#[test]
fn known_files_come_with_their_bytes_on_disk_and_by_subtree() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let mut update = found(&[("a", 1), ("a/b", 2), ("a/b/c", 3), ("a-", 4), ("a0", 5)]);
    update.put[1].1.disk_path = Some(b"a/\xcc\x81b".as_slice().into());
    store.record_local(&update, true).unwrap();
    let all: Vec<_> = store.known_files().map(Result::unwrap).collect();
    let mut expected = update.put.clone();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    let expected: Vec<_> =
        expected.into_iter().map(|(path, entry)| (path, Known { entry, hashed_at: kit::LATER })).collect();
    assert_eq!(all, expected);
    let below: Vec<String> =
        store.known_files_in(&path("a")).unwrap().map(|entry| entry.unwrap().0.to_string()).collect();
    assert_eq!(below, ["a", "a/b", "a/b/c"]);
}

#[test]
fn a_tree_of_several_pages_comes_whole_and_in_order() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let names: Vec<String> = (0..3_000).map(|n| format!("d{}/{n}", n % 7)).collect();
    let put: Vec<_> = names.iter().map(|name| (path(name), remote(&path(name), 1, 1))).collect();
    store.record_remote(&RemoteUpdate { put, ..RemoteUpdate::default() }, true).unwrap();
    store.record_local(&found(&[("d3/10", 1), ("zz", 1)]), true).unwrap();
    let mut sorted: Vec<_> = names.iter().map(|name| path(name)).collect();
    sorted.sort();
    let remote: Vec<_> = store.remote_rows().map(|row| row.unwrap().0).collect();
    assert_eq!(remote, sorted);
    sorted.push(path("zz"));
    let merged: Vec<_> = store.rows().map(|row| row.unwrap().0).collect();
    assert_eq!(merged, sorted);
    store.check_all().unwrap();
}

#[test]
fn hints_come_back_and_go_with_their_outcome() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    store.put_upload_hint(&path("a"), &upload_hint()).unwrap();
    store.put_download_hint(&path("b"), &download_hint()).unwrap();
    store.put_download_hint(&path("c"), &download_hint()).unwrap();
    let further = DownloadHint { frames_done: 40, ..download_hint() };
    store.put_download_hint(&path("b"), &further).unwrap();
    drop(store);
    let mut store = existing(&scratch.db);
    assert_eq!(store.upload_hint(&path("a")).unwrap(), Some(upload_hint()));
    assert_eq!(store.download_hint(&path("b")).unwrap(), Some(further));
    assert_eq!(store.upload_hint(&path("b")).unwrap(), None);
    store.settle(&[synced("a", 1, 1), Settled::Gone { path: path("b") }], &[]).unwrap();
    let left = store.all_hints().unwrap();
    assert_eq!((left.uploads.len(), left.downloads.into_keys().collect::<Vec<_>>()), (0, vec![path("c")]));
    store.remove_hints(&path("c")).unwrap();
    assert_eq!(store.all_hints().unwrap(), hcfs_state::Hints::default());
}

#[test]
fn conflicts_keep_their_id_and_answer() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let id = store.put_conflict(&conflict()).unwrap();
    assert!(store.decide_conflict(id, Some(Decision::KeepLocal)).unwrap());
    assert_eq!(store.put_conflict(&Conflict { at: UnixNanos(9), ..conflict() }).unwrap(), id);
    let bare = Conflict { copy: None, local: None, remote: None, kind: ConflictKind::FileAndDirectory, ..conflict() };
    let other = store.put_conflict(&bare).unwrap();
    assert_ne!(other, id);
    let kept = Conflict { decision: Some(Decision::KeepLocal), ..conflict() };
    assert_eq!(store.conflicts().unwrap(), [(id, kept.clone()), (other, bare)]);
    assert_eq!(store.conflict(id).unwrap(), Some(kept));
    assert!(store.decide_conflict(id, None).unwrap());
    assert_eq!(store.conflict(id).unwrap(), Some(conflict()));
    assert!(store.remove_conflict(other).unwrap());
    assert!(!store.remove_conflict(other).unwrap());
    assert!(!store.decide_conflict(other, None).unwrap());
    assert_eq!(store.conflict(u64::MAX).unwrap(), None);
    assert!(store.put_conflict(&Conflict { device: "x".into(), ..conflict() }).unwrap() == id);
    let of_another_kind = store.put_conflict(&Conflict { kind: ConflictKind::BothCreated, ..conflict() }).unwrap();
    assert!(of_another_kind > other && store.remove_conflict(of_another_kind).unwrap());
    assert!(store.put_conflict(&Conflict { copy: None, ..conflict() }).unwrap() > other, "an id is given twice");
}

#[test]
fn an_accepted_hold_stays_accepted_until_it_grows() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let id = store.put_hold(&hold()).unwrap();
    let whole = store.put_hold(&Hold { scope: None, examples: Vec::new(), ..hold() }).unwrap();
    assert_ne!(whole, id);
    assert!(store.accept_hold(id, UnixNanos(8)).unwrap());
    let fewer = Hold { count: 10, at: UnixNanos(9), ..hold() };
    assert_eq!(store.put_hold(&fewer).unwrap(), id);
    assert_eq!(store.holds().unwrap()[0], (id, Hold { accepted: Some(UnixNanos(8)), ..fewer }));
    let more = Hold { count: 11, ..hold() };
    store.put_hold(&more).unwrap();
    assert_eq!(store.holds().unwrap()[0], (id, more));
    assert!(store.remove_hold(id).unwrap());
    assert!(!store.remove_hold(id).unwrap());
    assert!(!store.accept_hold(id, UnixNanos(8)).unwrap());
    assert_eq!(store.holds().unwrap().len(), 1);
}

#[test]
fn the_log_pages_and_forgets_the_oldest() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    assert_eq!(store.last_event().unwrap(), 0);
    assert_eq!(store.append_event(&Event { path: None, ..event("one") }).unwrap(), 1);
    store.settle(&[synced("a", 1, 1)], &[event("two"), event("three")]).unwrap();
    let texts = |since, limit| -> Vec<(u64, String)> {
        store.events(since, limit).unwrap().into_iter().map(|(id, event)| (id, event.text)).collect()
    };
    assert_eq!(texts(0, 2), [(1, "one".to_owned()), (2, "two".to_owned())]);
    assert_eq!(texts(2, 10), [(3, "three".to_owned())]);
    assert_eq!(texts(u64::MAX, 10), []);
    assert_eq!(store.events(0, 1).unwrap()[0].1, Event { path: None, ..event("one") });

    let many = vec![event("x"); usize::try_from(MAX_EVENTS).unwrap()];
    store.settle(&[], &many).unwrap();
    assert_eq!(store.last_event().unwrap(), MAX_EVENTS + 3);
    let oldest = store.events(0, u32::MAX).unwrap();
    assert_eq!((oldest[0].0, oldest.len()), (4, 10_000));
}

#[test]
fn a_tag_stands_for_the_remote_tree_until_an_outcome_changes_it() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let listing = RemoteUpdate { tag: Some("t".to_owned()), ..listed(&[("a", 1, 1)]) };
    store.record_remote(&listing, true).unwrap();
    store.settle(&[synced("a", 1, 1)], &[]).unwrap();
    assert_eq!(store.listing_tag().unwrap().as_deref(), Some("t"), "what was received is what was listed");
    store.settle(&[synced("b", 2, 1)], &[]).unwrap();
    assert_eq!(store.listing_tag().unwrap(), None);
}

#[test]
fn small_values_come_back_and_baselines_are_remembered() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    assert_eq!(store.meta().unwrap(), Meta::default());
    store.put_meta(&meta()).unwrap();
    let other = Meta { device: Some([3; 16]), device_name: "new".to_owned(), ..meta() };
    store.put_meta(&other).unwrap();
    store.put_meta(&meta()).unwrap();
    store.record_remote(&RemoteUpdate { tag: Some("t".to_owned()), ..listed(&[]) }, true).unwrap();
    drop(store);
    let mut store = existing(&scratch.db);
    let whole = Baseline { local: true, remote: true };
    assert_eq!(store.meta().unwrap(), Meta { baseline: whole, ..meta() });
    assert!(whole.is_complete());
    assert!(!meta().baseline.is_complete() && !Baseline { local: false, ..whole }.is_complete());
    assert_eq!(store.listing_tag().unwrap().as_deref(), Some("t"));
    store.record_remote(&listed(&[]), false).unwrap();
    assert_eq!(store.listing_tag().unwrap(), None);
    store.put_meta(&Meta::default()).unwrap();
    assert_eq!(store.meta().unwrap(), Meta::default());
}

#[test]
fn a_number_that_does_not_fit_names_its_file_and_changes_nothing() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let mut update = listed(&[("a", 1, 1), ("b", 1, u64::MAX)]);
    match store.record_remote(&update, true) {
        Err(StateError::OutOfRange { path: named, value: u64::MAX, .. }) => assert_eq!(named, path("b")),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.remote_rows().count(), 0);
    assert_eq!(store.meta().unwrap().baseline, Baseline::default());
    update.put[1].1.revision.seq = i64::MAX.cast_unsigned();
    store.record_remote(&update, true).unwrap();
    assert_eq!(store.row(&path("b")).unwrap().remote.as_ref(), Some(&update.put[1].1));
}

#[test]
fn totals_survive_sizes_that_overflow() {
    let scratch = Scratch::new();
    let mut store = open(&scratch.db).store;
    let mut update = listed(&[("a", 1, 1), ("b", 1, 1), ("c", 1, 1)]);
    for (_, entry) in &mut update.put {
        entry.size = i64::MAX.cast_unsigned();
    }
    store.record_remote(&update, true).unwrap();
    store.check_all().unwrap();
    let gone: Vec<_> = ["a", "b", "c"].map(|name| Settled::Gone { path: path(name) }).into();
    store.settle(&gone, &[]).unwrap();
    assert_eq!(store.totals().unwrap(), hcfs_state::Totals::default());
}
