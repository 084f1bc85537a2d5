//! The page's views: which there are, what each shows, and the document around it.
//!
//! A view is made of parts, each with an id and a version, so that the stream can send those that changed. A part holds
//! no text that changes by itself with time: moments are shown by the clock, not by how long ago they were.

mod attention;
mod chart;
mod folder;
mod overview;
mod past;
mod settings;
mod shell;
mod words;

#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use futures_util::future::join_all;
use hcfs_api::{
    ApiError, Explanation, FolderDetail, History, Limits, LogEvent, Page, SourceDetail, Status, TrashedFile, routes,
};
use jiff::tz::TimeZone;
use maud::Markup;
use tokio::time::Instant;

pub(crate) use self::shell::alone;
use crate::gate::Session;
use crate::serve::Site;
use crate::socket::Socket;
use crate::throughput::Moved;

/// Lines of a log that are shown at once.
const LOG_LINES: usize = 100;
/// Lines of a log beside a folder.
const LOG_GLANCE: usize = 8;
/// Files of the trash that are shown at once.
const TRASH_LINES: usize = 200;

/// What a person looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// Every folder, what is in flight, the throughput.
    Overview,
    /// All that waits for the user.
    Attention,
    /// One folder.
    Folder(String),
    /// What can be had back.
    Trash { folder: String, after: u64 },
    /// One path: how it stands, and its versions.
    File { folder: String, path: String },
    /// What happened: the newest, or after an event.
    Log { folder: String, after: Option<u64> },
    /// The services files are brought from.
    Sources,
    /// Limits, device, account.
    Settings,
}

impl View {
    /// Reads what [`View::href`] wrote.
    pub(crate) fn read(href: &str) -> Option<Self> {
        let (name, query) = href.split_once('?').unwrap_or((href, ""));
        Self::of(name, query)
    }

    fn of(name: &str, query: &str) -> Option<Self> {
        let parameter = |name: &str| {
            let mut all = form_urlencoded::parse(query.as_bytes());
            all.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let folder = || parameter("folder");
        let after = || parameter("after").map(|after| after.parse()).transpose().ok();
        Some(match name {
            "" => Self::Overview,
            "attention" => Self::Attention,
            "folder" => Self::Folder(folder()?),
            "trash" => Self::Trash { folder: folder()?, after: after()?.unwrap_or(0) },
            "file" => Self::File { folder: folder()?, path: parameter("path")? },
            "log" => Self::Log { folder: folder()?, after: after()? },
            "sources" => Self::Sources,
            "settings" => Self::Settings,
            _ => return None,
        })
    }

    /// The view as a link, relative to the page's own path.
    pub(crate) fn href(&self) -> String {
        let with = |name: &str, parameters: &[(&str, &str)]| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            format!("{name}?{}", query.extend_pairs(parameters).finish())
        };
        match self {
            Self::Overview => String::new(),
            Self::Attention => "attention".to_owned(),
            Self::Folder(label) => with("folder", &[("folder", label)]),
            Self::Trash { folder, after: 0 } => with("trash", &[("folder", folder)]),
            Self::Trash { folder, after } => with("trash", &[("folder", folder), ("after", &after.to_string())]),
            Self::File { folder, path } => with("file", &[("folder", folder), ("path", path)]),
            Self::Log { folder, after: None } => with("log", &[("folder", folder)]),
            Self::Log { folder, after: Some(after) } => {
                with("log", &[("folder", folder), ("after", &after.to_string())])
            }
            Self::Sources => "sources".to_owned(),
            Self::Settings => "settings".to_owned(),
        }
    }
}

/// What a view shows, as the socket gave it.
enum Body {
    Overview(Vec<Moved>),
    Attention(Vec<FolderDetail>),
    Folder { detail: Box<FolderDetail>, log: Vec<LogEvent> },
    Trash { folder: String, after: u64, files: Page<TrashedFile> },
    File { folder: String, explained: Box<Explanation>, history: History },
    Log { folder: String, after: Option<u64>, events: Page<LogEvent> },
    Sources(Vec<SourceDetail>),
    Settings(Limits),
}

async fn load(site: &Site, view: &View, status: &Status) -> Result<Body, ApiError> {
    let socket = &site.socket;
    Ok(match view {
        View::Overview => Body::Overview(site.throughput.slots(Instant::now())),
        View::Attention => {
            let asked = status
                .folders
                .iter()
                .filter(|folder| words::wants(folder) > 0)
                .map(|folder| async move { socket.get::<FolderDetail>(&routes::folder(&folder.label)).await });
            Body::Attention(join_all(asked).await.into_iter().collect::<Result<_, _>>()?)
        }
        View::Folder(label) => Body::Folder {
            detail: socket.get(&routes::folder(label)).await?,
            log: newest(socket, label, LOG_GLANCE).await.unwrap_or_default(),
        },
        View::Trash { folder, after } => {
            let files = socket.get(&routes::trash(folder, *after, TRASH_LINES)).await?;
            Body::Trash { folder: folder.clone(), after: *after, files }
        }
        View::File { folder, path } => Body::File {
            folder: folder.clone(),
            explained: socket.get(&routes::explain(folder, path)).await?,
            history: socket.get(&routes::history(folder, path)).await?,
        },
        View::Log { folder, after } => {
            let route = match after {
                None => routes::recent_log(folder, LOG_LINES),
                Some(after) => routes::log(folder, *after, LOG_LINES),
            };
            Body::Log { folder: folder.clone(), after: *after, events: socket.get(&route).await? }
        }
        View::Sources => {
            let asked = status
                .sources
                .iter()
                .map(|source| async move { socket.get::<SourceDetail>(&routes::source(&source.name)).await });
            Body::Sources(join_all(asked).await.into_iter().collect::<Result<_, _>>()?)
        }
        View::Settings => Body::Settings(socket.get(routes::LIMITS).await?),
    })
}

async fn newest(socket: &Socket, label: &str, lines: usize) -> Result<Vec<LogEvent>, ApiError> {
    Ok(socket.get::<Page<LogEvent>>(&routes::recent_log(label, lines)).await?.items)
}

/// What every part is drawn with.
struct Pen<'p> {
    /// Where a form's action leads back to.
    back: String,
    /// The session's token.
    token: String,
    zone: &'p TimeZone,
}

/// One part of a page.
pub(crate) struct Part {
    pub(crate) id: &'static str,
    pub(crate) markup: Markup,
}

impl Part {
    fn new(id: &'static str, markup: Markup) -> Self {
        Self { id, markup }
    }

    /// The same for the same HTML.
    pub(crate) fn version(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.markup.0.hash(&mut hasher);
        format!("{:x}", hasher.finish())
    }
}

/// A view, drawn.
pub(crate) struct Drawn {
    pub(crate) parts: Vec<Part>,
    /// One sentence for those who listen.
    pub(crate) said: String,
    pub(crate) title: String,
    wrong: Option<StatusCode>,
}

/// Asks the socket and draws.
pub(crate) async fn draw(site: &Site, view: &View, session: &Session) -> Drawn {
    let pen = Pen { back: view.href(), token: session.token(), zone: &site.zone };
    let status = match site.socket.get::<Status>(routes::STATUS).await {
        Ok(status) => status,
        Err(error) => return shell::nothing(&error),
    };
    let body = load(site, view, &status).await;
    pen.drawn(view, &status, body)
}

impl Pen<'_> {
    /// Pure: what is shown follows from the arguments alone.
    fn drawn(&self, view: &View, status: &Status, body: Result<Body, ApiError>) -> Drawn {
        let mut parts = vec![
            Part::new("badge", shell::badge(status)),
            Part::new("server", shell::server(status)),
            Part::new("unlock", self.unlock(status)),
        ];
        let mut wrong = None;
        match body {
            Ok(Body::Overview(moved)) => parts.extend(self.overview(status, &moved)),
            Ok(Body::Attention(details)) => parts.extend(self.attention(status, &details)),
            Ok(Body::Folder { detail, log }) => parts.extend(self.folder(&detail, &log)),
            Ok(Body::Trash { folder, after, files }) => parts.extend(self.trash(&folder, after, &files)),
            Ok(Body::File { folder, explained, history }) => parts.extend(self.file(&folder, &explained, &history)),
            Ok(Body::Log { folder, after, events }) => parts.extend(self.log(&folder, after, &events)),
            Ok(Body::Sources(details)) => parts.extend(self.sources(&details)),
            Ok(Body::Settings(limits)) => parts.extend(self.settings(status, &limits)),
            Err(error) => {
                wrong = StatusCode::from_u16(error.code.status()).ok();
                parts.push(Part::new("wrong", shell::wrong(&error)));
            }
        }
        let heading = shell::heading(view);
        let wanted = words::all_wants(status);
        let mark = if wanted > 0 { format!("({wanted}) ") } else { String::new() };
        Drawn { parts, said: words::said(status), title: format!("{mark}{heading} · hcfs"), wrong }
    }
}

/// `GET /`
pub(crate) async fn overview(State(site): State<Arc<Site>>, Extension(session): Extension<Session>) -> Response {
    shown(&site, &View::Overview, &session).await
}

/// `GET {name}`
pub(crate) async fn named(
    State(site): State<Arc<Site>>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    match View::of(&name, query.as_deref().unwrap_or_default()) {
        Some(view) => shown(&site, &view, &session).await,
        None => alone(StatusCode::NOT_FOUND, "There is no such page", "Go back to the overview.", Some(&site.at(""))),
    }
}

async fn shown(site: &Site, view: &View, session: &Session) -> Response {
    let drawn = draw(site, view, session).await;
    let status = drawn.wrong.unwrap_or(StatusCode::OK);
    let notice = site.gate.hear(session, Instant::now());
    (status, Html(shell::document(view, &drawn, notice.as_ref(), &session.token()).into_string())).into_response()
}
