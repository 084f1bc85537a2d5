//! The hcfs program: reads the command, and puts the daemon, the server and the command line together.
//!
//! Deliberately absent: anything a library below could do.

mod care;
mod doctor;
mod embedded;
mod failure;
mod fetch;
mod handed;
mod local;
mod logging;
mod people;
mod serve;
mod service;

use std::process::ExitCode;
use std::sync::Arc;

use hcfs_cli::args::{Invocation, SocketCommand};
use hcfs_cli::{Command, Terminal};
use hcfs_daemon::{Config, Daemon, Environment, OnLocked, Options};

use crate::embedded::Embedded;
use crate::failure::{Failure, Outcome};

fn main() -> ExitCode {
    let mut terminal = Terminal::system();
    let invocation = match hcfs_cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(stop) => return stop.print(&mut terminal).into(),
    };
    logging::start(&invocation);
    let env: Environment = Arc::new(|name: &str| std::env::var_os(name));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.err(&format!("error: the system gives no threads: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(carry_out(&invocation, &env, &mut terminal));
    let code = outcome.unwrap_or_else(|failure| failure.report(&mut terminal, invocation.options.json));
    // A question at the terminal may still wait for its answer; nobody waits for it any more.
    runtime.shutdown_background();
    code.into()
}

async fn carry_out(invocation: &Invocation, env: &Environment, terminal: &mut Terminal) -> Outcome {
    let options = &invocation.options;
    match &invocation.command {
        Command::Version => Ok(hcfs_cli::print_version(options, terminal)),
        Command::Completions(asked) => Ok(hcfs_cli::print_completions(asked, options, terminal)?),
        Command::Man(asked) => Ok(hcfs_cli::write_pages(asked, options, terminal)?),
        Command::Local(command) => local::carry_out(command, options, env, terminal).await,
        Command::Socket(command) => {
            let paths = options.paths(&|name| env(name)).map_err(Failure::paths)?;
            if command.brings_its_own_daemon() && !hcfs_cli::is_reachable(&paths.socket).await {
                return with_own_daemon(command, invocation, paths, env, terminal).await;
            }
            Ok(hcfs_cli::run_socket(command, options, &paths.socket, terminal).await)
        }
    }
}

/// Runs a daemon for as long as one command takes.
async fn with_own_daemon(
    command: &SocketCommand,
    invocation: &Invocation,
    paths: hcfs_cli::Paths,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    let config = Config::load(&paths, env).map_err(Failure::daemon)?;
    let options = Options {
        on_locked: OnLocked::Fail,
        foreground: true,
        ask: Some(Box::new(hcfs_daemon::Terminal)),
        ..Options::service(paths.clone(), Arc::clone(env), VERSION)
    };
    let mut daemon =
        Daemon::start(config, options, Some(Arc::new(Embedded::default()))).await.map_err(Failure::daemon)?;
    let code = tokio::select! {
        code = hcfs_cli::run_socket(command, &invocation.options, &paths.socket, terminal) => code,
        _ = daemon.wait() => hcfs_cli::ExitCode::Interrupted,
    };
    daemon.stop().await;
    Ok(code)
}

/// The version, as every part of the program says it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
