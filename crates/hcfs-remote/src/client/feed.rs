//! What a folder's feed says, asked for and waited for.

use std::sync::Arc;
use std::time::Duration;

use hcfs_http::{Deadlines, Method};
use hcfs_model::{FileId, FolderHash};
use hcfs_wire::{ErrorCode, ReadFeed, RemoteFileEntry, Row, capability, limits, read_answer};
use serde::de::DeserializeOwned;

use super::{Ask, HcfsRemote, read};
use crate::remote::{ChangePage, FileChange, FolderChanges, ListedFile};
use crate::{RemoteError, RemoteErrorKind};

/// How long after the asked wait the answer may take.
const GRACE: Duration = Duration::from_secs(15);

impl HcfsRemote {
    pub(super) async fn wait_for_changes(
        &self,
        folder: FolderHash,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<FolderChanges, RemoteError> {
        let object = format!("changes of folder {folder}");
        self.must_have(capability::CHANGE_FEED, &object).await?;
        let path = ["changes", self.account.as_str(), &folder.to_hex()];
        let wait = wait.as_secs().min(limits::MAX_FEED_WAIT);
        let after_text = after.map(|after| after.to_string());
        let numbers = [("limit", limits::MAX_PAGE_ROWS.to_string()), ("wait", wait.to_string())];
        let query =
            after_text.iter().map(|after| ("after", after)).chain(numbers.iter().map(|(name, text)| (*name, text)));
        let url = self
            .url(&path, &object)?
            .with_query(query.map(|(name, text)| (name, text.as_str())))
            .map_err(|error| RemoteError::new(RemoteErrorKind::Local, object.as_str(), error.to_string()))?;
        let mut ask = self.ask_at(Method::GET, url, object).at_most(limits::MAX_PAGE_BODY);
        let deadlines = Deadlines { first_byte: Duration::from_secs(wait) + GRACE, ..Deadlines::default() };
        ask.request = ask.request.deadlines(deadlines);
        let object = Arc::clone(&ask.object);
        let feed: ReadFeed = match self.extended(self.once(ask).await) {
            Err(error) if error.kind == RemoteErrorKind::Refused(ErrorCode::FeedReset) => {
                return Ok(FolderChanges::Reset);
            }
            answer => answer?,
        };
        self.check_account(&feed.ss58_address, &object)?;
        let inconsistent = |message: String| RemoteError::new(RemoteErrorKind::Inconsistent, &*object, message);
        if feed.folder_hash != folder {
            return Err(inconsistent("the answer is about another folder".to_owned()));
        }
        feed.check(after).map_err(|error| inconsistent(error.to_string()))?;
        Ok(FolderChanges::Changed(page(feed)))
    }

    /// Sends a request without a second try: who waits for changes has other ways to look, and pauses of its own.
    async fn once<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, RemoteError> {
        let response = self.http.send(ask.request.clone()).await.map_err(|error| ask.lost(error))?;
        let answer = read(response, ask.limit).await.map_err(|error| ask.lost(error))?;
        read_answer(answer.status.as_u16(), &answer.body, ask.limit)
            .map_err(|failure| ask.failed(failure, &answer.headers))
    }
}

/// The changes of a feed that was checked.
fn page(feed: ReadFeed) -> ChangePage {
    let change = |(file, removed): (Option<Row<RemoteFileEntry>>, Option<FileId>)| {
        file.map(|row| FileChange::Listed(ListedFile::from(row))).or(removed.map(FileChange::Removed))
    };
    let changes = feed.changes.into_iter().filter_map(|entry| change((entry.file, entry.removed))).collect();
    ChangePage { changes, next: feed.next, has_more: feed.has_more }
}
