//! Renames, a batch at a time.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_model::RevisionId;
use hcfs_wire::{ErrorCode, RenameFailure, RenameFiles, RenameReason, RenameResult, Renamed, limits, verify_rename};

use crate::answer::{Answer, Failure, success};
use crate::body::read_json;
use crate::caller::Caller;
use crate::metadata::{self, FolderKey};
use crate::stores::{Stores, random};

/// Renames up to 1,000 files as one permutation; always a success, with what became of each.
pub(super) async fn rename(State(stores): State<Arc<Stores>>, caller: Caller, body: Body) -> Answer {
    let request: RenameFiles = read_json(body, limits::MAX_RENAME_BODY).await?;
    caller.must_be(&request.ss58_address)?;
    if request.renames.len() > limits::MAX_RENAMES {
        let message =
            format!("{} renames were sent, and at most {} are taken", request.renames.len(), limits::MAX_RENAMES);
        return Err(Failure::new(ErrorCode::BatchTooLarge, message));
    }
    verify_rename(&request)?;
    let mut batch = Vec::with_capacity(request.renames.len());
    let mut pairs = Vec::with_capacity(request.renames.len());
    for entry in request.renames {
        entry.check().map_err(|error| Failure::invalid(error.to_string()))?;
        pairs.push((entry.old_path_hash, entry.new_path_hash));
        batch.push(metadata::Rename {
            old: entry.old_path_hash,
            new: entry.new_path_hash,
            encrypted_path: entry.new_encrypted_path,
            file_name: entry.new_file_name,
            relative_path: entry.new_relative_path,
            base: entry.base_revision_id,
            revision_id: RevisionId(random()?),
        });
    }
    let folder = FolderKey { account: request.ss58_address, folder: request.folder_hash };
    let outcomes = stores.metadata.rename(folder, batch, stores.clock.seconds()).await?;
    let mut answer =
        RenameResult { status: "ok".to_owned(), renamed_count: 0, successes: Vec::new(), failures: Vec::new() };
    for ((old_path_hash, new_path_hash), outcome) in pairs.into_iter().zip(outcomes) {
        match outcome {
            Ok(revision) => answer.successes.push(Renamed {
                old_path_hash,
                new_path_hash,
                new_revision_id: revision.id,
                new_revision_seq: revision.seq,
            }),
            Err(failure) => answer.failures.push(RenameFailure { old_path_hash, reason: reason(failure) }),
        }
    }
    answer.renamed_count = answer.successes.len() as u64;
    Ok(success(answer))
}

fn reason(failure: metadata::RenameFailure) -> RenameReason {
    match failure {
        metadata::RenameFailure::NotFound => RenameReason::NotFound,
        metadata::RenameFailure::TargetExists => RenameReason::TargetExists,
        metadata::RenameFailure::RevisionMismatch => RenameReason::RevisionMismatch,
    }
}
