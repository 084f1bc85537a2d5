//! The server killed under load, again and again: what it had acknowledged is there, and no row is without its blob.
//!
//! `cargo xtask soak server --kills 100 --seed 0` kills it more often; `HCFS_SERVER_KILLS` and `HCFS_SERVER_SEED` are the
//! same for `cargo test`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hcfs_model::{AccountAddress, FileId, Revision};
use hcfs_server::{Storage, tokens};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::client::{Account, Node, PATIENCE, ciphertext, hcfs_server, last_line, revision};

/// Kills where nothing else is asked for.
const KILLS: u64 = 5;
/// Clients that write at the same time, each to files of its own.
const WRITERS: u64 = 12;
/// Files of one client.
const FILES: u64 = 6;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What a client knows of one of its files.
#[derive(Clone, Default)]
struct Known {
    /// The last content that was acknowledged.
    current: Option<(Revision, u64)>,
    /// What was sent and never answered: it may have become current, or not.
    unknown: Option<(Revision, u64)>,
    is_deleted: bool,
}

/// A source of choices; the same for the same seed.
struct Choices(u64);

impl Choices {
    fn next(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bytes = blake3::hash(&self.0.to_le_bytes());
        u64::from_le_bytes(bytes.as_bytes()[..8].try_into().unwrap()) % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_loses_nothing_it_acknowledged() {
    let (kills, seed) = (number("HCFS_SERVER_KILLS").unwrap_or(KILLS), number("HCFS_SERVER_SEED").unwrap_or(0));
    let (data, begin) = (TempDir::new().unwrap(), Instant::now());
    let address = AccountAddress::from_public_key([3; 32]);
    let token = tokens::create(&Storage::local(data.path().to_owned()), &address, "load").await.unwrap();
    let files = Arc::new(Mutex::new(BTreeMap::<String, Known>::new()));
    let (acknowledged, mut seen) = watch::channel(0);
    let mut choices = Choices(seed);
    for kill in 0..kills {
        let mut node = Node::start(data.path(), &[]);
        let account = Account::new(address.clone(), token.clone());
        settle(&account, &node, &files).await;
        let target = *seen.borrow() + 20 + choices.next(150);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (account, node, files) = (account.clone(), node.address, Arc::clone(&files));
                let acknowledged = acknowledged.clone();
                let choices = Choices(seed ^ (kill * WRITERS + writer + 1) << 20);
                tokio::spawn(write(account, node, files, writer, choices, acknowledged))
            })
            .collect();
        let enough = seen.wait_for(|writes| *writes >= target);
        drop(tokio::time::timeout(PATIENCE, enough).await.expect("the server takes no writes"));
        node.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        check(data.path(), kill);
        if kill % 10 == 9 {
            println!("{} kills after {:?}, {} writes", kill + 1, begin.elapsed(), *seen.borrow());
        }
    }
    let node = Node::start(data.path(), &[]);
    let account = Account::new(address, token);
    settle(&account, &node, &files).await;
    println!(
        "seed {seed}: {kills} kills in {:?}, {} acknowledged writes: 0 lost, 0 dangling rows",
        begin.elapsed(),
        *seen.borrow()
    );
}

/// Writes until the server is gone.
async fn write(
    account: Account,
    node: std::net::SocketAddr,
    files: Arc<Mutex<BTreeMap<String, Known>>>,
    writer: u64,
    mut choices: Choices,
    acknowledged: watch::Sender<u64>,
) {
    loop {
        let path = format!("writer {writer} file {}", choices.next(FILES));
        let known = files.lock().unwrap().get(&path).cloned().unwrap_or_default();
        if known.unknown.is_some() {
            return;
        }
        if known.current.is_some() && choices.next(6) == 0 {
            files.lock().unwrap().get_mut(&path).unwrap().is_deleted = true;
            let route = format!("/delete/{}/{}/{}", account.address, account.folder, FileId::of_path(&path));
            let answer = account.send(node, http::Method::DELETE, &route, "text/plain", bytes::Bytes::new()).await;
            let Some((200, _)) = answer else { return };
            files.lock().unwrap().insert(path, Known::default());
        } else {
            let size = if choices.next(5) == 0 { 200_000 + choices.next(400_000) } else { choices.next(3_000) };
            let content = choices.next(u64::MAX >> 1) | 1 << 63;
            let blob = ciphertext(size, content);
            let manifest = account.manifest(&path, &blob, known.current.map(|(revision, _)| revision));
            let Some(answer) = account.upload(node, &manifest, &blob).await else {
                let sent =
                    Some((Revision { seq: manifest.revision_seq, id: hcfs_model::RevisionId([0; 32]) }, content));
                files.lock().unwrap().entry(path).or_default().unknown = sent;
                return;
            };
            assert_eq!(answer.0, 200, "{path}: {}", String::from_utf8_lossy(&answer.1));
            let known =
                Known { current: Some((revision(&manifest, &answer), content)), unknown: None, is_deleted: false };
            files.lock().unwrap().insert(path, known);
        }
        acknowledged.send_modify(|writes| *writes += 1);
    }
}

/// Compares what the server has with what it acknowledged, byte for byte, and learns what became of the rest.
async fn settle(account: &Account, node: &Node, files: &Mutex<BTreeMap<String, Known>>) {
    let listed: BTreeMap<FileId, Revision> =
        account.listing(node.address).await.files.iter().map(|file| (file.path_hash, file.revision())).collect();
    let known = files.lock().unwrap().clone();
    for (path, mut file) in known {
        let found = listed.get(&FileId::of_path(&path)).copied();
        let Some(found) = found else {
            assert!(file.current.is_none() || file.is_deleted, "{path} is lost");
            files.lock().unwrap().insert(path, Known::default());
            continue;
        };
        let (_, bytes) = account.download(node.address, FileId::of_path(&path)).await.unwrap();
        let hash = blake3::hash(&bytes);
        let is = |content: u64| {
            let mut expected = vec![0; bytes.len()];
            blake3::Hasher::new().update(&content.to_le_bytes()).finalize_xof().fill(&mut expected);
            blake3::hash(&expected) == hash
        };
        match (file.current, file.unknown) {
            (Some((revision, content)), _) if revision == found => assert!(is(content), "{path} has other bytes"),
            (_, Some((sent, content))) if sent.seq == found.seq => {
                assert!(is(content), "{path} has bytes nobody sent");
                file.current = Some((found, content));
            }
            _ => panic!("{path} has a revision nobody sent: {found:?}"),
        }
        file.unknown = None;
        file.is_deleted = false;
        files.lock().unwrap().insert(path, file);
    }
}

/// Every row has its blob, with the right bytes.
fn check(data: &std::path::Path, kill: u64) {
    let (sound, report) = last_line(&mut hcfs_server(data, &[], &["check", "--hashes", "--json"]));
    assert!(sound && report["missing"] == 0 && report["damaged"] == 0, "after kill {kill}: {report}");
}
