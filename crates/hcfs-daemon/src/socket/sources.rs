//! The routes of sources.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hcfs_api::{AddSource, Page, RunReply, RunSource, SCHEMA, SourceDetail, SourceTest};

use super::Served;
use super::answer::{Answer, Json, Params, done};
use super::folders::Part;
use crate::sources::Again;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/", get(detail).delete(remove))
        .route("/run", post(run))
        .route("/cancel", post(cancel))
        .route("/test", post(test))
        .route("/problems", get(problems))
        .route("/files", get(files))
}

pub(super) async fn list(State(served): State<Served>) -> Answer {
    let items = served.supervisor.source_list();
    Ok(Json(Page { schema: SCHEMA, items, next: None }).into_response())
}

pub(super) async fn add(State(served): State<Served>, Json(added): Json<AddSource>) -> Answer {
    served.supervisor.add_source(added).await?;
    done()
}

async fn remove(State(served): State<Served>, Path(name): Path<String>) -> Answer {
    served.supervisor.remove_source(name).await?;
    done()
}

async fn detail(State(served): State<Served>, Path(name): Path<String>) -> Answer {
    let source = served.supervisor.source(&name)?;
    // Without a ledger there is nothing to list; the source's trouble says so.
    let mut problems = served.supervisor.sources.problems(&name).await.unwrap_or_default();
    problems.truncate(SourceDetail::LISTED);
    Ok(Json(SourceDetail { schema: SCHEMA, source, problems }).into_response())
}

/// Answers when the run has ended, or when the time is over; the run then goes on.
async fn run(State(served): State<Served>, Path(name): Path<String>, Json(asked): Json<RunSource>) -> Answer {
    served.supervisor.source_config(&name)?;
    let again = match asked {
        RunSource { again_all: true, .. } => Again::Everything,
        RunSource { again, .. } if again.is_empty() => Again::Nothing,
        RunSource { again, .. } => Again::These(again),
    };
    let run = served.supervisor.sources.run(&name, again);
    let ended = match asked.timeout {
        None => {
            run.await?;
            true
        }
        Some(seconds) => match tokio::time::timeout(Duration::from_secs(seconds), run).await {
            Ok(ended) => ended.map(|()| true)?,
            Err(_) => false,
        },
    };
    let source = served.supervisor.source(&name)?;
    Ok(Json(RunReply { schema: SCHEMA, ended, source }).into_response())
}

async fn cancel(State(served): State<Served>, Path(name): Path<String>) -> Answer {
    served.supervisor.source_config(&name)?;
    served.supervisor.sources.cancel(&name).await?;
    done()
}

async fn test(State(served): State<Served>, Path(name): Path<String>) -> Answer {
    let source = served.supervisor.source_config(&name)?;
    let found = served.supervisor.sources.test(&source).await?;
    Ok(Json(SourceTest { schema: SCHEMA, found }).into_response())
}

async fn problems(State(served): State<Served>, Path(name): Path<String>, Params(part): Params<Part>) -> Answer {
    served.supervisor.source_config(&name)?;
    let problems = served.supervisor.sources.problems(&name).await?;
    // Items have no numbers: the place in the list stands for one.
    let numbered: Vec<_> = problems.iter().zip(1_u64..).collect();
    Ok(Json(part.of(&numbered, |(_, place)| *place, |(problem, _)| (*problem).clone())).into_response())
}

async fn files(State(served): State<Served>, Path(name): Path<String>, Params(part): Params<Part>) -> Answer {
    served.supervisor.source_config(&name)?;
    let files = served.supervisor.sources.files(&name).await?;
    let numbered: Vec<_> = files.iter().zip(1_u64..).collect();
    Ok(Json(part.of(&numbered, |(_, place)| *place, |(file, _)| (*file).clone())).into_response())
}
