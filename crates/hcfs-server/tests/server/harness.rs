//! A server on a free port with its own directory, and a client that signs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use hcfs_model::{
    AccountAddress, CiphertextHash, FileId, FolderHash, FolderLabel, Revision, RevisionId, SaltedHash, UnixNanos, blob,
};
use hcfs_server::{Clock, RunningServer, Server, ServerConfig, Storage, maintenance, tokens};
use hcfs_wire::{
    GetState, Manifest, Rename, RenameFiles, RenameResult, UploadResult, read_answer, rename_text, upload_text,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// How long anything may take before the test says it never happens.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Rig {
    pub directory: TempDir,
    pub running: RunningServer,
    pub account: AccountAddress,
    pub folder: FolderHash,
    pub token: String,
    pub key: SigningKey,
    pub client: HttpClient,
    pub now: Arc<AtomicI64>,
}

/// An answer that was read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The payload of a success.
    #[track_caller]
    pub fn success<T: DeserializeOwned>(&self) -> T {
        read_answer(self.status.as_u16(), &self.body, 64 << 20)
            .unwrap_or_else(|failure| panic!("{failure:?}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The status and the code of a failure.
    pub fn failure(&self) -> (u16, String) {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let code = body["Error"]["error"].as_str().or(body["Conflict"]["error"].as_str()).unwrap_or("none");
        (self.status.as_u16(), code.to_owned())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The storage in a directory.
pub fn storage(data: &Path) -> Storage {
    Storage::local(data.to_owned())
}

pub fn account(number: u8) -> AccountAddress {
    AccountAddress::from_public_key([number; 32])
}

pub async fn rig() -> Rig {
    rig_with(|_| ()).await
}

/// A directory in memory where there is one: what is asked here is not whether syncs reach the disk, and hundreds of them
/// take as long as whatever else uses it lets them.
fn directory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

pub async fn rig_with(change: impl FnOnce(&mut ServerConfig)) -> Rig {
    let directory = directory();
    let account = account(1);
    let token = tokens::create(&storage(directory.path()), &account, "test").await.unwrap();
    let now = Arc::new(AtomicI64::new(1_800_000_000));
    let running = start(directory.path(), &now, change).await;
    Rig {
        directory,
        running,
        account,
        folder: FolderHash::of_label(&FolderLabel::new("default").unwrap()),
        token,
        key: SigningKey::from_bytes(&[7; 32]),
        client: Client::builder(TokioExecutor::new()).build_http(),
        now,
    }
}

async fn start(data: &Path, now: &Arc<AtomicI64>, change: impl FnOnce(&mut ServerConfig)) -> RunningServer {
    let mut config = ServerConfig::new(data.to_owned(), "127.0.0.1:0".parse().unwrap());
    let now = Arc::clone(now);
    config.clock = Clock::new(move || UnixNanos(now.load(Ordering::Relaxed) * 1_000_000_000));
    config.limits.shutdown_timeout = Duration::from_secs(5);
    config.limits.blob_grace = Duration::ZERO;
    change(&mut config);
    Server::start(config).await.unwrap()
}

/// Bytes of a blob for a plaintext of `size` bytes; other seeds, other bytes.
pub fn ciphertext(size: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; blob::blob_len(size) as usize];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub fn id(path: &str) -> FileId {
    FileId::of_path(path)
}

pub fn hash(bytes: &[u8]) -> CiphertextHash {
    CiphertextHash(*blake3::hash(bytes).as_bytes())
}

pub const BOUNDARY: &str = "----hcfs-test-boundary";

pub fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub fn native(manifest: &Manifest, blob: &[u8]) -> Vec<u8> {
    multipart(&[("manifest", &serde_json::to_vec(manifest).unwrap()), ("ciphertext", blob)])
}

impl Rig {
    /// Stops the server and starts it again on the same directory.
    pub async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    /// The same, with the directory changed in between.
    pub async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        self.restarted(change, |_| ()).await
    }

    /// The same, with another configuration.
    pub async fn restart_with(self, change: impl FnOnce(&mut ServerConfig)) -> Self {
        self.restarted(|_| (), change).await
    }

    async fn restarted(self, between: impl FnOnce(&Path), change: impl FnOnce(&mut ServerConfig)) -> Self {
        let Self { directory, running, account, folder, token, key, client, now } = self;
        running.shutdown().await.unwrap();
        between(directory.path());
        let running = start(directory.path(), &now, change).await;
        Self { directory, running, account, folder, token, key, client, now }
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.running.address()));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let exchange = async {
            let (parts, body) = self.client.request(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Reply { status: parts.status, headers: parts.headers, body }
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("no answer")
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &impl serde::Serialize) -> Reply {
        self.send(Method::POST, path, &[], serde_json::to_vec(body).unwrap()).await
    }

    pub fn manifest(&self, path: &str, size: u64, blob: &[u8], base: Option<Revision>) -> Manifest {
        let mut manifest = Manifest {
            ss58_address: self.account.clone(),
            folder_hash: self.folder,
            ciphertext_hash: hash(blob),
            size_bytes: size,
            timestamp: 1_800_000_000,
            signature: [0; 64],
            signing_key: self.key.verifying_key().to_bytes(),
            path_hash: id(path),
            salted_hash: SaltedHash(*blake3::hash(blob).as_bytes()),
            revision_seq: base.map_or(1, |base| base.seq + 1),
            base_revision_id: base.map(|base| base.id),
            encrypted_path: ciphertext(path.len() as u64, 0),
            file_name: None,
            relative_path: None,
            source: None,
        };
        self.sign(&mut manifest);
        manifest
    }

    pub fn sign(&self, manifest: &mut Manifest) {
        manifest.signature = self.key.sign(upload_text(&manifest.ciphertext_hash).as_bytes()).to_bytes();
    }

    pub async fn send_upload(&self, body: impl Into<Bytes>) -> Reply {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send(Method::POST, "/upload", &[("content-type", &kind)], body).await
    }

    /// A connection that announced an upload of 1,000 bytes and waits to be told to send them.
    pub async fn announce_upload(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        let head = format!(
            "POST /upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\nexpect: 100-continue\r\n\r\n",
            self.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Uploads a file and gives its revision.
    pub async fn put(&self, path: &str, size: u64, seed: u64, base: Option<Revision>) -> Revision {
        let blob = ciphertext(size, seed);
        let manifest = self.manifest(path, size, &blob, base);
        let result: UploadResult = self.send_upload(native(&manifest, &blob)).await.success();
        manifest.revision(result.revision_id)
    }

    pub fn file_route(&self, route: &str, path: &str) -> String {
        format!("/{route}/{}/{}/{}", self.account, self.folder, id(path))
    }

    pub fn listing_route(&self, query: &str) -> String {
        format!("/get_state/{}/{}{query}", self.account, self.folder)
    }

    pub async fn listing(&self) -> GetState {
        self.get(&self.listing_route("?limit=5000")).await.success()
    }

    /// The listed revision of a path.
    pub async fn revision(&self, path: &str) -> Option<Revision> {
        self.listing().await.files.iter().find(|file| file.path_hash == id(path)).map(|file| file.revision())
    }

    pub fn rename_request(&self, pairs: &[(&str, &str, RevisionId)]) -> RenameFiles {
        let renames: Vec<Rename> = pairs
            .iter()
            .map(|(old, new, base)| Rename {
                old_path_hash: id(old),
                new_path_hash: id(new),
                new_encrypted_path: ciphertext(new.len() as u64, 0),
                new_file_name: None,
                new_relative_path: None,
                base_revision_id: *base,
            })
            .collect();
        let ids: Vec<_> = renames.iter().map(|rename| (rename.old_path_hash, rename.new_path_hash)).collect();
        RenameFiles {
            ss58_address: self.account.clone(),
            folder_hash: self.folder,
            renames,
            signature: self.key.sign(rename_text(&ids).as_bytes()).to_bytes(),
            signing_key: self.key.verifying_key().to_bytes(),
        }
    }

    pub async fn rename(&self, pairs: &[(&str, &str, RevisionId)]) -> RenameResult {
        self.post("/rename_files", &self.rename_request(pairs)).await.success()
    }

    pub fn storage(&self) -> Storage {
        storage(self.directory.path())
    }

    /// The file that a row of this content points to.
    pub fn blob_path(&self, hash: CiphertextHash) -> PathBuf {
        let db = rusqlite::Connection::open(self.directory.path().join("metadata.sqlite3")).unwrap();
        let query = "SELECT lower(hex(object)) FROM files WHERE ciphertext_hash = ?1";
        let object: String = db.query_row(query, [hash.0], |row| row.get(0)).unwrap();
        self.object_path(&object)
    }

    pub fn object_path(&self, object: &str) -> PathBuf {
        self.directory.path().join("blobs").join(&object[..2]).join(object)
    }

    /// The same as [`Rig::blob_files`], once everything that nobody needs has been removed.
    pub async fn needed_files(&self) -> Vec<PathBuf> {
        // Each time so much later that no upload of before can still be under way.
        static WEEKS: AtomicI64 = AtomicI64::new(0);
        let weeks = 1 + WEEKS.fetch_add(1, Ordering::Relaxed);
        let late = UnixNanos((self.now.load(Ordering::Relaxed) + weeks * 7 * 24 * 3600) * 1_000_000_000);
        maintenance::collect(&self.storage(), Duration::ZERO, &Clock::new(move || late)).await.unwrap();
        self.blob_files()
    }

    /// All files of the blob directory: whole blobs, uploads in flight, sessions.
    pub fn blob_files(&self) -> Vec<PathBuf> {
        files_below(&self.directory.path().join("blobs"))
    }
}

pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, check: impl Fn() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let wait = async {
            while !check() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

/// What the server says before it closes.
pub async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("never closed").unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}
