//! The routes of one folder.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use hcfs_api::{
    AddFolder, ApiError, ErrorCode, FolderDetail, LogEvent, MoveRequest, Page, Plan, ResolveRequest, SCHEMA,
    SettleHoldRequest, SyncReply,
};
use hcfs_engine::FolderHandle;
use hcfs_model::{FolderLabel, RelPath};
use serde::Deserialize;

use super::answer::{Answer, Failure, Json, Params, done};
use super::{Served, content, recovery};
use crate::config::{Config, FolderEntry};
use crate::view;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/", get(detail).delete(remove))
        .route("/scan", post(scan))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/sync", post(sync))
        .route("/plan", get(plan))
        .route("/problems", get(problems))
        .route("/conflicts", get(conflicts))
        .route("/conflicts/{id}", post(resolve))
        .route("/holds", get(holds))
        .route("/holds/{id}", post(settle_hold))
        .route("/log", get(log))
        .route("/files", get(files))
        .route("/move", post(rename))
        .merge(content::routes())
        .merge(recovery::routes())
}

/// The label in the route.
pub(super) fn label(text: &str) -> Answer<FolderLabel> {
    FolderLabel::new(text).map_err(|error| {
        let message = format!("\"{}\" is no folder's label: {error}", text.escape_debug());
        Failure::bad_request(message, "see `hcfs folder list`")
    })
}

/// A path of a request.
pub(super) fn rel_path(text: &str) -> Answer<RelPath> {
    RelPath::new(text).map_err(|error| {
        let message = format!("\"{}\" is no path in a folder: {error}", text.escape_debug());
        Failure::bad_request(message, "give the path relative to the folder")
    })
}

pub(super) async fn running(served: &Served, text: &str) -> Answer<FolderHandle> {
    Ok(served.supervisor.running(&label(text)?).await?)
}

pub(super) fn refused(error: hcfs_engine::CommandError) -> Failure {
    Failure(view::command_error(error))
}

// --- the list of folders

pub(super) async fn add(State(served): State<Served>, Json(request): Json<AddFolder>) -> Answer {
    let path = Config::check_folder(&request.path).map_err(crate::DaemonError::from)?;
    let entry = FolderEntry { label: label(&request.label)?, path, mode: request.mode, ignore: request.ignore };
    served.supervisor.add(entry).await?;
    done()
}

async fn remove(State(served): State<Served>, Path(folder): Path<String>) -> Answer {
    served.supervisor.remove(label(&folder)?).await?;
    done()
}

// --- what is shown

async fn detail(State(served): State<Served>, Path(folder): Path<String>) -> Answer {
    let label = label(&folder)?;
    let mut detail = FolderDetail {
        schema: SCHEMA,
        folder: served.supervisor.folder(&label)?,
        problems: Vec::new(),
        conflicts: Vec::new(),
        holds: Vec::new(),
    };
    // A folder that does not run has only its state and its trouble to show.
    if let Ok(handle) = served.supervisor.keeper(&label).and_then(|keeper| keeper.handle()) {
        let most = FolderDetail::LISTED;
        detail.problems = handle.status().borrow().problems.iter().take(most).map(view::problem).collect();
        detail.conflicts = handle.conflicts().await.unwrap_or_default().iter().take(most).map(view::conflict).collect();
        detail.holds = handle.holds().await.unwrap_or_default().iter().take(most).map(view::hold).collect();
    }
    Ok(Json(detail).into_response())
}

/// Which part of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

impl Part {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(Page::<()>::DEFAULT).clamp(1, Page::<()>::MAX)
    }

    /// The part of a list whose elements have growing ids.
    pub(super) fn of<T, U>(&self, all: &[T], id: impl Fn(&T) -> u64, show: impl Fn(&T) -> U) -> Page<U> {
        let mut rest = all.iter().filter(|element| id(element) > self.after);
        let part: Vec<&T> = rest.by_ref().take(self.limit()).collect();
        let next = rest.next().and(part.last()).map(|last| id(last));
        Page { schema: SCHEMA, items: part.into_iter().map(show).collect(), next }
    }
}

async fn problems(State(served): State<Served>, Path(folder): Path<String>, Params(part): Params<Part>) -> Answer {
    let handle = running(&served, &folder).await?;
    let status = handle.status().borrow().clone();
    // Problems come and go with every cycle and have no ids: the place in the list stands for one.
    let numbered: Vec<_> = status.problems.iter().zip(1_u64..).collect();
    Ok(Json(part.of(&numbered, |(_, place)| *place, |(problem, _)| view::problem(problem))).into_response())
}

async fn conflicts(State(served): State<Served>, Path(folder): Path<String>, Params(part): Params<Part>) -> Answer {
    let mut all = running(&served, &folder).await?.conflicts().await.map_err(refused)?;
    all.sort_by_key(|conflict| conflict.id);
    Ok(Json(part.of(&all, |conflict| conflict.id, view::conflict)).into_response())
}

async fn holds(State(served): State<Served>, Path(folder): Path<String>, Params(part): Params<Part>) -> Answer {
    let mut all = running(&served, &folder).await?.holds().await.map_err(refused)?;
    all.sort_by_key(|hold| hold.id);
    Ok(Json(part.of(&all, |hold| hold.id, view::hold)).into_response())
}

/// Which part of the log: one after an event, or its end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogPart {
    after: Option<u64>,
    limit: Option<usize>,
    newest: Option<usize>,
}

async fn log(State(served): State<Served>, Path(folder): Path<String>, Params(part): Params<LogPart>) -> Answer {
    let label = label(&folder)?;
    let handle = served.supervisor.running(&label).await?;
    if let Some(newest) = part.newest {
        if part.after.is_some() || part.limit.is_some() {
            return Err(Failure::bad_request("`newest` stands alone", "leave out `after` and `limit`"));
        }
        let events = handle.recent_log(newest.clamp(1, Page::<()>::MAX)).await.map_err(refused)?;
        let items: Vec<LogEvent> = events.iter().map(|event| view::event(&label, event)).collect();
        return Ok(Json(Page { schema: SCHEMA, items, next: None }).into_response());
    }
    let part = Part { after: part.after.unwrap_or(0), limit: part.limit };
    // One more than asked for tells whether there is a next part.
    let events = handle.log(part.after, part.limit() + 1).await.map_err(refused)?;
    let page: Page<LogEvent> = part.of(&events, |event| event.id, |event| view::event(&label, event));
    Ok(Json(page).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: Option<usize>,
}

async fn plan(State(served): State<Served>, Path(folder): Path<String>, Params(most): Params<Limit>) -> Answer {
    let limit = most.limit.unwrap_or(Plan::DEFAULT_LIMIT).min(Plan::MAX_LIMIT);
    let plan = running(&served, &folder).await?.dry_run().await.map_err(refused)?;
    Ok(Json(view::plan(&plan, limit)).into_response())
}

// --- what is told

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    #[serde(default)]
    full: bool,
}

async fn scan(State(served): State<Served>, Path(folder): Path<String>, Params(scan): Params<Scan>) -> Answer {
    let handle = served.supervisor.retried(&label(&folder)?).await?;
    handle.scan(scan.full).await.map_err(refused)?;
    done()
}

async fn pause(State(served): State<Served>, Path(folder): Path<String>) -> Answer {
    running(&served, &folder).await?.pause().await.map_err(refused)?;
    done()
}

async fn resume(State(served): State<Served>, Path(folder): Path<String>) -> Answer {
    running(&served, &folder).await?.resume().await.map_err(refused)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Within {
    timeout: Option<u64>,
}

async fn sync(State(served): State<Served>, Path(folder): Path<String>, Params(within): Params<Within>) -> Answer {
    let label = label(&folder)?;
    let handle = served.supervisor.retried(&label).await?;
    let ended = match within.timeout {
        None => handle.sync().await.map(Some),
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), handle.sync())
            .await
            .map_or(Ok(None), |end| end.map(Some)),
    };
    let ended = ended.map_err(refused)?.is_some();
    let folder = served.supervisor.folder(&label)?;
    Ok(Json(SyncReply { schema: SCHEMA, ended, folder }).into_response())
}

async fn resolve(
    State(served): State<Served>,
    Path((folder, id)): Path<(String, String)>,
    Json(request): Json<ResolveRequest>,
) -> Answer {
    let id = number(&id, "conflict")?;
    let handle = running(&served, &folder).await?;
    handle.resolve(id, view::resolution(request.resolution)).await.map_err(refused)?;
    done()
}

async fn settle_hold(
    State(served): State<Served>,
    Path((folder, id)): Path<(String, String)>,
    Json(request): Json<SettleHoldRequest>,
) -> Answer {
    let id = number(&id, "hold")?;
    running(&served, &folder).await?.settle_hold(id, request.accept).await.map_err(refused)?;
    done()
}

fn number(text: &str, what: &str) -> Answer<u64> {
    text.parse().map_err(|_| {
        Failure(ApiError::new(
            ErrorCode::BadRequest,
            format!("\"{}\" is no {what}'s number", text.escape_debug()),
            format!("see `hcfs {what}s`"),
        ))
    })
}

async fn rename(State(served): State<Served>, Path(folder): Path<String>, Json(request): Json<MoveRequest>) -> Answer {
    let (from, to) = (rel_path(&request.from)?, rel_path(&request.to)?);
    running(&served, &folder).await?.rename(from, to).await.map_err(refused)?;
    done()
}

// --- the files on the server

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Below {
    below: Option<String>,
}

/// Bytes of a piece of the list of files.
const PIECE: usize = 64 * 1024;

async fn files(
    State(served): State<Served>,
    Path(folder): Path<String>,
    Params(Below { below }): Params<Below>,
) -> Answer {
    let below = below.filter(|below| !below.is_empty()).map(|below| rel_path(&below)).transpose()?;
    let files = running(&served, &folder).await?.list(below).await.map_err(refused)?;
    // In pieces: the text of a million files would be far larger than the list it is made of.
    let pieces = stream::unfold(files.into_iter(), |mut files| async move {
        let mut piece = BytesMut::new();
        for (path, entry) in files.by_ref() {
            if let Err(error) = serde_json::to_writer((&mut piece).writer(), &view::remote_file(&path, &entry)) {
                return Some((Err(error), files));
            }
            piece.put_u8(b'\n');
            if piece.len() >= PIECE {
                break;
            }
        }
        (!piece.is_empty()).then(|| (Ok::<Bytes, serde_json::Error>(piece.freeze()), files))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
