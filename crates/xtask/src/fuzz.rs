//! `cargo xtask soak fuzz [--minutes M] [--target NAME]`: every fuzz target, led by coverage, for some minutes each.
//!
//! The compiler's own instrumentation and libFuzzer do the work, on the stable toolchain. What a target learnt is kept in
//! `target/fuzz/corpus/TARGET` and taken up by the next run; an input that breaks a promise lies in `target/fuzz/found` and
//! belongs into `tests/fuzz/corpus/TARGET` with the fix.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::{cargo, finish};

/// What makes the compiler count the edges that were taken, and say what values were compared with.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Clink-dead-code",
    "-Cdebug-assertions",
];
/// Where all of it lies.
const PLACE: &str = "target/fuzz";
const CORPUS: &str = "tests/fuzz/corpus";
/// The longest input.
const LONGEST: &str = "-max_len=65536";
/// One allocation of more than so many MiB breaks a promise, and so does more in all.
const MEMORY: [&str; 2] = ["-malloc_limit_mb=64", "-rss_limit_mb=1024"];

/// Builds the targets and runs one of them, or all.
pub(crate) fn run(options: &[String]) -> Result<()> {
    let (mut minutes, mut only) = (10.0, None);
    for pair in options.chunks(2) {
        match pair {
            [name, value] if name == "--minutes" => minutes = value.parse::<f64>().context("--minutes is a number")?,
            [name, value] if name == "--target" => only = Some(value.clone()),
            _ => bail!("usage: cargo xtask soak fuzz [--minutes M] [--target NAME]"),
        }
    }
    let host = host()?;
    // With a target named, what runs at build time is not instrumented.
    let place = ["--target", &host, "--target-dir", PLACE];
    let mut build = cargo();
    build.args(["build", "--package", "hcfs-fuzz", "--bin", "guided", "--features", "guided"]).args(place);
    build.env("RUSTFLAGS", FLAGS.join(" ")).env("CARGO_PROFILE_DEV_OPT_LEVEL", "2");
    finish(&mut build)?;
    let guided = Path::new(PLACE).join(&host).join("debug/guided");
    let mut names: Vec<String> = std::fs::read_dir(CORPUS)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.retain(|name| only.as_ref().is_none_or(|only| only == name));
    names.sort();
    if names.is_empty() {
        bail!("no such target; there are those of {CORPUS}");
    }
    let mut broken = Vec::new();
    for name in names {
        if !fuzz(&guided, &name, minutes)? {
            broken.push(name);
        }
    }
    if !broken.is_empty() {
        bail!("promises were broken by {}; see {PLACE}/found", broken.join(", "));
    }
    Ok(())
}

/// Runs one target; false where it broke a promise.
fn fuzz(guided: &Path, name: &str, minutes: f64) -> Result<bool> {
    let (learnt, found) = (Path::new(PLACE).join("corpus").join(name), Path::new(PLACE).join("found"));
    std::fs::create_dir_all(&learnt)?;
    std::fs::create_dir_all(&found)?;
    let mut command = std::process::Command::new(guided);
    command.env("HCFS_FUZZ_TARGET", name).arg(&learnt).arg(Path::new(CORPUS).join(name)).args(MEMORY);
    command.args([LONGEST, "-print_final_stats=1", "-verbosity=0", "-timeout=20"]);
    command.arg(format!("-max_total_time={:.0}", minutes * 60.0));
    command.arg(format!("-artifact_prefix={}/{name}-", found.display()));
    let out = command.stdin(Stdio::null()).output().context("the fuzzer did not start")?;
    let said = String::from_utf8_lossy(&out.stderr);
    let number = |what: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(what)?.strip_prefix(':'));
        line.map_or("?", str::trim).to_owned()
    };
    let kept = std::fs::read_dir(&learnt)?.count();
    let (runs, peak) = (number("number_of_executed_units"), number("peak_rss_mb"));
    let verdict = if out.status.success() { "no promise broken" } else { "BROKEN" };
    writeln!(std::io::stdout(), "{name:<16}{runs:>12} runs {kept:>6} inputs kept {peak:>5} MiB  {verdict}")?;
    if !out.status.success() {
        let tail: Vec<&str> = said.lines().rev().take(40).collect();
        for line in tail.into_iter().rev() {
            writeln!(std::io::stdout(), "  {line}")?;
        }
    }
    Ok(out.status.success())
}

/// The triple of this machine.
fn host() -> Result<String> {
    let out = std::process::Command::new("rustc").args(["--version", "--verbose"]).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what machine this is")
}
