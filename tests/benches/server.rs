//! What the server moves and holds: one table, against the limits it has to keep.
//!
//! Everything runs within one run on one disk: the program as it ships, as a process, on SQLite and a directory. Large
//! transfers are compared with a bare hyper server that moves the same bytes to and from a file of the same disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark fails by panicking"
)]

#[path = "../server/client.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod client;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hcfs_model::{AccountAddress, FileId, blob};
use hcfs_remote::{BaseUrl, BatchUpload, ClientConfig, FolderChanges, HcfsRemote, Remote, Token, WantedBlob};
use hcfs_server::{Storage, tokens};
use hcfs_wire::{Manifest, SessionOpen, SessionOpened, UploadResult};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use client::{Account, Node, ciphertext, success};

const MIB: u64 = 1 << 20;
/// Bytes of the large transfer.
const LARGE: u64 = 1 << 30;
/// Bytes of a part of it.
const PART: u64 = 8 * MIB;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// One row of the table.
struct Row {
    what: &'static str,
    found: f64,
    unit: &'static str,
    limit: Limit,
}

enum Limit {
    AtLeast(f64),
    AtMost(f64),
    None,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut rows = Vec::new();
        single(&mut rows).await;
        batches(&mut rows).await;
        wake_ups(&mut rows).await;
        large(&mut rows).await;
        listing(&mut rows).await;
        many(&mut rows).await;
        print(&rows);
    });
}

fn print(rows: &[Row]) {
    println!("\n{:<56}{:>12} {:<8}{:>14}", "what", "found", "", "limit");
    for Row { what, found, unit, limit } in rows {
        let (limit, verdict) = match limit {
            Limit::AtLeast(least) => (format!(">= {least}"), if found >= least { "kept" } else { "MISSED" }),
            Limit::AtMost(most) => (format!("<= {most}"), if found <= most { "kept" } else { "MISSED" }),
            Limit::None => (String::new(), ""),
        };
        println!("{what:<56}{found:>12.2} {unit:<8}{limit:>14} {verdict}");
    }
}

struct Site {
    data: TempDir,
    node: Node,
    account: Account,
}

impl Site {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A server on a directory that was prepared.
    async fn with(prepare: impl FnOnce(&Path)) -> Self {
        // On the disk of the build, not in a temporary directory that may be memory.
        let data = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let address = AccountAddress::from_public_key([3; 32]);
        let token = tokens::create(&Storage::local(data.path().to_owned()), &address, "bench").await.unwrap();
        prepare(data.path());
        let node = Node::start(data.path(), &[]);
        Self { data, node, account: Account::new(address, token) }
    }

    /// The client as the daemon uses it.
    fn remote(&self) -> HcfsRemote {
        let http = hcfs_remote::Client::new(ClientConfig::default()).unwrap();
        let base = BaseUrl::parse(&format!("http://{}", self.node.address)).unwrap();
        HcfsRemote::new(http, base, self.account.address.clone(), Token::new(self.account.token()).unwrap())
    }

    fn high_water(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.node.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

/// Small files, each in a request of its own.
async fn single(rows: &mut Vec<Row>) {
    const FILES: u64 = 3_000;
    let site = Site::new().await;
    let begin = Instant::now();
    let uploads = (0..FILES).map(|number| {
        let site = &site;
        async move {
            let bytes = ciphertext(4_096, number);
            let manifest = site.account.manifest(&format!("file {number}"), &bytes, None);
            let answer = site.account.upload(site.node.address, &manifest, &bytes).await.unwrap();
            success::<UploadResult>(&answer);
        }
    });
    stream::iter(uploads).buffer_unordered(64).collect::<Vec<()>>().await;
    let rate = FILES as f64 / begin.elapsed().as_secs_f64();
    rows.push(Row {
        what: "single uploads of 4 KiB, 64 at a time",
        found: rate,
        unit: "/s",
        limit: Limit::AtLeast(300.0),
    });
}

/// Small files, many in a request, up and down again.
async fn batches(rows: &mut Vec<Row>) {
    const FILES: u64 = 10_000;
    const BATCH: usize = 500;
    const AT_ONCE: usize = 4;
    let site = Site::new().await;
    let (remote, folder) = (&site.remote(), site.account.folder);
    let uploads: Vec<_> = (0..FILES)
        .map(|number| {
            let blob = ciphertext(4_096, number);
            BatchUpload { manifest: site.account.manifest(&format!("file {number}"), &blob, None), blob: blob.into() }
        })
        .collect();
    let mut row = |what, begin: Instant, limit| {
        rows.push(Row { what, found: FILES as f64 / begin.elapsed().as_secs_f64(), unit: "/s", limit });
    };
    let begin = Instant::now();
    let sent = uploads.chunks(BATCH).map(|batch| remote.upload_batch(batch));
    let stored = stream::iter(sent).buffered(AT_ONCE).collect::<Vec<_>>().await;
    row("uploads of 4 KiB in batches of 500, durable", begin, Limit::AtLeast(2_000.0));
    assert!(stored.into_iter().flat_map(Result::unwrap).all(|stored| stored.is_ok()));

    let wanted: Vec<_> =
        uploads.iter().map(|upload| WantedBlob { file: upload.manifest.path_hash, expected: None }).collect();
    let begin = Instant::now();
    let asked = wanted.chunks(BATCH).map(|batch| remote.download_batch(folder, batch, None));
    let came = stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>().await;
    row("downloads of 4 KiB in batches of 500", begin, Limit::None);
    assert_eq!(came.into_iter().flat_map(Result::unwrap).filter(Result::is_ok).count(), uploads.len());
}

/// How long after the answer to a writer another client, which waits, knows of the change.
async fn wake_ups(rows: &mut Vec<Row>) {
    const WAITS: usize = 100;
    let site = Site::new().await;
    let (remote, folder) = (std::sync::Arc::new(site.remote()), site.account.folder);
    let FolderChanges::Changed(page) = remote.changes(folder, None, Duration::ZERO).await.unwrap() else {
        panic!("reset")
    };
    let (mut after, mut base, mut waits) = (page.next, None, Vec::new());
    for round in 0..WAITS as u64 {
        let remote = std::sync::Arc::clone(&remote);
        let waiting = tokio::spawn(async move {
            let answer = remote.changes(folder, Some(after), Duration::from_secs(30)).await;
            (answer.unwrap(), Instant::now())
        });
        // Long enough for the request to be there, and to wait.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let blob = ciphertext(4_096, round);
        let manifest = site.account.manifest("told", &blob, base);
        let answer = site.account.upload(site.node.address, &manifest, &blob).await.unwrap();
        let answered = Instant::now();
        base = Some(client::revision(&manifest, &answer));
        let (FolderChanges::Changed(page), woken) = waiting.await.unwrap() else { panic!("reset") };
        assert_eq!(page.changes.len(), 1);
        after = page.next;
        waits.push(woken.saturating_duration_since(answered).as_secs_f64() * 1000.0);
    }
    waits.sort_by(f64::total_cmp);
    for (what, found) in [
        ("change feed: wake-up after the writer's answer, median", waits[WAITS / 2]),
        ("change feed: the slowest of a hundred", waits[WAITS - 1]),
    ] {
        rows.push(Row { what, found, unit: "ms", limit: Limit::AtMost(20.0) });
    }
}

/// One large file up in parts and down again, and the same bytes through a bare server.
async fn large(rows: &mut Vec<Row>) {
    let site = Site::new().await;
    let whole = ciphertext(LARGE, 1);
    let node = site.node.address;
    let parts = |target: &'static str, id: String, node: SocketAddr| {
        let (account, whole) = (site.account.clone(), &whole);
        async move {
            let sends = whole.chunks(PART as usize).enumerate().map(|(index, part)| {
                let (account, part) = (account.clone(), Bytes::copy_from_slice(part));
                let path = format!("{target}{id}/chunk/{index}");
                async move {
                    let sent = account.send(node, Method::PUT, &path, "application/octet-stream", part).await;
                    assert_eq!(sent.unwrap().0, 200);
                }
            });
            stream::iter(sends).buffer_unordered(4).collect::<Vec<()>>().await;
        }
    };
    let bare = bare(site.data.path().join("bare")).await;
    let begin = Instant::now();
    parts("/part/", "1".to_owned(), bare).await;
    let bare_up = begin.elapsed();
    let begin = Instant::now();
    let moved = drain(bare, "/", "").await;
    let bare_down = begin.elapsed();
    assert_eq!(moved, whole.len() as u64);

    let begin = Instant::now();
    let open = SessionOpen::cut(site.account.manifest("large", &whole, None), PART).unwrap();
    let opened: SessionOpened = success(&site.account.post(node, "/upload/session", &open).await.unwrap());
    parts("/upload/session/", opened.session_id.to_string(), node).await;
    let finalize = format!("/upload/session/{}/finalize", opened.session_id);
    success::<UploadResult>(&site.account.post(node, &finalize, &()).await.unwrap());
    let up = begin.elapsed();
    let begin = Instant::now();
    let path = format!("/download/{}/{}/{}", site.account.address, site.account.folder, FileId::of_path("large"));
    assert_eq!(drain(node, &path, site.account.token()).await, whole.len() as u64);
    let down = begin.elapsed();
    let rate = |took: Duration| LARGE as f64 / 1e6 / took.as_secs_f64();
    for (what, found, bare, ratio) in [
        ("1 GiB up, hashed and synced", up, bare_up, "1 GiB up: of a bare server's speed"),
        ("1 GiB down", down, bare_down, "1 GiB down: of a bare server's speed"),
    ] {
        rows.push(Row { what, found: rate(found), unit: "MB/s", limit: Limit::None });
        let share = bare.as_secs_f64() / found.as_secs_f64();
        rows.push(Row { what: ratio, found: share, unit: "", limit: Limit::AtLeast(0.6) });
    }
}

/// A server that does nothing but move: parts into a file, synced, and the file back.
async fn bare(path: PathBuf) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let path = path.clone();
            let service = hyper::service::service_fn(move |request| move_bytes(request, path.clone()));
            tokio::spawn(async move {
                let server = hyper::server::conn::http1::Builder::new();
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn move_bytes(request: Request<Incoming>, path: PathBuf) -> Result<Response<Body>, Infallible> {
    if request.method() == Method::PUT {
        let index = request.uri().path().rsplit('/').next().unwrap();
        let at = index.parse::<u64>().unwrap() * PART;
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(path).unwrap();
        let mut file = tokio::fs::File::from_std(file);
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(at)).await.unwrap();
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            file.write_all(&frame.unwrap().into_data().unwrap()).await.unwrap();
        }
        file.flush().await.unwrap();
        file.sync_data().await.unwrap();
        return Ok(Response::new(http_body_util::Empty::new().boxed_unsync()));
    }
    let file = tokio::fs::File::open(path).await.unwrap();
    let pieces = stream::unfold(file, |mut file| async move {
        let mut piece = vec![0; 256 * 1024];
        let read = file.read(&mut piece).await.unwrap();
        piece.truncate(read);
        (read > 0).then(|| (Ok(Frame::data(Bytes::from(piece))), file))
    });
    Ok(Response::new(StreamBody::new(pieces).boxed_unsync()))
}

/// Reads an answer to its end; how many bytes it had.
async fn drain(node: SocketAddr, path: &str, token: &str) -> u64 {
    let client: Client<HttpConnector, http_body_util::Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(format!("http://{node}{path}")).header("authorization", format!("Bearer {token}"));
    let response = client.request(request.body(http_body_util::Empty::new()).unwrap()).await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    let mut body = response.into_body();
    let mut moved = 0;
    while let Some(frame) = body.frame().await {
        moved += frame.unwrap().data_ref().map_or(0, Bytes::len) as u64;
    }
    moved
}

/// A folder of 100,000 files, read page by page.
async fn listing(rows: &mut Vec<Row>) {
    const FILES: u64 = 100_000;
    let site = Site::with(|data| {
        let db = rusqlite::Connection::open(data.join("metadata.sqlite3")).unwrap();
        db.execute_batch(&format!(
            "INSERT INTO folders (account_id, hash, created_at, updated_at)
             SELECT id, x'0011223344556677', 1, 1 FROM accounts;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FILES})
             INSERT INTO files (folder_id, path_hash, salted_hash, size_bytes, revision_seq, revision_id,
                                ciphertext_hash, encrypted_path, created_at, updated_at, object)
             SELECT f.id, randomblob(32), randomblob(32), 1000, 1, randomblob(32), randomblob(32), randomblob(90), 1, 1,
                    randomblob(16)
             FROM n, folders f;"
        ))
        .unwrap();
    })
    .await;
    let before = site.high_water();
    let begin = Instant::now();
    let mut read = 0;
    while read < FILES {
        let path = format!("/get_state/{}/{}?limit=5000&offset={read}", site.account.address, site.account.folder);
        let (status, body) = site.account.get(site.node.address, &path).await.unwrap();
        assert_eq!(status, 200);
        // The client's own reading is not what is measured; it is not parsed but counted.
        let count = body.windows(13).filter(|window| window == b"\"revision_id\"").count() as u64;
        assert!(count > 0);
        read += count;
    }
    let took = begin.elapsed().as_secs_f64();
    rows.push(Row { what: "get_state of 100,000 rows", found: took, unit: "s", limit: Limit::AtMost(1.0) });
    rows.push(Row {
        what: "get_state of 100,000 rows: memory of the server",
        found: site.high_water(),
        unit: "MiB",
        limit: Limit::AtMost(64.0),
    });
    rows.push(Row { what: "  the same server before", found: before, unit: "MiB", limit: Limit::None });
}

/// Two hundred uploads of 64 MiB at the same time.
async fn many(rows: &mut Vec<Row>) {
    const UPLOADS: u64 = 200;
    const SIZE: u64 = 64 * MIB;
    let site = Site::new().await;
    let length = blob::blob_len(SIZE);
    let piece = Bytes::from(ciphertext(MIB, 9));
    let pieces = move || {
        let piece = piece.clone();
        let starts = (0..length).step_by(piece.len());
        starts.map(move |at| piece.slice(..piece.len().min((length - at) as usize)))
    };
    let mut hasher = blake3::Hasher::new();
    pieces().for_each(|piece| {
        hasher.update(&piece);
    });
    let hash = hcfs_model::CiphertextHash(*hasher.finalize().as_bytes());
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let stored = AtomicU64::new(0);
    let begin = Instant::now();
    let uploads = (0..UPLOADS).map(|number| {
        let (site, client, stored, pieces) = (&site, &client, &stored, &pieces);
        async move {
            let mut manifest: Manifest = site.account.manifest(&format!("file {number}"), &[0; 48], None);
            site.account.sign(&mut manifest, hash, SIZE);
            let head = format!(
                "--b\r\nContent-Disposition: form-data; name=\"manifest\"\r\n\r\n{}\r\n--b\r\n\
                 Content-Disposition: form-data; name=\"ciphertext\"\r\n\r\n",
                serde_json::to_string(&manifest).unwrap()
            );
            let all = std::iter::once(Bytes::from(head)).chain(pieces()).chain([Bytes::from("\r\n--b--\r\n")]);
            let all: Vec<_> = all.map(|bytes| Ok(Frame::data(bytes))).collect();
            let request = Request::post(format!("http://{}/upload", site.node.address))
                .header("authorization", format!("Bearer {}", site.account.token()))
                .header("content-type", "multipart/form-data; boundary=b")
                .body(StreamBody::new(stream::iter(all)).boxed_unsync())
                .unwrap();
            let response = client.request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            stored.fetch_add(1, Ordering::Relaxed);
        }
    });
    futures_util::future::join_all(uploads).await;
    assert_eq!(stored.load(Ordering::Relaxed), UPLOADS);
    let rate = (UPLOADS * SIZE) as f64 / 1e6 / begin.elapsed().as_secs_f64();
    rows.push(Row { what: "200 uploads of 64 MiB at once", found: rate, unit: "MB/s", limit: Limit::None });
    rows.push(Row {
        what: "200 uploads of 64 MiB at once: memory of the server",
        found: site.high_water(),
        unit: "MiB",
        limit: Limit::AtMost(128.0),
    });
}
