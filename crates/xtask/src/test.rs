//! `cargo xtask test`: everything the tests need, every test, and the totals as the last line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{cargo, finish, package};

/// Programs the tests start, and the Debian package each comes with.
const PROGRAMS: [(&str, &str); 5] = [
    ("cc", "build-essential"),
    ("curl", "curl"),
    ("mkfs.ext4", "e2fsprogs"),
    ("dbus-daemon", "dbus-daemon"),
    ("groff", "groff-base"),
];

/// The same for the browser the page is tested in, and for containers with a systemd of their own.
const SERVICES: [(&str, &str); 5] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("systemd-analyze", "systemd"),
    ("systemd-nspawn", "systemd-container"),
    ("mmdebstrap", "mmdebstrap"),
];

/// The tests that need PostgreSQL, the browser or systemd.
const WITH_SERVICES: [&str; 5] =
    ["shared_stores::", "two_nodes::", "in_the_browser", "under_systemd::", "unit_files::"];

/// Those that boot a systemd in a container.
const IN_CONTAINERS: &str = "under_systemd::";
/// What a container takes: the rights, and a kernel that lets them be used.
const CONTAINER: &str = "mount -t tmpfs none /mnt && mount -t cgroup2 none /mnt";

/// Installs, builds, tests; `arguments` go to `cargo test`, but for `--no-services`, which leaves out what needs
/// PostgreSQL, the browser or systemd.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let with_services = !arguments.iter().any(|argument| argument == "--no-services");
    let mut arguments: Vec<String> =
        arguments.iter().filter(|argument| *argument != "--no-services").cloned().collect();
    let is_whole = arguments.is_empty();
    let boots = with_services && makes_containers();
    let left_out: &[&str] = match (with_services, boots) {
        (false, _) => &WITH_SERVICES,
        (true, false) => &[IN_CONTAINERS],
        (true, true) => &[],
    };
    if !left_out.is_empty() {
        if !arguments.iter().any(|argument| argument == "--") {
            arguments.push("--".to_owned());
        }
        arguments.extend(left_out.iter().flat_map(|name| ["--skip".to_owned(), (*name).to_owned()]));
    }
    install(with_services)?;
    if with_services {
        package::TOOL.install()?;
    }
    finish(cargo().args(["build", "--locked", "--package", "hcfs"]))?;
    let mut child = cargo()
        .args(["test", "--locked", "--workspace", "--no-fail-fast"])
        .args(&arguments)
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo did not start")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut totals = Totals::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        totals.count(&line);
        writeln!(std::io::stdout(), "{line}")?;
    }
    let status = child.wait()?;
    let mut out = std::io::stdout();
    if with_services && !boots {
        writeln!(out, "\nleft out: {IN_CONTAINERS}*, for this user or kernel makes no containers")?;
    }
    writeln!(out, "\n{} passed, {} failed", totals.passed, totals.failed)?;
    if !status.success() {
        bail!("cargo test ended with {status}");
    }
    if totals.passed == 0 && is_whole {
        bail!("no test ran");
    }
    Ok(())
}

/// Whether this user can make containers on this kernel, which no package mends.
fn makes_containers() -> bool {
    let namespaces = ["--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup", "--fork"];
    let tried = Command::new("unshare").args(namespaces).args(["sh", "-c", CONTAINER]).output();
    tried.is_ok_and(|out| out.status.success())
}

/// Installs the packages of the programs that are missing.
fn install(with_services: bool) -> Result<()> {
    let services = if with_services { SERVICES.as_slice() } else { &[] };
    let programs = PROGRAMS.iter().chain(services);
    let mut missing: Vec<&str> =
        programs.filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
    if with_services && !on_path("initdb") && !has_postgresql() {
        missing.push("postgresql");
    }
    if missing.is_empty() {
        return Ok(());
    }
    finish(as_root("apt-get").arg("update"))?;
    finish(as_root("apt-get").args(["install", "--yes", "--no-install-recommends"]).args(&missing))
        .with_context(|| format!("install {} by hand", missing.join(" ")))
}

/// Whether PostgreSQL lies where Debian puts it, which is not on the search path.
fn has_postgresql() -> bool {
    std::fs::read_dir("/usr/lib/postgresql")
        .is_ok_and(|versions| versions.flatten().any(|version| version.path().join("bin/initdb").is_file()))
}

/// A command with the rights to install; asks `sudo` where the user has none.
fn as_root(program: &str) -> Command {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    if is_root {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// Whether a program of that name is on the search path.
fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}

/// The sums over the test programs' own closing lines.
#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
}

impl Totals {
    /// Adds a line such as `test result: ok. 11 passed; 0 failed; …`.
    fn count(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_over_test_programs() {
        let mut totals = Totals::default();
        totals.count("test result: ok. 11 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        totals.count("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
        totals.count("test tests::passed ... ok");
        assert_eq!((totals.passed, totals.failed), (13, 1));
    }
}
