//! What a source says of itself.

use std::collections::BTreeMap;

use hcfs_api as api;
use hcfs_model::UnixNanos;
use hcfs_sources::{Progress, Stage};
use hcfs_state::sources::{Brought, ItemProblem, Run};

use crate::config::SourceConfig;
use crate::view::millis;

/// A source as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    pub(crate) state: api::SourceState,
    pub(crate) trouble: Option<api::SourceTrouble>,
    pub(crate) files: u64,
    pub(crate) problems: u64,
    pub(crate) transfers: BTreeMap<String, Progress>,
    pub(crate) last_run: Option<Run>,
    pub(crate) next: Option<UnixNanos>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            state: api::SourceState::Waiting,
            trouble: None,
            files: 0,
            problems: 0,
            transfers: BTreeMap::new(),
            last_run: None,
            next: None,
        }
    }
}

impl Board {
    pub(crate) fn show(&self, name: &str, source: &SourceConfig) -> api::Source {
        api::Source {
            name: name.to_owned(),
            kind: source.service.kind(),
            into: source.into_text(),
            state: self.state,
            trouble: self.trouble.clone(),
            files: self.files,
            problems: self.problems,
            transfers: self.transfers.iter().map(|(item, progress)| transfer(item, progress)).collect(),
            last_run: self.last_run.as_ref().map(|run| api::SourceRun {
                began_at: millis(run.began),
                ended_at: run.ended.map(millis),
                brought: run.brought,
                unchanged: run.unchanged,
            }),
            next_run_at: self.next.map(millis),
        }
    }
}

fn transfer(item: &str, progress: &Progress) -> api::SourceTransfer {
    let (stage, percent) = match &progress.stage {
        Stage::Preparing { percent, .. } => ("preparing", *percent),
        Stage::Bringing => ("bringing", None),
        Stage::Verifying => ("verifying", None),
    };
    api::SourceTransfer {
        item: item.to_owned(),
        stage: stage.to_owned(),
        percent,
        done: progress.bytes,
        size: progress.total,
    }
}

pub(crate) fn problem(item: &str, problem: &ItemProblem) -> api::SourceProblem {
    api::SourceProblem {
        item: item.to_owned(),
        code: problem.failure.code.clone(),
        message: problem.failure.message.clone(),
        hint: problem.failure.hint.clone(),
        at: millis(problem.at),
        again_at: problem.again.map(millis),
    }
}

pub(crate) fn file(item: &str, brought: &Brought) -> api::SourceFile {
    api::SourceFile {
        item: item.to_owned(),
        path: brought.path.as_str().to_owned(),
        size: brought.size,
        hash: hex::encode(brought.hash),
        verified: brought.verified,
        at: millis(brought.at),
    }
}
