//! What the service manager is told and asked, in the words of `systemctl`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Output;

use super::error::ServiceError;
use crate::config::Environment;
use crate::name_service::program;

/// What is asked of a unit.
const PROPERTIES: &str = "--property=LoadState,UnitFileState,ActiveState,ActiveEnterTimestamp,StatusText,MainPID,\
                          Result,ExecMainCode,ExecMainStatus";

/// One service manager: the system's, or the user's.
pub(crate) struct Systemctl {
    of_user: bool,
    /// Where programs are looked for.
    path: Option<OsString>,
}

/// What the service manager says of a unit.
pub(crate) struct Shown(BTreeMap<String, String>);

impl Shown {
    pub(crate) fn text(&self, property: &str) -> &str {
        self.0.get(property).map_or("", String::as_str)
    }

    pub(super) fn number(&self, property: &str) -> Option<i64> {
        self.text(property).trim_start_matches('@').parse().ok()
    }

    /// What its last process ended with, if it ended by itself.
    pub(super) fn exit(&self) -> Option<i32> {
        const EXITED: i64 = 1; // CLD_EXITED of waitid(2)
        let exit = self.number("ExecMainStatus").and_then(|status| i32::try_from(status).ok());
        exit.filter(|_| self.number("ExecMainCode") == Some(EXITED))
    }
}

impl Systemctl {
    pub(crate) fn new(of_user: bool, env: &Environment) -> Self {
        Self { of_user, path: env("PATH") }
    }

    /// Checks that the service manager answers.
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        let out = self.output(&["show", "--property=Version"])?;
        match said(&out) {
            _ if out.status.success() => Ok(()),
            said if self.of_user => Err(ServiceError::NoUserManager(said)),
            said => Err(ServiceError::Refused { command: self.line(&["show"]), said }),
        }
    }

    /// Tells it to do something, and waits until it is done.
    pub(super) fn tell(&self, words: &[&str]) -> Result<(), ServiceError> {
        let out = self.output(words)?;
        if out.status.success() {
            return Ok(());
        }
        Err(ServiceError::Refused { command: self.line(words), said: said(&out) })
    }

    /// Asks for what it knows of a unit; one it does not know is not loaded.
    pub(crate) fn show(&self, unit: &str) -> Result<Shown, ServiceError> {
        let words = ["show", PROPERTIES, "--timestamp=unix", unit];
        let out = self.output(&words)?;
        if !out.status.success() {
            return Err(ServiceError::Refused { command: self.line(&words), said: said(&out) });
        }
        let text = String::from_utf8_lossy(&out.stdout);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(Shown(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    fn output(&self, words: &[&str]) -> Result<Output, ServiceError> {
        let mut command = program("systemctl", self.path.as_ref());
        if self.of_user {
            command.arg("--user");
        }
        command.args(words).output().map_err(|source| ServiceError::Program { program: "systemctl", source })
    }

    fn line(&self, words: &[&str]) -> String {
        let user = if self.of_user { "--user " } else { "" };
        format!("systemctl {user}{}", words.join(" "))
    }
}

/// The first line of what a program complained of: the rest are explanations of its own.
fn said(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stderr);
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.map_or_else(|| out.status.to_string(), |line| line.trim().trim_end_matches('.').to_owned())
}
