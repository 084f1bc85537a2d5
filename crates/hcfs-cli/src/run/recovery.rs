//! What can be had back, and why a path stands as it does.

use std::collections::BTreeMap;
use std::path::Path;

use hcfs_api::{ApiError, Emptied, ErrorCode, Explanation, History, Restored, SCHEMA, TrashedFile, routes};
use hcfs_model::{FolderLabel, RelPath};
use serde_json::json;

use super::{Ended, Session, listed};
use crate::args::{AskedPath, RestoredFile, TrashCommand, TrashOptions};
use crate::error::CliError;
use crate::render;

impl Session<'_> {
    pub(super) async fn trash(&mut self, options: &TrashOptions) -> Ended {
        match &options.command {
            None | Some(TrashCommand::List) => self.list_trash(options).await,
            Some(TrashCommand::Restore(what)) => self.restore(what, options.label.as_ref()).await,
            Some(TrashCommand::Empty) => self.empty_trash(options).await,
        }
    }

    async fn list_trash(&mut self, options: &TrashOptions) -> Ended {
        let folders = self.folders_of(options.label.as_ref()).await?;
        let mut gathered = self.gathered::<TrashedFile>(&folders, routes::trash).await?;
        gathered.items.sort_by(|(_, one), (_, other)| (other.at, &other.id).cmp(&(one.at, &one.id)));
        let items = &gathered.items;
        self.print(&listed("trash", super::wrong::in_folders(items))?, |terminal| {
            render::trash(items, terminal.now(), terminal.look())
        })?;
        gathered.end()
    }

    /// Brings back one version, the newest one of a file, or that of every file of a directory.
    async fn restore(&mut self, wanted: &RestoredFile, label: Option<&FolderLabel>) -> Ended {
        let (label, what) = self.place_of(&wanted.what, label).await?;
        let entries: Vec<TrashedFile> = self.client.pages(|after, limit| routes::trash(&label, after, limit)).await?;
        let chosen = chosen(entries, what.trim_end_matches('/'));
        if chosen.is_empty() {
            let message = format!("\"{}\" is not in the trash of \"{label}\"", render::plain(&what));
            return Err(ApiError::new(ErrorCode::NotFound, message, "see `hcfs trash list`").into());
        }
        let mut restored: Vec<Restored> = Vec::with_capacity(chosen.len());
        for entry in &chosen {
            restored.push(self.client.post(&routes::restore(&label, &entry.id)).await?);
        }
        let json = json!({"schema": SCHEMA, "restored": restored});
        if !self.options.quiet || self.options.json {
            self.print(&json, |terminal| render::restored(&restored, terminal.look()))?;
        }
        Ok(hcfs_api::ExitCode::Done)
    }

    async fn empty_trash(&mut self, options: &TrashOptions) -> Ended {
        let label = self.one_label(options.label.as_ref()).await?;
        let entries: Vec<TrashedFile> = self.client.pages(|after, limit| routes::trash(&label, after, limit)).await?;
        let files = render::many(entries.len() as u64, "file");
        let size = render::bytes(entries.iter().map(|entry| entry.size).sum());
        let what = format!("to remove {files} ({size}) for good");
        let question = format!("Remove {files} ({size}) from the trash of \"{label}\" for good?");
        self.confirm(&what, &question).await?;
        let gone: Emptied = self.client.delete_json(&routes::whole_trash(&label)).await?;
        let text = format!("{label}: {} gone for good\n", render::many(gone.files, "file"));
        if !self.options.quiet || self.options.json {
            self.print(&gone, |_| text)?;
        }
        Ok(hcfs_api::ExitCode::Done)
    }

    pub(super) async fn history(&mut self, asked: &AskedPath) -> Ended {
        let (label, path) = self.place_of(&asked.path, asked.label.as_ref()).await?;
        let history: History = self.client.get(&routes::history(&label, &path)).await?;
        self.print(&history, |terminal| render::history(&history, terminal.now(), terminal.look()))?;
        Ok(hcfs_api::ExitCode::Done)
    }

    pub(super) async fn explain(&mut self, asked: &AskedPath) -> Ended {
        let (label, path) = self.place_of(&asked.path, asked.label.as_ref()).await?;
        let explanation: Explanation = self.client.get(&routes::explain(&label, &path)).await?;
        self.print(&explanation, |terminal| {
            render::explanation(&label, &explanation, terminal.now(), terminal.look())
        })?;
        Ok(hcfs_api::ExitCode::Done)
    }

    /// The folder and the path in it that a text means: one that starts with `/` says both.
    async fn place_of(&self, text: &str, label: Option<&FolderLabel>) -> Result<(String, String), CliError> {
        if !text.starts_with('/') {
            return Ok((self.one_label(label).await?, text.to_owned()));
        }
        for folder in self.folders_of(label).await? {
            if let Ok(inside) = Path::new(text).strip_prefix(&folder.path)
                && let Some(inside) = inside.to_str()
            {
                return Ok((folder.label, inside.to_owned()));
            }
        }
        Err(CliError::usage(format!("\"{text}\" lies in no folder"), "see `hcfs folder list` for the folders"))
    }
}

/// What a text means: an id, else the newest version of a file, else of every file below a directory.
fn chosen(entries: Vec<TrashedFile>, what: &str) -> Vec<TrashedFile> {
    if let Some(entry) = entries.iter().find(|entry| entry.id == what) {
        return vec![entry.clone()];
    }
    let directory = RelPath::new(what).ok();
    let is_below = |path: &str| {
        RelPath::new(path).ok().zip(directory.as_ref()).is_some_and(|(path, directory)| path.is_below(directory))
    };
    // They come the oldest first: the last of a path is its newest.
    let mut newest: BTreeMap<String, TrashedFile> = BTreeMap::new();
    let is_file = entries.iter().any(|entry| entry.path == what);
    for entry in entries {
        if if is_file { entry.path == what } else { is_below(&entry.path) } {
            newest.insert(entry.path.clone(), entry);
        }
    }
    newest.into_values().collect()
}
