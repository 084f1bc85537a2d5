//! Nodes of a server as processes, and a client that signs.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use hcfs_model::{AccountAddress, CiphertextHash, FileId, FolderHash, Revision, SaltedHash, blob};
use hcfs_tests::program;
use hcfs_wire::{GetState, Manifest, UploadResult, upload_text};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The key to the S3 store of the tests.
pub const KEY: &str = "an-id";
pub const SECRET: &str = "a-secret";

/// How long anything may take before the test says it never happens.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `hcfs server`, killed when it is dropped.
pub struct Node {
    process: Child,
    pub address: SocketAddr,
}

/// `hcfs server` with these arguments, on a storage; its environment is this and nothing else.
pub fn hcfs_server(data: &Path, storage: &[String], arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("server").args(arguments).arg("--data").arg(data).args(storage).env_clear();
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET).env("HOME", data);
    command.env("XDG_RUNTIME_DIR", data).stdin(Stdio::null());
    command
}

impl Node {
    pub fn start(data: &Path, storage: &[String]) -> Self {
        use std::io::BufRead;
        let mut command = hcfs_server(data, storage, &["--listen", "127.0.0.1:0", "--print-address"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap_or_default().parse();
        Self { process, address: address.unwrap_or_else(|_| panic!("the server does not start: {line:?}")) }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL, and the wait for its end.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client of one account.
#[derive(Clone)]
pub struct Account {
    pub address: AccountAddress,
    pub folder: FolderHash,
    token: String,
    key: SigningKey,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Status and body of an answer.
pub type Answer = (u16, Bytes);

impl Account {
    pub fn new(address: AccountAddress, token: String) -> Self {
        Self {
            address,
            folder: FolderHash::from_hex("0011223344556677").unwrap(),
            token,
            key: SigningKey::from_bytes(&[7; 32]),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Lets a manifest be of another blob.
    pub fn sign(&self, manifest: &mut Manifest, hash: CiphertextHash, size: u64) {
        manifest.ciphertext_hash = hash;
        manifest.size_bytes = size;
        manifest.signature = self.key.sign(upload_text(&hash).as_bytes()).to_bytes();
    }

    pub fn manifest(&self, path: &str, blob: &[u8], base: Option<Revision>) -> Manifest {
        let hash = CiphertextHash(*blake3::hash(blob).as_bytes());
        Manifest {
            ss58_address: self.address.clone(),
            folder_hash: self.folder,
            ciphertext_hash: hash,
            size_bytes: size_of(blob),
            timestamp: 1_800_000_000,
            signature: self.key.sign(upload_text(&hash).as_bytes()).to_bytes(),
            signing_key: self.key.verifying_key().to_bytes(),
            path_hash: FileId::of_path(path),
            salted_hash: SaltedHash(hash.0),
            revision_seq: base.map_or(1, |base| base.seq + 1),
            base_revision_id: base.map(|base| base.id),
            encrypted_path: Vec::new(),
            file_name: None,
            relative_path: None,
            source: None,
        }
    }

    /// Sends a request; `None` when the connection breaks.
    pub async fn send(&self, node: SocketAddr, method: Method, path: &str, kind: &str, body: Bytes) -> Option<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{node}{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(Full::new(body))
            .unwrap();
        let exchange = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status().as_u16();
            Some((status, response.into_body().collect().await.ok()?.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("no answer")
    }

    pub async fn upload(&self, node: SocketAddr, manifest: &Manifest, blob: &[u8]) -> Option<Answer> {
        let boundary = "hcfs-test-boundary";
        let mut body = Vec::new();
        for (name, bytes) in [("manifest", serde_json::to_vec(manifest).unwrap().as_slice()), ("ciphertext", blob)] {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        self.send(node, Method::POST, "/upload", &kind, body.into()).await
    }

    pub async fn post(&self, node: SocketAddr, path: &str, body: &impl serde::Serialize) -> Option<Answer> {
        let body = serde_json::to_vec(body).unwrap();
        self.send(node, Method::POST, path, "application/json", body.into()).await
    }

    pub async fn get(&self, node: SocketAddr, path: &str) -> Option<Answer> {
        self.send(node, Method::GET, path, "application/json", Bytes::new()).await
    }

    pub async fn listing(&self, node: SocketAddr) -> GetState {
        let path = format!("/get_state/{}/{}?limit=5000", self.address, self.folder);
        success(&self.get(node, &path).await.unwrap())
    }

    pub async fn download(&self, node: SocketAddr, file: FileId) -> Option<Answer> {
        self.get(node, &format!("/download/{}/{}/{file}", self.address, self.folder)).await
    }
}

/// The revision an upload made.
pub fn revision(manifest: &Manifest, answer: &Answer) -> Revision {
    manifest.revision(success::<UploadResult>(answer).revision_id)
}

/// The payload of a success.
#[track_caller]
pub fn success<T: serde::de::DeserializeOwned>((status, body): &Answer) -> T {
    hcfs_wire::read_answer(*status, body, 64 << 20)
        .unwrap_or_else(|failure| panic!("{failure:?}: {}", String::from_utf8_lossy(body)))
}

/// Bytes of a blob for a plaintext of `size` bytes; other seeds, other bytes.
pub fn ciphertext(size: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(blob::blob_len(size)).unwrap()];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// The size of the plaintext of a blob of [`ciphertext`].
fn size_of(bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64 - 28;
    length - 20 * length.div_ceil(256 * 1024 + 20).max(1)
}

/// The last line a command prints, as JSON, and whether it says that all is well.
pub fn last_line(command: &mut Command) -> (bool, Value) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), serde_json::from_str(line).unwrap())
}
