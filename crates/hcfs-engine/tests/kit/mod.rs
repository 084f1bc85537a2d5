//! Devices that share one account on a server in memory; the folders are real directories.

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

pub(crate) mod ground;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hcfs_crypto::phrase::MasterPhrase;
use hcfs_engine::{FolderHandle, FolderSpec, FolderState, FolderStatus, Owner, SystemClock, start};
use hcfs_model::{FileId, FolderHash, FolderLabel};
use hcfs_plan::{MaxDelete, Mode, Resolution};
use hcfs_remote::memory::{MemoryRemote, MemoryServer};
use hcfs_remote::{Remote, capability};
pub(crate) use hcfs_testkit::{bytes, files_below};

const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

pub(crate) fn label() -> FolderLabel {
    FolderLabel::new("documents").unwrap()
}

pub(crate) fn folder() -> FolderHash {
    FolderHash::of_label(&label())
}

pub(crate) fn owner() -> Owner {
    let phrase = MasterPhrase::parse(PHRASE).unwrap();
    Owner { account: phrase.account(), keys: Arc::new(phrase.folder_keys(&label())) }
}

/// A server whose devices look when they are told to, and move files one by one: it has neither feed nor batches.
pub(crate) fn server() -> MemoryServer {
    let server = MemoryServer::new(owner().account);
    server.set_capabilities(&[capability::STATE_ETAG, capability::CONDITIONAL_DELETE]);
    server
}

/// A server that tells its devices of changes, and takes and sends batches.
pub(crate) fn server_with_all() -> MemoryServer {
    MemoryServer::new(owner().account)
}

/// A server that takes and sends batches, and has no feed.
pub(crate) fn server_with_batches() -> MemoryServer {
    let server = server_with_all();
    let rest = [capability::BATCH_UPLOAD, capability::BATCH_DOWNLOAD];
    server.set_capabilities(&[&[capability::STATE_ETAG, capability::CONDITIONAL_DELETE][..], &rest].concat());
    server
}

pub(crate) fn id(path: &str) -> FileId {
    FileId::of_path(path)
}

/// How a device reaches the server.
pub(crate) type Way = Box<dyn Fn(&MemoryRemote) -> Arc<dyn Remote> + Send>;

/// One device: its folder, its database, its way to the server.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) place: tempfile::TempDir,
    pub(crate) remote: MemoryRemote,
    pub(crate) change: fn(&mut FolderSpec),
    way: Way,
    handle: Option<FolderHandle>,
}

impl Device {
    pub(crate) fn new(name: &str, server: &MemoryServer) -> Self {
        Self::with(name, server, |_| {})
    }

    pub(crate) fn with(name: &str, server: &MemoryServer, change: fn(&mut FolderSpec)) -> Self {
        Self::by(name, server, change, Box::new(|remote| Arc::new(remote.clone())))
    }

    pub(crate) fn by(name: &str, server: &MemoryServer, change: fn(&mut FolderSpec), way: Way) -> Self {
        let mut device = Self { way, change, ..Self::idle(name, server) };
        device.start();
        device
    }

    /// A device that is not started.
    pub(crate) fn idle(name: &str, server: &MemoryServer) -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("root")).unwrap();
        let remote = MemoryRemote::new(server);
        let way: Way = Box::new(|remote| Arc::new(remote.clone()));
        Self { name: name.to_owned(), place, remote, change: |_| {}, way, handle: None }
    }

    /// A device whose transfers go through when they are let.
    pub(crate) fn gated(name: &str, server: &MemoryServer) -> (Self, Arc<wire::Noise>) {
        let noise = wire::Noise::new(0);
        let shared = Arc::clone(&noise);
        let way = move |remote: &MemoryRemote| Arc::new(wire::Wire::new(remote, &shared)) as Arc<dyn Remote>;
        (Self::by(name, server, |spec| spec.transfers = 1, Box::new(way)), noise)
    }

    /// The names of the staged parts.
    pub(crate) fn staged(&self) -> Vec<String> {
        files_below(&self.root().join(".hcfs/staged"), |_| true).into_keys().collect()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.place.path().join("root")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.place.path().join("state.db")
    }

    pub(crate) fn spec(&self) -> FolderSpec {
        let mut spec = FolderSpec {
            label: label(),
            root: self.root(),
            database: self.database(),
            device: self.name.clone(),
            mode: Mode::Sync,
            conflicts: Resolution::KeepBoth,
            max_delete: MaxDelete::default(),
            ignore: Vec::new(),
            share_paths: false,
            trash_days: 30,
            trash_bytes: u64::MAX,
            transfers: 4,
            poll_seconds: 3600,
        };
        (self.change)(&mut spec);
        spec
    }

    pub(crate) fn start(&mut self) {
        let remote = (self.way)(&self.remote);
        self.handle = Some(start(self.spec(), owner(), remote, Arc::new(SystemClock), &[]).unwrap());
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop().await;
        }
    }

    /// Lets the folder go without telling it, and waits until it has ended.
    pub(crate) async fn abandon(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        let mut status = handle.status();
        drop(handle);
        let ended = async { while status.changed().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        self.handle.is_some()
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }

    pub(crate) fn handle(&self) -> &FolderHandle {
        self.handle.as_ref().unwrap()
    }

    /// One cycle; the status at its end.
    pub(crate) async fn sync(&self) -> Arc<FolderStatus> {
        let synced = tokio::time::timeout(Duration::from_secs(60), self.handle().sync()).await;
        synced
            .unwrap_or_else(|_| panic!("{} does not come to rest: {:#?}", self.name, self.handle().status().borrow()))
            .unwrap()
    }

    /// One cycle, after which everything must agree.
    pub(crate) async fn settle(&self) {
        let status = self.sync().await;
        assert_eq!(status.state, FolderState::Idle, "{status:#?}");
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Arc<FolderStatus>) -> bool) -> Arc<FolderStatus> {
        let mut status = self.handle().status();
        let found = tokio::time::timeout(Duration::from_secs(30), status.wait_for(wanted)).await;
        found.unwrap().unwrap().clone()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.root().join(path)).unwrap()
    }

    pub(crate) fn delete(&self, path: &str) {
        let path = self.root().join(path);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let to = self.root().join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::rename(self.root().join(from), to).unwrap();
    }

    /// Every file of the folder, its own state aside.
    pub(crate) fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        files_below(&self.root(), |name| name != ".hcfs")
    }

    /// Every file in the trash, by its path in the folder.
    pub(crate) fn trash(&self) -> Vec<(String, Vec<u8>)> {
        let all = files_below(&self.root().join(".hcfs/trash"), |_| true);
        all.into_iter().map(|(path, content)| (path.split_once('/').unwrap().1.to_owned(), content)).collect()
    }
}
