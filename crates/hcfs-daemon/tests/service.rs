//! What installing, looking at and removing the service does to files, and what systemd is told.
//!
//! The service manager is a script in `PATH` that writes down what it is told; the units run for real in `tests/boot`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests may fail loudly")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcfs_daemon::Environment;
use hcfs_daemon::service::{Host, Scope, Service, ServiceError, ServiceStatus};

/// Answers as systemd 252 does; what it shows lies in files beside it.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >> calls
case "$*" in
*--property=Version) if [ -e no-bus ]; then echo 'Failed to connect to bus: No medium found' >&2; exit 1; fi ;;
*--property=LoadState*) cat shown ;;
*"enable --now"*)
    if [ -e failing ]; then cp failing shown; echo 'Job for hcfs.service failed because of it.' >&2; exit 1; fi
    cp running shown ;;
*"disable --now"*) cp stopped shown ;;
esac
"#;
const GETENT: &str = "#!/bin/sh\n[ \"$2\" = ana ] || [ \"$2\" = operators ] || exit 2\ncat \"$(dirname \"$0\")/$1\"\n";
const STOPPED: &str = "LoadState=not-found\nUnitFileState=\nActiveState=inactive\nActiveEnterTimestamp=\nStatusText=\n\
                       MainPID=0\nResult=success\nExecMainCode=0\nExecMainStatus=0\n";
const RUNNING: &str = "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nActiveEnterTimestamp=@1790000000\n\
                       StatusText=idle, 3 files in step\nMainPID=42\nResult=success\nExecMainCode=0\nExecMainStatus=0\n";
const FAILING: &str = "LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\nActiveEnterTimestamp=\nStatusText=\n\
                       MainPID=0\nResult=exit-code\nExecMainCode=1\nExecMainStatus=78\n";

/// A machine below a directory.
struct Machine {
    place: tempfile::TempDir,
    variables: BTreeMap<&'static str, OsString>,
    is_root: bool,
    program: PathBuf,
}

impl Machine {
    /// With systemd and a user `ana`, who has an account and a folder.
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home/ana");
        let programs = place.path().join("programs");
        for directory in ["run/systemd/system", "home/ana/.config/hcfs", "home/ana/.local/state/hcfs", "programs"] {
            fs::create_dir_all(place.path().join(directory)).unwrap();
        }
        fs::create_dir(home.join("My Documents")).unwrap();
        for (name, text) in [("systemctl", SYSTEMCTL), ("getent", GETENT)] {
            fs::write(programs.join(name), text).unwrap();
            fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(programs.join("passwd"), format!("ana:x:1000:1000::{}:/bin/sh\n", home.display())).unwrap();
        fs::write(programs.join("group"), "operators:x:900:\n").unwrap();
        fs::write(programs.join("stopped"), STOPPED).unwrap();
        fs::write(programs.join("running"), RUNNING).unwrap();
        fs::write(programs.join("shown"), STOPPED).unwrap();
        fs::write(home.join(".local/state/hcfs/enc_mnemonic.json"), "{}").unwrap();
        let variables = BTreeMap::from([
            ("HOME", home.into_os_string()),
            ("XDG_RUNTIME_DIR", place.path().join("run/user/1000").into_os_string()),
            ("PATH", format!("{}:/usr/bin:/bin", programs.display()).into()),
        ]);
        let machine = Self { place, variables, is_root: true, program: "/usr/bin/hcfs".into() };
        machine.configure("");
        machine
    }

    fn path(&self, below: &str) -> PathBuf {
        self.place.path().join(below)
    }

    fn home(&self, below: &str) -> PathBuf {
        self.path("home/ana").join(below)
    }

    fn configure(&self, more: &str) {
        let folder = self.home("My Documents");
        let text = format!("{more}\n[[folder]]\nlabel = \"documents\"\npath = \"{}\"\n", folder.display());
        fs::write(self.home(".config/hcfs/config.toml"), text).unwrap();
    }

    fn service(&self, scope: &Scope) -> Result<Service, ServiceError> {
        let variables = self.variables.clone();
        let env: Environment = Arc::new(move |name| variables.get(name).cloned());
        let (program, root) = (self.program.clone(), self.place.path().to_owned());
        Service::new(scope, Host { program, env, root, is_root: self.is_root })
    }

    fn install(&self, scope: &Scope) -> Result<ServiceStatus, ServiceError> {
        self.service(scope).and_then(|service| service.install())
    }

    /// What systemd was told since it was asked last; not what it was asked.
    fn told(&self) -> Vec<String> {
        let calls = self.path("programs/calls");
        let text = fs::read_to_string(&calls).unwrap_or_default();
        fs::write(calls, "").unwrap();
        text.lines()
            .filter(|line| !line.contains("show ") && !line.contains("reset-failed"))
            .map(str::to_owned)
            .collect()
    }

    fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }
}

fn system() -> Scope {
    Scope::System { user: Some("ana".into()) }
}

const USER_UNIT: &str = "home/ana/.config/systemd/user/hcfs.service";
const SYSTEM_UNITS: &str = "etc/systemd/system";

fn refused(installed: Result<ServiceStatus, ServiceError>, exit: u8, words: &str) {
    let error = installed.expect_err(words);
    let said = format!("{error}; {}", error.hint());
    assert!(said.contains(words), "{said}");
    assert_eq!(error.code().exit().number(), exit, "{said}");
}

#[test]
fn a_user_installs_it_again_and_again_and_removes_it() {
    let mut machine = Machine::new();
    let status = machine.install(&Scope::User).unwrap();
    assert_eq!(status.file.as_deref(), Some(&*machine.path(USER_UNIT)));
    assert_eq!((status.is_current, status.is_enabled, status.state.as_str()), (Some(true), true, "active"));
    assert_eq!(
        (status.since, status.says.as_str(), status.pid),
        (Some(1_790_000_000), "idle, 3 files in step", Some(42))
    );
    assert_eq!(machine.told(), ["--user daemon-reload", "--user enable --now hcfs.service"]);
    assert!(machine.read(USER_UNIT).contains("\nExecStart=/usr/bin/hcfs daemon\n"));
    assert!(!machine.path(&format!("{USER_UNIT}.d")).exists(), "nothing differs here");

    machine.install(&Scope::User).unwrap();
    assert!(!machine.told().contains(&"--user restart hcfs.service".to_owned()), "nothing changed");

    machine.program = "/opt/my programs/hcfs".into();
    machine.variables.insert("HCFS_STATE_DIR", machine.home("100% state").into());
    fs::rename(machine.home(".local/state/hcfs"), machine.home("100% state")).unwrap();
    assert_eq!(machine.service(&Scope::User).unwrap().status().unwrap().is_current, Some(false));
    machine.install(&Scope::User).unwrap();
    assert!(machine.told().contains(&"--user restart hcfs.service".to_owned()), "the files changed");
    assert!(machine.read(USER_UNIT).contains("\nExecStart=\"/opt/my programs/hcfs\" daemon\n"));
    let drop_in = machine.read(&format!("{USER_UNIT}.d/50-hcfs.conf"));
    let state = machine.home("100%% state");
    assert!(
        drop_in.ends_with(&format!("[Service]\nEnvironment=\"HCFS_STATE_DIR={}\"\n", state.display())),
        "{drop_in}"
    );

    let own = machine.path(&format!("{USER_UNIT}.d/override.conf"));
    fs::write(&own, "[Service]\nNice=9\n").unwrap();
    let removed = machine.service(&Scope::User).unwrap().uninstall().unwrap();
    assert_eq!(removed, [machine.path(&format!("{USER_UNIT}.d/50-hcfs.conf")), machine.path(USER_UNIT)]);
    assert_eq!(machine.told(), ["--user disable --now hcfs.service", "--user daemon-reload"]);
    assert!(
        own.exists() && machine.home("100% state/enc_mnemonic.json").exists() && machine.home("My Documents").exists()
    );
    assert!(!machine.path(USER_UNIT).exists());
    assert_eq!(machine.service(&Scope::User).unwrap().status().unwrap().file, None);
    assert!(machine.service(&Scope::User).unwrap().uninstall().unwrap().is_empty());
}

#[test]
fn the_unit_of_the_package_does() {
    let mut machine = Machine::new();
    let packaged = machine.path("usr/lib/systemd/user/hcfs.service");
    fs::create_dir_all(packaged.parent().unwrap()).unwrap();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd/hcfs.service"), &packaged).unwrap();
    let status = machine.install(&Scope::User).unwrap();
    assert_eq!((status.file.as_deref(), status.is_current), (Some(&*packaged), Some(true)));
    assert!(!machine.path(USER_UNIT).exists());
    // Another program than the package's needs a unit of its own; back at the package's it is in the way.
    machine.program = machine.home("bin/hcfs");
    assert_eq!(machine.install(&Scope::User).unwrap().file.as_deref(), Some(&*machine.path(USER_UNIT)));
    machine.program = "/usr/bin/hcfs".into();
    assert_eq!(machine.install(&Scope::User).unwrap().file.as_deref(), Some(&*packaged));
    machine.service(&Scope::User).unwrap().uninstall().unwrap();
    assert!(packaged.exists());
}

#[test]
fn the_system_shows_the_daemon_its_folders_and_nothing_else() {
    let mut machine = Machine::new();
    let token = machine.home("token");
    machine.configure(&format!(
        "[server]\nurl = \"https://sync.example\"\ntoken = \"file:{}\"\n[unlock]\nwith = \"keyfile:{}\"\n",
        token.display(),
        machine.home(".local/state/hcfs/unlock.key").display(),
    ));
    let status = machine.install(&system()).unwrap();
    assert_eq!(status.is_current, Some(true));
    assert_eq!(machine.told(), ["daemon-reload", "enable --now hcfs@ana.service"]);
    let home = machine.home("");
    let drop_in = machine.read(&format!("{SYSTEM_UNITS}/hcfs@ana.service.d/50-hcfs.conf"));
    let wanted = "[Service]\nEnvironment=\"HCFS_CONFIG=~.config/hcfs/config.toml\"\n\
                  Environment=\"HCFS_STATE_DIR=~.local/state/hcfs\"\n\
                  BindPaths=\"~.config/hcfs\"\nReadWritePaths=\"~.config/hcfs\"\n\
                  BindPaths=\"~.local/state/hcfs\"\nReadWritePaths=\"~.local/state/hcfs\"\n\
                  BindPaths=\"~My Documents\"\nReadWritePaths=\"~My Documents\"\n\
                  BindReadOnlyPaths=\"~token\"\n";
    assert_eq!(drop_in.split_once('\n').unwrap().1, wanted.replace('~', &home.to_string_lossy()));

    // The template stays while another user's service rests on it.
    let other = machine.path(SYSTEM_UNITS).join("hcfs@bob.service.d");
    fs::create_dir(&other).unwrap();
    assert_eq!(machine.service(&system()).unwrap().uninstall().unwrap().len(), 1);
    assert!(machine.path(SYSTEM_UNITS).join("hcfs@.service").exists());
    fs::remove_dir(other).unwrap();
    machine.variables.insert("SUDO_USER", "ana".into());
    let caller = Scope::System { user: None };
    assert_eq!(machine.service(&caller).unwrap().uninstall().unwrap().len(), 1);
    assert_eq!(fs::read_dir(machine.path(SYSTEM_UNITS)).unwrap().count(), 0);
}

#[test]
fn a_daemon_with_readers_may_give_them_its_socket() {
    let machine = Machine::new();
    machine.configure("[socket]\nreaders = \"operators\"\n");
    machine.install(&system()).unwrap();
    let drop_in = machine.read(&format!("{SYSTEM_UNITS}/hcfs@ana.service.d/50-hcfs.conf"));
    let wanted = "SystemCallFilter=@chown\nSupplementaryGroups=operators\nPrivateUsers=no\nRuntimeDirectoryMode=0711\n";
    assert!(drop_in.ends_with(wanted), "{drop_in}");
    machine.install(&Scope::User).unwrap();
    let drop_in = machine.read(&format!("{USER_UNIT}.d/50-hcfs.conf"));
    assert!(drop_in.ends_with("[Service]\nSystemCallFilter=@chown\n"), "{drop_in}");
    // A unit that names no group does not start.
    machine.configure("[socket]\nreaders = \"nobodys\"\n");
    refused(machine.install(&system()), 78, "there is no group \"nobodys\"");
}

#[test]
fn a_configuration_of_the_system_comes_before_the_users() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("etc/hcfs")).unwrap();
    fs::copy(machine.home(".config/hcfs/config.toml"), machine.path("etc/hcfs/config.toml")).unwrap();
    let service = machine.service(&system()).unwrap();
    assert_eq!(service.paths().config, machine.path("etc/hcfs/config.toml"));
    assert_eq!(service.paths().state, Path::new("/var/lib/hcfs/ana"));
    assert_eq!(service.paths().socket, Path::new("/run/hcfs/ana/hcfs.sock"));
}

#[test]
fn whatever_is_missing_is_told_before_anything_is_written() {
    let mut machine = Machine::new();
    machine.is_root = false;
    refused(machine.install(&system()), 77, "root alone; run it through sudo");
    machine.is_root = true;
    refused(machine.install(&Scope::System { user: None }), 2, "--user NAME");
    refused(machine.install(&Scope::System { user: Some("nobody-else".into()) }), 2, "no user \"nobody-else\"");
    refused(machine.install(&Scope::System { user: Some("../ana".into()) }), 2, "no user");
    machine.configure("[unlock]\nwith = \"keyring\"\n");
    refused(machine.install(&system()), 78, "keyring");
    machine.configure("[unlock]\nwith = \"magic\"\n");
    refused(machine.install(&Scope::User), 78, "line 2");
    machine.configure("");
    fs::rename(machine.home("My Documents"), machine.home("away")).unwrap();
    refused(machine.install(&system()), 1, "is missing");
    fs::remove_file(machine.home(".local/state/hcfs/enc_mnemonic.json")).unwrap();
    refused(machine.install(&Scope::User), 78, "no account");
    fs::remove_file(machine.home(".config/hcfs/config.toml")).unwrap();
    refused(machine.install(&Scope::User), 78, "hcfs init");
    fs::write(machine.path("programs/no-bus"), "").unwrap();
    refused(machine.install(&Scope::User), 1, "No medium found; log in as the user");
    fs::remove_dir(machine.path("run/systemd/system")).unwrap();
    refused(machine.install(&Scope::User), 1, "systemd does not run this machine");
    assert_eq!(machine.told(), [""; 0]);
    assert!(!machine.path(USER_UNIT).exists() && !machine.path(SYSTEM_UNITS).exists());
}

#[test]
fn a_unit_of_somebody_else_is_left_alone() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path(USER_UNIT).parent().unwrap()).unwrap();
    fs::write(machine.path(USER_UNIT), "[Service]\nExecStart=/bin/true\n").unwrap();
    refused(machine.install(&Scope::User), 1, "was not written by this program");
    let removed = machine.service(&Scope::User).unwrap().uninstall().unwrap_err();
    assert!(matches!(removed, ServiceError::Foreign(_)), "{removed}");
    assert_eq!(machine.told(), [""; 0]);
    assert_eq!(machine.read(USER_UNIT), "[Service]\nExecStart=/bin/true\n");
}

#[test]
fn a_daemon_that_does_not_come_up_is_told_with_its_own_code() {
    let machine = Machine::new();
    fs::write(machine.path("programs/failing"), FAILING).unwrap();
    refused(
        machine.install(&Scope::User),
        78,
        "its configuration is wrong (exit code 78); its log says more: journalctl --user",
    );
    let status = machine.service(&Scope::User).unwrap().status().unwrap();
    assert_eq!((status.state.as_str(), status.since, status.pid), ("failed", None, None));
}
