//! Commands for the daemon, carried out.

mod files;
mod folders;
mod log;
mod recovery;
mod sources;
mod state;
mod ui;
mod wrong;

#[cfg(test)]
mod tests;

use std::path::Path;

use hcfs_api::{ApiError, Done, ErrorCode, ExitCode, Folder, Page, SCHEMA, routes};
use hcfs_model::FolderLabel;
use serde_json::{Value, json};

use crate::args::{FolderCommand, GlobalOptions, SocketCommand};
use crate::client::Client;
use crate::error::CliError;
use crate::render::plain;
use crate::terminal::{Question, Terminal};

/// Carries a command out over the daemon's socket, prints what comes of it, and says how the program ends.
///
/// Ends with [`ExitCode::Interrupted`] when the user interrupts it; the daemon goes on. Must be called within a tokio
/// runtime with I/O and time.
pub async fn run_socket(
    command: &SocketCommand,
    options: &GlobalOptions,
    socket: &Path,
    terminal: &mut Terminal,
) -> ExitCode {
    let carried_out = {
        let session = Session { client: Client::new(socket), options, terminal };
        tokio::select! {
            ended = session.run(command) => ended,
            // Without signals there is nothing to hear; the system's own handling is then as good.
            Ok(()) = tokio::signal::ctrl_c() => Ok(ExitCode::Interrupted),
        }
    };
    match carried_out {
        Ok(code) => code,
        Err(error) => {
            error.report(terminal, options.json);
            error.exit()
        }
    }
}

/// Prints the program's version.
pub fn print_version(options: &GlobalOptions, terminal: &mut Terminal) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    let printed = if options.json {
        terminal.out_json(&json!({"schema": SCHEMA, "version": version}))
    } else {
        terminal.out(&format!("hcfs {version}\n"))
    };
    match printed {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            error.report(terminal, options.json);
            error.exit()
        }
    }
}

/// One command under way.
struct Session<'s> {
    client: Client,
    options: &'s GlobalOptions,
    terminal: &'s mut Terminal,
}

/// How a command ends.
type Ended = Result<ExitCode, CliError>;

impl Session<'_> {
    async fn run(mut self, command: &SocketCommand) -> Ended {
        match command {
            SocketCommand::Sync(options) if options.dry_run => self.dry_run(options).await,
            SocketCommand::Sync(options) => self.sync(options).await,
            SocketCommand::Status(options) => self.status(options).await,
            SocketCommand::Wait(options) => self.wait(options).await,
            SocketCommand::Folder(command) => self.folder(command).await,
            SocketCommand::Source(command) => self.source(command).await,
            SocketCommand::Conflicts(options) => self.conflicts(options).await,
            SocketCommand::Problems(options) => self.problems(options).await,
            SocketCommand::Holds(options) => self.holds(options).await,
            SocketCommand::Trash(options) => self.trash(options).await,
            SocketCommand::History(asked) => self.history(asked).await,
            SocketCommand::Explain(asked) => self.explain(asked).await,
            SocketCommand::Log(options) => self.log(options).await,
            SocketCommand::Ls(options) => self.ls(options).await,
            SocketCommand::Search(options) => self.search(options).await,
            SocketCommand::Get(options) => self.get(options).await,
            SocketCommand::Cat(options) => self.cat(options).await,
            SocketCommand::Put(options) => self.put(options).await,
            SocketCommand::Rm(options) => self.rm(options).await,
            SocketCommand::Mv(options) => self.mv(options).await,
            SocketCommand::Ui(options) => self.ui(options).await,
            SocketCommand::Unlock => self.unlock().await,
        }
    }

    /// Prints a result: JSON if that was asked for, the text otherwise.
    fn print(&mut self, json: &impl serde::Serialize, text: impl FnOnce(&Terminal) -> String) -> Result<(), CliError> {
        if self.options.json {
            return self.terminal.out_json(json);
        }
        let text = text(self.terminal);
        self.terminal.out(&text)
    }

    /// Says that something was done; with `--quiet` silence says it.
    fn done(&mut self, text: &str) -> Ended {
        if self.options.json {
            self.terminal.out_json(&Done::default())?;
        } else if !self.options.quiet {
            self.terminal.out(&format!("{}\n", plain(text)))?;
        }
        Ok(ExitCode::Done)
    }

    /// Asks before something that cannot be taken back. Anything but a yes is a no.
    async fn confirm(&mut self, what: &str, question: &str) -> Result<(), CliError> {
        if self.options.yes {
            return Ok(());
        }
        if !self.terminal.asks() {
            let message = format!("{} needs a yes, and there is no terminal to ask at", plain(what));
            return Err(CliError::usage(message, "give --yes if you mean it"));
        }
        self.terminal.err(&format!("{} [y/N] ", plain(question)));
        let answer = self.terminal.ask(Question::YesOrNo).await;
        let answer = answer.map_err(|source| unanswered("read the answer", source))?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(CliError::Declined),
        }
    }

    /// Every folder, in label order.
    async fn all_folders(&self) -> Result<Vec<Folder>, CliError> {
        let page: Page<Folder> = self.client.get(routes::FOLDERS).await?;
        Ok(page.items)
    }

    /// The folders of these labels, or all.
    async fn chosen(&self, labels: &[FolderLabel]) -> Result<Vec<Folder>, CliError> {
        let all = self.all_folders().await?;
        if labels.is_empty() {
            return Ok(all);
        }
        for label in labels {
            if !all.iter().any(|folder| folder.label == label.as_str()) {
                return Err(no_folder(label, &all));
            }
        }
        Ok(all.into_iter().filter(|folder| labels.iter().any(|label| label.as_str() == folder.label)).collect())
    }

    /// The label that was given, or that of the only folder.
    async fn one_label(&self, label: Option<&FolderLabel>) -> Result<String, CliError> {
        if let Some(label) = label {
            return Ok(label.as_str().to_owned());
        }
        match self.all_folders().await?.as_slice() {
            [only] => Ok(only.label.clone()),
            [] => Err(CliError::Api(ApiError::new(
                ErrorCode::NoFolder,
                "no folder is kept in step yet",
                "add one with `hcfs folder add LABEL DIR`",
            ))),
            several => Err(CliError::usage(
                format!("there are {} folders, and none was named", several.len()),
                format!("name one with --label: {}", labels_of(several)),
            )),
        }
    }

    async fn unlock(&mut self) -> Ended {
        let asked = self.terminal.ask(Question::Password("Password of the recovery phrase: ")).await;
        let mut password = asked.map_err(|source| unanswered("read the password", source))?;
        if password.is_empty() {
            let error =
                ApiError::new(ErrorCode::WrongPassword, "no password was given", "type it, or send it to stdin");
            return Err(error.into());
        }
        // The request owns its text; it is wiped when the request is.
        let mut request = hcfs_api::UnlockRequest { password: std::mem::take(&mut *password) };
        let answered = self.client.post_json::<Done>(routes::UNLOCK, &request).await;
        zeroize::Zeroize::zeroize(&mut request.password);
        answered?;
        self.done("unlocked")
    }
}

fn unanswered(action: &'static str, source: std::io::Error) -> CliError {
    match source.kind() {
        std::io::ErrorKind::Interrupted => ApiError::new(ErrorCode::Interrupted, "interrupted", "").into(),
        _ => CliError::Stream { action, source },
    }
}

fn no_folder(label: &FolderLabel, all: &[Folder]) -> CliError {
    let hint = if all.is_empty() {
        "add one with `hcfs folder add LABEL DIR`".to_owned()
    } else {
        format!("there are: {}", labels_of(all))
    };
    CliError::Api(ApiError::new(ErrorCode::NoFolder, format!("there is no folder \"{label}\""), hint))
}

fn labels_of(folders: &[Folder]) -> String {
    folders.iter().map(|folder| folder.label.as_str()).collect::<Vec<_>>().join(", ")
}

/// A list under its name, with the schema beside it.
fn listed(name: &str, items: impl serde::Serialize) -> Result<Value, CliError> {
    let items = serde_json::to_value(items).map_err(|error| crate::client::odd(&error.to_string()))?;
    Ok(json!({"schema": SCHEMA, name: items}))
}
