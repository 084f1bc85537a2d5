//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! - `test [--no-services] [ARGS…]`: installs what the tests need, builds the program, runs every test, and closes with the
//!   totals.
//! - `bench [NAME]`: the benchmarks, as ratios within one run.
//! - `soak [NAME] [--OPTION VALUE]…`: the long runs, such as `soak --minutes 10` or `soak chaos --seeds 1000`.
//! - `mutants [PACKAGE…]`: whether the tests notice changes to what they test.
//! - `package [--debug]`: the Debian package, into `target/debian`.
//! - `static [--debug]`: the program as one file that needs no library of the machine, linked with musl and tried.
//! - `deny`: licences, sources and known faults of what the program is made of; `sbom`: the list of it.
//! - `figures`: lines per crate, the longest files and functions, the depth of each crate's dependencies.

mod bench;
mod figures;
mod fuzz;
mod musl;
mod mutants;
mod package;
mod soak;
mod supply;
mod test;
mod tool;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let done = match command.as_str() {
        "test" => test::run(&rest),
        "bench" => bench::run(&rest),
        "soak" => soak::run(&rest),
        "mutants" => mutants::run(&rest),
        "package" => package::run(&rest),
        "static" => musl::run(&rest),
        "deny" => supply::deny(),
        "sbom" => supply::sbom(),
        "figures" => figures::run(),
        _ => Err(anyhow::anyhow!("usage: cargo xtask test|bench|soak|mutants|package|static|deny|sbom|figures")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The cargo that runs this program. What it says of this program would have some build scripts run again, and all that
/// rests on them be built anew.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a command to its end.
fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{:?} did not start", command.get_program()))?;
    if !status.success() {
        bail!("{:?} ended with {status}", command.get_program());
    }
    Ok(())
}
