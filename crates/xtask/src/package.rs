//! `cargo xtask package [--debug]`: the Debian package, into `target/debian`.
//!
//! The same commit gives the same package: its time is the commit's, and nothing in it names the machine it was made on.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tool::Tool;
use crate::{cargo, finish};

/// What the program itself writes for the package.
const PLACE: &str = "target/package";

/// What makes it.
pub(crate) const TOOL: Tool = Tool { name: "cargo-deb", version: "3.8.0" };

/// Builds the program and the package, and says where it is and how large. With `--debug` the program is the one the
/// tests use: quicker, and many times as large.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let debug = match arguments {
        [] => false,
        [only] if only == "--debug" => true,
        _ => bail!("usage: cargo xtask package [--debug]"),
    };
    TOOL.install()?;
    let mut build = cargo();
    build.args(["build", "--locked", "--package", "hcfs"]);
    let mut pack = cargo();
    pack.args(["deb", "--package", "hcfs", "--no-build", "--locked"]);
    if debug {
        pack.args(["--profile", "dev", "--fast", "--compress-system"]);
    } else {
        build.arg("--release");
    }
    finish(&mut build)?;
    let program = Path::new("target").join(if debug { "debug" } else { "release" }).join("hcfs");
    write_pages(&program)?;
    if let Some(time) = commit_time() {
        pack.env("SOURCE_DATE_EPOCH", time);
    }
    let out = pack.stderr(Stdio::inherit()).output().context("cargo deb did not start")?;
    if !out.status.success() {
        bail!("cargo deb ended with {}", out.status);
    }
    let said = String::from_utf8(out.stdout)?;
    let package = said.trim().lines().last().context("cargo deb names no package")?;
    let (program, whole) = (std::fs::metadata(program)?.len(), std::fs::metadata(package)?.len());
    writeln!(std::io::stdout(), "program {program} bytes, package {whole} bytes\n{package}")?;
    Ok(())
}

/// Has the program write its manual pages and what shells complete.
fn write_pages(program: &Path) -> Result<()> {
    let place = Path::new(PLACE);
    if place.exists() {
        std::fs::remove_dir_all(place)?;
    }
    std::fs::create_dir_all(place)?;
    let manual = place.join("man");
    finish(Command::new(program).arg("man").arg(&manual))?;
    for page in std::fs::read_dir(&manual)? {
        finish(Command::new("gzip").args(["--best", "--no-name"]).arg(page?.path()))?;
    }
    for (shell, name) in [("bash", "hcfs"), ("zsh", "_hcfs"), ("fish", "hcfs.fish")] {
        let out = Command::new(program).args(["completions", shell]).output()?;
        if !out.status.success() {
            bail!("hcfs completions {shell} ended with {}", out.status);
        }
        std::fs::create_dir_all(place.join(shell))?;
        std::fs::write(place.join(shell).join(name), out.stdout)?;
    }
    Ok(())
}

/// When the commit was made, in Unix seconds; none outside a repository.
fn commit_time() -> Option<String> {
    let out = Command::new("git").args(["log", "-1", "--format=%ct"]).output().ok()?;
    let time = String::from_utf8(out.stdout).ok()?.trim().to_owned();
    (out.status.success() && !time.is_empty()).then_some(time)
}
