//! What keeps the service from being installed, removed or looked at.

use std::io;
use std::path::PathBuf;

use hcfs_api::{ErrorCode, PathsError};

use crate::config::ConfigError;
use crate::identity::IdentityError;

/// Why the service manager does not run the daemon, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Another init runs this machine, or none: a container.
    #[error("systemd does not run this machine")]
    NoSystemd,
    /// The user has no service manager, or it is out of reach.
    #[error("the service manager of this user cannot be reached: {0}")]
    NoUserManager(String),
    /// Only root changes what the system runs.
    #[error("a system service is changed by root alone")]
    NotRoot,
    /// Root asks for a service of the system without saying whose.
    #[error("it is not said which user the system service is to run as")]
    WhichUser,
    /// No such user, or no home.
    #[error("there is no user \"{0}\" on this machine")]
    NoUser(String),
    /// The group the socket is to be opened to.
    #[error("there is no group \"{0}\" on this machine, which `readers` in [socket] names")]
    NoGroup(String),
    /// Nothing was set up yet.
    #[error("there is no configuration at \"{}\"", .0.display())]
    NoConfig(PathBuf),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The account.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A place of the daemon's files.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// A folder that the unit would have to show to the daemon.
    #[error("the folder \"{}\" is missing", .0.display())]
    NoFolder(PathBuf),
    /// The keyring belongs to a session.
    #[error("the configuration takes secrets from the keyring, which a system service does not see")]
    Keyring,
    /// A path that has no form in a unit.
    #[error("the path {0:?} cannot be written into a unit")]
    Unfit(PathBuf),
    /// Somebody else's file lies where the unit goes.
    #[error("\"{}\" was not written by this program", .0.display())]
    Foreign(PathBuf),
    /// A unit's file.
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
    /// A program of the system does not run.
    #[error("{program} does not run")]
    Program {
        /// Its name.
        program: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The service manager refused.
    #[error("`{command}` was refused: {said}")]
    Refused {
        /// What it was told.
        command: String,
        /// What it said.
        said: String,
    },
    /// The unit is installed, and its process did not come up.
    #[error("{unit} does not run: {}", why(*exit, result))]
    Ended {
        /// The unit.
        unit: String,
        /// What the process ended with, where it ended by itself.
        exit: Option<i32>,
        /// What the service manager calls it.
        result: String,
        /// The command that shows its log.
        log: String,
    },
}

fn why(exit: Option<i32>, result: &str) -> String {
    match exit {
        Some(5) => "the server refuses the token (exit code 5)".into(),
        Some(6) => "its secret is missing or wrong (exit code 6)".into(),
        Some(7) => "another instance holds its files (exit code 7)".into(),
        Some(77) => "a permission is missing (exit code 77)".into(),
        Some(78) => "its configuration is wrong (exit code 78)".into(),
        Some(code) => format!("{result} (exit code {code})"),
        None => result.to_owned(),
    }
}

impl ServiceError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoSystemd => "let your own service manager run `hcfs daemon`".into(),
            Self::NoUserManager(_) => "log in as the user, not through su or sudo; for a machine without logins: sudo \
                                       hcfs service install --system --user NAME"
                .into(),
            Self::NotRoot => "run it through sudo".into(),
            Self::WhichUser => "say so: --user NAME".into(),
            Self::NoUser(_) => "check the name: getent passwd".into(),
            Self::NoGroup(group) => format!("make it with `groupadd {group}`, or correct the configuration"),
            Self::NoConfig(_) => "make one first: hcfs init --folder DIR".into(),
            Self::Config(error) => error.hint(),
            Self::Identity(error) => error.hint(),
            Self::Paths(error) => error.hint().into(),
            Self::NoFolder(_) => "mount or make it, or remove it from the configuration".into(),
            Self::Keyring => "run it as a service of the user, or keep the secret in a keyfile or a credential".into(),
            Self::Unfit(_) => "rename it: a unit is lines of UTF-8".into(),
            Self::Foreign(path) => format!("move \"{}\" away if it is not needed", path.display()),
            Self::File { path, .. } => format!("check \"{}\" and its directory", path.display()),
            Self::Program { .. } => "check that it is installed and in PATH".into(),
            Self::Refused { .. } => String::new(),
            Self::Ended { log, .. } => format!("its log says more: {log}"),
        }
    }

    /// The kind, for the exit code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoSystemd | Self::NoUserManager(_) => ErrorCode::NotFound,
            Self::NotRoot => ErrorCode::Permission,
            Self::WhichUser | Self::NoUser(_) => ErrorCode::BadRequest,
            Self::NoConfig(_) | Self::NoGroup(_) | Self::Keyring | Self::Unfit(_) | Self::Paths(_) => ErrorCode::Config,
            Self::Config(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::NoFolder(_) => ErrorCode::BadFolder,
            Self::Foreign(_) => ErrorCode::Exists,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorCode::Permission,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
                _ => ErrorCode::Io,
            },
            Self::Program { .. } | Self::Refused { .. } => ErrorCode::Io,
            Self::Ended { exit, .. } => match exit {
                Some(5) => ErrorCode::Unauthorised,
                Some(6) => ErrorCode::Locked,
                Some(7) => ErrorCode::Held,
                Some(77) => ErrorCode::Permission,
                Some(78) => ErrorCode::Config,
                _ => ErrorCode::Stopped,
            },
        }
    }
}
