//! Names in plaintext, and publications.

use hcfs_model::{FileId, FolderHash};

use super::{Subject, cases, somewhere};
use crate::metadata::name::{Count, DirectoryPage, PathOutcome, Search, SortBy, Wanted};
use crate::metadata::{FeedPage, FolderKey, NewRevision, Rename};

cases![
    a_directory_shows_its_directories_and_its_files,
    pages_of_a_directory_fit_together,
    a_search_finds_what_a_name_holds,
    a_search_is_of_one_account_and_its_bounds,
    files_are_counted_by_kind,
    paths_are_registered_once_and_as_changes,
    names_go_with_their_files,
    a_text_from_outside_may_hold_anything,
    a_publication_ends_with_its_content,
];

fn named(at: &Subject, file: u8, path: &str) -> NewRevision {
    let mut new = at.first(file, file);
    new.relative_path = Some(path.to_owned());
    new.file_name = path.rsplit('/').next().map(str::to_owned);
    new
}

fn all() -> Wanted {
    Wanted { extensions: None, sort_by: SortBy::Name, descending: false, offset: 0, limit: 100 }
}

async fn store_all(at: &Subject, paths: &[&str]) {
    for (file, path) in (1..).zip(paths) {
        at.metadata.commit(named(at, file, path), somewhere()).await.unwrap();
    }
}

/// A page as text: its directories with their files and bytes, its files, and how many there are in all.
type Told<'a> = (Vec<(&'a str, u64, u64)>, Vec<&'a str>, u64);

fn told(page: &DirectoryPage) -> Told<'_> {
    let folders = page.folders.iter().map(|folder| (folder.name.as_str(), folder.file_count, folder.total_bytes));
    let files = page.files.iter().map(|file| file.relative_path.as_deref().unwrap());
    (folders.collect(), files.collect(), page.total)
}

async fn a_directory_shows_its_directories_and_its_files(at: Subject) {
    let browse = |directory: &str, wanted| at.metadata.browse(at.folder(), directory.to_owned(), wanted);
    assert_eq!(browse("", all()).await.unwrap(), DirectoryPage::default());
    let paths =
        ["b.txt", "pictures/x.PNG", "pictures/alps/1.jpg", "pictures/alps/2.jpg", "A.TXT", "pictures 2/y", "ä/z"];
    store_all(&at, &paths).await;
    // Of this file no path is known.
    at.metadata.commit(at.first(99, 99), somewhere()).await.unwrap();
    let root = browse("", all()).await.unwrap();
    let folders = vec![("pictures", 3, 9), ("pictures 2", 1, 6), ("ä", 1, 7)];
    assert_eq!(told(&root), (folders, vec!["A.TXT", "b.txt"], 5));
    let pictures = browse("pictures", all()).await.unwrap();
    assert_eq!(told(&pictures), (vec![("alps", 2, 7)], vec!["pictures/x.PNG"], 2));
    assert_eq!(told(&browse("ä", all()).await.unwrap()), (vec![], vec!["ä/z"], 1));
    assert_eq!(told(&browse("nowhere", all()).await.unwrap()), (vec![], vec![], 0));
    let jpg = Wanted { extensions: Some(vec!["jpg".to_owned(), "gif".to_owned()]), ..all() };
    assert_eq!(told(&browse("pictures/alps", jpg.clone()).await.unwrap()).1.len(), 2);
    assert_eq!(told(&browse("pictures", jpg).await.unwrap()).1, Vec::<&str>::new());
    let other = FolderKey { folder: FolderHash::from_hex("ff11223344556677").unwrap(), ..at.folder() };
    assert_eq!(at.metadata.browse(other, String::new(), all()).await.unwrap(), DirectoryPage::default());
}

async fn pages_of_a_directory_fit_together(at: Subject) {
    store_all(&at, &["d1/x", "c.a", "d2/x", "a.c", "b.b", "d3/x"]).await;
    let page = |sort_by, descending, offset, limit| {
        let wanted = Wanted { extensions: None, sort_by, descending, offset, limit };
        let page = at.metadata.browse(at.folder(), String::new(), wanted);
        async move {
            let page = page.await.unwrap();
            assert_eq!(page.total, 6);
            let files = page.files.iter().map(|file| file.relative_path.clone().unwrap());
            page.folders.iter().map(|folder| folder.name.clone()).chain(files).collect::<Vec<_>>()
        }
    };
    let orders = [
        (SortBy::Name, false, ["d1", "d2", "d3", "a.c", "b.b", "c.a"]),
        (SortBy::Name, true, ["d3", "d2", "d1", "c.a", "b.b", "a.c"]),
        (SortBy::Size, false, ["d1", "d2", "d3", "c.a", "a.c", "b.b"]),
        (SortBy::Created, true, ["d1", "d2", "d3", "b.b", "a.c", "c.a"]),
        (SortBy::Updated, false, ["d1", "d2", "d3", "c.a", "a.c", "b.b"]),
    ];
    for (sort_by, descending, expected) in orders {
        assert_eq!(page(sort_by, descending, 0, 6).await, expected);
        for size in [1, 2, 4, 5_u64] {
            let mut found = Vec::new();
            for number in 0..6_u64.div_ceil(size) {
                found.extend(page(sort_by, descending, number * size, size).await);
            }
            assert_eq!(found, expected, "pages of {size}");
        }
        assert_eq!(page(sort_by, descending, 6, 2).await, Vec::<String>::new());
    }
}

fn search(text: &str) -> Search {
    Search { text: text.to_owned(), size: 0..=u64::MAX, created: i64::MIN..=i64::MAX, wanted: all() }
}

async fn found(at: &Subject, search: Search) -> Vec<String> {
    let page = at.metadata.search(at.account.clone(), search).await.unwrap();
    assert_eq!(page.total, page.hits.len() as u64);
    page.hits.into_iter().map(|hit| hit.file.relative_path.or(hit.file.file_name).unwrap()).collect()
}

async fn a_search_finds_what_a_name_holds(at: Subject) {
    let paths =
        ["Holiday/ALPS 100%.jpg", "holiday_list.txt", "notes/back\\slash.md", "x/\"quoted\".md", "Ärger/straße.TXT"];
    store_all(&at, &paths).await;
    let mut bare = at.first(77, 77);
    bare.file_name = Some("only a NAME.md".to_owned());
    at.metadata.commit(bare, somewhere()).await.unwrap();
    let table: [(&str, &[&str]); 12] = [
        ("holiday", &["Holiday/ALPS 100%.jpg", "holiday_list.txt"]),
        ("day/alp", &["Holiday/ALPS 100%.jpg"]),
        ("00%", &["Holiday/ALPS 100%.jpg"]),
        ("00%.", &["Holiday/ALPS 100%.jpg"]),
        ("y_l", &["holiday_list.txt"]),
        ("a_l", &[]),
        ("k\\s", &["notes/back\\slash.md"]),
        ("\"quo", &["x/\"quoted\".md"]),
        ("ärger", &["Ärger/straße.TXT"]),
        ("raße", &["Ärger/straße.TXT"]),
        ("a name", &["only a NAME.md"]),
        ("nothing of it", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(found(&at, search(text)).await, expected, "{text}");
    }
    let wanted = Wanted { descending: true, offset: 1, limit: 1, ..all() };
    let page = at.metadata.search(at.account.clone(), Search { wanted, ..search(".md") }).await.unwrap();
    assert_eq!((page.total, page.hits.len()), (3, 1));
    assert_eq!(page.hits[0].file.file_name.as_deref(), Some("only a NAME.md"));
}

async fn a_search_is_of_one_account_and_its_bounds(at: Subject) {
    store_all(&at, &["report 1.pdf", "report 2.txt", "report 3.pdf"]).await;
    let mut elsewhere = named(&at, 4, "report 4.pdf");
    elsewhere.key.folder.folder = FolderHash::from_hex("ff11223344556677").unwrap();
    elsewhere.now = 500;
    let folder = elsewhere.key.folder.clone();
    at.metadata.commit(elsewhere, somewhere()).await.unwrap();
    at.metadata.register(folder.clone(), "work".to_owned(), None, 1).await.unwrap();
    let mut strangers = named(&at, 5, "report 5.pdf");
    strangers.key.folder.account = hcfs_model::AccountAddress::from_public_key(super::random());
    at.metadata.commit(strangers, somewhere()).await.unwrap();

    let page = at.metadata.search(at.account.clone(), search("report")).await.unwrap();
    let hits: Vec<_> = page.hits.iter().map(|hit| (hit.folder, hit.label.as_deref())).collect();
    let here = (at.folder().folder, None);
    assert_eq!((hits, page.total), (vec![here, here, here, (folder.folder, Some("work"))], 4));
    let extensions = Wanted { extensions: Some(vec!["pdf".to_owned()]), ..all() };
    let pdf = Search { wanted: extensions, ..search("report") };
    assert_eq!(found(&at, pdf).await, ["report 1.pdf", "report 3.pdf", "report 4.pdf"]);
    assert_eq!(found(&at, Search { size: 2..=3, ..search("report") }).await, ["report 2.txt", "report 3.pdf"]);
    assert_eq!(found(&at, Search { created: 101..=500, ..search("report") }).await, ["report 4.pdf"]);
    assert_eq!(found(&at, Search { created: 0..=499, ..search("report") }).await.len(), 3);
}

async fn files_are_counted_by_kind(at: Subject) {
    let sorted = |mut counts: Vec<Count>| {
        counts.sort_by(|a, b| a.kind.cmp(&b.kind));
        counts.into_iter().map(|count| (count.kind, count.files, count.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(at.metadata.by_extension(at.account.clone()).await.unwrap(), []);
    store_all(&at, &["a.JPG", "b.jpg", "d/c.txt", "none", ".hidden"]).await;
    let mut sent = at.first(9, 9);
    sent.source = Some("phone".to_owned());
    at.metadata.commit(sent, somewhere()).await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let by_extension = sorted(at.metadata.by_extension(at.account.clone()).await.unwrap());
    assert_eq!(by_extension, [(some("jpg"), 2, 3), (some("txt"), 1, 3)]);
    let by_source = sorted(at.metadata.by_source(at.account.clone()).await.unwrap());
    assert_eq!(by_source, [(None, 5, 15), (some("phone"), 1, 9)]);
}

async fn paths_are_registered_once_and_as_changes(at: Subject) {
    let store = &at.metadata;
    let path = |file: u8, path: &str| (at.key(file).file, path.to_owned());
    let register = |paths: Vec<(FileId, String)>| store.register_paths(at.folder(), paths);
    assert_eq!(register(vec![path(1, "a")]).await.unwrap(), [PathOutcome::NotFound]);
    for file in 1..=3 {
        store.commit(at.first(file, file), somewhere()).await.unwrap();
    }
    let before = store.listing(at.folder(), 0, 10).await.unwrap();
    let outcomes = register(vec![
        path(1, "pictures/Alps.JPG"),
        path(9, "nowhere"),
        path(1, "pictures/Alps.JPG"),
        path(1, "other"),
        path(2, "b"),
    ]);
    let expected = [
        PathOutcome::Updated,
        PathOutcome::NotFound,
        PathOutcome::Skipped,
        PathOutcome::Mismatch,
        PathOutcome::Updated,
    ];
    assert_eq!(outcomes.await.unwrap(), expected);
    assert_eq!(
        register(vec![path(2, "b"), path(2, "c")]).await.unwrap(),
        [PathOutcome::Skipped, PathOutcome::Mismatch]
    );
    let after = store.listing(at.folder(), 0, 10).await.unwrap();
    assert_ne!(after.tag, before.tag);
    assert_eq!(after.files[0].relative_path.as_deref(), Some("pictures/Alps.JPG"));
    assert_eq!((after.files[0].revision, after.files[2].relative_path.clone()), (before.files[0].revision, None));
    let FeedPage::Changes { changes, .. } = store.changes(at.folder(), Some(3), 10).await.unwrap() else {
        panic!("reset")
    };
    assert_eq!(changes.len(), 2, "both are told of, once");
    let page = store.browse(at.folder(), "pictures".to_owned(), all()).await.unwrap();
    assert_eq!(told(&page).1, ["pictures/Alps.JPG"]);
    assert_eq!(found(&at, search("alps")).await, ["pictures/Alps.JPG"]);
    assert_eq!(store.by_extension(at.account.clone()).await.unwrap().len(), 1);
}

async fn names_go_with_their_files(at: Subject) {
    let store = &at.metadata;
    store_all(&at, &["old/first.txt", "old/second.txt"]).await;
    let mut changed = named(&at, 1, "new/third.md");
    (changed.base, changed.revision.seq) = (Some(hcfs_model::RevisionId([1; 32])), 2);
    store.commit(changed, somewhere()).await.unwrap();
    assert_eq!(found(&at, search("first")).await, Vec::<String>::new());
    assert_eq!(found(&at, search("third")).await, ["new/third.md"]);
    let rename = Rename {
        old: at.key(2).file,
        new: at.key(3).file,
        encrypted_path: Vec::new(),
        file_name: None,
        relative_path: Some("new/fourth.png".to_owned()),
        base: hcfs_model::RevisionId([2; 32]),
        revision_id: hcfs_model::RevisionId([8; 32]),
    };
    assert!(store.rename(at.folder(), vec![rename], 7).await.unwrap()[0].is_ok());
    assert_eq!(found(&at, search("second")).await, Vec::<String>::new());
    assert_eq!(found(&at, search("fourth")).await, ["new/fourth.png"]);
    let root = store.browse(at.folder(), String::new(), all()).await.unwrap();
    assert_eq!(told(&root).0, [("new", 2, 3)]);
    store.remove(at.key(3), None, 8).await.unwrap();
    assert_eq!(found(&at, search("fourth")).await, Vec::<String>::new());
    store.unregister(at.folder(), 9).await.unwrap();
    assert_eq!(found(&at, search("third")).await, Vec::<String>::new());
    assert_eq!(store.by_extension(at.account.clone()).await.unwrap(), []);
}

async fn a_text_from_outside_may_hold_anything(at: Subject) {
    let odd = "a\0b\u{ffff}'\"\\%\u{202e}";
    at.metadata.register(at.folder(), odd.to_owned(), Some(odd.to_owned()), 1).await.unwrap();
    assert_eq!(at.metadata.folders(at.account.clone()).await.unwrap().len(), 1);
    assert_eq!(found(&at, search(odd)).await, Vec::<String>::new());
    let extensions = Wanted { extensions: Some(vec![odd.to_owned()]), ..all() };
    let page = at.metadata.browse(at.folder(), "x".to_owned(), extensions).await.unwrap();
    assert_eq!(page, DirectoryPage::default());
}

async fn a_publication_ends_with_its_content(at: Subject) {
    let store = &at.metadata;
    let hash = |content: u8| {
        // Other cases publish nothing of this content.
        let mut hash = *blake3::hash(at.account.as_str().as_bytes()).as_bytes();
        hash[0] = content;
        hcfs_model::CiphertextHash(hash)
    };
    let with = |mut new: NewRevision, content: u8| {
        new.ciphertext = hash(content);
        new
    };
    assert_eq!(store.publish(at.key(1), 1).await.unwrap(), None);
    assert_eq!(store.withdraw(at.key(1)).await.unwrap(), None);
    let place = somewhere();
    store.commit(with(at.first(1, 5), 5), place).await.unwrap();
    assert_eq!(store.published(hash(5)).await.unwrap(), None);
    assert_eq!(store.publish(at.key(1), 1).await.unwrap(), Some(hash(5)));
    assert_eq!(store.publish(at.key(1), 2).await.unwrap(), Some(hash(5)));
    assert_eq!(store.published(hash(5)).await.unwrap(), Some(place));
    // A rename keeps it, another content ends it.
    let rename = Rename {
        old: at.key(1).file,
        new: at.key(2).file,
        encrypted_path: Vec::new(),
        file_name: None,
        relative_path: None,
        base: hcfs_model::RevisionId([5; 32]),
        revision_id: hcfs_model::RevisionId([6; 32]),
    };
    assert!(store.rename(at.folder(), vec![rename], 7).await.unwrap()[0].is_ok());
    assert_eq!(store.published(hash(5)).await.unwrap(), Some(place));
    let current = store.file(at.key(2)).await.unwrap().unwrap().revision;
    store.commit(with(at.next(2, 7, 6, current.seq + 1), 7), somewhere()).await.unwrap();
    assert_eq!(store.published(hash(5)).await.unwrap(), None);
    assert_eq!(store.published(hash(7)).await.unwrap(), None, "nobody published that");
    assert_eq!(store.publish(at.key(2), 3).await.unwrap(), Some(hash(7)));
    assert_eq!(store.withdraw(at.key(2)).await.unwrap(), Some(hash(7)));
    assert_eq!(store.withdraw(at.key(2)).await.unwrap(), None);
    assert_eq!(store.published(hash(7)).await.unwrap(), None);
    assert_eq!(store.publish(at.key(2), 4).await.unwrap(), Some(hash(7)));
    store.remove(at.key(2), None, 9).await.unwrap();
    assert_eq!(store.published(hash(7)).await.unwrap(), None);
}
