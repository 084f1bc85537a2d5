//! A machine with an account, a folder and a server in memory, and a client of its socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hcfs_api::{ApiError, ErrorBody, Paths, Status};
use hcfs_crypto::phrase::{AccountKey, MasterPhrase};
use hcfs_daemon::identity::PhraseSource;
use hcfs_daemon::secret::Unlock;
use hcfs_daemon::setup::{NewFolder, Setup, set_up};
use hcfs_daemon::{
    Ask, AskError, BoxError, Config, Connect, Daemon, DaemonError, Environment, OnLocked, Options, RunningDaemon,
    ServerAt,
};
use hcfs_model::{FolderHash, FolderLabel};
use hcfs_remote::Remote;
use hcfs_remote::memory::{MemoryRemote, MemoryServer};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// How long anything may take before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The published test phrase.
pub fn phrase_text() -> Zeroizing<String> {
    Zeroizing::new(format!("{}art", "abandon ".repeat(23)))
}

/// A password that a key file may hold.
pub const KEY: &str = "abababababababababababababababababababababababababababababababab";
/// The test phrase sealed under [`KEY`], and under `correct horse`: with one round of key derivation, so that only the
/// tests that are about sealing take the time of the real one.
const SEALED_BY_KEY: &str = r#"{"salt": "AAECAwQFBgcICQoLDA0ODw==", "iv": "AAECAwQFBgcICQoL", "data": "SF8Mpe14uZ9SvP+yW6JBLu3eSOESvAW+JQ+uQSbTWKilxp8VTiDvJBi7cdWUykoOhJp7z+fpaNw7l5VvGgFxnXM6jaLtHKFE+CTI4ncknexpl597NO0o8fAaQ8BJgFWwC/6h4guwJ6EcvPaDCglS7fi+t77FgZvTzxy5BC5Yd9VKHAlWvJNFtM3n6d0sJK+vJibeiGyjqyd+AaHhaLbUpjhYiehDqVODCL7lSsOJSoQsPZ0/oeGh+xh+ZV+9lP+oud3kW7LSlalMnYc=", "iterations": 1}"#;
const SEALED_BY_WORD: &str = r#"{"salt": "AAECAwQFBgcICQoLDA0ODw==", "iv": "AAECAwQFBgcICQoL", "data": "G2oNFSGldb47sJENE4lzKU1D23EdQ8afsiq7lziHRc2I0jkOJjCJOD2bkQuDNlUHOWmWF3soO3ta4IzrvZucYqnGNS6OZKqViuQ4/jpkglMorRcFov0Em21ZN5vIcDIlLG77dmLggAM5pluMwtZHMx/qbE8F840z7DRhYlB8r0MNANOQeTNSkx+56dpXY+//r98fs/5k3b/5Tj07SnAZEch5wec3XA8wUpEN7sK2myQ+xd6jTZGHDCFoeVteb9VIo2Wj2/NdgWW8fdw=", "iterations": 1}"#;

/// Nobody to ask; what is shown is kept.
#[derive(Default)]
pub struct Nobody {
    pub shown: String,
}

impl Ask for Nobody {
    fn is_terminal(&self) -> bool {
        false
    }

    fn password(&mut self, _prompt: &str) -> Result<Zeroizing<String>, AskError> {
        panic!("nobody may be asked")
    }

    fn show(&mut self, text: &str) -> Result<(), AskError> {
        self.shown.push_str(text);
        Ok(())
    }
}

/// A person who types these passwords, one after another.
pub struct Person {
    pub types: Vec<&'static str>,
    pub sees: String,
}

impl Ask for Person {
    fn is_terminal(&self) -> bool {
        true
    }

    fn password(&mut self, prompt: &str) -> Result<Zeroizing<String>, AskError> {
        self.sees.push_str(prompt);
        Ok(Zeroizing::new(self.types.remove(0).to_owned()))
    }

    fn show(&mut self, text: &str) -> Result<(), AskError> {
        self.sees.push_str(text);
        Ok(())
    }
}

struct InMemory(MemoryServer);

#[async_trait]
impl Connect for InMemory {
    async fn log_in(&self, _url: &str, key: &AccountKey, device: &str) -> Result<Zeroizing<String>, BoxError> {
        Ok(Zeroizing::new(format!("{}-{device}", key.account())))
    }

    async fn time(&self, _url: &str) -> Result<Option<hcfs_model::UnixNanos>, BoxError> {
        Ok(None)
    }

    fn connect(&self, _server: &ServerAt) -> Result<Arc<dyn Remote>, BoxError> {
        Ok(Arc::new(MemoryRemote::new(&self.0)))
    }
}

pub struct Machine {
    pub dir: TempDir,
    pub paths: Paths,
    pub server: MemoryServer,
}

impl Machine {
    /// A machine on which nothing was set up.
    pub fn bare() -> Self {
        let account = MasterPhrase::parse(&phrase_text()).unwrap().account();
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths {
            config: at("config/config.toml"),
            state: at("state"),
            socket: at("run/hcfs.sock"),
            server_data: at("server"),
        };
        Self { paths, server: MemoryServer::new(account), dir }
    }

    /// A machine with the test account, opened by a key file, and the folder `docs`.
    pub fn with_folder() -> Self {
        let machine = Self::bare();
        machine.seal(SEALED_BY_KEY);
        std::fs::write(machine.paths.unlock_key(), KEY).unwrap();
        close(&machine.paths.unlock_key());
        machine.set_up(Unlock::Keyfile(machine.paths.unlock_key()), &mut Nobody::default());
        machine
    }

    /// A machine with the test account, opened by the password `correct horse`, and the folder `docs`.
    pub fn with_password() -> Self {
        let machine = Self::bare();
        machine.seal(SEALED_BY_WORD);
        machine.set_up(Unlock::Prompt, &mut Person { types: vec!["correct horse"], sees: String::new() });
        machine
    }

    fn seal(&self, sealed: &str) {
        std::fs::create_dir(&self.paths.state).unwrap();
        std::fs::write(self.paths.sealed_phrase(), sealed).unwrap();
        close(&self.paths.sealed_phrase());
    }

    fn set_up(&self, unlock: Unlock, ask: &mut dyn Ask) {
        std::fs::create_dir(self.root()).unwrap();
        let setup = Setup {
            device: Some("test".into()),
            server: Some("https://example.org".into()),
            account: None,
            token: Some(hcfs_daemon::secret::SecretPlace::Env("TOKEN".into())),
            unlock: Some(unlock),
            phrase: PhraseSource::Import(phrase_text()),
            folder: Some(NewFolder { path: self.root(), label: None, create: false }),
        };
        set_up(&self.paths, &env(), &setup, ask).unwrap();
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("docs")
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.root().join(name), content).unwrap();
    }

    pub fn options(&self) -> Options {
        Options {
            connect: Some(Arc::new(InMemory(self.server.clone()))),
            on_locked: OnLocked::Wait,
            ..Options::service(self.paths.clone(), env(), "1.2.3")
        }
    }

    pub async fn try_start(&self) -> Result<RunningDaemon, DaemonError> {
        let config = Config::load(&self.paths, &env())?;
        Daemon::start(config, self.options(), None).await
    }

    pub async fn start(&self) -> RunningDaemon {
        self.try_start().await.unwrap()
    }

    /// How many files the server has in a folder.
    pub fn stored(&self, label: &str) -> usize {
        self.server.files(FolderHash::of_label(&FolderLabel::new(label).unwrap())).len()
    }

    pub fn client(&self) -> Client {
        Client { socket: self.paths.socket.clone() }
    }
}

pub fn env() -> Environment {
    Arc::new(|name| match name {
        "TOKEN" => Some("token".into()),
        _ => None,
    })
}

/// Waits until the status is as wanted.
pub async fn until(running: &RunningDaemon, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut changes = running.changes();
    let reached = tokio::time::timeout(DEADLINE, async {
        loop {
            changes.mark_unchanged();
            let status = running.status();
            if wanted(&status) {
                return status;
            }
            changes.changed().await.unwrap();
        }
    });
    match reached.await {
        Ok(status) => status,
        Err(_) => panic!("not {what}: {:#?}", running.status()),
    }
}

pub async fn idle(running: &RunningDaemon) -> Status {
    until(running, "idle", |status| status.idle).await
}

/// Speaks to a socket, one connection for each request.
#[derive(Clone)]
pub struct Client {
    pub socket: PathBuf,
}

impl Client {
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    pub async fn call(&self, method: Method, route: &str, body: &str) -> (StatusCode, Bytes) {
        self.call_with(method, route, body, &[]).await
    }

    pub async fn call_with(
        &self,
        method: Method,
        route: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Bytes) {
        let mut request = Request::builder().method(method).uri(route).header("host", "hcfs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.send(request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()).await;
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    pub async fn get<T: serde::de::DeserializeOwned>(&self, route: &str) -> T {
        let (status, body) = self.call(Method::GET, route, "").await;
        assert_eq!(status, StatusCode::OK, "{route}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// A request that does something and tells of it.
    pub async fn post<T: serde::de::DeserializeOwned>(&self, route: &str) -> T {
        let (status, body) = self.call(Method::POST, route, "").await;
        assert_eq!(status, StatusCode::OK, "{route}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// A request that is carried out.
    pub async fn done(&self, method: Method, route: &str, body: &str) {
        let (status, body) = self.call(method, route, body).await;
        assert_eq!(status, StatusCode::OK, "{route}: {}", String::from_utf8_lossy(&body));
    }

    /// A request that is refused; its error, whose status must be the one of its code.
    pub async fn refused(&self, method: Method, route: &str, body: &str) -> ApiError {
        let (status, body) = self.call(method, route, body).await;
        error_of(status, &body)
    }
}

pub fn error_of(status: StatusCode, body: &[u8]) -> ApiError {
    let parsed: Result<ErrorBody, _> = serde_json::from_slice(body);
    let Ok(ErrorBody { error }) = parsed else { panic!("{status}: {}", String::from_utf8_lossy(body)) };
    assert_eq!(status.as_u16(), error.code.status(), "{error:?}");
    assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error:?}");
    error
}

fn close(path: &Path) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}
