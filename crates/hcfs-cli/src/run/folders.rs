//! The list of folders.

use hcfs_api::{AddFolder, Done, ExitCode, routes};
use hcfs_model::FolderLabel;

use super::{Ended, FolderCommand, Session, labels_of, listed};
use crate::args::AddedFolder;
use crate::error::CliError;
use crate::render;

impl Session<'_> {
    pub(super) async fn folder(&mut self, command: &FolderCommand) -> Ended {
        match command {
            FolderCommand::Add(added) => self.add_folder(added).await,
            FolderCommand::List => {
                let folders = self.all_folders().await?;
                self.print(&listed("folders", &folders)?, |terminal| render::folders(&folders, terminal.look()))?;
                Ok(ExitCode::Done)
            }
            FolderCommand::Remove(named) => {
                let folders = self.chosen(&named.labels).await?;
                let question = format!("Stop keeping {} in step? The files stay on both sides.", labels_of(&folders));
                self.confirm("to stop keeping a folder in step", &question).await?;
                for folder in &folders {
                    self.client.delete(&routes::folder(&folder.label)).await?;
                }
                self.done(&format!("{}: no longer kept in step", labels_of(&folders)))
            }
            FolderCommand::Pause(named) => self.tell(&named.labels, routes::pause, "paused").await,
            FolderCommand::Resume(named) => self.tell(&named.labels, routes::resume, "resumed").await,
            FolderCommand::Scan(named) => {
                self.tell(&named.labels, |label| routes::scan(label, named.full), "is looked at").await
            }
        }
    }

    /// Tells each folder the same; none, if one of them does not exist.
    async fn tell(&mut self, labels: &[FolderLabel], route: impl Fn(&str) -> String, done: &str) -> Ended {
        let folders = self.chosen(labels).await?;
        for folder in &folders {
            self.client.post::<Done>(&route(&folder.label)).await?;
        }
        self.done(&format!("{}: {done}", labels_of(&folders)))
    }

    async fn add_folder(&mut self, added: &AddedFolder) -> Ended {
        // The daemon has another working directory.
        let dir = added.dir.canonicalize().map_err(|source| CliError::file("use", &added.dir, source))?;
        let path = dir.to_str().ok_or_else(|| {
            CliError::usage(format!("\"{}\" is not valid UTF-8", dir.display()), "rename the directory")
        })?;
        let request = AddFolder {
            label: added.label.as_str().to_owned(),
            path: path.to_owned(),
            mode: added.mode,
            ignore: added.ignore.clone(),
        };
        self.client.post_json::<Done>(routes::FOLDERS, &request).await?;
        self.done(&format!("{}: kept in step with {path}", added.label))
    }
}
