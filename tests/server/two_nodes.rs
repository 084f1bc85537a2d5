//! Two nodes over one PostgreSQL and one S3 store: stateless, so each goes on where the other stopped.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hcfs_model::{AccountAddress, FileId};
use hcfs_server::{Storage, tokens};
use hcfs_wire::{Feed, SessionOpen, SessionOpened, SessionStatus, UploadResult};
use http::Method;
use tempfile::TempDir;

use crate::client::{Account, Node, PATIENCE, ciphertext, hcfs_server, last_line, revision, success};
use crate::services::{S3, connect, database, files_below};

struct Site {
    nodes: Vec<Node>,
    account: Account,
    storage: Vec<String>,
    database: String,
    s3: S3,
    home: TempDir,
}

impl Site {
    async fn new() -> Self {
        let (url, s3, home) = (database().await, S3::start().await, TempDir::new().unwrap());
        let address = AccountAddress::from_public_key([5; 32]);
        let shared = Storage::local("/nowhere".into()).with_database(&url).unwrap();
        let token = tokens::create(&shared, &address, "test").await.unwrap();
        let storage = vec!["--database".to_owned(), url.clone(), "--blobs".to_owned(), s3.url()];
        let nodes = {
            let (storage, homes) = (storage.clone(), [home.path().join("one"), home.path().join("two")]);
            // The store is served by this process, which must not stop meanwhile.
            let start = move || homes.map(|home| Node::start(&home, &storage));
            tokio::task::spawn_blocking(start).await.unwrap()
        };
        let account = Account::new(address, token);
        Self { nodes: nodes.into(), account, storage, database: url, s3, home }
    }

    async fn check(&self) -> serde_json::Value {
        let (home, storage) = (self.home.path().join("check"), self.storage.clone());
        let check = move || last_line(&mut hcfs_server(&home, &storage, &["check", "--hashes", "--json"]));
        let (sound, report) = tokio::task::spawn_blocking(check).await.unwrap();
        assert!(sound && report["missing"] == 0 && report["damaged"] == 0, "{report}");
        report
    }

    fn local_files(&self) -> Vec<PathBuf> {
        files_below(self.home.path())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_to_both_nodes_exactly_one_wins() {
    let site = Site::new().await;
    let mut base = None;
    for round in 0..4 {
        let writers = (0..16).map(|writer: usize| {
            let (account, node) = (&site.account, site.nodes[writer % 2].address);
            async move {
                let blob = ciphertext(2_000, 100 * round + writer as u64);
                let manifest = account.manifest("race", &blob, base);
                let answer = account.upload(node, &manifest, &blob).await.unwrap();
                (manifest, answer, blob)
            }
        });
        let results = join_all(writers).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(|(_, answer, _)| answer.0 == 200);
        assert_eq!(won.len(), 1, "round {round}");
        assert!(lost.iter().all(|(_, answer, _)| answer.0 == 409), "{lost:?}");
        let (manifest, answer, blob) = &won[0];
        let current = revision(manifest, answer);
        for node in &site.nodes {
            let listed = site.account.listing(node.address).await;
            assert_eq!((listed.total_count, listed.files[0].revision()), (1, current));
            let (_, bytes) = site.account.download(node.address, FileId::of_path("race")).await.unwrap();
            assert_eq!(bytes, *blob);
        }
        base = Some(current);
    }
    assert_eq!(site.check().await["rows"], 1);
    assert_eq!(site.local_files(), Vec::<PathBuf>::new(), "nothing lies on a node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_at_the_other_node_when_its_own_is_killed() {
    const PART: u64 = 1 << 20;
    let mut site = Site::new().await;
    let (first, second) = (site.nodes[0].address, site.nodes[1].address);
    let account = site.account.clone();
    let blob = ciphertext(3_500_000, 1);
    let open = SessionOpen::cut(account.manifest("large", &blob, None), PART).unwrap();
    let opened: SessionOpened = success(&account.post(first, "/upload/session", &open).await.unwrap());
    let id = opened.session_id;
    let part = |node, index: usize| {
        let bytes = blob.chunks(1 << 20).nth(index).unwrap().to_vec();
        let (account, path) = (account.clone(), format!("/upload/session/{id}/chunk/{index}"));
        async move { account.send(node, Method::PUT, &path, "application/octet-stream", bytes.into()).await }
    };
    for index in [3, 0] {
        assert_eq!(part(first, index).await.unwrap().0, 200);
    }
    // A part is on its way when its node dies: it is there, or it is not.
    let broken = tokio::spawn(part(first, 1));
    site.nodes[0].kill();
    let _ = broken.await.unwrap();

    let path = format!("/upload/session/{id}/status");
    let status: SessionStatus = success(&account.get(second, &path).await.unwrap());
    assert!(status.chunks_received.contains(&0) && status.chunks_received.contains(&3), "{status:?}");
    for index in 0..4 {
        assert_eq!(part(second, index).await.unwrap().0, 200);
    }
    let finalize = format!("/upload/session/{id}/finalize");
    let answer = account.post(second, &finalize, &()).await.unwrap();
    let result: UploadResult = success(&answer);

    let home = site.home.path().join("one");
    let storage = site.storage.clone();
    let again = tokio::task::spawn_blocking(move || Node::start(&home, &storage)).await.unwrap();
    let repeated: UploadResult = success(&account.post(again.address, &finalize, &()).await.unwrap());
    assert_eq!(result, repeated, "a finalize that is repeated elsewhere answers as the first");
    let (_, bytes) = account.download(again.address, FileId::of_path("large")).await.unwrap();
    assert_eq!(bytes, blob);
    let report = site.check().await;
    assert_eq!((&report["rows"], &report["objects"]), (&1.into(), &1.into()), "{report}");
    assert!(!files_below(&site.s3.objects()).iter().any(|path| path.to_str().unwrap().contains("sessions/")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_finalizes_at_two_nodes_make_one_revision() {
    let site = Site::new().await;
    let account = &site.account;
    let blob = ciphertext(700_000, 1);
    let open = SessionOpen::cut(account.manifest("twice", &blob, None), 1 << 20).unwrap();
    let opened: SessionOpened = success(&account.post(site.nodes[0].address, "/upload/session", &open).await.unwrap());
    let path = format!("/upload/session/{}", opened.session_id);
    let chunk = format!("{path}/chunk/0");
    let kind = "application/octet-stream";
    let sent = account.send(site.nodes[1].address, Method::PUT, &chunk, kind, blob.clone().into()).await;
    assert_eq!(sent.unwrap().0, 200);
    let finalize = format!("{path}/finalize");
    let answers = join_all(site.nodes.iter().map(|node| account.post(node.address, &finalize, &()))).await;
    let results: Vec<UploadResult> = answers.into_iter().map(|answer| success(&answer.unwrap())).collect();
    assert_eq!(results[0], results[1]);
    assert_eq!(account.listing(site.nodes[0].address).await.files[0].revision_seq, 1);
    site.check().await;
}

/// The ids that a page of the feed names, and what to ask for next.
async fn changes(account: &Account, node: std::net::SocketAddr, after: Option<u64>, wait: u64) -> (Vec<FileId>, u64) {
    let after = after.map(|after| format!("after={after}&")).unwrap_or_default();
    let path = format!("/changes/{}/{}?{after}wait={wait}", account.address, account.folder);
    let feed: Feed = success(&account.get(node, &path).await.unwrap());
    let ids = feed.changes.iter().map(|change| change.file.as_ref().map(|file| file.path_hash).or(change.removed));
    (ids.map(Option::unwrap).collect(), feed.next)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_one_node_hears_of_changes_at_the_other() {
    let site = Site::new().await;
    let (account, [here, there]) = (&site.account, [site.nodes[0].address, site.nodes[1].address]);
    let (mut after, mut base) = (changes(account, here, None, 0).await.1, None);
    let begin = Instant::now();
    let rounds = 10;
    for round in 0..rounds {
        let waiting = changes(account, here, Some(after), 25);
        let writing = async {
            let blob = ciphertext(100, round);
            let manifest = account.manifest("told", &blob, base);
            revision(&manifest, &account.upload(there, &manifest, &blob).await.unwrap())
        };
        let ((ids, next), written) = tokio::join!(waiting, writing);
        assert_eq!(ids, [FileId::of_path("told")], "round {round}");
        assert!(next > after);
        (after, base) = (next, Some(written));
    }
    let path = format!("/delete/{}/{}/{}", account.address, account.folder, FileId::of_path("told"));
    let removing = account.send(there, Method::DELETE, &path, "text/plain", bytes::Bytes::new());
    let ((ids, _), removed) = tokio::join!(changes(account, here, Some(after), 25), removing);
    assert_eq!((ids, removed.unwrap().0), (vec![FileId::of_path("told")], 200));
    // Who only looks from time to time takes seconds for each.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_loses_the_database_is_not_ready_and_comes_back() {
    let site = Site::new().await;
    let (account, node) = (&site.account, site.nodes[0].address);
    assert_eq!(account.get(node, "/readyz").await.unwrap().0, 200);
    let name = site.database.rsplit('/').next().unwrap().to_owned();
    let admin = connect("postgres").await;
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.unwrap();
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    admin.batch_execute(&cut).await.unwrap();
    // It looks once a second at most.
    let not_ready = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        while account.get(node, "/readyz").await.unwrap().0 < 500 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, not_ready).await.expect("it says that it is ready");
    assert_eq!(account.get(node, "/healthz").await.unwrap().0, 200);
    let blob = ciphertext(10, 1);
    let manifest = account.manifest("a", &blob, None);
    assert!(account.upload(node, &manifest, &blob).await.unwrap().0 >= 500);
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.unwrap();
    assert_eq!(account.upload(node, &manifest, &blob).await.unwrap().0, 200);
    assert_eq!(account.get(node, "/readyz").await.unwrap().0, 200);
}
