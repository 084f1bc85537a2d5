//! Browsing, searching and counting files by the names that clients share.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_model::RelPath;
use hcfs_wire::{
    Browse, BrowseFolder, BrowseQuery, ErrorCode, FolderEntries, PathError, PathReason, RegisterPaths, RegisteredPaths,
    SearchFiles, SearchHit, SearchQuery, SourceSummary, limits,
};
use http::StatusCode;

use super::listing::entry;
use crate::answer::{Answer, Failure, json, success};
use crate::body::read_json;
use crate::caller::{Caller, Parameters, Segments};
use crate::kind;
use crate::metadata::FolderKey;
use crate::metadata::name::{PathOutcome, Search, SortBy, Wanted};
use crate::stores::Stores;

/// A page of a directory: its directories, with what lies below each, then its files.
pub(super) async fn browse(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash)): Segments<(String, String)>,
    Parameters(query): Parameters<BrowseQuery>,
) -> Answer {
    let key = caller.folder(&ss58, &folder_hash)?;
    let directory = directory(query.path.as_deref().unwrap_or_default())?;
    let descending = query.sort_order.as_deref() == Some("desc");
    let sort_by = sort_by(query.sort_by.as_deref()).unwrap_or(SortBy::Name);
    let mut wanted = Wanted {
        extensions: extensions(query.file_type.as_deref())?,
        sort_by,
        descending,
        offset: query.offset.unwrap_or(0),
        limit: rows(query.limit, limits::DEFAULT_BROWSE_ROWS),
    };
    // All files of an account are its own uploads.
    if query.uploaded_by.is_some_and(|uploader| uploader != caller.account.as_str()) {
        wanted.extensions = Some(Vec::new());
    }
    let (offset, limit) = (wanted.offset, wanted.limit);
    let page = stores.metadata.browse(key.clone(), directory.clone(), wanted).await?;
    let received = (page.folders.len() + page.files.len()) as u64;
    let folders = page.folders.into_iter().map(|folder| BrowseFolder {
        name: folder.name,
        file_count: folder.file_count,
        total_bytes: folder.total_bytes,
    });
    Ok(success(Browse {
        ss58_address: key.account,
        folder_hash: key.folder,
        path: directory,
        folders: folders.collect(),
        files: page.files.into_iter().map(entry).collect(),
        total_count: page.total,
        has_more: received > 0 && offset.saturating_add(received) < page.total,
        offset,
        limit,
    }))
}

/// A page of the files whose name holds a text. A text that is too short finds nothing.
pub(super) async fn search(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(ss58): Segments<String>,
    Parameters(query): Parameters<SearchQuery>,
) -> Answer {
    let account = caller.account(&ss58)?;
    let text = query.q.as_deref().unwrap_or_default();
    if text.chars().count() > limits::MAX_SEARCH_CHARS {
        let message = format!("a search text has at most {} characters", limits::MAX_SEARCH_CHARS);
        return Err(Failure::new(ErrorCode::QTooLong, message));
    }
    let known = sort_by(query.sort_by.as_deref());
    let wanted = Wanted {
        extensions: extensions(query.file_type.as_deref())?,
        sort_by: known.unwrap_or(SortBy::Created),
        descending: known.is_none() || query.sort_order.as_deref() != Some("asc"),
        offset: query.offset.unwrap_or(0),
        limit: rows(query.limit, limits::DEFAULT_SEARCH_ROWS),
    };
    let (offset, limit) = (wanted.offset, wanted.limit);
    let text = text.trim().to_lowercase();
    let page = if text.chars().count() < limits::MIN_SEARCH_CHARS {
        crate::metadata::name::SearchPage::default()
    } else {
        let search = Search {
            text,
            size: query.size_min.unwrap_or(0)..=query.size_max.unwrap_or(u64::MAX),
            created: query.date_from.unwrap_or(i64::MIN)..=query.date_to.unwrap_or(i64::MAX),
            wanted,
        };
        stores.metadata.search(account.clone(), search).await?
    };
    let received = page.hits.len() as u64;
    let files = page.hits.into_iter().map(|hit| SearchHit {
        folder_hash: if FolderKey::is_gateway(hit.folder) { String::new() } else { hit.folder.to_hex() },
        folder_label: hit.label.unwrap_or_default(),
        file: entry(hit.file),
    });
    Ok(success(SearchFiles {
        ss58_address: account,
        files: files.collect(),
        total_count: page.total,
        has_more: received > 0 && offset.saturating_add(received) < page.total,
        offset,
        limit,
    }))
}

/// Tells the paths of files that were uploaded without; always a success, with what became of each.
pub(super) async fn register_paths(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash)): Segments<(String, String)>,
    body: Body,
) -> Answer {
    let key = caller.folder(&ss58, &folder_hash)?;
    let request: RegisterPaths = read_json(body, limits::MAX_PATHS_BODY).await?;
    if request.entries.len() > limits::MAX_PATH_ENTRIES {
        let message =
            format!("{} paths were sent, and at most {} are taken", request.entries.len(), limits::MAX_PATH_ENTRIES);
        return Err(Failure::new(ErrorCode::BatchTooLarge, message));
    }
    let mut answer = RegisteredPaths::default();
    let mut paths = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        if RelPath::new(&entry.relative_path).is_ok() {
            paths.push((entry.path_hash, entry.relative_path));
        } else {
            answer.errors.push(PathError { path_hash: entry.path_hash, reason: PathReason::InvalidPath });
        }
    }
    let files: Vec<_> = paths.iter().map(|(file, _)| *file).collect();
    let outcomes = stores.metadata.register_paths(key, paths).await?;
    for (path_hash, outcome) in files.into_iter().zip(outcomes) {
        let reason = match outcome {
            PathOutcome::Updated => {
                answer.updated += 1;
                continue;
            }
            PathOutcome::Skipped => {
                answer.skipped += 1;
                continue;
            }
            PathOutcome::NotFound => PathReason::NotFound,
            PathOutcome::Mismatch => PathReason::PathMismatch,
        };
        answer.errors.push(PathError { path_hash, reason });
    }
    Ok(success(answer))
}

/// The empty directories of a folder. No endpoint of the protocol makes one, so there are none.
pub(super) async fn folder_entries(
    caller: Caller,
    Segments((ss58, folder_hash)): Segments<(String, String)>,
) -> Answer {
    caller.folder(&ss58, &folder_hash)?;
    Ok(json(StatusCode::OK, &FolderEntries::default()))
}

/// An account's files by kind. A file whose name is not known is of another kind than those that have a name.
pub(super) async fn file_types(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(ss58): Segments<String>,
) -> Answer {
    let account = caller.account(&ss58)?;
    let counts = stores.metadata.by_extension(account.clone()).await?;
    let all = stores.metadata.summary(account).await?;
    Ok(success(kind::summary(&counts, all.file_count, all.total_bytes)))
}

/// An account's files by the family of clients that sent them.
pub(super) async fn sources(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(ss58): Segments<String>,
) -> Answer {
    let account = caller.account(&ss58)?;
    let mut summary = SourceSummary::default();
    for count in stores.metadata.by_source(account).await? {
        let (files, bytes) = match count.kind.as_deref() {
            Some("desktop") => (&mut summary.desktop, &mut summary.desktop_bytes),
            Some("console") => (&mut summary.console, &mut summary.console_bytes),
            Some("mobile") => (&mut summary.mobile, &mut summary.mobile_bytes),
            _ => (&mut summary.other, &mut summary.other_bytes),
        };
        *files += count.files;
        *bytes += count.bytes;
    }
    Ok(success(summary))
}

/// A directory as it is stored: slashes at its ends say nothing.
fn directory(path: &str) -> Result<String, Failure> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(String::new());
    }
    let path = RelPath::new(path).map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(path.as_str().to_owned())
}

fn extensions(file_type: Option<&str>) -> Result<Option<Vec<String>>, Failure> {
    let Some(file_type) = file_type.filter(|file_type| !file_type.is_empty()) else { return Ok(None) };
    match kind::extensions(file_type) {
        Some(extensions) => Ok(Some(extensions)),
        None => Err(Failure::new(
            ErrorCode::InvalidFileType,
            "file_type is a list of image, video, audio, document, pdf, archive, code or .ext",
        )),
    }
}

fn sort_by(text: Option<&str>) -> Option<SortBy> {
    match text? {
        "name" | "file_name" | "relative_path" => Some(SortBy::Name),
        "size" | "size_bytes" => Some(SortBy::Size),
        "created_at" => Some(SortBy::Created),
        "updated_at" => Some(SortBy::Updated),
        _ => None,
    }
}

fn rows(asked: Option<u32>, default: u32) -> u64 {
    u64::from(asked.unwrap_or(default).clamp(1, limits::MAX_BROWSE_ROWS))
}
