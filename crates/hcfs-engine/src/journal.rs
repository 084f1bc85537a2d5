//! The log: what happened, recorded with what it did, and told to who listens.

use hcfs_model::{RelPath, UnixNanos};
use hcfs_state::Settled;

use crate::session::{Session, Stop};
use crate::status::{Event, EventKind};

/// An event of one file.
pub(crate) fn event(at: UnixNanos, kind: EventKind, path: &RelPath, text: String) -> Event {
    Event { id: 0, at, kind, path: Some(path.clone()), text }
}

impl Session {
    /// Records outcomes with the events that tell of them, in one transaction, and tells who listens.
    ///
    /// # Errors
    /// The database cannot be written; then neither is recorded.
    pub(crate) fn record(&mut self, settled: &[Settled], events: Vec<Event>) -> Result<(), Stop> {
        if settled.is_empty() && events.is_empty() {
            return Ok(());
        }
        let kept: Vec<hcfs_state::Event> = events.iter().map(kept).collect();
        self.store.settle(settled, &kept).map_err(Stop::state)?;
        if !settled.is_empty() {
            self.feed.outdate();
        }
        self.publish(events);
        Ok(())
    }

    /// Writes events that tell of nothing else that is recorded. A log that cannot be written stops nothing.
    pub(crate) fn tell_all(&mut self, events: Vec<Event>) {
        if let Err(stop) = self.record(&[], events) {
            tracing::warn!(?stop, "an event could not be logged");
        }
    }

    /// Tells events that were just recorded as the newest.
    fn publish(&mut self, events: Vec<Event>) {
        let last = self.store.last_event().unwrap_or_default();
        let first = last.saturating_sub(events.len() as u64);
        for (id, event) in (first + 1..).zip(events) {
            // Nobody listens: then nobody is told.
            let _ = self.events.send(Event { id, ..event });
        }
    }

    /// The end of the log, oldest first.
    pub(crate) fn recent_log(&self, limit: usize) -> Vec<Event> {
        let last = self.store.last_event().unwrap_or_default();
        self.log_page(last.saturating_sub(limit as u64), limit)
    }

    /// A part of the log, oldest first.
    pub(crate) fn log_page(&self, since: u64, limit: usize) -> Vec<Event> {
        let limit = u32::try_from(limit).unwrap_or(hcfs_state::MAX_PAGE);
        let page = self.store.events(since, limit).unwrap_or_default();
        page.into_iter()
            .map(|(id, event)| Event {
                id,
                at: event.at,
                kind: EventKind::from_text(&event.kind),
                path: event.path,
                text: event.text,
            })
            .collect()
    }
}

fn kept(event: &Event) -> hcfs_state::Event {
    hcfs_state::Event {
        at: event.at,
        kind: event.kind.as_str().to_owned(),
        path: event.path.clone(),
        text: event.text.clone(),
    }
}
