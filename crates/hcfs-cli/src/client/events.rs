//! The stream of events, and the status it keeps current.

use std::time::Duration;

use hcfs_api::{Folder, Rates, Status, StreamEvent, Totals, routes};
use http_body_util::{BodyExt as _, Full};
use hyper::Method;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::lines::Lines;
use super::{Client, head, odd};
use crate::error::CliError;

/// The longest line of the stream, in bytes: a snapshot with thousands of folders and transfers.
const LINE_MAX: usize = 16 * 1024 * 1024;
/// A daemon that has nothing to say sends a comment every 30 s.
const SILENCE_MAX: Duration = Duration::from_secs(90);

impl Client {
    /// The stream of events. The first one is a snapshot.
    pub(crate) async fn events(&self) -> Result<Events, CliError> {
        let asked = head(Method::GET, routes::EVENTS, Full::default())?;
        let body = self.send(asked, Some(self.at_hand)).await?.into_body();
        Ok(Events { client: self.clone(), body, parser: Parser::new(LINE_MAX), heard: Instant::now() })
    }
}

/// A connected stream.
pub(crate) struct Events {
    client: Client,
    body: Incoming,
    parser: Parser,
    heard: Instant,
}

impl Events {
    /// The next event. A stream has no end but the daemon's. May be dropped and called again at any time.
    pub(crate) async fn next(&mut self) -> Result<StreamEvent, CliError> {
        loop {
            while let Some((name, data)) = self.parser.next()? {
                if let Some(event) = StreamEvent::parse(&name, &data).map_err(|error| odd(&error.to_string()))? {
                    return Ok(event);
                }
            }
            let silent = |_| self.client.unreachable(None);
            match tokio::time::timeout_at(self.heard + SILENCE_MAX, self.body.frame()).await.map_err(silent)? {
                Some(Ok(frame)) => {
                    self.heard = Instant::now();
                    if let Ok(bytes) = frame.into_data() {
                        self.parser.lines.push(&bytes);
                    }
                }
                Some(Err(error)) => return Err(self.client.unreachable(Some(error.into()))),
                None => return Err(self.client.unreachable(None)),
            }
        }
    }
}

/// Reads server-sent events: lines, each event closed by an empty one.
#[derive(Debug)]
struct Parser {
    lines: Lines,
    name: String,
    data: String,
    max: usize,
}

impl Parser {
    fn new(max: usize) -> Self {
        Self { lines: Lines::new(max), name: String::new(), data: String::new(), max }
    }

    /// The name and data of the next whole event. Ids are left alone: nobody resumes.
    fn next(&mut self) -> Result<Option<(String, String)>, CliError> {
        while let Some(line) = self.lines.next().map_err(|_| odd("a line of the events is too long"))? {
            let line = std::str::from_utf8(&line).map_err(|_| odd("the events are not text"))?;
            if line.is_empty() {
                let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
                if !data.is_empty() {
                    return Ok(Some((name, data)));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.name),
                "data" => {
                    if self.data.len() + value.len() > self.max {
                        return Err(odd("an event is too long"));
                    }
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(value);
                }
                // Comments, ids, and fields of the future.
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The status, kept current by the stream of events.
pub(crate) struct Watched {
    events: Events,
    status: Status,
}

impl Watched {
    /// Connects; the status is then that of the moment.
    pub(crate) async fn new(client: &Client) -> Result<Self, CliError> {
        let mut events = client.events().await?;
        loop {
            if let StreamEvent::Snapshot(status) = events.next().await? {
                return Ok(Self { events, status: *status });
            }
        }
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// Waits until the status is another. May be dropped and called again at any time.
    pub(crate) async fn changed(&mut self) -> Result<(), CliError> {
        loop {
            match self.events.next().await? {
                StreamEvent::Snapshot(status) => self.status = *status,
                StreamEvent::Status(folder) => replace(&mut self.status, *folder),
                StreamEvent::Source(source) => {
                    let known = self.status.sources.iter_mut().find(|known| known.name == source.name);
                    if let Some(known) = known {
                        *known = *source;
                    }
                }
                StreamEvent::Log(_) | StreamEvent::Lost(_) => continue,
            }
            return Ok(());
        }
    }
}

fn replace(status: &mut Status, folder: Folder) {
    match status.folders.iter_mut().find(|known| known.label == folder.label) {
        Some(known) => *known = folder,
        None => status.folders.push(folder),
    }
    status.idle = Status::all_idle(&status.folders);
    status.totals = Totals::of(&status.folders);
    let waiting = status.folders.iter().filter(|folder| folder.counts.pending_up + folder.counts.pending_down > 0);
    // One folder whose end cannot be told leaves that of all open.
    let left: Option<Vec<u64>> = waiting.map(|folder| folder.rates.seconds_left).collect();
    status.rates = Rates {
        up: status.folders.iter().map(|folder| folder.rates.up).sum(),
        down: status.folders.iter().map(|folder| folder.rates.down).sum(),
        seconds_left: left.and_then(|left| left.into_iter().max()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        ": hello\nid: 4\nevent: log\ndata: {\"a\":\ndata:1}\n\nevent: status\r\ndata: 2\r\n\r\n\nevent: x\n\n";

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::new(100);
        let mut all = Vec::new();
        for piece in pieces {
            parser.lines.push(piece);
            while let Some(event) = parser.next().unwrap() {
                all.push(event);
            }
        }
        all
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let expected: Vec<(String, String)> =
            [("log", "{\"a\":\n1}"), ("status", "2")].map(|(name, data)| (name.into(), data.into())).into();
        for at in 0..TEXT.len() {
            let (head, tail) = TEXT.as_bytes().split_at(at);
            assert_eq!(events(&[head, tail]), expected, "cut at {at}");
        }
        let single: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
        assert_eq!(events(&single), expected);
    }

    #[test]
    fn an_event_that_never_ends_is_refused() {
        let mut parser = Parser::new(10);
        parser.lines.push(b"data: 0123456789");
        assert!(parser.next().is_err());
        let mut parser = Parser::new(10);
        parser.lines.push(b"data:0123\ndata:4567\ndata:8\n\n");
        assert!(parser.next().is_ok());
        let mut parser = Parser::new(10);
        parser.lines.push(&b"data:0123\n".repeat(3));
        assert!(parser.next().is_err());
    }
}
