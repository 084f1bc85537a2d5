//! `cargo xtask deny` and `cargo xtask sbom`: what the program is made of, and whether that may be.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::tool::Tool;
use crate::{cargo, finish};

const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
const SBOM: Tool = Tool { name: "cargo-sbom", version: "0.10.0" };

/// Where the list goes.
const LIST: &str = "target/hcfs.cdx.json";

/// Holds every dependency against `.deny.toml`. Known vulnerabilities come from a database outside; where it cannot be
/// had the rest is checked.
pub(crate) fn deny() -> Result<()> {
    DENY.install()?;
    finish(cargo().args(["deny", "--locked", "check", "licenses", "bans", "sources"]))?;
    if finish(cargo().args(["deny", "--locked", "fetch", "db"])).is_err() {
        writeln!(std::io::stdout(), "NOT CHECKED: the database of advisories cannot be fetched")?;
        return Ok(());
    }
    finish(cargo().args(["deny", "--locked", "check", "--disable-fetch", "advisories"]))
}

/// Writes what the program is made of, as CycloneDX.
pub(crate) fn sbom() -> Result<()> {
    SBOM.install()?;
    let mut command = cargo();
    command.args(["sbom", "--cargo-package", "hcfs", "--output-format", "cyclone_dx_json_1_6"]);
    let out = command.stderr(Stdio::inherit()).output().context("cargo sbom did not start")?;
    if !out.status.success() {
        bail!("cargo sbom ended with {}", out.status);
    }
    std::fs::create_dir_all("target")?;
    std::fs::write(LIST, out.stdout)?;
    writeln!(std::io::stdout(), "{LIST}")?;
    Ok(())
}
