//! The change feed: what changed in a folder, or, while nothing did, what changes next.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use hcfs_wire::{ErrorCode, Feed, FeedChange, FeedQuery, limits};
use tokio::time::Instant;

use super::listing::entry;
use crate::answer::{Answer, Failure, success};
use crate::caller::{Caller, Parameters, Segments};
use crate::metadata::{Change, Changed, FeedPage, FolderKey};
use crate::stores::Stores;

/// The changes of a folder after a number. While there are none the answer waits for one, as long as was asked for; it
/// comes early, and empty, from a server that stops or has too many who wait.
pub(super) async fn changes(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash)): Segments<(String, String)>,
    Parameters(query): Parameters<FeedQuery>,
) -> Answer {
    let key = caller.folder(&ss58, &folder_hash)?;
    let limit = u64::from(query.limit.unwrap_or(limits::DEFAULT_PAGE_ROWS).clamp(1, limits::MAX_PAGE_ROWS));
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(limits::MAX_FEED_WAIT));
    let until = Instant::now() + wait;
    let bell = stores.metadata.bells().of(&key);
    let mut place = None;
    loop {
        // Listened for before it is looked: nothing is between the two.
        let mut rung = pin!(bell.notified());
        rung.as_mut().enable();
        let page = stores.metadata.changes(key.clone(), query.after, limit).await?;
        let is_silent = matches!(&page, FeedPage::Changes { changes, next, .. }
            if changes.is_empty() && query.after == Some(*next));
        if is_silent && !wait.is_zero() && place.is_none() {
            place = stores.wait();
        }
        if is_silent && place.is_some() {
            let is_rung = tokio::select! {
                () = rung => true,
                () = tokio::time::sleep_until(until) => false,
                () = stores.stopping.cancelled() => false,
            };
            if is_rung {
                continue;
            }
        }
        return write(key, page).await;
    }
}

async fn write(key: FolderKey, page: FeedPage) -> Answer {
    let FeedPage::Changes { changes, next, has_more } = page else {
        let message = "the feed does not tell of all changes since that number; read a listing";
        return Err(Failure::new(ErrorCode::FeedReset, message));
    };
    let few = changes.len() < 64;
    let write = move || {
        let changes = changes.into_iter().map(change).collect();
        success(Feed { ss58_address: key.account, folder_hash: key.folder, changes, next, has_more })
    };
    if few {
        return Ok(write());
    }
    // As with a listing: some megabytes of JSON are too long for a thread that serves connections.
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|_| Failure::new(ErrorCode::DatabaseError, "the server failed; see its log"))
}

fn change(change: Change) -> FeedChange {
    match change.what {
        Changed::Listed(file) => FeedChange { seq: change.seq, file: Some(entry(file)), removed: None },
        Changed::Removed(file) => FeedChange { seq: change.seq, file: None, removed: Some(file) },
    }
}
