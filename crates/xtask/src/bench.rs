//! `cargo xtask bench`: every benchmark, each a ratio against a peer or a limit within one run.

use anyhow::{Result, bail};

use crate::{cargo, finish};

/// Name, package and bench target of each benchmark.
const BENCHES: [(&str, &str, &str); 5] = [
    ("frames", "hcfs-crypto", "frames"),
    ("daemon", "hcfs-tests", "daemon"),
    ("many", "hcfs-tests", "many"),
    ("sources", "hcfs-tests", "sources"),
    ("server", "hcfs-tests", "server"),
];

/// Runs one benchmark by name, or all.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let chosen: Vec<_> = match arguments {
        [] => BENCHES.iter().collect(),
        [name] => BENCHES.iter().filter(|(bench, _, _)| bench == name).collect(),
        _ => bail!("usage: cargo xtask bench [NAME]"),
    };
    if chosen.is_empty() {
        let names: Vec<_> = BENCHES.iter().map(|(name, _, _)| *name).collect();
        bail!("no such benchmark; there are: {}", names.join(", "));
    }
    finish(cargo().args(["build", "--release", "--package", "hcfs"]))?;
    for (_, package, bench) in chosen {
        finish(cargo().args(["bench", "--package", package, "--bench", bench]))?;
    }
    Ok(())
}
