//! The remote tree, kept up to date by the folder's feed: one request that waits for a change in place of many that look
//! for one.
//!
//! A feed is a hint. Its rows are bound to their paths as those of a listing are and only ever lead forward: one that
//! does not, that cannot be read, or that meets another file under its path is left to a listing. A removal counts after
//! the server itself says that it does not have the file. What a feed leaves out is found by the listings that go on,
//! further apart.
//!
//! An answer tells of a time before it came. What this device itself changed since the request would look undone in it,
//! so such an answer is dropped and asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hcfs_model::{FileId, RelPath, RemoteEntry, UnixNanos};
use hcfs_remote::{ChangePage, FileChange, FileRow, FolderChanges, ListedFile, Remote, RemoteError};
use hcfs_state::RemoteUpdate;
use tokio::time::Instant;

use super::there::{STORED_MAX, stored_at, usable_path};
use crate::backoff::Backoff;
use crate::session::{Session, Stop};

/// How long one request waits for a change.
const WAIT: Duration = Duration::from_secs(50);
/// An answer without changes that comes before this share of the wait is one of a server that has no room for those who
/// wait.
const EARLY: u32 = 2;
/// Changes that are taken from the feed at once; above it a listing is shorter.
const CHANGES: usize = 50_000;

type Answer = Result<FolderChanges, RemoteError>;

/// How a folder stands with its feed.
pub(crate) struct Feed {
    /// The last change that the remote tree holds; `None` before a listing, and where there is no feed.
    cursor: Option<u64>,
    /// The request that waits for a change.
    waiting: Option<Waiting>,
    /// Changes that came, to be recorded by the next cycle.
    came: Option<Came>,
    /// Counts what this device did to the server, and the listings: answers to requests from before are old.
    age: u64,
    /// After a failure: the feed is not asked before, and the folder is polled meanwhile.
    not_before: Option<Instant>,
    backoff: Backoff,
    /// After answers that told nothing new: no request waits before. So a server cannot keep this device busy.
    rest_until: Option<Instant>,
    futile: Backoff,
    /// The server showed that something changed: a feed without changes is not believed.
    expects_news: bool,
    /// It told of changes that nothing was made of yet.
    has_told: bool,
}

/// What an answer to the request that waited says.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// Nothing that counts now: the next request tells.
    Old,
    /// There was no change.
    Quiet,
    /// There were changes.
    News,
    /// The feed does not reach back so far.
    Reset,
    /// There is no answer, or no room for those who wait.
    Failure,
}

struct Waiting {
    since: Instant,
    age: u64,
    answer: BoxFuture<'static, Answer>,
}

struct Came {
    age: u64,
    page: ChangePage,
}

impl Feed {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            cursor: None,
            waiting: None,
            came: None,
            age: 0,
            not_before: None,
            backoff: Backoff::new(Duration::from_secs(2), Duration::from_secs(300), seed),
            rest_until: None,
            futile: Backoff::new(Duration::from_millis(100), Duration::from_secs(60), seed),
            expects_news: false,
            has_told: false,
        }
    }

    /// Whether it tells of changes, so that listings may be further apart.
    pub(crate) fn is_live(&self) -> bool {
        self.cursor.is_some() && self.not_before.is_none()
    }

    /// When a request waits for changes again, where none does now.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        let may_wait = self.cursor.is_some() && self.waiting.is_none();
        self.not_before.max(self.rest_until).filter(|_| may_wait)
    }

    /// Says that this device changed something on the server, or knows the server's state better now.
    pub(crate) fn outdate(&mut self) {
        self.age += 1;
    }

    /// Says that the server showed a change that the remote tree does not hold.
    pub(crate) fn expect_news(&mut self) {
        self.expects_news = true;
    }

    /// Gives the request up that waits, as while the folder is paused.
    pub(crate) fn hang_up(&mut self) {
        self.waiting = None;
    }

    /// Begins anew with the next listing.
    pub(crate) fn forget(&mut self) {
        self.cursor = None;
        self.waiting = None;
        self.came = None;
    }

    /// Notes whether an answer was worth its request.
    fn told(&mut self, something: bool) {
        if something {
            self.rest_until = None;
            self.futile.reset();
        } else {
            self.rest_until = Some(Instant::now() + self.futile.next());
        }
    }

    /// What an answer to the request that waited says.
    fn hear(&mut self, answer: Answer) -> Heard {
        let Some(Waiting { since, age, .. }) = self.waiting.take() else { return Heard::Old };
        match answer {
            Ok(FolderChanges::Changed(_)) if age != self.age => Heard::Old,
            Ok(FolderChanges::Changed(page)) if !page.changes.is_empty() => {
                self.came = Some(Came { age, page });
                self.has_told = true;
                Heard::News
            }
            // A server that has no room for those who wait.
            Ok(FolderChanges::Changed(_)) if since.elapsed() < WAIT / EARLY => Heard::Failure,
            Ok(FolderChanges::Changed(page)) => {
                self.cursor = Some(page.next);
                self.told(true);
                Heard::Quiet
            }
            Ok(FolderChanges::Reset) => {
                self.forget();
                Heard::Reset
            }
            Err(error) => {
                tracing::debug!(%error, "the feed does not answer");
                Heard::Failure
            }
        }
    }

    fn fail(&mut self) {
        self.waiting = None;
        self.not_before = Some(Instant::now() + self.backoff.next());
    }

    /// Has a request wait for the next change, where there is a feed that may be asked.
    pub(crate) fn wait(&mut self, remote: &Arc<dyn Remote>, folder: hcfs_model::FolderHash) {
        let held_back = self.not_before.max(self.rest_until).is_some_and(|until| Instant::now() < until);
        let Some(cursor) = self.cursor.filter(|_| !held_back && self.came.is_none()) else { return };
        if self.waiting.is_none() {
            let remote = Arc::clone(remote);
            let answer = async move { remote.changes(folder, Some(cursor), WAIT).await }.boxed();
            self.waiting = Some(Waiting { since: Instant::now(), age: self.age, answer });
        }
    }

    /// The answer to the request that waits; never, where none does.
    pub(crate) async fn answered(&mut self) -> Answer {
        match &mut self.waiting {
            Some(waiting) => (&mut waiting.answer).await,
            None => pending().await,
        }
    }
}

/// What feeds said, path by path.
#[derive(Default)]
struct News {
    put: BTreeMap<RelPath, RemoteEntry>,
    /// The paths of what is put.
    paths: BTreeMap<FileId, RelPath>,
    removed: BTreeSet<FileId>,
    /// When new versions were stored.
    stored_at: Vec<(RelPath, UnixNanos)>,
    /// Something that only a listing can tell apart.
    doubt: bool,
}

impl Session {
    /// Takes the answer to the request that waited.
    pub(crate) fn heed_feed(&mut self, answer: Answer) {
        match self.feed.hear(answer) {
            Heard::Old | Heard::Quiet => self.feed_works(),
            Heard::News => {
                self.feed_works();
                self.wants.remote();
            }
            Heard::Reset => self.wants.remote(),
            Heard::Failure => self.without_feed(),
        }
    }

    /// Goes on by looking at the server from time to time.
    fn without_feed(&mut self) {
        self.feed.fail();
        self.poll_soon();
    }

    fn feed_works(&mut self) {
        self.feed.backoff.reset();
        if self.feed.not_before.take().is_some() {
            self.polled();
        }
    }

    /// Where the feed stands, asked before a listing is read: then nothing is between the two. `None` where there is no
    /// feed, or none that answers; the next listing asks again.
    ///
    /// It is asked for every listing, and where it stood before counts for nothing: a server that was set back counts from
    /// an earlier change, and what it tells up to the one that was reached before would be passed over.
    pub(crate) async fn stand_of_feed(&mut self) -> Result<Option<u64>, Stop> {
        if self.feed.not_before.is_some_and(|until| Instant::now() < until) {
            return Ok(None);
        }
        let (remote, folder) = (Arc::clone(&self.remote), self.spec.folder_hash());
        let stand = async move {
            if !remote.extensions().await?.feed {
                return Ok(None);
            }
            match remote.changes(folder, None, Duration::ZERO).await? {
                FolderChanges::Changed(page) => Ok(Some(page.next)),
                FolderChanges::Reset => Ok(None),
            }
        };
        let stand: Result<_, RemoteError> = self.attend(stand).await?;
        Ok(match stand {
            Ok(stand) => {
                self.feed_works();
                stand
            }
            Err(error) => {
                tracing::debug!(%error, "the feed does not say where it stands");
                self.feed.fail();
                None
            }
        })
    }

    /// Says that the remote tree is what a listing showed that was read when the feed stood at `stand`; `anew` when that
    /// is another than before.
    pub(crate) fn listed_from(&mut self, stand: Option<u64>, anew: bool) {
        if std::mem::take(&mut self.feed.has_told) && self.feed.cursor == stand {
            // It tells again what led to the listing, at once: were that nothing the listing shows, the two would go round
            // in circles.
            self.feed.told(false);
        }
        if self.feed.cursor != stand {
            // The request that waits asks for what is after another change.
            self.feed.hang_up();
        }
        self.feed.cursor = stand;
        self.feed.came = None;
        self.feed.expects_news = false;
        if anew {
            self.feed.outdate();
        }
    }

    /// Brings the remote tree up to date by the feed; whether that did, or a listing is needed.
    ///
    /// # Errors
    /// The server or the database cannot be used, or a command breaks it off.
    pub(crate) async fn catch_up(&mut self) -> Result<bool, Stop> {
        let Some(start) = self.feed.cursor else { return Ok(false) };
        let came = self.feed.came.take().filter(|came| came.age == self.feed.age);
        let mut page = came.map(|came| came.page);
        let (mut news, mut cursor, mut count) = (News::default(), start, 0);
        loop {
            let next = match page.take() {
                Some(page) => page,
                None => match self.ask_feed(cursor).await? {
                    Some(page) => page,
                    None => return Ok(false),
                },
            };
            count += next.changes.len();
            cursor = next.next;
            for change in next.changes {
                self.weigh(change, &mut news)?;
            }
            if news.doubt || count > CHANGES {
                return Ok(false);
            }
            if !next.has_more {
                break;
            }
        }
        if count == 0 && std::mem::take(&mut self.feed.expects_news) {
            return Ok(false);
        }
        let says_something = !news.put.is_empty() || !news.removed.is_empty();
        let is_settled = self.record_news(news).await?;
        self.feed.told(is_settled && says_something);
        if is_settled {
            // What is not proven is told again, should the listing that follows fail.
            self.feed.cursor = Some(cursor);
            self.feed.has_told = false;
            self.feed.expects_news = false;
        }
        Ok(is_settled)
    }

    /// What the feed has after a change; `None` where only a listing helps.
    async fn ask_feed(&mut self, after: u64) -> Result<Option<ChangePage>, Stop> {
        let (remote, folder) = (Arc::clone(&self.remote), self.spec.folder_hash());
        match self.attend(async move { remote.changes(folder, Some(after), Duration::ZERO).await }).await? {
            Ok(FolderChanges::Changed(page)) => {
                self.feed_works();
                Ok(Some(page))
            }
            Ok(FolderChanges::Reset) => {
                self.feed.forget();
                Ok(None)
            }
            Err(error) => {
                tracing::debug!(%error, "the feed does not answer");
                self.without_feed();
                Ok(None)
            }
        }
    }

    /// Takes one change in.
    fn weigh(&self, change: FileChange, news: &mut News) -> Result<(), Stop> {
        let row = match change {
            FileChange::Removed(id) => {
                // A page before this one may have listed it.
                if let Some(path) = news.paths.remove(&id) {
                    news.put.remove(&path);
                }
                news.removed.insert(id);
                return Ok(());
            }
            FileChange::Listed(ListedFile::File(row)) => row,
            FileChange::Listed(ListedFile::Broken(_)) => {
                news.doubt = true;
                return Ok(());
            }
        };
        match self.forward(&row)? {
            Some((path, true)) => {
                if news.stored_at.len() < STORED_MAX {
                    news.stored_at.push((path.clone(), stored_at(&row)));
                }
                news.paths.insert(row.entry.file_id, path.clone());
                news.put.insert(path, row.entry);
            }
            Some((_, false)) => {}
            None => news.doubt = true,
        }
        Ok(())
    }

    /// The path of a row that leads forward, and whether it says anything new; `None` for any other row.
    fn forward(&self, row: &FileRow) -> Result<Option<(RelPath, bool)>, Stop> {
        let Ok(path) = usable_path(self, row) else { return Ok(None) };
        let known = self.store.row(&path).map_err(Stop::state)?.remote;
        Ok(match known {
            None => Some((path, true)),
            Some(known) if known == row.entry => Some((path, false)),
            Some(known) if known.file_id == row.entry.file_id && known.revision.seq < row.entry.revision.seq => {
                Some((path, true))
            }
            Some(_) => None,
        })
    }

    /// Records news once their removals are proven; whether all of them were.
    async fn record_news(&mut self, news: News) -> Result<bool, Stop> {
        let News { put, mut removed, stored_at, .. } = news;
        let mut vanished = Vec::new();
        if !removed.is_empty() {
            for entry in self.store.remote_rows() {
                let (path, entry) = entry.map_err(Stop::state)?;
                if removed.remove(&entry.file_id) && !put.contains_key(&path) {
                    vanished.push((entry.file_id, path));
                }
            }
        }
        let (remove, doubted) = self.prove_absence(vanished).await?;
        if !put.is_empty() || !remove.is_empty() {
            // A listing with the tag of the one before would not be sent if the server were set back to that.
            let update = RemoteUpdate { put: put.into_iter().collect(), remove, tag: None };
            self.stored_at.extend(stored_at);
            self.store.record_remote(&update, false).map_err(Stop::state)?;
            self.forget_stored()?;
        }
        Ok(doubted.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use hcfs_remote::{RemoteErrorKind, memory};

    use super::*;

    fn feed() -> (Feed, Arc<dyn Remote>, hcfs_model::FolderHash) {
        let account = hcfs_model::AccountAddress::from_public_key([1; 32]);
        let remote = memory::MemoryRemote::new(&memory::MemoryServer::new(account));
        let folder = hcfs_model::FolderHash::of_label(&hcfs_model::FolderLabel::new("x").unwrap());
        let mut feed = Feed::new(1);
        feed.cursor = Some(0);
        (feed, Arc::new(remote), folder)
    }

    fn page(changes: usize, next: u64) -> Answer {
        let changes = vec![FileChange::Removed(FileId([1; 32])); changes];
        Ok(FolderChanges::Changed(ChangePage { changes, next, has_more: false }))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_this_device_changed_something_does_not_count() {
        let (mut feed, remote, folder) = feed();
        feed.wait(&remote, folder);
        feed.outdate();
        assert_eq!(feed.hear(page(1, 5)), Heard::Old);
        assert_eq!((feed.cursor, feed.came.is_some()), (Some(0), false), "it is asked for again");
        feed.wait(&remote, folder);
        assert_eq!(feed.hear(page(1, 5)), Heard::News);
        assert!(feed.came.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_without_room_for_those_who_wait_is_not_asked_at_once_again() {
        let (mut feed, remote, folder) = feed();
        feed.wait(&remote, folder);
        assert_eq!(feed.hear(page(0, 0)), Heard::Failure);
        feed.fail();
        assert!(!feed.is_live());
        let retry = feed.next_try().unwrap();
        feed.wait(&remote, folder);
        assert!(feed.waiting.is_none(), "not before its time");
        tokio::time::sleep_until(retry).await;
        feed.wait(&remote, folder);
        assert!(feed.waiting.is_some() && feed.next_try().is_none());
        tokio::time::advance(WAIT).await;
        assert_eq!(feed.hear(page(0, 0)), Heard::Quiet);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_tell_nothing_new_are_asked_for_ever_more_slowly() {
        let (mut feed, remote, folder) = feed();
        let start = Instant::now();
        for _ in 0..20 {
            feed.told(false);
            let until = feed.next_try().unwrap();
            feed.wait(&remote, folder);
            assert!(feed.waiting.is_none());
            tokio::time::sleep_until(until).await;
        }
        assert!(start.elapsed() > Duration::from_secs(300), "{:?}", start.elapsed());
        feed.told(true);
        feed.wait(&remote, folder);
        assert!(feed.waiting.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_reset_or_a_failure_nothing_waits() {
        let (mut feed, remote, folder) = feed();
        feed.wait(&remote, folder);
        assert_eq!(feed.hear(Err(RemoteError::new(RemoteErrorKind::Unavailable, "x", ""))), Heard::Failure);
        feed.wait(&remote, folder);
        assert_eq!(feed.hear(Ok(FolderChanges::Reset)), Heard::Reset);
        feed.wait(&remote, folder);
        assert!(feed.waiting.is_none() && !feed.is_live() && feed.next_try().is_none());
    }
}
