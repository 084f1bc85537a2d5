//! Machines for the tests of the real program: each has directories of its own and runs `hcfs` as a process.

mod drive;
mod site;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

pub use drive::{Drive, has_drives};
pub use site::{Device, Site};

/// How long anything may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The program, built as the tests were; built now if it is missing or old.
///
/// # Panics
/// It cannot be built.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without the program cannot go on")]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().expect("a test knows its own path");
        // target/PROFILE/deps/test-0123
        let profile = own.ancestors().nth(2).expect("a test lies in the target directory");
        let release = profile.file_name() == Some(OsStr::new("release"));
        let mut build = cargo();
        build.args(["build", "--quiet", "--package", "hcfs", "--target-dir"]).arg(profile.parent().unwrap_or(profile));
        if release {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the program does not build");
        profile.join("hcfs")
    })
}

/// Cargo, over this workspace.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    // What `cargo test` says to this process would have some build scripts run again, and all that rests on them.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// The blocks of a language in a document.
pub fn blocks<'d>(document: &'d str, language: &str) -> impl Iterator<Item = &'d str> + use<'d> {
    let start = format!("```{language}\n");
    let rests: Vec<&str> = document.split(&start).skip(1).collect();
    rests.into_iter().map(|rest| rest.split_once("```").map_or(rest, |(block, _)| block))
}

/// A machine: a home of its own, and whatever runs on it. What still runs is killed when it is dropped.
pub struct Machine {
    home: tempfile::TempDir,
    running: Vec<Child>,
}

impl Machine {
    /// An empty machine.
    ///
    /// # Errors
    /// The temporary directory cannot be made.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { home: tempfile::tempdir()?, running: Vec::new() })
    }

    /// A path in its home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `hcfs` with arguments, to be run on this machine.
    #[must_use]
    pub fn hcfs(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.path("run")).stdin(Stdio::null());
        command
    }

    /// A line as a person types it into a shell, pipes and all, from the home, with `hcfs` on the search path.
    ///
    /// # Panics
    /// The program lies nowhere.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without the program cannot go on")]
    pub fn shell(&self, line: &str) -> Command {
        let directory = program().parent().expect("the program lies in a directory");
        let search = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env_clear().env("PATH", format!("{}:{search}", directory.display()));
        shell.env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.path("run")).stdin(Stdio::null());
        shell.current_dir(self.home.path());
        shell
    }

    /// Starts one command of a line as a person types it in the background, its output going to a file in the home.
    ///
    /// # Errors
    /// It does not start.
    pub fn spawn_line(&mut self, line: &str) -> std::io::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.path("background.log"))?;
        let child = self.shell(&format!("exec {line}")).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.running.push(child);
        Ok(())
    }

    /// Runs `hcfs` to its end. What it was told and what it said is shown with a test that fails, and by `--nocapture`; not
    /// where secrets are made or told, nor what is asked over and over.
    ///
    /// # Errors
    /// It does not start.
    pub fn run(&self, arguments: &[&str]) -> std::io::Result<Output> {
        let out = self.hcfs(arguments).output()?;
        if arguments.first().is_some_and(|command| !["init", "key", "server", "status", "ui", "up"].contains(command)) {
            let words = format!("$ hcfs {}\n{}{}", arguments.join(" "), text(&out.stdout), text(&out.stderr));
            let home = self.home.path().to_string_lossy();
            eprint!("{}", words.replace(&*home, "~"));
            if !out.status.success() {
                eprintln!("({})", out.status);
            }
        }
        Ok(out)
    }

    /// Starts `hcfs` in the background, its output going to a file in the home.
    ///
    /// # Errors
    /// It does not start.
    pub fn spawn(&mut self, arguments: &[&str]) -> std::io::Result<u32> {
        let log = std::fs::File::options().create(true).append(true).open(self.path("background.log"))?;
        let child = self.hcfs(arguments).stdout(log.try_clone()?).stderr(log).spawn()?;
        let id = child.id();
        self.running.push(child);
        Ok(id)
    }

    /// Starts `hcfs server` at an address, where port 0 is a free one, and gives its URL.
    ///
    /// # Errors
    /// It does not start, or says no address.
    pub fn serve(&mut self, data: &Path, listen: &str) -> std::io::Result<String> {
        let mut command = self.hcfs(&["server", "--listen", listen, "--print-address", "--data"]);
        let mut child = command.arg(data).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take();
        self.running.push(child);
        let mut line = String::new();
        if let Some(out) = out {
            BufReader::new(out).read_line(&mut line)?;
        }
        Ok(line.trim().to_owned())
    }

    /// Kills everything that runs, as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        for mut child in self.running.drain(..) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether everything that was started and not killed still runs.
    pub fn is_running(&mut self) -> bool {
        self.running.iter_mut().all(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Tells everything that runs to end, and gives the codes it ended with.
    ///
    /// # Panics
    /// It does not end within [`DEADLINE`].
    pub fn terminate(&mut self) -> Vec<Option<i32>> {
        self.running.drain(..).map(terminated).collect()
    }

    /// What was printed in the background.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read(self.path("background.log")).map(|log| text(&log)).unwrap_or_default()
    }

    /// The status the daemon gives; `None` while there is none.
    #[must_use]
    pub fn status(&self) -> Option<Value> {
        let output = self.run(&["status", "--json"]).ok()?;
        serde_json::from_slice(&output.stdout).ok().filter(|status: &Value| status.get("folders").is_some())
    }

    /// Waits until the status is as wanted.
    ///
    /// # Panics
    /// It is not within [`DEADLINE`].
    #[must_use]
    #[expect(clippy::panic, reason = "a test whose program does not get there has failed")]
    pub fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let mut last = None;
        while begin.elapsed() < DEADLINE {
            last = self.status();
            if let Some(status) = last.take_if(|status| wanted(status)) {
                return status;
            }
            // Nothing says when another process changes; it is asked again.
            std::thread::park_timeout(Duration::from_millis(30));
        }
        panic!("{what} not within {DEADLINE:?}\nlast status: {last:#?}\nlog:\n{}", self.said())
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// It is not within [`DEADLINE`].
    #[expect(clippy::panic, reason = "a test whose program does not get there has failed")]
    pub fn until_true(&self, what: &str, is: impl Fn() -> bool) {
        let begin = Instant::now();
        while begin.elapsed() < DEADLINE {
            if is() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(30));
        }
        panic!("{what} not within {DEADLINE:?}\nlog:\n{}", self.said())
    }

    /// Waits until every folder is idle with this many files.
    ///
    /// # Panics
    /// It is not within [`DEADLINE`].
    #[must_use]
    pub fn until_idle(&self, files: u64) -> Value {
        self.until(&format!("idle with {files} files"), |status| {
            status["idle"] == true && status["totals"]["synced_files"] == files
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tells a process to end, and waits for it.
#[expect(clippy::panic, reason = "a program that does not end when told has failed")]
fn terminated(mut child: Child) -> Option<i32> {
    let begin = Instant::now();
    if let Some(id) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    while begin.elapsed() < DEADLINE {
        if let Ok(Some(status)) = child.try_wait() {
            return status.code();
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let _ = child.kill();
    panic!("it was told to end and still runs after {DEADLINE:?}")
}

/// A path as an argument.
///
/// # Panics
/// It is no text.
#[must_use]
#[expect(clippy::expect_used, reason = "the tests choose their paths")]
pub fn path(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// What a program printed.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
