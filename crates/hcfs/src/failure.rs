//! How a command that was not carried out is told.

use hcfs_cli::{CliError, ErrorCode, ExitCode, PathsError, Terminal};
use hcfs_daemon::DaemonError;
use hcfs_daemon::service::ServiceError;
use hcfs_server::ServerError;

/// How a command ends.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Why a command was not carried out: a kind, a sentence, a hint.
#[derive(Debug)]
pub(crate) struct Failure(CliError);

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(CliError::Api(hcfs_cli::ApiError::new(code, message, hint)))
    }

    pub(crate) fn daemon(error: impl Into<DaemonError>) -> Self {
        Self(CliError::Api(error.into().to_api()))
    }

    #[expect(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub(crate) fn server(error: ServerError) -> Self {
        let code = match error {
            ServerError::InUse { .. } => ErrorCode::Held,
            ServerError::Url { .. } => ErrorCode::Config,
            _ => ErrorCode::Io,
        };
        Self::new(code, sentence(&error), error.hint())
    }

    #[expect(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub(crate) fn paths(error: PathsError) -> Self {
        Self::new(ErrorCode::Config, error.to_string(), error.hint())
    }

    /// Tells it, and says how the program ends.
    pub(crate) fn report(&self, terminal: &mut Terminal, json: bool) -> ExitCode {
        self.0.report(terminal, json);
        self.0.exit()
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self(error)
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        Self::daemon(error)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::new(error.code(), sentence(&error), error.hint())
    }
}

/// An error with what lies beneath.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
