//! What is wrong, and its resolution: problems, conflicts, holds.

use hcfs_api::{
    Conflict, Done, ErrorCode, ExitCode, Folder, Hold, Problem, Resolution, ResolveRequest, SettleHoldRequest, routes,
};
use hcfs_model::FolderLabel;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ended, Session, listed};
use crate::args::{
    AnsweredHold, ConflictCommand, ConflictsOptions, HoldCommand, HoldsOptions, ProblemsOptions, ResolvedConflict,
};
use crate::error::CliError;
use crate::render;

/// An element of a list over several folders.
#[derive(Serialize)]
pub(super) struct InFolder<'l, T> {
    folder: &'l str,
    #[serde(flatten)]
    item: &'l T,
}

pub(super) fn in_folders<T>(items: &[(String, T)]) -> Vec<InFolder<'_, T>> {
    items.iter().map(|(folder, item)| InFolder { folder, item }).collect()
}

/// What folders have to tell, and what kept one of them from telling.
pub(super) struct Gathered<T> {
    pub(super) items: Vec<(String, T)>,
    failed: Option<CliError>,
}

impl<T> Gathered<T> {
    /// After everything was shown: the failure, if there was one.
    pub(super) fn end(self) -> Ended {
        self.failed.map_or(Ok(ExitCode::Done), Err)
    }
}

impl Session<'_> {
    pub(super) async fn folders_of(&self, label: Option<&FolderLabel>) -> Result<Vec<Folder>, CliError> {
        self.chosen(label.map(std::slice::from_ref).unwrap_or_default()).await
    }

    /// A list of each folder. One folder that cannot tell does not hide what the others have to say.
    pub(super) async fn gathered<T: DeserializeOwned>(
        &self,
        folders: &[Folder],
        route: impl Fn(&str, u64, usize) -> String,
    ) -> Result<Gathered<T>, CliError> {
        let mut gathered = Gathered { items: Vec::new(), failed: None };
        for folder in folders {
            let label = &folder.label;
            match self.client.pages(|after, limit| route(label, after, limit)).await {
                Ok(items) => gathered.items.extend(items.into_iter().map(|item| (label.clone(), item))),
                Err(error @ CliError::NoDaemon { .. }) => return Err(error),
                Err(error) => gathered.failed = gathered.failed.or(Some(error)),
            }
        }
        Ok(gathered)
    }

    pub(super) async fn problems(&mut self, options: &ProblemsOptions) -> Ended {
        let folders = self.folders_of(options.label.as_ref()).await?;
        let (troubled, well): (Vec<Folder>, Vec<Folder>) =
            folders.into_iter().partition(|folder| folder.trouble.is_some());
        let mut gathered: Gathered<Problem> = self.gathered(&well, routes::problems).await?;
        for folder in troubled {
            // What keeps a whole folder from working may also keep it from telling more: then it was told.
            let more = self.gathered(std::slice::from_ref(&folder), routes::problems).await?;
            let trouble = folder.trouble.map(|trouble| Problem {
                path: None,
                code: trouble.code.as_str().to_owned(),
                message: trouble.message,
                hint: trouble.hint,
            });
            gathered.items.extend(trouble.map(|problem| (folder.label, problem)));
            gathered.items.extend(more.items);
        }
        // Each folder's problems stay in their order.
        gathered.items.sort_by(|(one, _), (other, _)| one.cmp(other));
        let items = &gathered.items;
        self.print(&listed("problems", in_folders(items))?, |terminal| render::problems(items, terminal.look()))?;
        gathered.end()
    }

    pub(super) async fn conflicts(&mut self, options: &ConflictsOptions) -> Ended {
        let folders = self.folders_of(options.label.as_ref()).await?;
        let gathered: Gathered<Conflict> = self.gathered(&folders, routes::conflicts).await?;
        if let Some(ConflictCommand::Resolve(resolved)) = &options.command {
            return self.resolve(resolved, gathered).await;
        }
        let items = &gathered.items;
        self.print(&listed("conflicts", in_folders(items))?, |terminal| {
            render::conflicts(items, terminal.now(), terminal.look())
        })?;
        gathered.end()
    }

    async fn resolve(&mut self, resolved: &ResolvedConflict, gathered: Gathered<Conflict>) -> Ended {
        let path = resolved.path.as_str();
        let meant = |conflict: &Conflict| conflict.path == path || conflict.copy.as_deref() == Some(path);
        let found: Vec<&(String, Conflict)> = gathered.items.iter().filter(|(_, conflict)| meant(conflict)).collect();
        let Some((folder, first)) = found.first() else {
            let none = hcfs_api::ApiError::new(
                ErrorCode::NotFound,
                format!("\"{path}\" has no conflict"),
                "see `hcfs conflicts` for those that are open",
            );
            return Err(gathered.failed.unwrap_or(none.into()));
        };
        if found.iter().any(|(other, _)| other != folder) {
            let message = format!("\"{path}\" has a conflict in several folders");
            return Err(CliError::usage(message, "name one with --label"));
        }
        for (_, conflict) in &found {
            let request = ResolveRequest { resolution: resolved.resolution };
            self.client.post_json::<Done>(&routes::conflict(folder, conflict.id), &request).await?;
        }
        let outcome = match resolved.resolution {
            Resolution::KeepLocal => "this device's version is kept",
            Resolution::AcceptRemote => "the server's version is kept",
            Resolution::KeepBoth => "both versions are kept",
            Resolution::Skip => "neither version is touched",
        };
        let text = format!("{}: {outcome}", first.path);
        self.done(&text)
    }

    pub(super) async fn holds(&mut self, options: &HoldsOptions) -> Ended {
        match options.command {
            None => {}
            Some(HoldCommand::Accept(AnsweredHold { id })) => return self.settle(options, id, true).await,
            Some(HoldCommand::Restore(AnsweredHold { id })) => return self.settle(options, id, false).await,
        }
        let folders = self.folders_of(options.label.as_ref()).await?;
        let gathered: Gathered<Hold> = self.gathered(&folders, routes::holds).await?;
        let items = &gathered.items;
        self.print(&listed("holds", in_folders(items))?, |terminal| {
            render::holds(items, terminal.now(), terminal.look())
        })?;
        gathered.end()
    }

    async fn settle(&mut self, options: &HoldsOptions, id: u64, accept: bool) -> Ended {
        let label = self.one_label(options.label.as_ref()).await?;
        if accept {
            let holds: Vec<Hold> = self.client.pages(|after, limit| routes::holds(&label, after, limit)).await?;
            let hold = holds.into_iter().find(|hold| hold.id == id).ok_or_else(|| {
                let message = format!("no hold with number {id}");
                hcfs_api::ApiError::new(ErrorCode::NotFound, message, "see `hcfs holds` for those that are open")
            })?;
            if !self.options.yes && (self.terminal.asks() || !self.options.json) {
                let text = render::hold_question(&hold, self.terminal.err_look());
                self.terminal.err(&text);
            }
            let (what, question) = render::hold_asked(&hold);
            self.confirm(&what, &question).await?;
        }
        self.client.post_json::<Done>(&routes::hold(&label, id), &SettleHoldRequest { accept }).await?;
        let outcome = if accept { "what was held happens" } else { "the files come back" };
        self.done(&format!("{label}: hold {id}: {outcome}"))
    }
}
