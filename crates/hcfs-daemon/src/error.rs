//! Everything that can keep the daemon from running, with its exit code and hint.

use hcfs_api::{ApiError, ErrorCode, ExitCode};
use hcfs_remote::{LoginError, RemoteErrorKind};

use crate::config::ConfigError;
use crate::identity::IdentityError;
use crate::place::PlaceError;
use crate::secret::SecretError;

/// Why the daemon does not run, or a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The account.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A directory, the lock or the socket.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The token.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The embedded server.
    #[error("the embedded server does not start")]
    Embedded(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The login with the account's key.
    #[error("cannot log in to the server")]
    Login(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is told over the socket as it is.
    #[error(transparent)]
    Told(#[from] ApiError),
}

impl DaemonError {
    /// The kind.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Config(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::Place(error) => error.code(),
            Self::Secret(error) => error.code(),
            Self::Embedded(_) => ErrorCode::Internal,
            Self::Login(error) => match error.downcast_ref::<LoginError>() {
                Some(LoginError::Remote(error)) if error.is_transient() => ErrorCode::Offline,
                Some(LoginError::Remote(error))
                    if matches!(error.kind, RemoteErrorKind::Unauthorized | RemoteErrorKind::Forbidden) =>
                {
                    ErrorCode::Unauthorised
                }
                _ => ErrorCode::Config,
            },
            Self::Told(error) => error.code,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Config(error) => error.hint(),
            Self::Identity(error) => error.hint(),
            Self::Place(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Embedded(_) => "look at the cause above; its files are where HCFS_SERVER_DATA says".into(),
            Self::Login(error) => match error.downcast_ref::<LoginError>() {
                Some(error) => error.hint().into(),
                None => "check `url` in [server], or say where a token is: token = \"file:/PATH\"".into(),
            },
            Self::Told(error) => error.hint.clone(),
        }
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        self.code().exit()
    }

    /// The error as it crosses the socket: with its causes in one sentence.
    #[must_use]
    pub fn to_api(&self) -> ApiError {
        if let Self::Told(error) = self {
            return error.clone();
        }
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        ApiError::new(self.code(), message, self.hint())
    }
}
