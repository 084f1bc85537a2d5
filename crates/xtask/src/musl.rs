//! `cargo xtask static [--debug]`: the program as one file that needs no library of the machine it runs on.
//!
//! It is linked with musl. That it asks for no library, starts, and keeps a folder in step with its own server is tried.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, finish};

/// Where the trial has its home.
const PLACE: &str = "target/static";
/// How long the trial may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// Builds the program, tries it, and says where it is and how large. With `--debug` it is built quicker, and slower.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let profile = match arguments {
        [] => "release",
        [only] if only == "--debug" => "dev",
        _ => bail!("usage: cargo xtask static [--debug]"),
    };
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    // Where rustup does not manage the toolchain, the build says what is missing.
    if let Ok(mut rustup) = Command::new("rustup").args(["target", "add", &target]).stderr(Stdio::null()).spawn() {
        rustup.wait()?;
    }
    let compiler = Command::new("musl-gcc").arg("--version").output();
    ensure!(compiler.is_ok_and(|out| out.status.success()), "there is no musl-gcc: install musl-tools");
    finish(cargo().args(["build", "--locked", "--package", "hcfs", "--profile", profile, "--target", &target]))?;
    let directory = if profile == "dev" { "debug" } else { profile };
    let program = PathBuf::from(format!("target/{target}/{directory}/hcfs")).canonicalize()?;
    needs_nothing(&program)?;
    try_out(&program)?;
    let size = std::fs::metadata(&program)?.len();
    writeln!(std::io::stdout(), "program {size} bytes\n{}", program.display())?;
    Ok(())
}

/// Checks that neither a loader nor a library is asked for.
fn needs_nothing(program: &Path) -> Result<()> {
    let out = Command::new("readelf").args(["--wide", "--program-headers", "--dynamic"]).arg(program).output();
    let out = out.context("readelf did not start: install binutils")?;
    ensure!(out.status.success(), "readelf ended with {}", out.status);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(said.contains("LOAD"), "readelf shows no program: {said}");
    match said.lines().find(|line| line.contains("INTERP") || line.contains("(NEEDED)")) {
        Some(line) => bail!("the program is not static: {}", line.trim()),
        None => Ok(()),
    }
}

/// Has it keep a file in step with the server inside.
fn try_out(program: &Path) -> Result<()> {
    let place = Path::new(PLACE);
    if place.exists() {
        std::fs::remove_dir_all(place)?;
    }
    std::fs::create_dir_all(place.join("notes"))?;
    std::fs::write(place.join("notes/shopping.txt"), "milk, bread\n")?;
    let home = place.canonicalize()?;
    let hcfs = |words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("HOME", &home).current_dir(&home).stdin(Stdio::null());
        command
    };
    finish(hcfs(&["version"]).stdout(Stdio::null()))?;
    let log = std::fs::File::create(place.join("log"))?;
    let mut up = hcfs(&["up", "notes"]).stdout(log.try_clone()?).stderr(log).spawn()?;
    let begin = Instant::now();
    let is_there = loop {
        let found = hcfs(&["cat", "shopping.txt"]).output()?;
        if found.stdout == b"milk, bread\n" {
            break true;
        }
        if begin.elapsed() > DEADLINE || up.try_wait()?.is_some() {
            break false;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };
    let _ = up.kill();
    up.wait()?;
    ensure!(is_there, "it keeps no folder in step: see {PLACE}/log");
    Ok(())
}
