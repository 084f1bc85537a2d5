//! The stream that keeps an open page current: parts of the page whose HTML changed, and a sentence for those who
//! listen.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::gate::Session;
use crate::serve::Site;
use crate::view::{self, View};

/// How often parts are sent at most.
const STEP: Duration = Duration::from_secs(1);
/// How often the sentence is said at most.
const SAID: Duration = Duration::from_secs(5);
/// How often the page is looked at again though nothing changed: the chart moves on, and a session ends.
const TICK: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    view: String,
}

/// `GET live?view=…`
pub(crate) async fn stream(
    State(site): State<Arc<Site>>,
    Extension(session): Extension<Session>,
    Query(Of { view }): Query<Of>,
) -> Response {
    let Some(view) = View::read(&view) else { return StatusCode::NOT_FOUND.into_response() };
    let reader = Reader {
        changes: site.socket.changes(),
        site,
        session,
        view,
        seen: BTreeMap::new(),
        said: String::new(),
        next_said: Instant::now(),
        ready: Vec::new(),
        ended: false,
        first: true,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

struct Reader {
    site: Arc<Site>,
    session: Session,
    view: View,
    changes: watch::Receiver<u64>,
    /// The version of every part as this reader has it.
    seen: BTreeMap<&'static str, String>,
    said: String,
    next_said: Instant,
    ready: Vec<Event>,
    ended: bool,
    first: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if !std::mem::take(&mut self.first) {
                self.wait().await;
            }
            if self.site.stopping.is_cancelled() {
                return None;
            }
            if !self.site.gate.lives(&self.session, Instant::now()) {
                self.ended = true;
                return Some(Event::default().event("ended").data("the session is over"));
            }
            self.changes.mark_unchanged();
            self.look().await;
        }
    }

    /// Until something changed, though not at once again.
    async fn wait(&mut self) {
        let next = Instant::now() + STEP;
        let stopping = &self.site.stopping;
        tokio::select! {
            () = stopping.cancelled() => return,
            // The daemon is ending where nothing can change any more.
            changed = self.changes.changed() => if changed.is_err() {
                stopping.cancelled().await;
            },
            () = tokio::time::sleep(TICK) => {}
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }

    async fn look(&mut self) {
        let drawn = view::draw(&self.site, &self.view, &self.session).await;
        for part in drawn.parts {
            let version = part.version();
            if self.seen.get(part.id) != Some(&version) {
                let html = part.markup.into_string();
                let data = json!({"id": part.id, "version": version, "html": html}).to_string();
                self.seen.insert(part.id, version);
                self.ready.push(Event::default().event("part").data(data));
            }
        }
        let now = Instant::now();
        if drawn.said != self.said && now >= self.next_said {
            self.next_said = now + SAID;
            let data = json!({"text": drawn.said, "title": drawn.title}).to_string();
            self.said = drawn.said;
            self.ready.push(Event::default().event("said").data(data));
        }
    }
}
