//! `hcfs doctor`: everything a user can have wrong, looked at one by one, each with what to do.
//!
//! It changes nothing but for a file of its own in the state directory that is gone when it has been looked at, and
//! never opens a database or a folder: a daemon may be at work on them. What only the running daemon knows (its folders,
//! its token) is asked for at its socket by the caller and handed in as [`Met`].
//!
//! Deliberately absent: mending. Each check says what would.

mod folder;
mod keys;
mod place;
mod server;
mod service;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hcfs_api::{ApiError, Check, ErrorCode, FolderState, Paths, ServerTest, Status, Verdict, quantity};
use hcfs_engine::SystemClock;

use crate::config::{Config, Environment};
use crate::socket::readers;
use crate::supervise::OverHttp;

pub(crate) use server::test_server;

/// The name of every check, in the order in which they come.
pub const CHECKS: [&str; 19] = [
    "configuration",
    "state_directory",
    "secret",
    "recovery_phrase",
    "account",
    "unlock",
    "keyring",
    "daemon",
    "readers",
    "server",
    "clock",
    "token",
    "folder",
    "directory",
    "marker",
    "file_system",
    "free_space",
    "watches",
    "service",
];

/// The daemon, as it was met at its socket.
#[derive(Debug)]
pub enum Met {
    /// It answered.
    Running {
        /// Its status.
        status: Box<Status>,
        /// What it says of the server; absent while its keys are closed.
        server: Option<Result<ServerTest, ApiError>>,
    },
    /// It did not.
    Silent(ApiError),
}

impl Met {
    fn status(&self) -> Option<&Status> {
        match self {
            Self::Running { status, .. } => Some(status),
            Self::Silent(_) => None,
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Found(Vec<Check>);

impl Found {
    fn add(&mut self, verdict: Verdict, name: &str, message: impl Into<String>, hint: impl Into<String>) {
        debug_assert!(CHECKS.contains(&name), "{name}");
        let (name, message, hint) = (name.to_owned(), message.into(), hint.into());
        self.0.push(Check { name, about: None, verdict, message, hint });
    }

    fn ok(&mut self, name: &str, message: impl Into<String>) {
        self.add(Verdict::Ok, name, message, "");
    }

    fn warn(&mut self, name: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Verdict::Warn, name, message, hint);
    }

    fn fail(&mut self, name: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Verdict::Fail, name, message, hint);
    }

    /// Says of everything added since `from` what it is about.
    fn about(&mut self, from: usize, about: &str) {
        for check in self.0.iter_mut().skip(from) {
            check.about = Some(about.to_owned());
        }
    }
}

/// Looks at everything. `version` is this program's own.
///
/// Takes seconds where a server stays silent or a key is derived; must be called within a tokio runtime.
pub async fn examine(paths: &Paths, env: &Environment, version: &str, met: &Met) -> Vec<Check> {
    let mut found = Found::default();
    let config = place::configuration(&mut found, paths, env);
    place::state_directory(&mut found, paths);
    place::secrets(&mut found, paths, config.as_ref());
    let config = Arc::new(config.unwrap_or_else(Config::defaults));
    let opened = blocking(&mut found, {
        let (paths, env, config) = (paths.clone(), env.clone(), config.clone());
        let open = met.status().map(|status| !status.daemon.locked);
        move |found| keys::keys(found, &paths, &env, &config, open)
    })
    .await;
    daemon(&mut found, paths, version, met);
    if let (Met::Running { .. }, Some(group)) = (met, config.readers.clone()) {
        let (socket, env) = (paths.socket.clone(), env.clone());
        blocking(&mut found, move |found| readers(found, &socket, &group, &env)).await;
    }
    match met {
        Met::Running { server: Some(Ok(test)), .. } => server::report(&mut found, test),
        Met::Running { server: Some(Err(error)), .. } => {
            found.warn("server", error.message.clone(), error.hint.clone());
        }
        Met::Running { server: None, .. } | Met::Silent(_) => {
            let connect = OverHttp::new(hcfs_remote::RateLimit::unlimited());
            server::look(&mut found, &connect, paths, env, &config, opened.flatten(), &SystemClock).await;
        }
    }
    blocking(&mut found, {
        let (paths, config) = (paths.clone(), config.clone());
        let shown = met.status().map(|status| status.folders.clone());
        move |found| folder::folders(found, &paths, &config, shown.as_deref())
    })
    .await;
    let env = env.clone();
    blocking(&mut found, move |found| service::service(found, &env)).await;
    found.0
}

/// Looks on a thread that may block.
async fn blocking<T: Send + 'static>(
    found: &mut Found,
    look: impl FnOnce(&mut Found) -> T + Send + 'static,
) -> Option<T> {
    let looked = tokio::task::spawn_blocking(move || {
        let mut found = Found::default();
        let told = look(&mut found);
        (found, told)
    });
    // A panic in it was reported when it happened.
    let (more, told) = looked.await.ok()?;
    found.0.extend(more.0);
    Some(told)
}

fn daemon(found: &mut Found, paths: &Paths, version: &str, met: &Met) {
    const NAME: &str = "daemon";
    let socket = paths.socket.display();
    let status = match met {
        Met::Silent(error) => {
            let is_other = std::fs::symlink_metadata(&paths.socket)
                .is_ok_and(|meta| !std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()));
            if is_other {
                let hint = format!("move \"{socket}\" away, or set HCFS_SOCKET");
                return found.fail(NAME, format!("\"{socket}\" is not a socket"), hint);
            }
            if error.code == ErrorCode::Offline {
                return found.warn(NAME, format!("none answers at \"{socket}\""), error.hint.clone());
            }
            return found.fail(NAME, error.message.clone(), error.hint.clone());
        }
        Met::Running { status, .. } => status,
    };
    let theirs = &status.daemon.version;
    if theirs != version {
        let message = format!("it is version {theirs}, and this program {version}");
        return found.warn(
            NAME,
            message,
            "restart the daemon: `systemctl --user restart hcfs`, or end it and start it",
        );
    }
    found.ok(NAME, format!("version {theirs}, for {}", quantity::span(status.daemon.uptime_seconds)));
}

fn readers(found: &mut Found, socket: &Path, group: &str, env: &Environment) {
    const NAME: &str = "readers";
    match readers::check(socket, group, env) {
        Ok(()) => found.ok(NAME, format!("members of the group \"{group}\" can look on at \"{}\"", socket.display())),
        Err(error) => found.warn(NAME, error.to_string(), error.hint()),
    }
}

/// How a folder's state in the daemon is judged.
fn of_state(state: FolderState) -> Verdict {
    match state {
        FolderState::Idle | FolderState::Scanning | FolderState::Syncing | FolderState::Starting => Verdict::Ok,
        FolderState::Attention | FolderState::Paused | FolderState::Held | FolderState::Offline => Verdict::Warn,
        FolderState::Locked
        | FolderState::Halted
        | FolderState::Unauthorised
        | FolderState::OverQuota
        | FolderState::Error => Verdict::Fail,
    }
}

/// How long a server may take for one answer.
const WITHIN: Duration = Duration::from_secs(10);
