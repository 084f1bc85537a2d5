//! `cargo xtask mutants [PACKAGE…] [-- ARGS…]`: whether the tests of a package notice a change to it.
//!
//! Every change is built and tested by itself, in a copy of the sources, so that it takes hours over all: it is run by
//! hand, a package or a file at a time (`cargo xtask mutants hcfs-fs -- --file '**/trash.rs'`). What no test notices is
//! listed in `target/mutants.out/missed.txt`; it gets a test, or its reason in `crates/MUTANTS.md` and its place in
//! `.cargo/mutants.toml`.

use anyhow::Result;

use crate::tool::Tool;
use crate::{cargo, finish};

const MUTANTS: Tool = Tool { name: "cargo-mutants", version: "27.1.0" };

/// The packages a person's files depend on most.
const PACKAGES: [&str; 3] = ["hcfs-state", "hcfs-plan", "hcfs-fs"];
/// What is built of the copies: kept, so that dependencies are built once.
const BUILT: &str = "target/mutants";

/// Runs the mutants of the packages that are named, or of all that have been looked through.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    MUTANTS.install()?;
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (named, further) = arguments.split_at(end);
    let packages: Vec<&str> = match named {
        [] => PACKAGES.to_vec(),
        _ => named.iter().map(String::as_str).collect(),
    };
    let mut command = cargo();
    command.args(["mutants", "--output", "target"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    command.args(further.iter().skip(1));
    command.env("CARGO_TARGET_DIR", std::path::absolute(BUILT)?).env("CARGO_PROFILE_DEV_DEBUG", "none");
    finish(&mut command)
}
