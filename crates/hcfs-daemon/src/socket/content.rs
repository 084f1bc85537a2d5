//! The content of files on the server: read, written and deleted without a copy in the folder.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path as FilePath, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use hcfs_api::{ApiError, ErrorCode};
use hcfs_engine::RemoteFile;
use hcfs_model::blob;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use super::Served;
use super::answer::{Answer, Failure, Params, done};
use super::folders::{rel_path, running};
use super::guard::owner_alone;
use crate::place::{PlaceError, private_dir};
use crate::view;

pub(super) fn routes() -> Router<Served> {
    // The body of a PUT is the file itself: it goes to the disk as it comes, and is bounded there.
    Router::new()
        .route("/content", get(read).put(write).delete(remove))
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(owner_alone))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    #[serde(default)]
    replace: bool,
}

/// `GET …/content?path=`: the plaintext, or the part a `Range` names. A body that ends before its announced length was
/// broken off because what followed could not be verified.
async fn read(
    State(served): State<Served>,
    Path(folder): Path<String>,
    Params(Named { path }): Params<Named>,
    headers: HeaderMap,
) -> Answer {
    let path = rel_path(&path)?;
    let handle = running(&served, &folder).await?;
    let refused = |error| Failure(view::command_error(error));
    let asked = headers.get(header::RANGE).and_then(Asked::parse);
    let bytes = match asked {
        None => None,
        Some(asked) => {
            // Nothing but the file's size: a range must end inside it.
            let size = handle.read(path.clone(), Some(0..0)).await.map_err(refused)?.size;
            Some(asked.within(size).ok_or_else(|| unsatisfiable(size))?)
        }
    };
    let RemoteFile { size, content } = handle.read(path.clone(), bytes.clone()).await.map_err(refused)?;
    if bytes.as_ref().is_some_and(|bytes| bytes.end > size) {
        let message = format!("\"{path}\" changed while it was looked at");
        return Err(Failure(ApiError::new(ErrorCode::Conflict, message, "ask again")));
    }
    let length = bytes.as_ref().map_or(size, |bytes| bytes.end - bytes.start);
    let pieces = stream::unfold(content, |mut content| async move {
        let piece = content.recv().await?;
        Some((piece.map_err(|error| io::Error::other(error.to_string())), content))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(Range { start, end }) = bytes {
        let range = format!("bytes {start}-{}/{size}", end - 1);
        head.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).map_err(|_| fault())?);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// One range of a `Range` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// `a-b`, both included.
    Between(u64, u64),
    /// `a-`.
    From(u64),
    /// `-n`.
    Last(u64),
}

impl Asked {
    /// A header that is not exactly one range of bytes is no range: the whole file is then the right answer (RFC 9110
    /// §14.2).
    fn parse(value: &HeaderValue) -> Option<Self> {
        let (first, last) = value.to_str().ok()?.trim().strip_prefix("bytes=")?.split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", last) => last.parse().ok().map(Self::Last),
            (first, "") => first.parse().ok().map(Self::From),
            (first, last) => {
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The bytes of a file of `size` bytes; `None` where there is none of them.
    fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Between(first, last) => first..last.saturating_add(1).min(size),
            Self::From(first) => first..size,
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

fn unsatisfiable(size: u64) -> Failure {
    let message = format!("the range lies outside the file, which has {size} bytes");
    Failure(ApiError::new(ErrorCode::BadRange, message, "ask for bytes inside the file"))
}

fn fault() -> Failure {
    Failure(ApiError::new(ErrorCode::Internal, "the answer could not be written", "the daemon's log says more"))
}

/// `PUT …/content?path=&replace=`: the body becomes the file.
async fn write(
    State(served): State<Served>,
    Path(folder): Path<String>,
    Params(Written { path, replace }): Params<Written>,
    body: Body,
) -> Answer {
    let path = rel_path(&path)?;
    let handle = running(&served, &folder).await?;
    let directory = incoming(&served.supervisor.paths().state);
    let file = tokio::task::spawn_blocking(move || nameless(&directory)).await.map_err(|_| fault())??;
    let mut file = tokio::fs::File::from_std(file);
    let mut body = body.into_data_stream();
    let mut length = 0_u64;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| {
            let message = "the body of the request broke off, and nothing was sent to the server";
            Failure::bad_request(message, "send it again")
        })?;
        length += piece.len() as u64;
        if length > blob::MAX_PLAINTEXT {
            let message = format!("\"{path}\" is larger than {} bytes", blob::MAX_PLAINTEXT);
            return Err(Failure(ApiError::new(ErrorCode::TooLarge, message, "send it in parts")));
        }
        file.write_all(&piece).await.map_err(|error| no_room(&error))?;
    }
    file.flush().await.map_err(|error| no_room(&error))?;
    let file = file.into_std().await;
    handle.put(path, file, replace).await.map_err(|error| Failure(view::command_error(error)))?;
    done()
}

/// Where bodies wait while they are sent on.
fn incoming(state: &FilePath) -> PathBuf {
    state.join("incoming")
}

/// Removes names that a daemon killed at a bad moment left.
pub(crate) fn sweep_incoming(state: &FilePath) {
    let Ok(entries) = std::fs::read_dir(incoming(state)) else { return };
    for entry in entries.flatten() {
        if let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::debug!("a left file cannot be removed: {error}");
        }
    }
}

/// A file that only this process can reach: plaintext lies in it, and it is gone with the process.
fn nameless(directory: &FilePath) -> Answer<File> {
    private_dir(directory).map_err(|error| Failure(crate::DaemonError::from(error).to_api()))?;
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|_| fault())?;
    let path = directory.join(hex::encode(random));
    let failed = |source| {
        let error = PlaceError::Io { path: path.clone(), source };
        Failure(crate::DaemonError::from(error).to_api())
    };
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(file)
}

fn no_room(error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
        _ => ErrorCode::Io,
    };
    let message = format!("the file cannot be kept while it is sent: {error}");
    Failure(ApiError::new(code, message, "free some space where the daemon's state is"))
}

/// `DELETE …/content?path=`.
async fn remove(
    State(served): State<Served>,
    Path(folder): Path<String>,
    Params(Named { path }): Params<Named>,
) -> Answer {
    let path = rel_path(&path)?;
    running(&served, &folder).await?.remove(path).await.map_err(|error| Failure(view::command_error(error)))?;
    done()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Option<Asked> {
        Asked::parse(&HeaderValue::from_str(text).unwrap())
    }

    #[test]
    fn ranges_are_read_and_cut_to_the_file() {
        for (text, size, range) in [
            ("bytes=0-0", 10, Some(0..1)),
            ("bytes=2-5", 10, Some(2..6)),
            ("bytes=2-500", 10, Some(2..10)),
            ("bytes=9-", 10, Some(9..10)),
            ("bytes=10-", 10, None),
            ("bytes=-3", 10, Some(7..10)),
            ("bytes=-30", 10, Some(0..10)),
            ("bytes=-0", 10, None),
            ("bytes=0-", 0, None),
            ("bytes=0-18446744073709551615", 10, Some(0..10)),
        ] {
            assert_eq!(asked(text).unwrap().within(size), range, "{text}");
        }
    }

    #[test]
    fn what_is_no_single_range_is_none() {
        for text in ["bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b"] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    #[test]
    fn a_body_waits_in_a_file_without_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let directory = incoming(dir.path());
        let file = nameless(&directory).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&file.metadata().unwrap()), 0);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        std::fs::write(directory.join("left"), "").unwrap();
        sweep_incoming(dir.path());
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    }
}
