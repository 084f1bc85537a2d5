//! The way of a device to the server, with everything that can go wrong on one.
//!
//! A request arrives when the network pleases, also after whoever sent it gave up or died; its answer arrives, or not.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use hcfs_crypto::hash::blob_hash;
use hcfs_model::{CiphertextHash, FileId, FolderHash, FolderLabel, Revision};
use hcfs_remote::memory::{Fault as Bend, MemoryRemote, MemoryServer};
use hcfs_remote::{
    BatchBlob, BatchUpload, ConnectFailure, Deleted, Download, Expected, Extensions, FolderChanges, FolderSummary,
    Health, ListingPage, ListingTag, Manifest, OpenedSession, Remote, RemoteError, RemoteErrorKind, RenameFiles,
    RenameOutcome, SessionId, SessionOpen, SessionStatus, Uploaded, WantedBlob,
};
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::later::Later;
use crate::ledger::Ledger;
use crate::scene::{Scene, locked};
use crate::script::Broken;

/// The server, and what it has seen of all devices.
pub(crate) struct Hub {
    pub(crate) server: MemoryServer,
    scene: Arc<Scene>,
    later: Arc<Later>,
    ledger: Arc<Mutex<Ledger>>,
    state: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What was sealed under a nonce.
    nonces: BTreeMap<[u8; 24], CiphertextHash>,
    /// Who made each change that was carried out; `None` where whoever asked for it may not know.
    changes: Vec<Option<usize>>,
    /// Per device, how many changes the listing showed that it read last; `None` if it shows what was once.
    seen: Vec<Option<usize>>,
    /// Per device, where the last answer of the feed led, and how many changes there were then.
    told: Vec<Option<(u64, usize)>>,
    /// Files that a person of a device told the server to delete, whatever is in them.
    unwanted: BTreeSet<(usize, FileId)>,
}

impl Hub {
    pub(crate) fn new(
        scene: &Arc<Scene>,
        later: &Arc<Later>,
        ledger: &Arc<Mutex<Ledger>>,
        server: MemoryServer,
        devices: usize,
    ) -> Arc<Self> {
        let known = Known { seen: vec![None; devices], told: vec![None; devices], ..Known::default() };
        let (scene, later, ledger) = (Arc::clone(scene), Arc::clone(later), Arc::clone(ledger));
        Arc::new(Self { server, scene, later, ledger, state: Mutex::new(known) })
    }

    /// A person tells the server to delete a file.
    pub(crate) fn told_to_delete(&self, device: usize, file: FileId) {
        locked(&self.state).unwanted.insert((device, file));
    }

    /// Whether the server changed since a device asked it last, by another's hand.
    pub(crate) fn has_news_for(&self, device: usize) -> bool {
        let known = locked(&self.state);
        known.seen[device].is_none_or(|seen| known.changes[seen..].iter().any(|by| *by != Some(device)))
    }

    /// Changes that were carried out so far.
    pub(crate) fn changes(&self) -> usize {
        locked(&self.state).changes.len()
    }

    /// The server is what it was once: no device knows what it is now before it read a listing.
    pub(crate) fn set_back(&self) {
        let mut known = locked(&self.state);
        known.changes.push(None);
        known.seen.fill(None);
        known.told.fill(None);
    }

    /// Something changed the server; `by` knows of it.
    pub(crate) fn changed(&self, by: Option<usize>) {
        locked(&self.state).changes.push(by);
    }

    /// Every sealed blob passes here: no nonce may serve two of them.
    fn sealed(&self, what: &str, blob: &[u8]) {
        let Some(nonce) = blob.first_chunk::<24>() else { return };
        let digest = blob_hash(blob);
        if *locked(&self.state).nonces.entry(*nonce).or_insert(digest) != digest {
            self.scene.violate(format!("a nonce serves two plaintexts: {what}"));
        }
    }
}

/// How bad the way is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Weather {
    /// How many of 100 requests go wrong.
    pub(crate) percent: usize,
    /// How many of 100 take their time.
    pub(crate) slow: usize,
    pub(crate) is_down: bool,
}

/// One device's way.
pub(crate) struct Wire {
    device: usize,
    hub: Arc<Hub>,
    remote: MemoryRemote,
    state: Mutex<Way>,
}

#[derive(Default)]
struct Way {
    weather: Weather,
    /// How many changes the listing shows that is being read.
    listed: Option<usize>,
    /// Listings are those of this earlier server.
    stale: Option<MemoryRemote>,
}

/// What becomes of a request.
enum Fate {
    Well,
    Refused(RemoteErrorKind),
    AnswerLost,
    Late,
    Bent(Bend),
}

impl Wire {
    pub(crate) fn new(device: usize, hub: &Arc<Hub>) -> Arc<Self> {
        let remote = MemoryRemote::new(&hub.server);
        Arc::new(Self { device, hub: Arc::clone(hub), remote, state: Mutex::default() })
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        locked(&self.state).weather = weather;
    }

    pub(crate) fn set_stale(&self, server: Option<&MemoryServer>) {
        locked(&self.state).stale = server.map(MemoryRemote::new);
    }

    fn fate(&self, fitting: &[Fault]) -> Fate {
        let scene = &self.hub.scene;
        let weather = locked(&self.state).weather;
        if weather.is_down {
            scene.fault(Fault::Unreachable);
            return Fate::Refused(RemoteErrorKind::Unreachable(ConnectFailure::Refused));
        }
        if !scene.chance(weather.percent) {
            return Fate::Well;
        }
        let always = [
            Fault::AnswerLost,
            Fault::AnswerLost,
            Fault::Late,
            Fault::Unauthorised,
            Fault::Forbidden,
            Fault::RateLimited,
            Fault::Unavailable,
            Fault::Html,
            Fault::Inconsistent,
            Fault::Unreachable,
        ];
        let choice = scene.below(always.len() + 2 * fitting.len());
        let fault = always.get(choice).copied().unwrap_or_else(|| fitting[(choice - always.len()) / 2]);
        scene.fault(fault);
        match fault {
            Fault::AnswerLost => Fate::AnswerLost,
            Fault::Late => Fate::Late,
            Fault::Truncated => Fate::Bent(Bend::CutAfter(scene.below(600) as u64)),
            Fault::Flipped => Fate::Bent(Bend::Flipped(scene.below(200) as u64)),
            fault => Fate::Refused(kind(fault)),
        }
    }

    /// Sends a request: `act` is what the server does when it arrives. `changes` says whether a lost answer leaves it open
    /// what happened.
    async fn send<T: Send + 'static>(
        &self,
        name: &'static str,
        changes: bool,
        fitting: &[Fault],
        act: impl FnOnce(&MemoryRemote) -> Result<T, RemoteError> + Send + 'static,
    ) -> Result<T, RemoteError> {
        let scene = &self.hub.scene;
        scene.note(name, self.device as u64, String::new);
        let lost = || {
            let kind = if changes { RemoteErrorKind::Ambiguous } else { RemoteErrorKind::Unavailable };
            RemoteError::new(kind, name, "the connection was cut")
        };
        let fate = self.fate(fitting);
        let slow = locked(&self.state).weather.slow;
        let pause = if scene.chance(slow) { 1 + scene.below([20, 400, 8000][scene.below(3)]) as u64 } else { 0 };
        let remote = self.remote.clone();
        let act = move || act(&remote);
        match fate {
            Fate::Refused(kind) => {
                self.later_by(pause).await;
                Err(RemoteError::new(kind, name, "refused"))
            }
            Fate::Late => {
                let after = scene.elapsed() + 1 + scene.below(20_000) as u64;
                self.hub.later.at(after, Box::new(move || drop(act())));
                self.later_by(pause).await;
                Err(lost())
            }
            Fate::AnswerLost => {
                self.arrive(pause, act).await.map(|_| ()).unwrap_or_default();
                Err(lost())
            }
            Fate::Bent(bend) => {
                self.remote.fail_next(|_| true, bend);
                act()
            }
            Fate::Well => self.arrive(pause, act).await.unwrap_or_else(|| Err(lost())),
        }
    }

    async fn later_by(&self, pause: u64) {
        if pause > 0 {
            let until = self.hub.scene.elapsed() + pause;
            tokio::time::sleep_until(self.hub.scene.instant(until)).await;
        }
    }

    /// Has a request carried out, at once or later, whoever waits for it.
    async fn arrive<T: Send + 'static>(&self, pause: u64, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if pause == 0 {
            return Some(act());
        }
        self.hub.scene.fault(Fault::Slow);
        let (done, answer) = oneshot::channel();
        let after = self.hub.scene.elapsed() + pause;
        self.hub.later.at(after, Box::new(move || drop(done.send(act()))));
        answer.await.ok()
    }

    /// As [`Wire::send`], for what changes files.
    async fn change<T: Send + 'static>(
        &self,
        name: &'static str,
        changes: bool,
        fitting: &[Fault],
        act: impl FnOnce(&MemoryRemote) -> Result<T, RemoteError> + Send + 'static,
        has_changed: fn(&T) -> bool,
    ) -> Result<T, RemoteError> {
        let (hub, device) = (Arc::clone(&self.hub), self.device);
        let sent_at = hub.scene.elapsed();
        self.send(name, changes, fitting, move |remote| {
            let answer = act(remote);
            if answer.as_ref().is_ok_and(has_changed) {
                // One that took its time may have been given up.
                let is_prompt = hub.scene.elapsed() == sent_at;
                hub.scene.note("server changed by", device as u64, || name.to_owned());
                hub.changed(is_prompt.then_some(device));
            }
            answer
        })
        .await
    }

    fn manifest(&self, manifest: &Manifest) {
        self.hub.sealed("a path", &manifest.encrypted_path);
    }
}

fn kind(fault: Fault) -> RemoteErrorKind {
    match fault {
        Fault::Unauthorised => RemoteErrorKind::Unauthorized,
        Fault::Forbidden => RemoteErrorKind::Forbidden,
        Fault::OverQuota => RemoteErrorKind::OverQuota { balance: None, required: None },
        Fault::Conflict => RemoteErrorKind::Conflict { current: None },
        Fault::Stale => RemoteErrorKind::Stale,
        Fault::TooLarge => RemoteErrorKind::TooLarge,
        Fault::RateLimited => RemoteErrorKind::RateLimited,
        Fault::Html => RemoteErrorKind::NotHcfs,
        Fault::Inconsistent => RemoteErrorKind::Inconsistent,
        Fault::RangeIgnored => RemoteErrorKind::RangeIgnored,
        Fault::Unreachable => RemoteErrorKind::Unreachable(ConnectFailure::Dns),
        _ => RemoteErrorKind::Unavailable,
    }
}

/// The twin in memory answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().unwrap()
}

const UPLOAD: &[Fault] = &[Fault::OverQuota, Fault::Conflict, Fault::Stale, Fault::TooLarge];

#[async_trait::async_trait]
impl Remote for Wire {
    async fn extensions(&self) -> Result<Extensions, RemoteError> {
        self.send("extensions", false, &[], |remote| now(remote.extensions())).await
    }

    async fn changes(
        &self,
        folder: FolderHash,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<FolderChanges, RemoteError> {
        {
            // Whoever goes on from where an answer led has taken that in. It tells what came since a listing, and nothing
            // without one.
            let mut known = locked(&self.hub.state);
            let told = known.told[self.device].filter(|(next, _)| Some(*next) == after);
            if let (Some(seen), Some((_, told))) = (&mut known.seen[self.device], told) {
                *seen = (*seen).max(told);
            }
        }
        // The way there and the way back; between the two the request waits for the server.
        self.send("feed", false, &[], |_| Ok(())).await?;
        let answer = self.remote.changes(folder, after, wait).await?;
        if let FolderChanges::Changed(page) = &answer
            && !page.has_more
            && after.is_some()
        {
            let changes = self.hub.changes();
            locked(&self.hub.state).told[self.device] = Some((page.next, changes));
        }
        Ok(answer)
    }

    async fn upload_batch(&self, uploads: &[BatchUpload]) -> Result<Vec<Result<Uploaded, RemoteError>>, RemoteError> {
        for upload in uploads {
            self.manifest(&upload.manifest);
            self.hub.sealed("a blob", &upload.blob);
        }
        let uploads = uploads.to_vec();
        let act = move |remote: &MemoryRemote| now(remote.upload_batch(&uploads));
        let has_changed = |answers: &Vec<Result<Uploaded, RemoteError>>| answers.iter().any(Result::is_ok);
        self.change("upload batch", true, UPLOAD, act, has_changed).await
    }

    async fn download_batch(
        &self,
        folder: FolderHash,
        files: &[WantedBlob],
        first_bytes: Option<u64>,
    ) -> Result<Vec<Result<BatchBlob, RemoteError>>, RemoteError> {
        let files = files.to_vec();
        let act = move |remote: &MemoryRemote| now(remote.download_batch(folder, &files, first_bytes));
        self.send("download batch", false, &[Fault::Truncated, Fault::Flipped], act).await
    }

    async fn health(&self) -> Result<Health, RemoteError> {
        self.send("health", false, &[], |remote| now(remote.health())).await
    }

    async fn register_folder(&self, label: &FolderLabel, device: &str) -> Result<(), RemoteError> {
        let (label, device) = (label.clone(), device.to_owned());
        self.send("register", false, &[], move |remote| now(remote.register_folder(&label, &device))).await
    }

    async fn folders(&self) -> Result<Vec<FolderSummary>, RemoteError> {
        self.send("folders", false, &[], |remote| now(remote.folders())).await
    }

    async fn unregister_folder(&self, folder: FolderHash) -> Result<u64, RemoteError> {
        self.send("unregister", true, &[], move |remote| now(remote.unregister_folder(folder))).await
    }

    async fn listing_page(
        &self,
        folder: FolderHash,
        offset: u64,
        limit: u32,
        tag: Option<&ListingTag>,
    ) -> Result<ListingPage, RemoteError> {
        let tag = tag.cloned();
        let stale = locked(&self.state).stale.clone();
        let hub = Arc::clone(&self.hub);
        let sent = self.send("listing", false, &[], move |remote| {
            let seen = if stale.is_some() { None } else { Some(hub.changes()) };
            if stale.is_some() {
                hub.scene.fault(Fault::StaleListing);
            }
            let page = now(stale.as_ref().unwrap_or(remote).listing_page(folder, offset, limit, tag.as_ref()));
            page.map(|page| (page, seen))
        });
        let (page, seen) = sent.await?;
        let mut state = locked(&self.state);
        if offset == 0 {
            state.listed = seen;
        } else {
            self.hub.scene.fault(Fault::SmallPages);
        }
        if !matches!(&page, ListingPage::Rows(rows) if rows.has_more) {
            locked(&self.hub.state).seen[self.device] = state.listed;
        }
        Ok(page)
    }

    async fn probe(&self, folder: FolderHash, file: FileId) -> Result<Option<Revision>, RemoteError> {
        self.send("probe", false, &[], move |remote| now(remote.probe(folder, file))).await
    }

    async fn download(
        &self,
        folder: FolderHash,
        file: FileId,
        expected: &Expected,
        bytes: Option<Range<u64>>,
    ) -> Result<Download, RemoteError> {
        let expected = *expected;
        let mut fitting = vec![Fault::Truncated, Fault::Flipped];
        if bytes.is_some() {
            fitting.push(Fault::RangeIgnored);
        }
        let sent =
            self.send("download", false, &fitting, move |remote| now(remote.download(folder, file, &expected, bytes)));
        let mut download = sent.await?;
        let slow = locked(&self.state).weather.slow;
        if self.hub.scene.chance(slow) {
            let (scene, body) = (Arc::clone(&self.hub.scene), download.body);
            let body = body.then(move |piece| {
                let until = scene.instant(scene.elapsed() + 1 + scene.below(300) as u64);
                async move {
                    tokio::time::sleep_until(until).await;
                    piece
                }
            });
            download.body = body.boxed();
        }
        Ok(download)
    }

    async fn upload(&self, manifest: &Manifest, blob: Bytes) -> Result<Uploaded, RemoteError> {
        self.manifest(manifest);
        self.hub.sealed("a blob", &blob);
        let manifest = manifest.clone();
        let forgets = self.hub.scene.broken == Some(Broken::ForgetfulServer) && self.hub.scene.chance(30);
        let act = move |remote: &MemoryRemote| {
            // One that forgets answers as if it had kept it.
            let backup = forgets.then(|| remote.server().backup());
            let answer = now(remote.upload(&manifest, blob));
            if let Some(backup) = backup {
                remote.server().restore(&backup);
            }
            answer
        };
        self.change("upload", true, UPLOAD, act, |_| true).await
    }

    async fn open_session(&self, open: &SessionOpen) -> Result<OpenedSession, RemoteError> {
        self.manifest(&open.manifest);
        let open = open.clone();
        self.send("open session", false, UPLOAD, move |remote| now(remote.open_session(&open))).await
    }

    async fn put_part(&self, session: &SessionId, index: u32, part: Bytes) -> Result<(), RemoteError> {
        let session = session.clone();
        if index == 0 {
            self.hub.sealed("a part", &part);
        }
        self.send("part", false, &[], move |remote| now(remote.put_part(&session, index, part))).await
    }

    async fn session_status(&self, session: &SessionId) -> Result<SessionStatus, RemoteError> {
        let session = session.clone();
        self.send("session", false, &[], move |remote| now(remote.session_status(&session))).await
    }

    async fn finalize(&self, session: &SessionId, manifest: &Manifest) -> Result<Uploaded, RemoteError> {
        let (session, manifest) = (session.clone(), manifest.clone());
        self.change("finalize", true, UPLOAD, move |remote| now(remote.finalize(&session, &manifest)), |_| true).await
    }

    async fn abort_session(&self, session: &SessionId) -> Result<(), RemoteError> {
        let session = session.clone();
        self.send("abort", false, &[], move |remote| now(remote.abort_session(&session))).await
    }

    async fn delete(&self, folder: FolderHash, file: FileId, expected: Revision) -> Result<Deleted, RemoteError> {
        let done = |deleted: &Deleted| *deleted == Deleted::Done;
        let (hub, device) = (Arc::clone(&self.hub), self.device);
        let act = move |remote: &MemoryRemote| {
            let is_unwanted = locked(&hub.state).unwanted.contains(&(device, file));
            let stored = if is_unwanted { hub.server.file(folder, file) } else { None };
            let answer = now(remote.delete(folder, file, expected));
            if let (Some(stored), Ok(Deleted::Done)) = (stored, &answer) {
                locked(&hub.ledger).dropped_hash(stored.salted_hash);
            }
            answer
        };
        self.change("delete", false, &[Fault::Conflict], act, done).await
    }

    async fn rename(&self, request: &RenameFiles) -> Result<RenameOutcome, RemoteError> {
        request.renames.iter().for_each(|rename| self.hub.sealed("a new path", &rename.new_encrypted_path));
        let request = request.clone();
        let act = move |remote: &MemoryRemote| now(remote.rename(&request));
        self.change("rename", true, &[], act, |outcome| !outcome.successes.is_empty()).await
    }
}
