//! Whether the service manager starts the daemon by itself.

use std::path::Path;

use super::Found;
use crate::config::Environment;
use crate::service::systemctl::{Shown, Systemctl};

const NAME: &str = "service";

/// The user's unit, or the system's for this user.
pub(super) fn service(found: &mut Found, env: &Environment) {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| env(name)).and_then(|user| user.into_string().ok());
    let own = ask(true, env, "hcfs.service");
    if let Some(unit) = own.as_ref().filter(|unit| is_installed(unit)) {
        if unit.text("UnitFileState") != "enabled" {
            let hint = "run `hcfs service install`";
            return found.warn(NAME, "hcfs.service is installed, but does not start by itself", hint);
        }
        if unit.text("ActiveState") == "failed" {
            let hint = "see `journalctl --user --unit hcfs`, then run `hcfs service install`";
            return found.fail(NAME, "hcfs.service has failed", hint);
        }
        let lingers = user.is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists());
        return match lingers {
            true => found.ok(NAME, "hcfs.service starts with the machine"),
            false => found.ok(NAME, "hcfs.service runs while you are logged in; `loginctl enable-linger` lets it stay"),
        };
    }
    let system = user.as_ref().and_then(|user| ask(false, env, &format!("hcfs@{user}.service")));
    match (own, system) {
        (_, Some(unit)) if is_installed(&unit) && unit.text("UnitFileState") == "enabled" => {
            found.ok(NAME, "the system's hcfs@.service starts with the machine");
        }
        (None, None) => found.ok(NAME, "no systemd here"),
        _ => found.warn(NAME, "nothing starts the daemon by itself", "run `hcfs service install`"),
    }
}

/// What a service manager says of a unit; `None` where there is none to ask.
fn ask(of_user: bool, env: &Environment, unit: &str) -> Option<Shown> {
    Systemctl::new(of_user, env).show(unit).ok()
}

fn is_installed(unit: &Shown) -> bool {
    unit.text("LoadState") == "loaded"
}
