//! `hcfs doctor`: the part that asks the daemon, and the part that shows what was found.
//!
//! Deliberately absent: the looking itself, which needs the daemon's configuration and keys.

use std::path::Path;

use hcfs_api::{ApiError, Checkup, ErrorCode, ExitCode, ServerTest, Status, routes};

use crate::args::GlobalOptions;
use crate::client::Client;
use crate::error::CliError;
use crate::render;
use crate::terminal::Terminal;

/// The daemon's status, and what it says of the server; that is absent while its keys are closed.
pub type MetDaemon = (Status, Option<Result<ServerTest, ApiError>>);

/// Meets the daemon at a socket.
///
/// # Errors
/// Why it could not be met: `offline` where nobody answers.
pub async fn meet(socket: &Path) -> Result<MetDaemon, ApiError> {
    let client = Client::new(socket);
    let status: Status = client.get(routes::STATUS).await.map_err(told)?;
    let server = match status.daemon.locked {
        true => None,
        false => Some(client.post(routes::TEST_SERVER).await.map_err(told)),
    };
    Ok((status, server))
}

fn told(error: CliError) -> ApiError {
    match error {
        CliError::Api(error) => error,
        other => {
            let code = if matches!(other, CliError::NoDaemon { .. }) { ErrorCode::Offline } else { ErrorCode::Io };
            ApiError::new(code, other.to_string(), other.hint())
        }
    }
}

/// Prints what was found, and says how the program ends. With `--quiet` only what is not as it should be.
///
/// # Errors
/// Stdout cannot be written.
pub fn print_checkup(
    checkup: &Checkup,
    options: &GlobalOptions,
    terminal: &mut Terminal,
) -> Result<ExitCode, CliError> {
    if options.json {
        terminal.out_json(checkup)?;
    } else {
        let text = render::checkup(checkup, options.quiet, terminal.look());
        terminal.out(&text)?;
    }
    Ok(checkup.exit())
}
