//! Whether the service manager starts the daemon by itself.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Found;
use crate::config::Environment;

const NAME: &str = "service";

/// The user's unit, or the system's for this user.
pub(super) fn service(found: &mut Found, env: &Environment) {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| env(name)).and_then(|user| user.into_string().ok());
    let own = ask(env, &["--user", "show", "hcfs.service", "--property=LoadState,UnitFileState,ActiveState"]);
    if let Some(unit) = own.as_ref().filter(|unit| unit.is_installed()) {
        if !unit.is("UnitFileState", "enabled") {
            let hint = "run `hcfs service install`";
            return found.warn(NAME, "hcfs.service is installed, but does not start by itself", hint);
        }
        if unit.is("ActiveState", "failed") {
            let hint = "see `journalctl --user --unit hcfs`, then run `hcfs service install`";
            return found.fail(NAME, "hcfs.service has failed", hint);
        }
        let lingers = user.is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists());
        return match lingers {
            true => found.ok(NAME, "hcfs.service starts with the machine"),
            false => found.ok(NAME, "hcfs.service runs while you are logged in; `loginctl enable-linger` lets it stay"),
        };
    }
    let system = user.as_ref().and_then(|user| {
        let unit = format!("hcfs@{user}.service");
        ask(env, &["show", &unit, "--property=LoadState,UnitFileState,ActiveState"])
    });
    match (own, system) {
        (_, Some(unit)) if unit.is_installed() && unit.is("UnitFileState", "enabled") => {
            found.ok(NAME, "the system's hcfs@.service starts with the machine");
        }
        (None, None) => found.ok(NAME, "no systemd here"),
        _ => found.warn(NAME, "nothing starts the daemon by itself", "run `hcfs service install`"),
    }
}

/// What the service manager says of a unit.
struct Unit(String);

impl Unit {
    fn is(&self, property: &str, value: &str) -> bool {
        self.0.lines().any(|line| line.split_once('=') == Some((property, value)))
    }

    fn is_installed(&self) -> bool {
        self.is("LoadState", "loaded")
    }
}

/// `None` where there is no service manager to ask.
fn ask(env: &Environment, args: &[&str]) -> Option<Unit> {
    let mut command = Command::new("systemctl");
    // The lookup of the program goes by the environment that is examined.
    if let Some(path) = env("PATH") {
        command.env("PATH", path);
    }
    let asked = command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    asked.status.success().then(|| Unit(String::from_utf8_lossy(&asked.stdout).into_owned()))
}
