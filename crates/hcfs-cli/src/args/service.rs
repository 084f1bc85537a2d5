//! The daemon as a service of systemd.

use clap::{Args, Subcommand};

/// `hcfs service …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ServiceCommand {
    /// Write the unit, enable it, start it, and wait until the daemon is ready; again, bring it up to date
    #[command(after_help = "Examples:\n  hcfs service install\n  hcfs service install --system --user ana")]
    Install(ServiceScope),
    /// Stop the daemon and remove what install wrote; configuration, account and files stay
    #[command(after_help = "Example:\n  hcfs service uninstall")]
    Uninstall(ServiceScope),
    /// Show whether it is installed, starts by itself and runs; ends with 4 when it does not run
    #[command(after_help = "Example:\n  hcfs service status --json")]
    Status(ServiceScope),
}

/// Whose service manager runs the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ServiceScope {
    /// The system's instead of the user's own: hardened, and up without anybody logged in; changing it takes root
    #[arg(long)]
    pub system: bool,
    /// The user it runs as; by default the one who called sudo
    #[arg(long, value_name = "NAME", requires = "system")]
    pub user: Option<String>,
}
