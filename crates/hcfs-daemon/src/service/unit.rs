//! The texts of the units: those of `systemd/`, with what differs on this machine.

use std::path::{Path, PathBuf};

use super::error::ServiceError;

/// The unit of a user's own service manager.
pub(super) const USER: &str = include_str!("../../../../systemd/hcfs.service");
/// The template of the system's.
pub(super) const SYSTEM: &str = include_str!("../../../../systemd/hcfs@.service");

/// Where the package puts the program, as the units name it.
const PACKAGED: &str = "ExecStart=/usr/bin/hcfs ";

/// The first line of every file that is written here: nothing without it is replaced or removed.
const MARK: &str = "# Written by `hcfs service install`, removed by `hcfs service uninstall`.\n";

/// Whether a file is one of ours.
pub(super) fn is_marked(text: &str) -> bool {
    text.starts_with(MARK)
}

/// A text as it is written to disk.
pub(super) fn marked(text: &str) -> String {
    format!("{MARK}{text}")
}

/// A unit that runs this program.
pub(super) fn running(unit: &str, program: &Path) -> Result<String, ServiceError> {
    let path = word(program)?;
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-".contains(c));
    let program = if is_plain { path } else { format!("\"{path}\"") };
    Ok(unit.replace(PACKAGED, &format!("ExecStart={program} ")))
}

/// What a unit says of this machine alone.
#[derive(Default)]
pub(super) struct DropIn {
    /// Variables of the environment.
    pub(super) variables: Vec<(&'static str, PathBuf)>,
    /// What is shown to the daemon, to read and write.
    pub(super) writable: Vec<PathBuf>,
    /// What is shown to it to read.
    pub(super) readable: Vec<PathBuf>,
    /// Whether the daemon gives its socket to a group.
    pub(super) has_readers: bool,
    /// That group, where the unit has to make the daemon a member.
    pub(super) joins: Option<String>,
}

impl DropIn {
    /// Its text; `None` if there is nothing to say.
    pub(super) fn text(&self) -> Result<Option<String>, ServiceError> {
        let mut text = String::new();
        for (name, path) in &self.variables {
            text.push_str(&format!("Environment=\"{name}={}\"\n", word(path)?));
        }
        for path in &self.writable {
            let path = word(path)?;
            text.push_str(&format!("BindPaths=\"{path}\"\nReadWritePaths=\"{path}\"\n"));
        }
        for path in &self.readable {
            text.push_str(&format!("BindReadOnlyPaths=\"{}\"\n", word(path)?));
        }
        if self.has_readers {
            text.push_str("SystemCallFilter=@chown\n");
        }
        if let Some(group) = &self.joins {
            // A user namespace would not know the group; the way to the socket lets others pass, not look around.
            text.push_str(&format!("SupplementaryGroups={group}\nPrivateUsers=no\nRuntimeDirectoryMode=0711\n"));
        }
        Ok((!text.is_empty()).then(|| format!("[Service]\n{text}")))
    }
}

/// A path as it stands between quotes: without what systemd takes for a quote, an escape or a specifier.
fn word(path: &Path) -> Result<String, ServiceError> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    let text = text.ok_or_else(|| ServiceError::Unfit(path.to_owned()))?;
    Ok(text.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn only_the_program_differs_from_what_the_package_brings() {
        for unit in [USER, SYSTEM] {
            assert_eq!(running(unit, Path::new("/usr/bin/hcfs")).unwrap(), unit);
            let other = running(unit, Path::new("/home/me/bin/hcfs")).unwrap();
            let differing: Vec<_> = unit.lines().zip(other.lines()).filter(|(was, is)| was != is).collect();
            assert_eq!(differing, [("ExecStart=/usr/bin/hcfs daemon", "ExecStart=/home/me/bin/hcfs daemon")]);
        }
    }

    #[test]
    fn paths_keep_their_meaning() {
        let unit = running(USER, Path::new(r#"/a b/100%/"q\/hcfs"#)).unwrap();
        assert!(unit.contains(r#"ExecStart="/a b/100%%/\"q\\/hcfs" daemon"#), "{unit}");
        let drop_in = DropIn {
            variables: vec![("HCFS_CONFIG", "/c 1".into())],
            writable: vec!["/w:1".into()],
            readable: vec!["/r%".into()],
            has_readers: true,
            joins: Some("operators".into()),
        };
        let text = drop_in.text().unwrap().unwrap();
        assert_eq!(
            text,
            "[Service]\nEnvironment=\"HCFS_CONFIG=/c 1\"\nBindPaths=\"/w:1\"\nReadWritePaths=\"/w:1\"\n\
             BindReadOnlyPaths=\"/r%%\"\nSystemCallFilter=@chown\nSupplementaryGroups=operators\nPrivateUsers=no\n\
             RuntimeDirectoryMode=0711\n"
        );
        assert_eq!(DropIn::default().text().unwrap(), None);
        for bad in [OsStr::new("/a\nExecStartPre=/bin/rm"), OsStr::from_bytes(b"/\xff")] {
            assert!(matches!(running(USER, Path::new(bad)), Err(ServiceError::Unfit(_))));
        }
    }
}
