//! The stream of events: a snapshot, then what happens.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use hcfs_api::{Folder, Lost, Source, StreamEvent};
use serde::Deserialize;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Served;
use super::answer::{Answer, Failure, Params};
use crate::stream::{Live, Numbered};
use crate::supervise::Supervisor;

/// How often a folder's status is sent at most.
const STEP: Duration = Duration::from_millis(250);
/// How often a silent connection gets a comment, so that both ends notice when the other is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    since: Option<u64>,
}

/// `GET /v1/events`. A reader that comes back names the last id it saw as `since`, or as browsers and libraries do.
pub(super) async fn stream(
    State(served): State<Served>,
    Params(Since { since }): Params<Since>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let last = headers.get("last-event-id").map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    let since = match (since, last) {
        (Some(since), _) => Some(since),
        (None, Some(None)) => return Err(Failure::bad_request("the last event's id is not a number", "leave it out")),
        (None, last) => last.flatten(),
    };
    let reader = Reader::new(served.supervisor, served.stopping, since);
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One connected reader.
struct Reader {
    supervisor: Arc<Supervisor>,
    stopping: CancellationToken,
    live: broadcast::Receiver<Live>,
    changes: watch::Receiver<u64>,
    /// What is sent before anything new is waited for.
    ready: VecDeque<Event>,
    /// The folders as this reader last saw them.
    seen: BTreeMap<String, Folder>,
    /// The sources as this reader last saw them.
    seen_sources: BTreeMap<String, Source>,
    /// When the status may be sent again.
    next_status: Instant,
    /// Whether the status changed since it was sent.
    changed: bool,
}

impl Reader {
    fn new(supervisor: Arc<Supervisor>, stopping: CancellationToken, since: Option<u64>) -> Self {
        // Changes first: what happens from here on is either in the snapshot or told after it.
        let changes = supervisor.watch();
        let start = supervisor.stream.read(since);
        let mut reader = Self {
            supervisor,
            stopping,
            live: start.live,
            changes,
            ready: VecDeque::new(),
            seen: BTreeMap::new(),
            seen_sources: BTreeMap::new(),
            next_status: Instant::now(),
            changed: false,
        };
        reader.snapshot(Some(start.id));
        if start.lost {
            // After the snapshot, which is the first element of every stream; it shows what the lost events led to.
            reader.push(None, &StreamEvent::Lost(Lost { count: None }));
        }
        for Numbered { id, event } in start.missed {
            reader.push(Some(id), &StreamEvent::Log(event));
        }
        reader
    }

    fn push(&mut self, id: Option<u64>, event: &StreamEvent) {
        // Every type of the stream has a JSON form.
        let Ok(json) = event.to_json() else { return };
        let sent = Event::default().event(event.name()).data(json);
        self.ready.push_back(match id {
            Some(id) => sent.id(id.to_string()),
            None => sent,
        });
    }

    fn snapshot(&mut self, id: Option<u64>) {
        let status = self.supervisor.status();
        self.seen = status.folders.iter().map(|folder| (folder.label.clone(), folder.clone())).collect();
        self.seen_sources = status.sources.iter().map(|source| (source.name.clone(), source.clone())).collect();
        self.next_status = Instant::now() + STEP;
        self.push(id, &StreamEvent::Snapshot(Box::new(status)));
    }

    fn lost(&mut self, count: Option<u64>) {
        self.push(None, &StreamEvent::Lost(Lost { count }));
        self.snapshot(None);
    }

    /// The folders and sources that changed since this reader saw them; all of it, where some came or went.
    fn statuses(&mut self) {
        self.changed = false;
        self.next_status = Instant::now() + STEP;
        let folders = self.supervisor.folders();
        let sources = self.supervisor.source_list();
        let same_folders =
            folders.len() == self.seen.len() && folders.iter().all(|folder| self.seen.contains_key(&folder.label));
        let same_sources = sources.len() == self.seen_sources.len()
            && sources.iter().all(|source| self.seen_sources.contains_key(&source.name));
        if !same_folders || !same_sources {
            return self.snapshot(None);
        }
        for folder in folders {
            if self.seen.get(&folder.label) != Some(&folder) {
                self.seen.insert(folder.label.clone(), folder.clone());
                self.push(None, &StreamEvent::Status(Box::new(folder)));
            }
        }
        for source in sources {
            if self.seen_sources.get(&source.name) != Some(&source) {
                self.seen_sources.insert(source.name.clone(), source.clone());
                self.push(None, &StreamEvent::Source(Box::new(source)));
            }
        }
    }

    /// The next event; `None` at the daemon's end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                event = self.live.recv() => match event {
                    Ok(Live::Event(Numbered { id, event })) => self.push(Some(id), &StreamEvent::Log(event)),
                    Ok(Live::Lost) => self.lost(None),
                    Err(broadcast::error::RecvError::Lagged(count)) => self.lost(Some(count)),
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                () = tokio::time::sleep_until(self.next_status), if self.changed => self.statuses(),
                changed = self.changes.changed(), if !self.changed => {
                    if changed.is_err() {
                        return None;
                    }
                    self.changed = true;
                }
            }
        }
    }
}
