//! The remote tree: what the server lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hcfs_crypto::sealed_path;
use hcfs_model::{FileId, Problem, ProblemCode, RelPath, RemoteEntry, UnixNanos};
use hcfs_remote::{
    BatchBlob, FileRow, ListedFile, Listing, ListingTag, Remote, RemoteError, RemoteErrorKind, WantedBlob,
};
use hcfs_state::{RemoteUpdate, Suspicion};
use tokio::time::Instant;

use crate::session::{Session, Stop};
use crate::status::FolderState;

/// Of how many new versions it is remembered when the server stored them: for the conflicts they may be part of.
pub(super) const STORED_MAX: usize = 10_000;

/// How many vanished files are asked for at once.
const PROBES: usize = 16;

/// How long after its last listing the whole server side is read again where a feed tells of changes: its word is a hint.
const LISTING: Duration = Duration::from_secs(30 * 60);

impl Session {
    /// Asks the server what it has, and records it: what its feed tells, or, where there is none and from time to time,
    /// what it lists. One request if nothing changed.
    ///
    /// # Errors
    /// The server or the database cannot be used, or a command breaks it off; then it is asked again next time.
    pub(crate) async fn observe_there(&mut self) -> Result<(), Stop> {
        if !self.wants.take_remote() {
            return Ok(());
        }
        let result = self.look_at_server().await;
        if result.is_err() {
            self.wants.remote();
        }
        result
    }

    async fn look_at_server(&mut self) -> Result<(), Stop> {
        // What is wrong with rows is told by listings alone.
        let lists = self.wants.is_listing() || self.is_listing_due() || self.blocked.has_listed();
        if lists || !self.catch_up().await? {
            self.list().await?;
            self.wants.listed();
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Stop> {
        if !self.registered {
            self.make_known().await?;
            self.registered = true;
        }
        let stand = self.stand_of_feed().await?;
        let tag = self.store.listing_tag().map_err(Stop::state)?.and_then(|tag| ListingTag::from_text(&tag).ok());
        let (remote, folder) = (Arc::clone(&self.remote), self.spec.folder_hash());
        let listing = self.attend(async move { hcfs_remote::list_all(&*remote, folder, tag.as_ref()).await }).await?;
        let listing = listing.map_err(|error| Stop::remote(&error))?;
        let anew = listing != Listing::Unchanged;
        if let Listing::Complete { rows, tag, .. } = listing {
            self.board.update(|status| status.state = FolderState::Scanning);
            self.record_listing(rows, tag).await?;
        }
        self.listed_from(stand, anew);
        self.polled();
        Ok(())
    }

    async fn record_listing(&mut self, rows: Vec<ListedFile>, tag: Option<ListingTag>) -> Result<(), Stop> {
        let mut before: BTreeMap<FileId, (RelPath, RemoteEntry)> = BTreeMap::new();
        for entry in self.store.remote_rows() {
            let (path, entry) = entry.map_err(Stop::state)?;
            before.insert(entry.file_id, (path, entry));
        }
        let mut seen = Seen::default();
        for row in rows {
            seen.take(row, &before, self);
        }
        if !before.is_empty() && seen.files.is_empty() && !self.is_known_there().await? {
            self.registered = false;
            return self.forgotten();
        }
        let vanished: Vec<(FileId, RelPath)> =
            before.into_iter().filter(|(id, _)| !seen.ids.contains(id)).map(|(id, (path, _))| (id, path)).collect();
        let (gone, doubted) = self.prove_absence(vanished).await?;
        // A path that another id has now is listed, whatever became of the old id.
        let remove = gone.into_iter().filter(|path| !seen.files.contains_key(path)).collect();
        // A tag spares reading the listing again, and with it what is wrong with its rows.
        seen.problems.extend(doubted.into_iter().filter(|path| !seen.files.contains_key(path)).map(unproven));
        let tag = tag.filter(|_| seen.problems.is_empty()).map(|tag| tag.as_str().to_owned());
        self.stored_at.extend(seen.stored_at);
        let update = RemoteUpdate { put: seen.files.into_iter().collect(), remove, tag };
        self.store.record_remote(&update, true).map_err(Stop::state)?;
        self.blocked.listed(seen.problems);
        self.forget_stored()?;
        Ok(())
    }

    /// Of versions that are in step nobody asks any more when they were stored.
    pub(super) fn forget_stored(&mut self) -> Result<(), Stop> {
        let mut open = BTreeMap::new();
        for (path, at) in std::mem::take(&mut self.stored_at) {
            if open.len() < STORED_MAX && !self.store.row(&path).map_err(Stop::state)?.is_agreed() {
                open.insert(path, at);
            }
        }
        self.stored_at = open;
        Ok(())
    }

    /// Makes the folder known to the server, unless it was known there before: to make it anew would turn a folder that
    /// the server lost into one whose files were all deleted.
    async fn make_known(&mut self) -> Result<(), Stop> {
        if self.is_known_there().await? {
            return Ok(());
        }
        let totals = self.store.totals().map_err(Stop::state)?;
        if (totals.remote.files > 0 || totals.synced.files > 0) && !self.may_make_known_again()? {
            return self.forgotten();
        }
        let (remote, label, device) = (Arc::clone(&self.remote), self.spec.label.clone(), self.spec.device.clone());
        let answer = self.attend(async move { remote.register_folder(&label, &device).await }).await?;
        answer.map_err(|error| Stop::remote(&error))
    }

    /// Whether the server knows the folder. If it does not any more, an empty listing says nothing about the files.
    async fn is_known_there(&mut self) -> Result<bool, Stop> {
        let remote = Arc::clone(&self.remote);
        let folders = self.attend(async move { remote.folders().await }).await?;
        let folder = self.spec.folder_hash();
        Ok(folders.map_err(|error| Stop::remote(&error))?.iter().any(|known| known.folder == folder))
    }

    /// Says that the server is known to tell everything as of now.
    pub(crate) fn polled(&mut self) {
        let pause = if self.feed.is_live() { self.poll_pause().max(LISTING) } else { self.poll_pause() };
        self.timers.next_poll = Instant::now() + pause;
    }

    /// Has the server asked as often as where nothing tells of changes.
    pub(crate) fn poll_soon(&mut self) {
        self.timers.next_poll = self.timers.next_poll.min(Instant::now() + self.poll_pause());
    }

    /// Whether it is time to read the whole server side.
    pub(crate) fn is_listing_due(&self) -> bool {
        Instant::now() >= self.timers.next_poll
    }

    fn poll_pause(&self) -> Duration {
        Duration::from_secs(self.spec.poll_seconds.max(1))
    }

    /// The paths of those files that the server itself says it does not have, and those of which it did not say so.
    /// A row that is only missing from the listing is not gone.
    pub(super) async fn prove_absence(
        &mut self,
        vanished: Vec<(FileId, RelPath)>,
    ) -> Result<(Vec<RelPath>, Vec<RelPath>), Stop> {
        let batch = if vanished.len() > 1 { self.download_batch().await? } else { 1 };
        let folder = self.spec.folder_hash();
        let remote = Arc::clone(&self.remote);
        let questions = vanished.chunks(batch).map(|some| ask(Arc::clone(&remote), folder, some.to_vec()));
        let questions: Vec<_> = questions.collect();
        let mut answers = futures_util::stream::iter(questions).buffered(PROBES);
        let (mut gone, mut doubted) = (Vec::new(), Vec::new());
        while let Some(some) = self.attend(answers.next()).await? {
            for (path, answer) in some {
                match answer {
                    Ok(true) => gone.push(path),
                    Err(error) if error.concerns_all() => return Err(Stop::remote(&error)),
                    Ok(false) | Err(_) => doubted.push(path),
                }
            }
        }
        Ok((gone, doubted))
    }

    /// How many files one request can ask for.
    async fn download_batch(&mut self) -> Result<usize, Stop> {
        let remote = Arc::clone(&self.remote);
        let extensions = self.attend(async move { remote.extensions().await }).await?;
        let limits = extensions.ok().and_then(|extensions| extensions.download_batch);
        Ok(limits.map_or(1, |limits| limits.max_entries.max(1) as usize))
    }
}

/// Whether the server says, of each of some files, that it does not have it.
async fn ask(
    remote: Arc<dyn Remote>,
    folder: hcfs_model::FolderHash,
    files: Vec<(FileId, RelPath)>,
) -> Vec<(RelPath, Result<bool, RemoteError>)> {
    if let [(id, path)] = &files[..] {
        let answer = remote.probe(folder, *id).await;
        return vec![(path.clone(), answer.map(|revision| revision.is_none()))];
    }
    let wanted: Vec<_> = files.iter().map(|(id, _)| WantedBlob { file: *id, expected: None }).collect();
    let paths = files.into_iter().map(|(_, path)| path);
    match remote.download_batch(folder, &wanted, Some(0)).await {
        Ok(answers) => paths.zip(answers.into_iter().map(is_gone)).collect(),
        Err(error) => paths.map(|path| (path, Err(error.clone()))).collect(),
    }
}

fn is_gone(answer: Result<BatchBlob, RemoteError>) -> Result<bool, RemoteError> {
    match answer {
        Ok(_) => Ok(false),
        Err(error) if error.kind == RemoteErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// What a listing shows, row by row.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<FileId>,
    files: BTreeMap<RelPath, RemoteEntry>,
    problems: Vec<Problem>,
    /// When new versions were stored.
    stored_at: Vec<(RelPath, UnixNanos)>,
}

impl Seen {
    fn take(&mut self, row: ListedFile, before: &BTreeMap<FileId, (RelPath, RemoteEntry)>, session: &Session) {
        // A row that makes no sense still stands for a file.
        self.ids.extend(row.file_id());
        let row = match row {
            ListedFile::File(row) => row,
            ListedFile::Broken(row) => {
                let path = row.file_id.and_then(|id| before.get(&id)).map(|(path, _)| path.clone());
                return self.quarantine(path, row.file_id, &row.reason);
            }
        };
        let id = row.entry.file_id;
        // The id is a hash of the path: one that was opened before need not be opened again.
        let path = match before.get(&id) {
            Some((path, _)) => path.clone(),
            None => match usable_path(session, &row) {
                Ok(path) => path,
                Err(reason) => return self.quarantine(None, Some(id), &reason),
            },
        };
        if let Some(other) = self.files.get(&path) {
            // Two forms of one name; the one whose id is that of the normalised form has the path.
            if other.file_id == FileId::of_path(path.as_str()) {
                return self.twin(&path);
            }
            self.twin(&path);
        }
        let is_new = before.get(&id).is_none_or(|(_, known)| known.revision != row.entry.revision);
        if is_new && self.stored_at.len() < STORED_MAX {
            self.stored_at.push((path.clone(), stored_at(&row)));
        }
        self.files.insert(path, row.entry);
    }

    fn quarantine(&mut self, path: Option<RelPath>, id: Option<FileId>, reason: &str) {
        let name = match (&path, id) {
            (Some(path), _) => format!("\"{path}\""),
            (None, Some(id)) => format!("the file with id {}", &id.to_hex()[..16]),
            (None, None) => "a file".to_owned(),
        };
        self.problems.push(Problem {
            path,
            code: ProblemCode::Quarantined,
            message: format!("{name} is listed in a way that cannot be trusted: {reason}"),
            hint: "nothing is done with it; if another device of yours has it, send it again from there".to_owned(),
        });
    }

    fn twin(&mut self, path: &RelPath) {
        self.problems.push(Problem {
            path: Some(path.clone()),
            code: ProblemCode::DuplicateName,
            message: format!("two files on the server are called \"{path}\", in two Unicode forms"),
            hint: "rename one of the two on the device that sent it".to_owned(),
        });
    }
}

/// When the version of a row was stored.
pub(super) fn stored_at(row: &FileRow) -> UnixNanos {
    UnixNanos(row.updated_at.saturating_mul(1_000_000_000))
}

/// The path a row stands for, bound to its id; why there is none.
pub(super) fn usable_path(session: &Session, row: &FileRow) -> Result<RelPath, String> {
    let id = row.entry.file_id;
    let plain = row.relative_path.as_deref().filter(|text| !text.is_empty());
    let opened = if row.encrypted_path.is_empty() {
        None
    } else {
        let key = &session.owner.keys.encryption;
        Some(sealed_path::open_path(key, &row.encrypted_path, &id).map_err(|error| error.to_string())?)
    };
    match (opened, plain) {
        (Some(path), None) => Ok(path),
        (Some(path), Some(text)) => match RelPath::new(text) {
            Ok(named) if named == path => Ok(path),
            _ => Err("its plaintext path is not its encrypted one".to_owned()),
        },
        (None, Some(text)) if FileId::of_path(text) == id => RelPath::new(text).map_err(|error| error.to_string()),
        (None, Some(_)) => Err("its path is not the one its id is made of".to_owned()),
        (None, None) => Err("it has no path".to_owned()),
    }
}

/// The problem of a file that is not listed any more, though the server did not say that it is gone.
fn unproven(path: RelPath) -> Problem {
    Problem {
        message: format!("\"{path}\" is missing from the listing, but the server has not said that it is gone"),
        path: Some(path),
        code: ProblemCode::ServerError,
        hint: "nothing to do: it is asked again with the next listing".to_owned(),
    }
}

/// The problem of a file whose listed version contradicts one that was seen before.
pub(crate) fn suspect(path: RelPath, suspicion: &Suspicion) -> Problem {
    let (code, message) = match suspicion {
        Suspicion::Rollback { seen } => (
            ProblemCode::Rollback,
            format!("the server offers an older version of \"{path}\" than version {} that was seen before", seen.seq),
        ),
        Suspicion::Equivocation { seen } => (
            ProblemCode::Equivocation,
            format!("the server offers another version {} of \"{path}\" than before", seen.seq),
        ),
    };
    Problem {
        path: Some(path),
        code,
        message,
        hint: "nothing was changed here; ask the server's operator whether a backup was restored, or whether another device \
               made the file anew; then accept or restore the hold"
            .to_owned(),
    }
}
