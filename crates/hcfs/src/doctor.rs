//! `hcfs doctor`: the daemon's library looks, the command line asks the daemon and shows.

use hcfs_cli::args::GlobalOptions;
use hcfs_cli::{Checkup, Paths, Terminal};
use hcfs_daemon::Environment;
use hcfs_daemon::doctor::{Met, examine};

use crate::VERSION;
use crate::failure::Outcome;

pub(crate) async fn carry_out(
    global: &GlobalOptions,
    paths: &Paths,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    let met = match hcfs_cli::meet(&paths.socket).await {
        Ok((status, server)) => Met::Running { status: Box::new(status), server },
        Err(error) => Met::Silent(error),
    };
    let checks = examine(paths, env, VERSION, &met).await;
    Ok(hcfs_cli::print_checkup(&Checkup::of(checks), global, terminal)?)
}
