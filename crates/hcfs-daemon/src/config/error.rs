//! What is wrong with a configuration, and where.

use std::path::PathBuf;

use hcfs_api::ErrorCode;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration \"{}\"", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the configuration \"{}\"", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A place in the file.
    #[error("\"{}\" line {line}, column {column}: {message}", file.display())]
    At {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The character in the line, counted from 1.
        column: usize,
        /// The key, as `section.key`; empty where the file is not TOML at all.
        key: String,
        /// What is wrong: it names the key.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A variable of the environment.
    #[error("{variable}: {message}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A change that would not give the file that was asked for.
    #[error("\"{}\" cannot be changed without losing something of it", .0.display())]
    NotEditable(PathBuf),
    /// Settings that do not fit together, or a folder that does not fit beside the others.
    #[error("{message}")]
    Unfit {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
        /// The kind.
        code: ErrorCode,
    },
}

impl ConfigError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { path, .. } => format!("check that \"{}\" is a file you may read", path.display()),
            Self::Unwritable { path, .. } => format!("check that \"{}\" may be written and has space", path.display()),
            Self::At { hint, .. } | Self::Variable { hint, .. } | Self::Unfit { hint, .. } => hint.clone(),
            Self::NotEditable(_) => "change the [[folder]] section by hand, then run `hcfs folder list`".into(),
        }
    }

    /// The kind, for the socket and the exit code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        let of_io = |source: &std::io::Error| match source.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorCode::Permission,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
            _ => ErrorCode::Config,
        };
        match self {
            Self::Unreadable { source, .. } | Self::Unwritable { source, .. } => of_io(source),
            Self::At { .. } | Self::Variable { .. } | Self::NotEditable(_) => ErrorCode::Config,
            Self::Unfit { code, .. } => *code,
        }
    }
}

/// What is wrong with one value, before it is known where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Continues "`key` …".
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}
