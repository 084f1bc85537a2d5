//! Where the program's files are on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The longest path a Unix socket can be bound to, in bytes (`sun_path` less its NUL).
const SOCKET_MAX: usize = 107;

/// Why the places of the program's files are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathsError {
    /// Neither `HOME` nor an override says where.
    #[error("HOME is not set, so there is no place for {0}")]
    NoHome(&'static str),
    /// An override that depends on where the program was started.
    #[error("{variable} is \"{}\", which is not an absolute path", value.display())]
    Relative {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: PathBuf,
    },
    /// The operating system cannot bind a socket there.
    #[error("the socket's path \"{}\" is longer than {SOCKET_MAX} bytes", .0.display())]
    SocketTooLong(PathBuf),
}

impl PathsError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoHome(_) => "set HOME, or HCFS_CONFIG, HCFS_STATE_DIR, HCFS_SOCKET and HCFS_SERVER_DATA",
            Self::Relative { .. } => "give the path from the root, starting with /",
            Self::SocketTooLong(_) => "set HCFS_SOCKET to a shorter path",
        }
    }
}

/// Where the program's files are: `HCFS_*` first, then `XDG_*`, then below `HOME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The configuration file.
    pub config: PathBuf,
    /// The state directory: databases, the sealed phrase, the lock.
    pub state: PathBuf,
    /// The daemon's socket.
    pub socket: PathBuf,
    /// The embedded server's data.
    pub server_data: PathBuf,
}

impl Paths {
    /// Reads the places from an environment.
    ///
    /// An `XDG_*` variable that is not absolute is ignored, as its specification asks. Without `XDG_RUNTIME_DIR` the
    /// socket lies in the state directory.
    ///
    /// # Errors
    /// A place that is not known, or cannot be used.
    pub fn from_env(var: &impl Fn(&str) -> Option<OsString>) -> Result<Self, PathsError> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let over = |variable: &'static str| match set(variable) {
            Some(value) if value.is_relative() => Err(PathsError::Relative { variable, value }),
            other => Ok(other),
        };
        let xdg = |name: &str| set(name).filter(|path| path.is_absolute());
        let below_home = |xdg_name: &str, default: &str, what: &'static str| match xdg(xdg_name) {
            Some(path) => Ok(path),
            None => xdg("HOME").map(|home| home.join(default)).ok_or(PathsError::NoHome(what)),
        };
        let config = match over("HCFS_CONFIG")? {
            Some(path) => path,
            None => below_home("XDG_CONFIG_HOME", ".config", "the configuration")?.join("hcfs/config.toml"),
        };
        let state = match over("HCFS_STATE_DIR")? {
            Some(path) => path,
            None => below_home("XDG_STATE_HOME", ".local/state", "the state")?.join("hcfs"),
        };
        let socket = match over("HCFS_SOCKET")? {
            Some(path) => path,
            None => match xdg("XDG_RUNTIME_DIR") {
                Some(runtime) => runtime.join("hcfs/hcfs.sock"),
                None => state.join("run/hcfs.sock"),
            },
        };
        if socket.as_os_str().len() > SOCKET_MAX {
            return Err(PathsError::SocketTooLong(socket));
        }
        let server_data = match over("HCFS_SERVER_DATA")? {
            Some(path) => path,
            None => below_home("XDG_DATA_HOME", ".local/share", "the server's files")?.join("hcfs/server"),
        };
        Ok(Self { config, state, socket, server_data })
    }

    /// The phrase, sealed with the password.
    #[must_use]
    pub fn sealed_phrase(&self) -> PathBuf {
        self.state.join("enc_mnemonic.json")
    }

    /// The key file that opens the phrase, where nothing else was chosen.
    #[must_use]
    pub fn unlock_key(&self) -> PathBuf {
        self.state.join("unlock.key")
    }

    /// The token of a login with the account's key.
    #[must_use]
    pub fn login_token(&self) -> PathBuf {
        self.state.join("login_token.json")
    }

    /// Where a new phrase is written when there is no terminal to show it on.
    #[must_use]
    pub fn recovery_phrase(&self) -> PathBuf {
        self.state.join("recovery-phrase.txt")
    }

    /// The lock one daemon holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state.join("daemon.lock")
    }

    /// The directory the socket lies in.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.socket.parent().unwrap_or(Path::new("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(env: &[(&str, &str)]) -> Result<Paths, PathsError> {
        Paths::from_env(&|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn a_plain_home_gives_the_published_places() {
        let found = paths(&[("HOME", "/home/me"), ("XDG_RUNTIME_DIR", "/run/user/1000")]).unwrap();
        assert_eq!(found.config, Path::new("/home/me/.config/hcfs/config.toml"));
        assert_eq!(found.state, Path::new("/home/me/.local/state/hcfs"));
        assert_eq!(found.socket, Path::new("/run/user/1000/hcfs/hcfs.sock"));
        assert_eq!(found.server_data, Path::new("/home/me/.local/share/hcfs/server"));
    }

    #[test]
    fn overrides_come_before_xdg_and_xdg_before_home() {
        let env = [
            ("HOME", "/home/me"),
            ("XDG_CONFIG_HOME", "/xdg/config"),
            ("XDG_STATE_HOME", "not/absolute"),
            ("XDG_DATA_HOME", "/xdg/data"),
            ("HCFS_STATE_DIR", ""),
            ("HCFS_SERVER_DATA", "/srv/hcfs"),
        ];
        let found = paths(&env).unwrap();
        assert_eq!(found.config, Path::new("/xdg/config/hcfs/config.toml"));
        assert_eq!(found.state, Path::new("/home/me/.local/state/hcfs"));
        assert_eq!(found.server_data, Path::new("/srv/hcfs"));
        assert_eq!(found.socket, Path::new("/home/me/.local/state/hcfs/run/hcfs.sock"));
    }

    #[test]
    fn no_home_is_needed_where_every_place_is_given() {
        let env = [
            ("HCFS_CONFIG", "/etc/hcfs/config.toml"),
            ("HCFS_STATE_DIR", "/var/lib/hcfs"),
            ("HCFS_SOCKET", "/run/hcfs/hcfs.sock"),
            ("HCFS_SERVER_DATA", "/srv/hcfs"),
        ];
        assert_eq!(paths(&env).unwrap().socket_dir(), Path::new("/run/hcfs"));
        assert_eq!(paths(&env[1..]), Err(PathsError::NoHome("the configuration")));
    }

    #[test]
    fn refuses_what_cannot_be_used() {
        assert!(matches!(
            paths(&[("HOME", "/h"), ("HCFS_STATE_DIR", "here")]),
            Err(PathsError::Relative { variable: "HCFS_STATE_DIR", .. })
        ));
        let long = format!("/{}", "x".repeat(SOCKET_MAX));
        assert!(matches!(paths(&[("HOME", "/h"), ("HCFS_SOCKET", &long)]), Err(PathsError::SocketTooLong(_))));
    }
}
