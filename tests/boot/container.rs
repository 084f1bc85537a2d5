//! A Debian that systemd has booted, in a container of its own: what is changed in it is gone with it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hcfs_tests::{DEADLINE, program, text};

/// What the smallest Debian lacks to be booted, and to have users with a service manager of their own.
const PACKAGES: &str = "--include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,ca-certificates";

/// A running container.
pub(crate) struct Container {
    nspawn: Child,
    leader: u32,
    /// Shared with it, as `/shared`.
    shared: tempfile::TempDir,
}

impl Container {
    /// Boots one, with the program as `/usr/bin/hcfs` unless a package is to bring it, and waits until it is up.
    pub(crate) fn boot(with_program: bool) -> Self {
        let shared = tempfile::tempdir().unwrap();
        let name = shared.path().file_name().unwrap().to_string_lossy().replace('.', "");
        let mut command = Command::new("systemd-nspawn");
        command.args(["--quiet", "--boot", "--volatile=overlay", "--private-network", "--console=read-only"]);
        // Whoever runs the tests need not be run by systemd.
        command.args(["--register=no", "--keep-unit"]).env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        command.arg("--directory").arg(debian()).arg(format!("--machine=hcfs{name}"));
        command.arg(format!("--bind={}:/shared", shared.path().display()));
        if with_program {
            command.arg(format!("--bind-ro={}:/usr/bin/hcfs", program().display()));
        }
        let log = std::fs::File::create(shared.path().join("console")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let nspawn = command.spawn().unwrap_or_else(|error| panic!("systemd-nspawn does not start: {error}"));
        let mut container = Self { nspawn, leader: 0, shared };
        container.await_boot();
        container
    }

    fn await_boot(&mut self) {
        until("the container boots", || {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                panic!("this machine boots no container: systemd-nspawn ended with {status}\n{}", self.console());
            }
            self.leader = leader_of(self.nspawn.id())?;
            let state = self.run("systemctl is-system-running --wait").ok()?;
            // Something of the container's own may have failed; the tests look at what is theirs.
            matches!(text(&state.stdout).trim(), "running" | "degraded").then_some(())
        });
    }

    /// What it printed while it booted.
    fn console(&self) -> String {
        std::fs::read(self.shared.path().join("console")).map(|log| text(&log)).unwrap_or_default()
    }

    /// A file that it sees as `/shared/NAME`.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.shared.path().join(name)
    }

    /// Runs a line of shell in it.
    pub(crate) fn run(&self, line: &str) -> io::Result<Output> {
        let leader = self.leader.to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &leader, "--all", "--", "/usr/bin/env", "-i"]);
        command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "/bin/sh", "-c", line]);
        command.stdin(Stdio::null()).output()
    }

    /// Runs a line, which must succeed; gives what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let out = self.run(line).unwrap();
        let (said, complained) = (text(&out.stdout), text(&out.stderr));
        eprint!("# {line}\n{said}{complained}");
        assert!(out.status.success(), "{line}: {}\n{said}{complained}", out.status);
        said.trim_end().to_owned()
    }

    /// Runs a line, which must end with a code; gives what it complained of.
    #[track_caller]
    pub(crate) fn ends(&self, line: &str, code: i32) -> String {
        let out = self.run(line).unwrap();
        let complained = text(&out.stderr);
        eprint!("# {line}\n{}{complained}({})\n", text(&out.stdout), out.status);
        assert_eq!(out.status.code(), Some(code), "{line}: {complained}");
        complained
    }

    /// Waits until a line succeeds; gives what it printed.
    pub(crate) fn until(&self, line: &str) -> String {
        let said = until(line, || {
            let out = self.run(line).ok()?;
            out.status.success().then(|| text(&out.stdout))
        });
        eprint!("# {line}\n{said}");
        said.trim_end().to_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.run("journalctl --boot --no-pager --lines 150").map(|out| text(&out.stdout));
            eprintln!("journal:\n{}", log.unwrap_or_else(|error| error.to_string()));
        }
        // With its first process all of it ends, and nspawn with it.
        match i32::try_from(self.leader).ok().and_then(rustix::process::Pid::from_raw) {
            Some(leader) => drop(rustix::process::kill_process(leader, rustix::process::Signal::KILL)),
            None => drop(self.nspawn.kill()),
        }
        let _ = self.nspawn.wait();
    }
}

/// Asks until there is an answer.
fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        if let Some(answer) = answer() {
            return answer;
        }
        // Nothing says when another process changes; it is asked again.
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("{what}: not within {DEADLINE:?}")
}

/// The first process of the container that a process keeps, once it runs systemd.
fn leader_of(nspawn: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    let mut children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    children.find(|pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "systemd")
    })
}

/// The smallest Debian of this machine's own release that boots, made once and kept in the target directory.
fn debian() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(rustix::process::geteuid().is_root(), "containers take root; --no-services leaves these tests out");
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("bookworm");
    let target = program().parent().and_then(Path::parent).unwrap();
    let root = target.join("boot").join(suite);
    if root.join("etc/os-release").exists() {
        return root;
    }
    let staged = root.with_extension("new");
    let _ = std::fs::remove_dir_all(&staged);
    std::fs::create_dir_all(staged.parent().unwrap()).unwrap();
    let arguments = ["--quiet", "--mode=root", "--variant=minbase", "--format=directory", PACKAGES, suite];
    let mut command = Command::new("mmdebstrap");
    let made = command.args(arguments).arg::<&OsStr>(staged.as_ref()).stdin(Stdio::null()).output();
    let made = made.unwrap_or_else(|error| panic!("mmdebstrap does not start: {error}"));
    assert!(made.status.success(), "no {suite} from Debian's mirror: {}", text(&made.stderr));
    std::fs::rename(staged, &root).unwrap();
    root
}
