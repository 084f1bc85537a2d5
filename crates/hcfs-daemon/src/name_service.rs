//! Users and groups of this machine, as its own name service has them: files, directories, whatever is set up.
//!
//! `getent` is asked, a program every Linux has: the C library's functions would tie the program to one C library.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{Command, Stdio};

use rustix::fs::Gid;

use crate::config::Environment;

/// Whether a text can be the name of a user or a group: it is handed to `getent`, and stands in a unit.
pub(crate) fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "_.-@".contains(c);
    !name.is_empty() && name.len() <= 256 && !name.starts_with('-') && name.chars().all(is_plain)
}

/// Where a user is at home; `None` where there is no such user. Blocks.
///
/// # Errors
/// `getent` does not run.
pub(crate) fn home_of(user: &str, env: &Environment) -> io::Result<Option<OsString>> {
    let home = field("passwd", user, 5, env)?.filter(|home| home.starts_with('/'));
    Ok(home.map(|home| OsStr::new(&home).to_owned()))
}

/// A group's number; `None` where there is no such group. Blocks.
///
/// # Errors
/// `getent` does not run.
pub(crate) fn group(name: &str, env: &Environment) -> io::Result<Option<Gid>> {
    let number = field("group", name, 2, env)?.and_then(|number| number.parse().ok());
    Ok(number.map(Gid::from_raw))
}

/// A field of the line of a name in one of the name service's tables.
fn field(table: &str, name: &str, at: usize, env: &Environment) -> io::Result<Option<String>> {
    if !is_name(name) {
        return Ok(None);
    }
    let out = program("getent", env("PATH").as_ref()).args([table, name]).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text.lines().next().and_then(|line| line.split(':').nth(at)).map(str::to_owned))
}

/// A program of the system, looked for where `path` says, that speaks as it is documented.
pub(crate) fn program(name: &str, path: Option<&OsString>) -> Command {
    let mut command = Command::new(name);
    command.env("LC_ALL", "C").stdin(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn groups_and_homes_of_this_machine() {
        let env: Environment = Arc::new(|name| std::env::var_os(name));
        assert_eq!(group("root", &env).unwrap(), Some(Gid::ROOT));
        assert_eq!(home_of("root", &env).unwrap(), Some("/root".into()));
        for nobody in ["no-such-group", "", "--help", "a b", "a:b", "a\nb", "../etc"] {
            assert_eq!(group(nobody, &env).unwrap(), None, "{nobody}");
        }
        let nowhere: Environment = Arc::new(|_| Some("/nowhere".into()));
        group("root", &nowhere).unwrap_err();
    }
}
