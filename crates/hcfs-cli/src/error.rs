//! What keeps a command from being carried out, how it is told, and how the program then ends.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

use hcfs_api::{ApiError, ErrorCode, ExitCode, SCHEMA};
use serde::Serialize;

use crate::render::{Paint, plain};
use crate::terminal::Terminal;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The daemon says so, or it is of a kind the daemon knows too.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Nobody listens at the socket, or whoever does stays silent.
    #[error("no daemon answers at \"{}\"", socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// What the system or the connection says.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A file on this machine.
    #[error("cannot {action} \"{}\"", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A stream of the process itself.
    #[error("cannot {action}")]
    Stream {
        /// What was tried on which one.
        action: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The user was asked and said no.
    #[error("nothing was changed")]
    Declined,
    /// Whoever read this program's output went away: there is nobody left to tell.
    #[error("nobody reads the output any more")]
    Unread,
}

impl CliError {
    /// Wrong use of the program.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Api(ApiError::new(ErrorCode::BadRequest, message, hint))
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }

    /// The kind, in snake case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Api(error) => error.code.as_str(),
            Self::NoDaemon { .. } => "no_daemon",
            Self::File { source, .. } | Self::Stream { source, .. } => kind(source).as_str(),
            Self::Declined => "declined",
            Self::Unread => "unread",
        }
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::Api(error) => error.exit(),
            Self::NoDaemon { .. } => ExitCode::NoDaemon,
            Self::File { source, .. } | Self::Stream { source, .. } => kind(source).exit(),
            Self::Declined => ExitCode::Failed,
            Self::Unread => ExitCode::Done,
        }
    }

    /// What to do now; empty if there is nothing.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Api(error) => error.hint.clone(),
            Self::NoDaemon { .. } => "start it with `hcfs up` or `hcfs daemon`".into(),
            Self::File { path, source, .. } => match kind(source) {
                ErrorCode::Exists => "choose another name, or replace it with --force".into(),
                ErrorCode::DiskFull => "free some space there".into(),
                _ => format!("check \"{}\" and its directory", path.display()),
            },
            Self::Stream { .. } => "check where this program's input and output lead".into(),
            Self::Declined | Self::Unread => String::new(),
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Api(error) => error.retryable,
            Self::NoDaemon { .. } => true,
            Self::File { source, .. } | Self::Stream { source, .. } => kind(source).is_retryable(),
            Self::Declined | Self::Unread => false,
        }
    }

    /// The whole sentence, with what lies beneath.
    fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }

    /// Tells it on stderr, as text or as a JSON object.
    pub fn report(&self, terminal: &mut Terminal, json: bool) {
        #[derive(Serialize)]
        struct Body<'e> {
            schema: u32,
            error: Told<'e>,
        }
        #[derive(Serialize)]
        struct Told<'e> {
            code: &'e str,
            message: String,
            hint: String,
            retryable: bool,
        }
        if matches!(self, Self::Unread) {
            return;
        }
        let (message, hint) = (self.sentence(), self.hint());
        if json {
            let error = Told { code: self.code(), message, hint, retryable: self.is_retryable() };
            // Text, a number and a boolean always have a JSON form.
            let line = serde_json::to_string(&Body { schema: SCHEMA, error }).unwrap_or_default();
            return terminal.err(&format!("{line}\n"));
        }
        let paint = Paint(terminal.err_color());
        let mut text = format!("{} {}\n", paint.bad("error:"), plain(&message));
        if !hint.is_empty() {
            text.push_str(&format!("{} {}\n", paint.good("hint:"), plain(&hint)));
        }
        terminal.err(&text);
    }
}

/// The kind of what the system says of a file.
fn kind(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorCode::Permission,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
        io::ErrorKind::AlreadyExists => ErrorCode::Exists,
        io::ErrorKind::NotFound => ErrorCode::NotFound,
        _ => ErrorCode::Io,
    }
}
