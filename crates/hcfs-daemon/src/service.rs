//! The daemon as a service of systemd: its unit written, enabled, looked at and removed.
//!
//! Invariants: the units are those of `systemd/`, which the package brings too; what this machine adds (where files lie,
//! what a hardened unit may see) stands in a drop-in. Only files that bear this program's mark are replaced or removed,
//! and never anything of the daemon's own: configuration, state and folders stay as they are.
//!
//! Deliberately absent: lingering, which is the user's decision, and credentials, which are the administrator's.

mod error;
pub(crate) mod systemctl;
mod unit;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcfs_api::Paths;

pub use self::error::ServiceError;
use self::systemctl::{Shown, Systemctl};
use self::unit::DropIn;
use crate::config::{Config, Environment};
use crate::identity::{self, IdentityError};
use crate::name_service;
use crate::secret::{SecretPlace, Unlock};

/// The name of the drop-in.
const DROP_IN: &str = "50-hcfs.conf";

/// Who runs the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The user's own service manager, while the user is logged in or lingers.
    User,
    /// The system, hardened, as a user: the one named, or the one who called sudo.
    System {
        /// The user.
        user: Option<String>,
    },
}

/// The machine a service is for.
pub struct Host {
    /// The program the unit runs.
    pub program: PathBuf,
    /// The environment, `HCFS_*` as the options have them.
    pub env: Environment,
    /// What `/etc`, `/run` and `/usr` lie below.
    pub root: PathBuf,
    /// Whether this process may change what the system runs.
    pub is_root: bool,
}

impl Host {
    /// This machine and the running program.
    ///
    /// # Errors
    /// The program does not know its own path.
    pub fn this(env: Environment) -> Result<Self, ServiceError> {
        let of_own = |source| ServiceError::Program { program: "hcfs", source };
        let program = std::env::current_exe().and_then(|path| path.canonicalize()).map_err(of_own)?;
        Ok(Self { program, env, root: PathBuf::from("/"), is_root: rustix::process::geteuid().is_root() })
    }
}

/// A service, installed or not.
pub struct Service {
    name: String,
    is_system: bool,
    systemctl: Systemctl,
    host: Host,
    /// Where the daemon's files are, and where it would look for them unless a drop-in says otherwise.
    paths: Paths,
    usual: Paths,
    template: &'static str,
    /// The unit's file, and the one the package would bring.
    file: PathBuf,
    packaged: PathBuf,
}

/// How a service fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// The unit's file; none: it is not installed.
    pub file: Option<PathBuf>,
    /// Whether the files are those that this version would write now; unknown where the configuration cannot be read.
    pub is_current: Option<bool>,
    /// Whether it starts by itself.
    pub is_enabled: bool,
    /// What systemd calls its state: `active`, `inactive`, `failed`, …
    pub state: String,
    /// Since when it is active, in Unix seconds.
    pub since: Option<i64>,
    /// What the daemon says it does.
    pub says: String,
    /// Its process.
    pub pid: Option<i64>,
}

/// The files of a service as they should be; `None`: there should be none.
struct Wanted {
    unit: Option<String>,
    drop_in: Option<String>,
}

impl Service {
    /// The service of a scope on a machine.
    ///
    /// # Errors
    /// No such user, or the places of its files are not known.
    pub fn new(scope: &Scope, host: Host) -> Result<Self, ServiceError> {
        match scope {
            Scope::User => Self::of_user(host),
            Scope::System { user } => {
                let caller = || (host.env)("SUDO_USER")?.into_string().ok().filter(|name| name != "root");
                let user = user.clone().or_else(caller).ok_or(ServiceError::WhichUser)?;
                Self::of_system(&user, host)
            }
        }
    }

    fn of_user(host: Host) -> Result<Self, ServiceError> {
        let set = |name: &str| (host.env)(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let paths = Paths::from_env(&|name| (host.env)(name))?;
        let usual = Paths::from_env(&|name| (host.env)(name).filter(|_| ["HOME", "XDG_RUNTIME_DIR"].contains(&name)))?;
        let below_home = || set("HOME").map(|home| home.join(".config"));
        let config = set("XDG_CONFIG_HOME").or_else(below_home);
        let config = config.ok_or(hcfs_api::PathsError::NoHome("the unit"))?;
        Ok(Self {
            name: "hcfs.service".to_owned(),
            is_system: false,
            systemctl: Systemctl::new(true, &host.env),
            paths,
            usual,
            template: unit::USER,
            file: config.join("systemd/user/hcfs.service"),
            packaged: host.root.join("usr/lib/systemd/user/hcfs.service"),
            host,
        })
    }

    fn of_system(user: &str, host: Host) -> Result<Self, ServiceError> {
        let home = name_service::home_of(user, &host.env).map_err(of_getent)?;
        let home = home.ok_or_else(|| ServiceError::NoUser(user.to_owned()))?;
        let state = Path::new("/var/lib/hcfs").join(user);
        let usual = Paths {
            config: host.root.join("etc/hcfs/config.toml"),
            server_data: state.join("server"),
            state,
            socket: Path::new("/run/hcfs").join(user).join("hcfs.sock"),
        };
        let is_usual = usual.config.exists();
        let place = |name: &str, usual: &Path| {
            let chosen = (host.env)(name).filter(|value| !value.is_empty());
            chosen.or_else(|| is_usual.then(|| usual.as_os_str().to_owned()))
        };
        let paths = Paths::from_env(&|name| match name {
            "HOME" => Some(home.clone()),
            "HCFS_CONFIG" => place(name, &usual.config),
            "HCFS_STATE_DIR" => place(name, &usual.state),
            "HCFS_SERVER_DATA" => place(name, &usual.server_data),
            "HCFS_SOCKET" => Some(usual.socket.clone().into()),
            _ => None,
        })?;
        Ok(Self {
            name: format!("hcfs@{user}.service"),
            is_system: true,
            systemctl: Systemctl::new(false, &host.env),
            paths,
            usual,
            template: unit::SYSTEM,
            file: host.root.join("etc/systemd/system/hcfs@.service"),
            packaged: host.root.join("usr/lib/systemd/system/hcfs@.service"),
            host,
        })
    }

    /// The unit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the daemon's files are when the service runs it.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Writes the unit, enables it, starts the daemon and waits until it is ready. Done again, it brings the files up to
    /// date, and restarts the daemon if they changed. Blocks.
    ///
    /// # Errors
    /// There is nothing to run yet, the service manager is out of reach or refuses, or the daemon does not come up: then
    /// the unit stays installed.
    pub fn install(&self) -> Result<ServiceStatus, ServiceError> {
        self.may_change()?;
        self.reach()?;
        let wanted = self.wanted()?;
        let was_active = self.systemctl.show(&self.name)?.text("ActiveState") == "active";
        let changed = self.place(&wanted)?;
        self.systemctl.tell(&["daemon-reload"])?;
        // Too many failed starts are forgotten; a unit that never ran has none.
        let _ = self.systemctl.tell(&["reset-failed", &self.name]);
        let mut started = self.systemctl.tell(&["enable", "--now", &self.name]);
        if started.is_ok() && was_active && changed {
            started = self.systemctl.tell(&["restart", &self.name]);
        }
        let shown = self.systemctl.show(&self.name)?;
        match (shown.text("ActiveState"), started) {
            ("active", started) => started?,
            // It was refused before anything ran.
            ("inactive", Err(error)) if shown.text("Result") == "success" => return Err(error),
            _ => return Err(self.ended(&shown)),
        }
        Ok(self.status_of(&shown))
    }

    /// Stops and disables the service and removes what [`Service::install`] wrote: which files. Blocks.
    ///
    /// # Errors
    /// The unit is somebody else's, or the service manager is out of reach or refuses.
    pub fn uninstall(&self) -> Result<Vec<PathBuf>, ServiceError> {
        self.may_change()?;
        self.reach()?;
        self.refuse_foreign()?;
        if self.systemctl.show(&self.name)?.text("LoadState") != "not-found" {
            self.systemctl.tell(&["disable", "--now", &self.name])?;
        }
        let mut removed = Vec::new();
        let drop_in = self.drop_in();
        if self.remove(&drop_in)? {
            // It stays where somebody else has something in it.
            let _ = drop_in.parent().map(fs::remove_dir);
            removed.push(drop_in);
        }
        if !self.has_others() && self.remove(&self.file)? {
            removed.push(self.file.clone());
        }
        self.systemctl.tell(&["daemon-reload"])?;
        // A unit that is gone without ever having failed has nothing to be forgotten.
        let _ = self.systemctl.tell(&["reset-failed", &self.name]);
        Ok(removed)
    }

    /// How the service fares. Blocks.
    ///
    /// # Errors
    /// The service manager is out of reach.
    pub fn status(&self) -> Result<ServiceStatus, ServiceError> {
        self.reach()?;
        Ok(self.status_of(&self.systemctl.show(&self.name)?))
    }

    fn status_of(&self, shown: &Shown) -> ServiceStatus {
        let file = [&self.file, &self.packaged].into_iter().find(|file| file.exists()).cloned();
        let is_active = shown.text("ActiveState") == "active";
        ServiceStatus {
            is_current: file.as_ref().and_then(|_| self.wanted().ok()).map(|wanted| self.is_placed(&wanted)),
            file,
            is_enabled: shown.text("UnitFileState").starts_with("enabled"),
            state: shown.text("ActiveState").to_owned(),
            since: shown.number("ActiveEnterTimestamp").filter(|_| is_active),
            says: shown.text("StatusText").to_owned(),
            pid: shown.number("MainPID").filter(|pid| *pid != 0),
        }
    }

    fn ended(&self, shown: &Shown) -> ServiceError {
        let scope = if self.is_system { "" } else { "--user " };
        ServiceError::Ended {
            unit: self.name.clone(),
            exit: shown.exit(),
            result: shown.text("Result").to_owned(),
            log: format!("journalctl {scope}--unit {} --lines 20", self.name),
        }
    }

    fn may_change(&self) -> Result<(), ServiceError> {
        if self.is_system && !self.host.is_root { Err(ServiceError::NotRoot) } else { Ok(()) }
    }

    /// Checks that the service manager is there: `/run/systemd/system` exists where it runs the machine.
    fn reach(&self) -> Result<(), ServiceError> {
        if !self.host.root.join("run/systemd/system").is_dir() {
            return Err(ServiceError::NoSystemd);
        }
        self.systemctl.check()
    }

    /// What the files should say. Whatever keeps the daemon from running is told now, and not by a unit that fails.
    fn wanted(&self) -> Result<Wanted, ServiceError> {
        if !self.paths.config.try_exists().unwrap_or(true) {
            return Err(ServiceError::NoConfig(self.paths.config.clone()));
        }
        // The variables of this shell are not those of the service.
        let none: Environment = Arc::new(|_: &str| None);
        let config = Config::load(&self.paths, &none)?;
        if !identity::exists(&self.paths) {
            return Err(IdentityError::None(self.paths.sealed_phrase()).into());
        }
        let text = unit::running(self.template, &self.host.program)?;
        let is_packaged = fs::read_to_string(&self.packaged).is_ok_and(|packaged| packaged == text);
        Ok(Wanted {
            unit: (!is_packaged).then(|| unit::marked(&text)),
            drop_in: self.drop_in_for(&config)?.text()?.map(|text| unit::marked(&text)),
        })
    }

    fn drop_in_for(&self, config: &Config) -> Result<DropIn, ServiceError> {
        let (paths, usual) = (&self.paths, &self.usual);
        let embedded = config.server.url.is_none();
        // The embedded server begins where the unit says, unless there is something already.
        let has_data = !self.is_system || (embedded && paths.server_data.exists());
        let mut drop_in = DropIn::default();
        if let Some(group) = &config.readers {
            let known = name_service::group(group, &self.host.env).map_err(of_getent)?;
            known.ok_or_else(|| ServiceError::NoGroup(group.clone()))?;
            drop_in.has_readers = true;
            drop_in.joins = self.is_system.then(|| group.clone());
        }
        for (name, path, usual, counts) in [
            ("HCFS_CONFIG", &paths.config, &usual.config, true),
            ("HCFS_STATE_DIR", &paths.state, &usual.state, true),
            ("HCFS_SERVER_DATA", &paths.server_data, &usual.server_data, has_data),
            ("HCFS_SOCKET", &paths.socket, &usual.socket, true),
        ] {
            if path != usual && counts {
                drop_in.variables.push((name, path.clone()));
            }
        }
        if !self.is_system {
            return Ok(drop_in);
        }
        // The configuration is edited by a rename in its directory.
        let directory = |name: &str, path: &Path| match name {
            "HCFS_CONFIG" => path.parent().unwrap_or(path).to_owned(),
            _ => path.to_owned(),
        };
        let mut writable: BTreeSet<PathBuf> =
            drop_in.variables.iter().map(|(name, path)| directory(name, path)).collect();
        for folder in config.folders.values() {
            if !folder.path.is_dir() {
                return Err(ServiceError::NoFolder(folder.path.clone()));
            }
            writable.insert(folder.path.clone());
        }
        let secrets = secrets(config)?;
        drop_in.readable = secrets.into_iter().filter(|file| !writable.iter().any(|at| file.starts_with(at))).collect();
        drop_in.writable = writable.into_iter().collect();
        Ok(drop_in)
    }

    fn drop_in(&self) -> PathBuf {
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        directory.join(format!("{}.d", self.name)).join(DROP_IN)
    }

    /// Brings the files to what they should say: whether any changed.
    fn place(&self, wanted: &Wanted) -> Result<bool, ServiceError> {
        self.refuse_foreign()?;
        let mut changed = false;
        for (path, text) in [(&self.file, &wanted.unit), (&self.drop_in(), &wanted.drop_in)] {
            changed |= match text {
                Some(text) if fs::read_to_string(path).is_ok_and(|there| there == *text) => false,
                Some(text) => {
                    let failed = |source| ServiceError::File { action: "write", path: path.clone(), source };
                    write(path, text).map_err(failed)?;
                    true
                }
                None => self.remove(path)?,
            };
        }
        Ok(changed)
    }

    fn is_placed(&self, wanted: &Wanted) -> bool {
        let says = |path: &Path| fs::read_to_string(path).ok();
        says(&self.file) == wanted.unit && says(&self.drop_in()) == wanted.drop_in
    }

    /// Checks that nobody else's unit lies where ours would.
    fn refuse_foreign(&self) -> Result<(), ServiceError> {
        for path in [self.file.clone(), self.drop_in()] {
            match fs::read_to_string(&path) {
                Ok(text) if unit::is_marked(&text) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(_) => return Err(ServiceError::Foreign(path)),
                Err(source) => return Err(ServiceError::File { action: "read", path, source }),
            }
        }
        Ok(())
    }

    /// Removes one of our files: whether there was one.
    fn remove(&self, path: &Path) -> Result<bool, ServiceError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ServiceError::File { action: "remove", path: path.to_owned(), source }),
        }
    }

    /// Whether other users' services rest on the same template.
    fn has_others(&self) -> bool {
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        let places = [directory.to_owned(), directory.join("multi-user.target.wants")];
        let names = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let own = format!("{}.d", self.name);
        self.is_system
            && names.into_iter().any(|name| name.starts_with("hcfs@") && name != "hcfs@.service" && name != own)
    }
}

/// The files that hold secrets the daemon asks for.
fn secrets(config: &Config) -> Result<Vec<PathBuf>, ServiceError> {
    let mut files = Vec::new();
    match &config.unlock {
        Unlock::Keyring => return Err(ServiceError::Keyring),
        Unlock::Keyfile(path) => files.push(path.clone()),
        Unlock::Prompt | Unlock::Credential(_) => {}
    }
    for place in config.secret_places() {
        match place {
            SecretPlace::Keyring(_) => return Err(ServiceError::Keyring),
            SecretPlace::File(path) => files.push(path.clone()),
            SecretPlace::Env(_) | SecretPlace::Credential(_) => {}
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn of_getent(source: io::Error) -> ServiceError {
    ServiceError::Program { program: "getent", source }
}

/// Writes a file that all may read, whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let staged = path.with_extension("new");
    let mut file = fs::File::create(&staged)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.sync_all()?;
    fs::rename(staged, path)
}
