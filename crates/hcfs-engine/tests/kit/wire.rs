//! A way to the server that is slow, breaks, and remembers every base nonce that went over it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hcfs_model::{CiphertextHash, FileId, FolderHash, FolderLabel, Revision};
use hcfs_remote::memory::{Fault, MemoryRemote};
use hcfs_remote::{
    ConnectFailure, Deleted, Download, Expected, FolderSummary, Health, ListingPage, ListingTag, Manifest,
    OpenedSession, Remote, RemoteError, RemoteErrorKind, RenameFiles, RenameOutcome, SessionId, SessionOpen,
    SessionStatus, Uploaded,
};
use hcfs_testkit::Rng;
use tokio::sync::Semaphore;

/// What all devices of a scenario share.
pub(crate) struct Noise {
    rng: Mutex<Rng>,
    /// How many of 100 requests go wrong.
    percent: AtomicUsize,
    /// What was sealed under a nonce.
    nonces: Mutex<BTreeMap<[u8; 24], CiphertextHash>>,
    /// The blobs that sessions were opened for.
    sessions: Mutex<BTreeMap<String, CiphertextHash>>,
    reused: Mutex<Vec<String>>,
    /// What every upload needs, and every download: as many go through as there are permits.
    uploads: Semaphore,
    downloads: Semaphore,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            rng: Mutex::new(Rng::new(seed)),
            percent: AtomicUsize::new(0),
            nonces: Mutex::default(),
            sessions: Mutex::default(),
            reused: Mutex::default(),
            uploads: Semaphore::new(Semaphore::MAX_PERMITS),
            downloads: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// Lets no upload through until [`Noise::let_uploads`] says how many.
    pub(crate) fn hold_uploads(&self) {
        self.uploads.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn let_uploads(&self, count: usize) {
        self.uploads.add_permits(count);
    }

    /// Lets no download through until [`Noise::let_downloads`] says how many.
    pub(crate) fn hold_downloads(&self) {
        self.downloads.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn let_downloads(&self, count: usize) {
        self.downloads.add_permits(count);
    }

    pub(crate) fn set_percent(&self, percent: usize) {
        self.percent.store(percent, Ordering::SeqCst);
    }

    /// What was sealed under a nonce that something else was sealed under before.
    pub(crate) fn reused_nonces(&self) -> Vec<String> {
        self.reused.lock().unwrap().clone()
    }

    fn sealed(&self, what: &str, blob: &[u8], hash: CiphertextHash) {
        let Some(nonce) = blob.first_chunk::<24>() else { return };
        let before = self.nonces.lock().unwrap().insert(*nonce, hash);
        if before.is_some_and(|before| before != hash) {
            self.reused.lock().unwrap().push(format!("{what}: {}", hex::encode(nonce)));
        }
    }

    fn manifest(&self, manifest: &Manifest) {
        let path = &manifest.encrypted_path;
        self.sealed("path", path, hcfs_crypto::hash::blob_hash(path));
    }

    /// What goes wrong with the next request, and how long it takes before it is sent.
    fn next(&self) -> (Option<Fault>, Duration) {
        let mut rng = self.rng.lock().unwrap();
        let pause = if rng.chance(30) { rng.below(2000) as u64 } else { 0 };
        let fault = rng.chance(self.percent.load(Ordering::SeqCst)).then(|| fault(&mut rng));
        (fault, Duration::from_micros(pause))
    }
}

fn fault(rng: &mut Rng) -> Fault {
    match rng.below(10) {
        0..4 => Fault::AnswerLost,
        4 => Fault::CutAfter(rng.below(600_000) as u64),
        5 => Fault::Flipped(rng.below(600) as u64),
        _ => Fault::Refused(match rng.below(12) {
            0 => RemoteErrorKind::Unauthorized,
            1 => RemoteErrorKind::OverQuota { balance: None, required: None },
            2 => RemoteErrorKind::NotFound,
            3 => RemoteErrorKind::Conflict { current: None },
            4 => RemoteErrorKind::Stale,
            5 => RemoteErrorKind::TooLarge,
            6 => RemoteErrorKind::RateLimited,
            7 => RemoteErrorKind::NotHcfs,
            8 => RemoteErrorKind::Unreachable(ConnectFailure::Refused),
            9 => RemoteErrorKind::Inconsistent,
            10 => RemoteErrorKind::Ambiguous,
            _ => RemoteErrorKind::Unavailable,
        }),
    }
}

/// One device's way.
pub(crate) struct Wire {
    inner: MemoryRemote,
    noise: Arc<Noise>,
}

impl Wire {
    pub(crate) fn new(inner: &MemoryRemote, noise: &Arc<Noise>) -> Self {
        Self { inner: inner.clone(), noise: Arc::clone(noise) }
    }

    async fn turn(&self) {
        let (fault, pause) = self.noise.next();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if let Some(fault) = fault {
            self.inner.fail_next(|_| true, fault);
        }
    }
}

#[async_trait::async_trait]
impl Remote for Wire {
    async fn health(&self) -> Result<Health, RemoteError> {
        self.turn().await;
        self.inner.health().await
    }

    async fn register_folder(&self, label: &FolderLabel, device: &str) -> Result<(), RemoteError> {
        self.turn().await;
        self.inner.register_folder(label, device).await
    }

    async fn folders(&self) -> Result<Vec<FolderSummary>, RemoteError> {
        self.turn().await;
        self.inner.folders().await
    }

    async fn unregister_folder(&self, folder: FolderHash) -> Result<u64, RemoteError> {
        self.inner.unregister_folder(folder).await
    }

    async fn listing_page(
        &self,
        folder: FolderHash,
        offset: u64,
        limit: u32,
        tag: Option<&ListingTag>,
    ) -> Result<ListingPage, RemoteError> {
        self.turn().await;
        self.inner.listing_page(folder, offset, limit, tag).await
    }

    async fn probe(&self, folder: FolderHash, file: FileId) -> Result<Option<Revision>, RemoteError> {
        self.turn().await;
        self.inner.probe(folder, file).await
    }

    async fn download(
        &self,
        folder: FolderHash,
        file: FileId,
        expected: &Expected,
        bytes: Option<Range<u64>>,
    ) -> Result<Download, RemoteError> {
        self.noise.downloads.acquire().await.unwrap().forget();
        self.turn().await;
        self.inner.download(folder, file, expected, bytes).await
    }

    async fn upload(&self, manifest: &Manifest, blob: Bytes) -> Result<Uploaded, RemoteError> {
        self.noise.manifest(manifest);
        self.noise.sealed("blob", &blob, manifest.ciphertext_hash);
        self.noise.uploads.acquire().await.unwrap().forget();
        self.turn().await;
        self.inner.upload(manifest, blob).await
    }

    async fn open_session(&self, open: &SessionOpen) -> Result<OpenedSession, RemoteError> {
        self.noise.manifest(&open.manifest);
        self.turn().await;
        let opened = self.inner.open_session(open).await?;
        let hash = open.manifest.ciphertext_hash;
        self.noise.sessions.lock().unwrap().insert(opened.id.as_str().to_owned(), hash);
        Ok(opened)
    }

    async fn put_part(&self, session: &SessionId, index: u32, part: Bytes) -> Result<(), RemoteError> {
        let hash = self.noise.sessions.lock().unwrap().get(session.as_str()).copied();
        if let (0, Some(hash)) = (index, hash) {
            self.noise.sealed("part", &part, hash);
        }
        self.turn().await;
        self.inner.put_part(session, index, part).await
    }

    async fn session_status(&self, session: &SessionId) -> Result<SessionStatus, RemoteError> {
        self.turn().await;
        self.inner.session_status(session).await
    }

    async fn finalize(&self, session: &SessionId, manifest: &Manifest) -> Result<Uploaded, RemoteError> {
        self.turn().await;
        self.inner.finalize(session, manifest).await
    }

    async fn abort_session(&self, session: &SessionId) -> Result<(), RemoteError> {
        self.turn().await;
        self.inner.abort_session(session).await
    }

    async fn delete(&self, folder: FolderHash, file: FileId, expected: Revision) -> Result<Deleted, RemoteError> {
        self.turn().await;
        self.inner.delete(folder, file, expected).await
    }

    async fn rename(&self, request: &RenameFiles) -> Result<RenameOutcome, RemoteError> {
        for rename in &request.renames {
            let path = &rename.new_encrypted_path;
            self.noise.sealed("new path", path, hcfs_crypto::hash::blob_hash(path));
        }
        self.turn().await;
        self.inner.rename(request).await
    }
}
