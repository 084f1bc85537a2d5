//! The metadata store.

use futures_util::future::join_all;
use hcfs_model::{AccountAddress, FolderHash, Revision, RevisionId};

use super::{Subject, cases, random, somewhere};
use crate::blobs::{BlobPlace, ObjectId, ObjectName};
use crate::metadata::{Committed, FolderKey, MetadataError, NewSession, Removal, SessionId, SessionRefusal};

cases![
    it_answers,
    a_revision_follows_its_base_or_nothing_happens,
    of_many_writers_exactly_one_wins,
    counts_and_tags_follow_the_files,
    a_listing_is_in_the_order_of_first_uploads,
    a_page_is_bounded_in_bytes,
    removals_say_what_became_of_each,
    a_folder_is_registered_listed_and_taken_back,
    a_session_goes_from_its_start_to_its_file,
    sessions_are_bounded_and_expire,
    an_object_is_marked_when_its_row_goes,
    blobs_are_found_by_shard,
    a_blob_moves_without_a_change,
];

async fn it_answers(at: Subject) {
    at.metadata.ping().await.unwrap();
}

async fn a_revision_follows_its_base_or_nothing_happens(at: Subject) {
    let store = &at.metadata;
    let place = somewhere();
    let Committed::Stored(first) = store.commit(at.first(1, 5), place).await.unwrap() else { panic!("not stored") };
    assert_eq!((first.id, first.created_at, first.updated_at), (RevisionId([5; 32]), 100, 100));
    let row = store.file(at.key(1)).await.unwrap().unwrap();
    let current = Revision { seq: 1, id: RevisionId([5; 32]) };
    assert_eq!((row.revision, row.size, row.ciphertext.0, row.place), (current, 5, [5; 32], place));

    let refused = [
        (at.first(1, 6), Committed::Conflict(Some(current))),
        (at.next(1, 6, 9, 2), Committed::Conflict(Some(current))),
        (at.next(1, 6, 5, 1), Committed::Stale(current)),
        (at.next(2, 6, 5, 2), Committed::Conflict(None)),
    ];
    for (new, expected) in refused {
        let asked = store.precheck(new.key.clone(), new.base, new.revision.seq).await.unwrap();
        assert_eq!(asked.as_ref(), Some(&expected));
        assert_eq!(store.commit(new, somewhere()).await.unwrap(), expected);
    }
    let mut second = at.next(1, 6, 5, 7);
    second.now = 200;
    let Committed::Stored(second) = store.commit(second, somewhere()).await.unwrap() else { panic!("not stored") };
    assert_eq!((second.created_at, second.updated_at), (100, 200));
    assert_eq!(store.file(at.key(1)).await.unwrap().unwrap().revision.seq, 7);
    assert_eq!(store.file(at.key(2)).await.unwrap(), None);
}

async fn of_many_writers_exactly_one_wins(at: Subject) {
    let mut base = None;
    for round in 0..3_u8 {
        let racers = (0..16_u8).map(|racer| {
            let content = 16 * round + racer + 1;
            let new = match base {
                None => at.first(1, content),
                Some(base) => at.next(1, content, base, u64::from(round) + 1),
            };
            at.metadata.commit(new, somewhere())
        });
        let results: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        let current = at.metadata.file(at.key(1)).await.unwrap().unwrap().revision;
        let won = results.iter().filter(|result| matches!(result, Committed::Stored(_))).count();
        assert_eq!(won, 1);
        let lost = results.iter().filter(|result| **result == Committed::Conflict(Some(current))).count();
        assert_eq!(lost, 15, "{results:?}");
        base = Some(current.id.0[0]);
    }
}

async fn counts_and_tags_follow_the_files(at: Subject) {
    let store = &at.metadata;
    let empty = store.state_tag(at.folder()).await.unwrap();
    assert_eq!(store.summary(at.account.clone()).await.unwrap().file_count, 0);
    let mut tags = vec![empty];
    let mut expect = |tag: hcfs_wire::StateTag| {
        assert!(!tags.contains(&tag), "the tag of another state");
        tags.push(tag);
    };
    store.commit(at.first(1, 5), somewhere()).await.unwrap();
    expect(store.state_tag(at.folder()).await.unwrap());
    store.commit(at.first(2, 7), somewhere()).await.unwrap();
    expect(store.state_tag(at.folder()).await.unwrap());
    let mut larger = at.next(1, 9, 5, 2);
    larger.now = 300;
    store.commit(larger, somewhere()).await.unwrap();
    let listing = store.listing(at.folder(), 0, 10).await.unwrap();
    assert_eq!((listing.total, listing.tag.clone()), (2, store.state_tag(at.folder()).await.unwrap()));
    expect(listing.tag);
    let summary = store.summary(at.account.clone()).await.unwrap();
    assert_eq!((summary.file_count, summary.total_bytes), (2, 16));
    assert_eq!((summary.created_at, summary.updated_at), (100, 300));
    assert_eq!(store.remove(at.key(1), None, 400).await.unwrap(), Removal::Removed);
    expect(store.state_tag(at.folder()).await.unwrap());
    let summary = store.summary(at.account.clone()).await.unwrap();
    assert_eq!((summary.file_count, summary.total_bytes, summary.updated_at), (1, 7, 400));
    let refused = store.commit(at.first(2, 8), somewhere()).await.unwrap();
    assert!(matches!(refused, Committed::Conflict(_)));
    assert_eq!(Some(&store.state_tag(at.folder()).await.unwrap()), tags.last(), "nothing has changed");
}

async fn a_listing_is_in_the_order_of_first_uploads(at: Subject) {
    let store = &at.metadata;
    for (file, content) in [(7, 1), (3, 2), (9, 3), (1, 4)] {
        let mut new = at.first(file, content);
        new.file_name = Some("n".to_owned());
        new.relative_path = Some("d/n".to_owned());
        store.commit(new, somewhere()).await.unwrap();
    }
    store.commit(at.next(3, 5, 2, 2), somewhere()).await.unwrap();
    let files = |listing: &crate::metadata::Listing| -> Vec<(u8, u8)> {
        listing.files.iter().map(|row| (row.file.0[0], row.ciphertext.0[0])).collect()
    };
    let all = store.listing(at.folder(), 0, 100).await.unwrap();
    assert_eq!(files(&all), [(7, 1), (3, 5), (9, 3), (1, 4)]);
    let first = &all.files[0];
    assert_eq!((first.size, first.revision.seq, first.salted_hash.0), (1, 1, [1; 32]));
    assert_eq!((first.encrypted_path.as_slice(), first.created_at, first.updated_at), (&[1, 1, 1][..], 100, 100));
    assert_eq!((first.file_name.as_deref(), first.relative_path.as_deref()), (Some("n"), Some("d/n")));
    let page = store.listing(at.folder(), 1, 2).await.unwrap();
    assert_eq!((files(&page), page.total), (vec![(3, 5), (9, 3)], 4));
    assert_eq!(files(&store.listing(at.folder(), 4, 2).await.unwrap()), []);
    assert_eq!(files(&store.listing(at.folder(), u64::MAX, 2).await.unwrap()), []);
    let other = FolderKey { account: at.account.clone(), folder: FolderHash::from_hex("ff11223344556677").unwrap() };
    assert_eq!(store.listing(other, 0, 10).await.unwrap().total, 0);
}

async fn a_page_is_bounded_in_bytes(at: Subject) {
    let commits = (0..1_200_u32).map(|number| {
        let mut new = at.first(1, 1);
        new.key.file.0 = *blake3::hash(&number.to_le_bytes()).as_bytes();
        new.encrypted_path = vec![7; 8_192];
        at.metadata.commit(new, somewhere())
    });
    for committed in join_all(commits).await {
        assert!(matches!(committed.unwrap(), Committed::Stored(_)));
    }
    let first = at.metadata.listing(at.folder(), 0, 5_000).await.unwrap();
    assert!((500..1_200).contains(&first.files.len()), "{}", first.files.len());
    assert_eq!(first.total, 1_200);
    let second = at.metadata.listing(at.folder(), first.files.len() as u64, 5_000).await.unwrap();
    assert_eq!(first.files.len() + second.files.len(), 1_200);
}

async fn removals_say_what_became_of_each(at: Subject) {
    let store = &at.metadata;
    assert_eq!(store.remove(at.key(1), None, 1).await.unwrap(), Removal::NotFound);
    for file in 1..=4 {
        store.commit(at.first(file, file), somewhere()).await.unwrap();
    }
    let current = Revision { seq: 1, id: RevisionId([1; 32]) };
    assert_eq!(store.remove(at.key(1), Some(RevisionId([9; 32])), 1).await.unwrap(), Removal::Changed(current));
    assert_eq!(store.remove(at.key(1), Some(current.id), 1).await.unwrap(), Removal::Removed);
    assert_eq!(store.remove(at.key(1), None, 1).await.unwrap(), Removal::NotFound);
    let batch = [3, 1, 2, 3].map(|file| at.key(file).file).to_vec();
    let removed = store.remove_all(at.folder(), batch, 1).await.unwrap();
    assert_eq!(removed, [Removal::Removed, Removal::NotFound, Removal::Removed, Removal::NotFound]);
    assert_eq!(store.listing(at.folder(), 0, 10).await.unwrap().total, 1);
    assert!(matches!(store.commit(at.first(1, 8), somewhere()).await.unwrap(), Committed::Stored(_)), "a new file");
}

async fn a_folder_is_registered_listed_and_taken_back(at: Subject) {
    let store = &at.metadata;
    assert_eq!(store.unregister(at.folder(), 1).await.unwrap(), None);
    store.commit(at.first(1, 5), somewhere()).await.unwrap();
    assert_eq!(store.folders(at.account.clone()).await.unwrap(), []);
    store.register(at.folder(), "photos".to_owned(), Some("desk".to_owned()), 150).await.unwrap();
    store.register(at.folder(), "Zoo".to_owned(), None, 160).await.unwrap();
    let mut other = at.folder();
    other.folder = FolderHash::from_hex("ff11223344556677").unwrap();
    store.register(other.clone(), "äpfel".to_owned(), None, 170).await.unwrap();
    let mut third = at.folder();
    third.folder = FolderHash::from_hex("ee11223344556677").unwrap();
    store.register(third, "apples".to_owned(), None, 180).await.unwrap();
    let listed = store.folders(at.account.clone()).await.unwrap();
    let labels: Vec<_> = listed.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["Zoo", "apples", "äpfel"], "by bytes");
    let row = &listed[0];
    assert_eq!((row.hash, row.device_name.as_deref()), (at.folder().folder, Some("desk")));
    assert_eq!((row.file_count, row.total_bytes, row.created_at, row.updated_at), (1, 5, 100, 160));
    assert_eq!(store.unregister(at.folder(), 170).await.unwrap(), Some(1));
    assert_eq!(store.unregister(at.folder(), 170).await.unwrap(), None);
    assert_eq!(store.unregister(other, 170).await.unwrap(), Some(0));
    assert_eq!(store.listing(at.folder(), 0, 10).await.unwrap().total, 0);
}

fn session(at: &Subject, id: SessionId) -> NewSession {
    NewSession {
        id,
        account: at.account.clone(),
        manifest: "{}".to_owned(),
        chunk_count: 3,
        chunk_size: 10,
        ciphertext_size: 25,
        now: 100,
        expires_at: 200,
        max_sessions: 2,
        max_bytes: 60,
    }
}

async fn a_session_goes_from_its_start_to_its_file(at: Subject) {
    let (store, id) = (&at.metadata, SessionId(random()));
    let find = |account: &AccountAddress, now| store.session(id, account.clone(), now);
    assert_eq!(find(&at.account, 100).await.unwrap(), None);
    assert!(!store.mark_chunk(id, 0, 1).await.unwrap());
    assert_eq!(store.open_session(session(&at, id)).await.unwrap(), Ok(()));
    let row = find(&at.account, 199).await.unwrap().unwrap();
    assert_eq!((row.chunk_count, row.chunk_size, row.ciphertext_size, row.expires_at), (3, 10, 25, 200));
    assert_eq!((row.manifest.as_str(), row.result), ("{}", None));
    assert_eq!(find(&at.account, 200).await.unwrap(), None, "expired");
    assert_eq!(find(&AccountAddress::from_public_key(random()), 100).await.unwrap(), None, "another's");
    for (index, expires_at) in [(2, 250), (0, 240), (2, 300)] {
        assert!(store.mark_chunk(id, index, expires_at).await.unwrap());
    }
    assert_eq!(find(&at.account, 250).await.unwrap().unwrap().expires_at, 300);
    assert_eq!(store.chunks(id).await.unwrap(), [0, 2]);
    assert!(store.has_chunk(id, 2).await.unwrap() && !store.has_chunk(id, 1).await.unwrap());
    store.forget_chunks(id).await.unwrap();
    assert_eq!(store.chunks(id).await.unwrap(), Vec::<u32>::new());
    assert!(store.receiving_sessions().await.unwrap().contains(&id));

    let mut refused = at.next(1, 4, 3, 2);
    refused.session = Some(id);
    assert_eq!(store.commit(refused, somewhere()).await.unwrap(), Committed::Conflict(None));
    assert_eq!(find(&at.account, 100).await.unwrap().unwrap().result, None, "a refusal does not end it");
    let mut new = at.first(1, 4);
    new.session = Some(id);
    let Committed::Stored(stored) = store.commit(new, somewhere()).await.unwrap() else { panic!("not stored") };
    assert_eq!(find(&at.account, 100).await.unwrap().unwrap().result, Some(stored));
    assert!(!store.mark_chunk(id, 1, 900).await.unwrap(), "it takes no more parts");
    assert!(!store.receiving_sessions().await.unwrap().contains(&id));
    assert!(store.close_session(id).await.unwrap() && !store.close_session(id).await.unwrap());

    let mut late = at.first(2, 4);
    late.session = Some(id);
    assert!(matches!(store.commit(late, somewhere()).await, Err(MetadataError::SessionGone)));
    assert_eq!(store.file(at.key(2)).await.unwrap(), None, "nothing of it happened");
}

async fn sessions_are_bounded_and_expire(at: Subject) {
    let store = &at.metadata;
    let ids = [(); 3].map(|()| SessionId(random()));
    for id in &ids[..2] {
        assert_eq!(store.open_session(session(&at, *id)).await.unwrap(), Ok(()));
    }
    assert_eq!(store.open_session(session(&at, ids[2])).await.unwrap(), Err(SessionRefusal::TooMany));
    let mut third = session(&at, ids[2]);
    third.max_sessions = 9;
    third.ciphertext_size = 11;
    assert_eq!(store.open_session(third).await.unwrap(), Err(SessionRefusal::TooManyBytes));
    store.mark_chunk(ids[1], 0, 500).await.unwrap();
    let expired = store.expire_sessions(200).await.unwrap();
    assert!(expired.contains(&ids[0]) && !expired.contains(&ids[1]));
    assert_eq!(store.open_session(session(&at, ids[2])).await.unwrap(), Ok(()));
    let racers = (0..8).map(|_| store.open_session(session(&at, SessionId(random()))));
    let opened = join_all(racers).await.into_iter().filter(|opened| matches!(opened, Ok(Ok(())))).count();
    assert_eq!(opened, 0);
}

async fn an_object_is_marked_when_its_row_goes(at: Subject) {
    let store = &at.metadata;
    let places: Vec<_> = (0..5).map(|_| somewhere()).collect();
    let objects: Vec<_> = places.iter().map(|place| place.object).collect();
    let marked = || async {
        let unmarked = store.unmarked(objects.clone()).await.unwrap();
        objects.iter().map(|object| !unmarked.contains(object)).collect::<Vec<_>>()
    };
    for (file, place) in (1..).zip(&places[..4]) {
        store.commit(at.first(file, file), *place).await.unwrap();
    }
    assert_eq!(marked().await, [false; 5]);
    store.commit(at.next(1, 9, 1, 2), places[4]).await.unwrap();
    store.remove(at.key(2), None, 1).await.unwrap();
    store.remove_all(at.folder(), vec![at.key(3).file], 1).await.unwrap();
    assert_eq!(marked().await, [true, true, true, false, false]);
    store.unregister(at.folder(), 1).await.unwrap();
    assert_eq!(marked().await, [true; 5]);
    assert_eq!(store.unreferenced(objects.clone()).await.unwrap().len(), 5);
    store.unmark_unused(objects[..3].to_vec()).await.unwrap();
    store.mark_unused(vec![objects[1], objects[3]]).await.unwrap();
    assert_eq!(marked().await, [false, true, false, true, true]);

    let unused = store.unused(0, None, 1_000).await.unwrap();
    let mut expected = vec![objects[1], objects[3], objects[4]];
    expected.sort_unstable();
    assert_eq!(unused.iter().copied().filter(|object| objects.contains(object)).collect::<Vec<_>>(), expected);
    assert!(store.unused(3_600, None, 1_000).await.unwrap().is_empty(), "before its grace is over");
    let rest = store.unused(0, Some(expected[0]), 1_000).await.unwrap();
    assert!(!rest.contains(&expected[0]) && rest.contains(&expected[1]));
    assert_eq!(store.unused(0, None, 1).await.unwrap().len(), 1);
}

async fn blobs_are_found_by_shard(at: Subject) {
    let store = &at.metadata;
    let place = |shard: u8, tail: u8, offset| {
        let mut id: [u8; 16] = [tail; 16];
        id[0] = shard;
        BlobPlace { object: ObjectName::Id(ObjectId(id)), at: offset, length: 4 }
    };
    let wanted = [place(255, 1, 0), place(255, 1, 4), place(255, 1, 4), place(255, 255, 0)];
    for (file, place) in (1..).zip(wanted.iter().rev().chain([&place(254, 255, 0), &place(0, 0, 0)])) {
        store.commit(at.first(file, file), *place).await.unwrap();
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.placed(255, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(*last);
        found.extend(page.into_iter().filter(|blob| wanted.contains(&blob.place)));
    }
    assert_eq!(found.iter().map(|blob| blob.place).collect::<Vec<_>>(), wanted);
    assert_eq!(found[3].ciphertext.0, [1; 32]);
    assert_eq!(store.place_of(found[0].row).await.unwrap(), Some(wanted[0]));
    store.unregister(at.folder(), 1).await.unwrap();
    assert_eq!(store.place_of(found[0].row).await.unwrap(), None);
}

async fn a_blob_moves_without_a_change(at: Subject) {
    let store = &at.metadata;
    let (from, to) = (somewhere(), somewhere());
    store.commit(at.first(1, 5), from).await.unwrap();
    let before = store.listing(at.folder(), 0, 10).await.unwrap();
    let rows = store.placed(from.object.shard(), None, 1_000).await.unwrap();
    let row = rows.into_iter().find(|row| row.place == from).unwrap();
    assert!(store.move_blob(row, to).await.unwrap());
    assert!(!store.move_blob(row, somewhere()).await.unwrap(), "it has moved");
    assert_eq!(store.file(at.key(1)).await.unwrap().unwrap().place, to);
    assert_eq!(store.listing(at.folder(), 0, 10).await.unwrap(), before, "no client sees it");
    assert_eq!(store.unmarked(vec![from.object, to.object]).await.unwrap(), [to.object]);
}
