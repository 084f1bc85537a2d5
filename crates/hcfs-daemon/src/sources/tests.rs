//! One round over a real folder and a service made of a script: what a person did stays, and a process that ends
//! between any two steps loses nothing.

use std::os::unix::fs::FileExt as _;

use async_trait::async_trait;
use hcfs_crypto::phrase::MasterPhrase;
use hcfs_engine::{FolderSpec, Owner, SystemClock, plan};
use hcfs_model::RelPath;
use hcfs_remote::memory::{MemoryRemote, MemoryServer};
use hcfs_sources::{
    Brought, ContentHash, Fetched, Item, Job, Kind, Progress, Resume, Source, SourceError, Stage, Validators, Verified,
};
use hcfs_state::sources::{Arrival, PartRecord, Version};

use super::round::{Outcome, Round};
use super::*;
use crate::config::Service;

/// A service with one content for every item.
struct Scripted {
    name: &'static str,
    content: &'static str,
}

#[async_trait]
impl Source for Scripted {
    fn kind(&self) -> Kind {
        Kind::Url
    }

    async fn list(&self) -> Result<Vec<Item>, SourceError> {
        Ok(Vec::new())
    }

    async fn fetch(&self, _item: &Item, job: Job<'_>) -> Result<Fetched, SourceError> {
        let version = blake3::hash(self.content.as_bytes()).to_string();
        if job.known.is_some_and(|known| known.etag.as_ref() == Some(&version)) {
            return Ok(Fetched::NotModified);
        }
        job.watcher.progress(Progress { stage: Stage::Bringing, bytes: 0, total: None });
        job.part.file.set_len(0).unwrap();
        job.part.file.write_all_at(self.content.as_bytes(), 0).unwrap();
        Ok(Fetched::Done(Brought {
            name: self.name.to_owned(),
            size: self.content.len() as u64,
            validators: Validators { etag: Some(version), ..Validators::default() },
            hash: hash(self.content),
            verified: Verified::No("a script".into()),
        }))
    }

    async fn finish(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn abandon(&self, _item: &Item, _resume: &Resume) -> Result<(), SourceError> {
        Ok(())
    }

    async fn test(&self) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}

fn hash(content: &str) -> ContentHash {
    ContentHash(*blake3::hash(content.as_bytes()).as_bytes())
}

/// A running folder, and a ledger.
struct Bench {
    directory: tempfile::TempDir,
    folder: FolderHandle,
    books: Books,
    tools: Arc<Tools>,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("docs");
        std::fs::create_dir(&root).unwrap();
        let phrase = MasterPhrase::parse(&format!("{}art", "abandon ".repeat(23))).unwrap();
        let label = FolderLabel::new("docs").unwrap();
        let spec = FolderSpec {
            label: label.clone(),
            root,
            database: directory.path().join("docs.db"),
            device: "bench".into(),
            mode: plan::Mode::Sync,
            conflicts: plan::Resolution::KeepBoth,
            max_delete: plan::MaxDelete { files: 25, percent: 25 },
            ignore: Vec::new(),
            share_paths: false,
            trash_days: 30,
            trash_bytes: u64::MAX,
            transfers: 2,
            poll_seconds: 3600,
        };
        let owner = Owner { account: phrase.account(), keys: Arc::new(phrase.folder_keys(&label)) };
        let remote = Arc::new(MemoryRemote::new(&MemoryServer::new(phrase.account())));
        let folder = hcfs_engine::start(spec, owner, remote, Arc::new(SystemClock), &[]).unwrap();
        folder.sync().await.unwrap();
        let books = Books::open(directory.path().join("sources.sqlite")).await.unwrap();
        let found = folder.clone();
        let tools = Arc::new(Tools {
            env: Arc::new(|_| None),
            clock: Arc::new(SystemClock),
            changes: Changes::new(),
            client: Client::new(ClientConfig::default()).unwrap(),
            slots: Arc::new(Semaphore::new(1)),
            find: Arc::new(move |_| Some(found.clone())),
        });
        Self { directory, folder, books, tools }
    }

    fn round(&self, again: Again) -> Round {
        Round {
            name: "s".into(),
            config: SourceConfig {
                service: Service::Url { items: vec!["one".into(), "two".into()] },
                folder: FolderLabel::new("docs").unwrap(),
                directory: Some(RelPath::new("in").unwrap()),
                every: None,
            },
            tools: self.tools.clone(),
            books: self.books.clone(),
            board: Arc::default(),
            folder: self.folder.clone(),
            cancel: CancellationToken::new(),
            again,
            full: true,
            ordered: true,
        }
    }

    async fn bring(&self, item: &str, name: &'static str, content: &'static str) -> Outcome {
        self.bring_again(item, name, content, Again::Nothing).await
    }

    async fn bring_again(&self, item: &str, name: &'static str, content: &'static str, again: Again) -> Outcome {
        fetch::bring(&self.round(again), &Scripted { name, content }, &Item::new(item)).await.unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("docs").join(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path("in"))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("in").join(name)).unwrap()
    }

    fn parts(&self) -> usize {
        std::fs::read_dir(self.path(".hcfs/fetched")).map_or(0, Iterator::count)
    }

    async fn known(&self, item: &'static str) -> Option<hcfs_state::sources::Brought> {
        self.books.ask(move |ledger| ledger.item("s", item)).await.unwrap()
    }

    /// As a process leaves it that ends when a file was fetched whole: the record, and the part where there is one.
    async fn arrived(&self, content: &'static str, target: Option<&str>, with_part: bool) {
        let name = "ab01";
        if with_part {
            let placing = self.folder.placing().await.unwrap();
            let staged = placing.with(move |folder| folder.fetched(name)).await.unwrap().unwrap();
            staged.share().unwrap().write_all_at(content.as_bytes(), 0).unwrap();
        }
        let arrival = Arrival {
            name: "a.txt".into(),
            version: Version { etag: Some("e".into()), ..Version::default() },
            size: content.len() as u64,
            hash: hash(content).0,
            verified: false,
            target: target.map(|path| RelPath::new(path).unwrap()),
        };
        let part = PartRecord { folder: "docs".into(), name: name.into(), record: Resume::default().to_text() };
        let kept = self.books.ask(move |ledger| {
            ledger.keep_part("s", "one", &part)?;
            ledger.arrive("s", "one", &arrival)
        });
        kept.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_comes_once_and_again_when_it_has_changed() {
    let bench = Bench::new().await;
    assert!(matches!(bench.bring("one", "a.txt", "first").await, Outcome::Brought));
    assert!(matches!(bench.bring("one", "a.txt", "first").await, Outcome::Unchanged));
    assert!(matches!(bench.bring("one", "b.txt", "second").await, Outcome::Brought));
    assert_eq!((bench.names(), bench.read("a.txt")), (vec!["a.txt".to_owned()], "second".to_owned()), "its name stays");
    assert_eq!(bench.parts(), 0);
    let known = bench.known("one").await.unwrap();
    assert_eq!((known.path.as_str(), known.hash), ("in/a.txt", hash("second").0));
    let log = bench.folder.log(0, 1000).await.unwrap();
    let fetched = log.iter().filter(|event| event.kind.as_str() == "fetched").count();
    assert_eq!(fetched, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_one_name_have_names_of_their_own_and_the_persons_file_stays() {
    let bench = Bench::new().await;
    std::fs::create_dir(bench.path("in")).unwrap();
    std::fs::write(bench.path("in/a.txt"), "mine").unwrap();
    bench.bring("one", "a.txt", "first").await;
    bench.bring("two", "a.txt", "second").await;
    let names = bench.names();
    assert_eq!((names.len(), bench.read("a.txt").as_str()), (3, "mine"), "{names:?}");
    bench.bring("one", "a.txt", "first, changed").await;
    assert_eq!(bench.names(), names, "names are stable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_the_way_and_an_equal_file() {
    let bench = Bench::new().await;
    std::fs::create_dir_all(bench.path("in/a.txt")).unwrap();
    std::fs::write(bench.path("in/a.txt/inside"), "mine").unwrap();
    std::fs::write(bench.path("in/b.txt"), "second").unwrap();
    bench.bring("one", "a.txt", "first").await;
    bench.bring("two", "b.txt", "second").await;
    assert!(bench.path("in/a.txt/inside").exists());
    assert_eq!(bench.names().len(), 3, "{:?}", bench.names());
    assert_eq!(bench.known("two").await.unwrap().path.as_str(), "in/b.txt", "an equal file is taken for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_or_edited_is_the_persons() {
    let bench = Bench::new().await;
    bench.bring("one", "a.txt", "first").await;
    std::fs::write(bench.path("in/a.txt"), "mine").unwrap();
    assert!(matches!(bench.bring("one", "a.txt", "first").await, Outcome::Unchanged), "an edit alone is no news");
    bench.bring("one", "a.txt", "second").await;
    let names = bench.names();
    assert_eq!((names.len(), bench.read("a.txt").as_str()), (2, "mine"), "{names:?}");
    let beside = bench.known("one").await.unwrap().path;
    assert!(beside.as_str().starts_with("in/a (s, "), "{beside}");
    std::fs::remove_file(bench.path(beside.as_str())).unwrap();
    assert!(matches!(bench.bring("one", "a.txt", "third").await, Outcome::LeftDeleted));
    assert_eq!(bench.names(), ["a.txt"]);
    let again = Again::These(vec!["one".into()]);
    assert!(matches!(bench.bring_again("one", "a.txt", "third", again).await, Outcome::Brought));
    assert_eq!(std::fs::read_to_string(bench.path(beside.as_str())).unwrap(), "third");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_whole_is_put_in_place_by_the_next_process() {
    for target in [None, Some("in/a.txt")] {
        let bench = Bench::new().await;
        bench.arrived("whole", target, true).await;
        assert!(matches!(bench.bring("one", "never", "never fetched").await, Outcome::Brought), "{target:?}");
        assert_eq!((bench.names(), bench.read("a.txt")), (vec!["a.txt".to_owned()], "whole".to_owned()));
        assert_eq!((bench.parts(), bench.known("one").await.unwrap().hash), (0, hash("whole").0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_got_its_name_before_the_process_ended_is_known_again() {
    let bench = Bench::new().await;
    std::fs::create_dir(bench.path("in")).unwrap();
    std::fs::write(bench.path("in/a.txt"), "whole").unwrap();
    bench.arrived("whole", Some("in/a.txt"), false).await;
    assert!(matches!(bench.bring("one", "never", "never fetched").await, Outcome::Brought));
    assert_eq!((bench.names(), bench.read("a.txt")), (vec!["a.txt".to_owned()], "whole".to_owned()));
    assert_eq!(bench.known("one").await.unwrap().path.as_str(), "in/a.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_or_torn_is_fetched_anew() {
    for with_part in [false, true] {
        let bench = Bench::new().await;
        bench.arrived("whole", Some("in/a.txt"), with_part).await;
        if with_part {
            // A power cut took the end of the part.
            let part = bench.path(".hcfs/fetched/ab01");
            std::fs::File::options().write(true).open(part).unwrap().set_len(2).unwrap();
        }
        assert!(matches!(bench.bring("one", "b.txt", "fetched anew").await, Outcome::Brought));
        assert_eq!((bench.names(), bench.read("b.txt")), (vec!["b.txt".to_owned()], "fetched anew".to_owned()));
        assert_eq!(bench.parts(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_has_stopped_gets_nothing_and_is_not_held_open() {
    let bench = Bench::new().await;
    let placing = bench.folder.placing().await.unwrap();
    bench.folder.stop().await;
    assert!(placing.with(|_| ()).await.is_err());
    let round = bench.round(Again::Nothing);
    let brought = fetch::bring(&round, &Scripted { name: "a", content: "a" }, &Item::new("one")).await;
    assert_eq!(brought.err().map(|reason| reason.concern), Some(reason::Concern::Nobody));
}
