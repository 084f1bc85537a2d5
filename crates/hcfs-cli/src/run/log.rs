//! What happened.

use std::collections::VecDeque;

use hcfs_api::{ExitCode, LogEvent, Lost, Page, SCHEMA, StreamEvent, routes};
use serde::Serialize;
use serde_json::json;

use super::{Ended, Session};
use crate::args::LogOptions;
use crate::client::{Client, odd};
use crate::error::CliError;
use crate::render;

/// A line of the log as JSON.
#[derive(Serialize)]
struct Line<'e> {
    schema: u32,
    #[serde(flatten)]
    event: &'e LogEvent,
}

impl Session<'_> {
    pub(super) async fn log(&mut self, options: &LogOptions) -> Ended {
        if options.follow {
            return self.follow_log(options).await;
        }
        let folders = self.chosen(options.label.as_slice()).await?;
        let mut logs: Vec<FolderLog> = folders.into_iter().map(|folder| FolderLog::new(folder.label)).collect();
        loop {
            let mut oldest: Option<(&mut FolderLog, i64)> = None;
            for log in &mut logs {
                let Some(at) = log.peek(&self.client).await? else { continue };
                if oldest.as_ref().is_none_or(|(_, known)| at < *known) {
                    oldest = Some((log, at));
                }
            }
            let Some(event) = oldest.and_then(|(log, _)| log.ready.pop_front()) else { return Ok(ExitCode::Done) };
            self.print_event(&event)?;
        }
    }

    /// Prints what happens from now on.
    async fn follow_log(&mut self, options: &LogOptions) -> Ended {
        // A mistyped label would be silent for ever.
        self.chosen(options.label.as_slice()).await?;
        let mut events = self.client.events().await?;
        loop {
            match events.next().await? {
                StreamEvent::Log(event) => {
                    if options.label.as_ref().is_none_or(|label| label.as_str() == event.folder) {
                        self.print_event(&event)?;
                    }
                }
                StreamEvent::Lost(lost) => self.print_lost(lost)?,
                StreamEvent::Snapshot(_) | StreamEvent::Status(_) | StreamEvent::Source(_) => {}
            }
        }
    }

    fn print_event(&mut self, event: &LogEvent) -> Result<(), CliError> {
        self.print(&Line { schema: SCHEMA, event }, |terminal| render::event(event, terminal.zone(), terminal.look()))
    }

    /// A gap: for a program a line of its own, for a person a word on stderr.
    fn print_lost(&mut self, lost: Lost) -> Result<(), CliError> {
        if self.options.json {
            return self.terminal.out_json(&json!({"schema": SCHEMA, "lost": lost}));
        }
        let what = lost.count.map_or_else(|| "some events".to_owned(), |number| render::many(number, "event"));
        self.terminal.err(&format!("{what} did not arrive here; `hcfs log` has them all\n"));
        Ok(())
    }
}

/// A folder's log, read a page at a time.
struct FolderLog {
    label: String,
    ready: VecDeque<LogEvent>,
    /// Where the next page starts; `None` at the end.
    next: Option<u64>,
}

impl FolderLog {
    fn new(label: String) -> Self {
        Self { label, ready: VecDeque::new(), next: Some(0) }
    }

    /// When the next event happened; `None` at the end.
    async fn peek(&mut self, client: &Client) -> Result<Option<i64>, CliError> {
        while self.ready.is_empty() {
            let Some(after) = self.next else { return Ok(None) };
            let page: Page<LogEvent> = client.get(&routes::log(&self.label, after, Page::<LogEvent>::MAX)).await?;
            if page.next.is_some_and(|next| next <= after) {
                return Err(odd("a log does not go on"));
            }
            self.next = page.next;
            self.ready.extend(page.items);
        }
        Ok(self.ready.front().map(|event| event.at))
    }
}
