//! `hcfs server`: how it serves.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// How a server serves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ServeOptions {
    /// The certificate to speak TLS with, as PEM, those that vouch for it included; SIGHUP reads it again
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A proxy whose X-Forwarded-For is believed: its address, or a network as 10.0.0.0/8; may be given again
    #[arg(long, value_name = "ADDR")]
    pub trust_proxy: Vec<String>,
    /// Where to show metrics for Prometheus; everybody who reaches the address can read them
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
}
