//! The change feed, and batches.

use hcfs_model::{FileId, Revision, RevisionId};

use super::{Subject, cases, somewhere};
use crate::metadata::{Change, Changed, Committed, FeedPage, Rename};

cases![
    a_change_has_the_next_number,
    old_removals_leave_the_feed_and_those_who_do_not_know_them_begin_anew,
    a_page_of_the_feed_is_bounded_in_bytes_and_leads_on,
    a_batch_is_committed_in_its_order_and_in_one_transaction,
    who_waits_is_woken,
];

/// The numbers and ids of a feed's page.
fn told(page: FeedPage) -> Vec<(u64, u8, bool)> {
    let FeedPage::Changes { changes, .. } = page else { panic!("reset") };
    let told = |change: Change| match change.what {
        Changed::Listed(file) => (change.seq, file.file.0[0], true),
        Changed::Removed(file) => (change.seq, file.0[0], false),
    };
    changes.into_iter().map(told).collect()
}

fn rename(at: &Subject, old: u8, new: u8, base: u8) -> Rename {
    Rename {
        old: at.key(old).file,
        new: at.key(new).file,
        encrypted_path: Vec::new(),
        file_name: None,
        relative_path: None,
        base: RevisionId([base; 32]),
        revision_id: RevisionId([77; 32]),
    }
}

async fn a_change_has_the_next_number(at: Subject) {
    let store = &at.metadata;
    let all = || store.changes(at.folder(), Some(0), 100);
    assert_eq!(told(all().await.unwrap()), []);
    for file in 1..=3 {
        store.commit(at.first(file, file), somewhere()).await.unwrap();
    }
    store.commit(at.next(1, 9, 1, 2), somewhere()).await.unwrap();
    assert_eq!(told(all().await.unwrap()), [(2, 2, true), (3, 3, true), (4, 1, true)]);
    store.commit(at.first(1, 8), somewhere()).await.unwrap();
    assert_eq!(store.changes(at.folder(), Some(4), 100).await.unwrap(), none(4), "a refusal is no change");
    store.remove_all(at.folder(), vec![at.key(2).file, at.key(3).file], 5).await.unwrap();
    let page = told(store.changes(at.folder(), Some(4), 100).await.unwrap());
    assert_eq!(page.iter().map(|(_, file, there)| (*file, *there)).collect::<Vec<_>>(), [(2, false), (3, false)]);
    assert!(page[0].0 > 4 && page[1].0 > page[0].0, "{page:?}");
    // A file comes back: the feed tells of it once.
    store.commit(at.first(2, 7), somewhere()).await.unwrap();
    let page = told(all().await.unwrap());
    assert_eq!(
        page.iter().map(|(_, file, there)| (*file, *there)).collect::<Vec<_>>(),
        [(1, true), (3, false), (2, true)]
    );
    let before = page[2].0;
    // A swap changes both; the numbers only go up.
    store.commit(at.first(3, 6), somewhere()).await.unwrap();
    let renames = vec![rename(&at, 2, 3, 7), rename(&at, 3, 2, 6)];
    assert!(store.rename(at.folder(), renames, 6).await.unwrap().iter().all(Result::is_ok));
    let page = told(store.changes(at.folder(), Some(before), 100).await.unwrap());
    let mut files: Vec<_> = page.iter().map(|(_, file, there)| (*file, *there)).collect();
    files.sort_unstable();
    assert_eq!(files, [(2, true), (3, true)]);
    store.commit(at.first(5, 5), somewhere()).await.unwrap();
    assert!(store.rename(at.folder(), vec![rename(&at, 5, 6, 5)], 6).await.unwrap()[0].is_ok());
    let last = page.iter().map(|(seq, ..)| *seq).max().unwrap();
    let page = told(store.changes(at.folder(), Some(last), 100).await.unwrap());
    assert_eq!(page.iter().map(|(_, file, there)| (*file, *there)).collect::<Vec<_>>(), [(5, false), (6, true)]);

    let FeedPage::Changes { next, has_more, .. } = store.changes(at.folder(), None, 9).await.unwrap() else {
        panic!("reset")
    };
    assert!(next >= page[1].0 && !has_more);
    assert_eq!(store.changes(at.folder(), Some(next), 9).await.unwrap(), none(next));
    assert_eq!(store.changes(at.folder(), Some(next + 1), 9).await.unwrap(), FeedPage::Reset, "never reached");
    let FeedPage::Changes { changes, next, has_more } = store.changes(at.folder(), Some(0), 2).await.unwrap() else {
        panic!("reset")
    };
    assert!(has_more && changes.len() == 2 && changes[1].seq == next);
}

fn none(next: u64) -> FeedPage {
    FeedPage::Changes { changes: Vec::new(), next, has_more: false }
}

async fn old_removals_leave_the_feed_and_those_who_do_not_know_them_begin_anew(at: Subject) {
    let store = &at.metadata;
    // The removals of earlier cases, which are all of long before.
    while store.forget_removals(9_000, 100).await.unwrap() > 0 {}
    for number in 1..=4 {
        store.commit(at.first(number, number), somewhere()).await.unwrap();
    }
    for (number, now) in [(1, 9_100), (2, 9_200), (3, 9_300)] {
        store.remove(at.key(number), None, now).await.unwrap();
    }
    let all = told(store.changes(at.folder(), Some(0), 100).await.unwrap());
    assert_eq!(all, [(4, 4, true), (5, 1, false), (6, 2, false), (7, 3, false)]);
    assert_eq!(store.forget_removals(9_250, 1).await.unwrap(), 1, "as many as asked for");
    assert_eq!(store.forget_removals(9_250, 10).await.unwrap(), 1);
    assert_eq!(store.forget_removals(9_250, 10).await.unwrap(), 0);
    assert_eq!(store.changes(at.folder(), Some(5), 100).await.unwrap(), FeedPage::Reset);
    let rest = told(store.changes(at.folder(), Some(6), 100).await.unwrap());
    assert_eq!(rest, [(7, 3, false)]);
    // The numbers of the paths themselves are kept.
    store.commit(at.first(5, 5), somewhere()).await.unwrap();
    let renamed = store.rename(at.folder(), vec![rename(&at, 5, 1, 5)], 400).await.unwrap();
    assert_eq!(renamed[0].map(|revision| revision.seq), Ok(2));
}

async fn a_page_of_the_feed_is_bounded_in_bytes_and_leads_on(at: Subject) {
    let commits = (0..1_200_u32).map(|number| {
        let mut new = at.first(1, 1);
        new.key.file = FileId(*blake3::hash(&number.to_le_bytes()).as_bytes());
        new.encrypted_path = vec![7; 8_192];
        (new, somewhere())
    });
    at.metadata.commit_all(commits.collect()).await.unwrap();
    let FeedPage::Changes { changes, next, has_more } = at.metadata.changes(at.folder(), Some(0), 5_000).await.unwrap()
    else {
        panic!("reset")
    };
    assert!((500..1_200).contains(&changes.len()) && has_more, "{}", changes.len());
    assert_eq!(changes.last().unwrap().seq, next);
    let rest = told(at.metadata.changes(at.folder(), Some(next), 5_000).await.unwrap());
    assert_eq!(changes.len() + rest.len(), 1_200);
}

async fn a_batch_is_committed_in_its_order_and_in_one_transaction(at: Subject) {
    let store = &at.metadata;
    let batch = vec![
        (at.first(1, 1), somewhere()),
        (at.first(1, 9), somewhere()),
        (at.next(1, 2, 1, 2), somewhere()),
        (at.first(3, 3), somewhere()),
    ];
    let done = store.commit_all(batch).await.unwrap();
    assert!(matches!(done[0], Committed::Stored(_)));
    assert_eq!(done[1], Committed::Conflict(Some(Revision { seq: 1, id: RevisionId([1; 32]) })));
    assert!(matches!(done[2], Committed::Stored(_)) && matches!(done[3], Committed::Stored(_)));
    let rows = store.files(at.folder(), vec![at.key(2).file, at.key(1).file, at.key(1).file]).await.unwrap();
    assert_eq!(rows[0], None);
    assert_eq!((rows[1].map(|row| row.revision.seq), rows[1]), (Some(2), rows[2]));
    assert_eq!(told(store.changes(at.folder(), Some(0), 10).await.unwrap()), [(2, 1, true), (3, 3, true)]);
    assert_eq!(store.commit_all(Vec::new()).await.unwrap(), []);
}

async fn who_waits_is_woken(at: Subject) {
    let bell = at.metadata.bells().of(&at.folder());
    let mut woken = Box::pin(bell.notified());
    woken.as_mut().enable();
    at.metadata.commit(at.first(1, 1), somewhere()).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), woken).await.unwrap();
}
