//! The daemon and the server as services: ready, watched, reloaded, stopped, and not restarted where that is of no use.

mod package;

use hcfs_tests::{blocks, text};
use serde_json::Value;

use crate::container::Container;

/// A user with an account and a folder whose name has whatever a unit could misread.
const FOLDER: &str = "/home/ana/My \"100%\" Docs: new";

impl Container {
    /// Runs a line as the user, as a login would.
    fn ana(line: &str) -> String {
        let line = line.replace('\'', r"'\''");
        format!("runuser -u ana -- env HOME=/home/ana XDG_RUNTIME_DIR=/run/user/1000 sh -c 'cd; {line}'")
    }

    fn with_user(&self) {
        self.ok("useradd --create-home --uid 1000 ana && loginctl enable-linger ana");
        self.until("test -S /run/user/1000/bus");
        self.ok(&Self::ana(&format!("mkdir '{FOLDER}' && echo one > '{FOLDER}/one' && echo private > secret")));
        self.ok(&Self::ana(&format!("hcfs init --quiet --folder '{FOLDER}' --label docs --device first --json")));
    }

    /// A property of a unit of a service manager.
    fn show(&self, manager: &str, unit: &str, property: &str) -> String {
        let line = format!("systemctl {manager} show --value --property={property} '{unit}'");
        let line = if manager.is_empty() { line } else { Self::ana(&line) };
        text(&self.run(&line).unwrap().stdout).trim().to_owned()
    }

    /// Brings the server's units, as the package does.
    fn with_server(&self) {
        let units = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../systemd");
        for unit in ["hcfs-server.service", "hcfs-server.socket"] {
            std::fs::copy(units.join(unit), self.shared(unit)).unwrap();
        }
        self.ok("cp /shared/hcfs-server.* /etc/systemd/system/ && systemctl daemon-reload");
    }

    fn journal(&self, unit: &str) {
        self.ok(&format!("journalctl --no-pager --output=short-precise _SYSTEMD_UNIT={unit} + _SYSTEMD_USER_UNIT={unit} + UNIT={unit} + USER_UNIT={unit}"));
    }
}

#[test]
fn a_users_own_service() {
    let container = Container::boot(true);
    container.with_user();
    let as_user = |line: &str| Container::ana(line);
    let show = |property: &str| container.show("--user", "hcfs.service", property);
    assert!(container.ends(&as_user("hcfs service status"), 4).is_empty());

    container.ok(&as_user("hcfs service install"));
    container.ok(&as_user("hcfs wait --timeout 60"));
    container.until(&as_user("hcfs service status | grep \"says       idle, 1 file in step\""));
    let status: Value = serde_json::from_str(&container.ok(&as_user("hcfs service status --json"))).unwrap();
    for (field, wanted) in [("installed", true), ("current", true), ("enabled", true)] {
        assert_eq!(status[field], wanted, "{status}");
    }
    assert_eq!((status["state"].as_str(), status["unit"].as_str()), (Some("active"), Some("hcfs.service")));
    assert_eq!(status["file"], "/home/ana/.config/systemd/user/hcfs.service");

    // The watchdog: fed while all is well, and what no longer moves is ended and started again.
    let shorter = "[Service]\nWatchdogSec=2\nRestartSec=100ms\n";
    let drop_ins = ".config/systemd/user/hcfs.service.d";
    container.ok(&as_user(&format!("mkdir {drop_ins} && echo '{shorter}' > {drop_ins}/shorter.conf")));
    container.ok(&as_user("systemctl --user daemon-reload && systemctl --user restart hcfs"));
    let fed = show("WatchdogTimestampMonotonic");
    container.until(&as_user(&format!(
        "test \"$(systemctl --user show --value --property=WatchdogTimestampMonotonic hcfs)\" != {fed}"
    )));
    let first = show("MainPID");
    container.ok(&format!("kill -STOP {first}"));
    container.until(&as_user("test \"$(systemctl --user show --value --property=NRestarts hcfs)\" = 1 && systemctl --user --quiet is-active hcfs"));
    assert_ne!(show("MainPID"), first);

    // A reload takes a new configuration without a new process.
    let second = show("MainPID");
    container
        .ok(&as_user("sed -i 's/\"first\"/\"renamed\"/' .config/hcfs/config.toml && systemctl --user reload hcfs"));
    container.until(&as_user("hcfs status --json | grep '\"device\":\"renamed\"'"));
    assert_eq!(show("MainPID"), second);

    // What trying again does not mend is not tried again.
    container.ok(&as_user("systemctl --user stop hcfs"));
    assert_eq!(
        (show("ActiveState"), show("Result"), show("ExecMainStatus")),
        ("inactive".into(), "success".into(), "0".into())
    );
    container.ok(&as_user("cp .config/hcfs/config.toml good && echo magic = 1 >> .config/hcfs/config.toml"));
    container.ends(&as_user("systemctl --user start hcfs"), 1);
    assert_eq!(
        (show("ActiveState"), show("ExecMainStatus"), show("NRestarts")),
        ("failed".into(), "78".into(), "0".into())
    );
    assert!(container.ends(&as_user("hcfs service install"), 78).contains("magic"));
    container.ok(&as_user("cp good .config/hcfs/config.toml && hcfs service install"));

    container.ok(&as_user("hcfs service uninstall"));
    assert_eq!((show("LoadState"), show("ActiveState")), ("not-found".into(), "inactive".into()));
    container.ok(&as_user(&format!(
        "test -e '{FOLDER}/one' -a -e .config/hcfs/config.toml -a ! -e .config/systemd/user/hcfs.service"
    )));
    container.journal("hcfs.service");
}

#[test]
fn a_service_of_the_system() {
    let container = Container::boot(true);
    container.with_user();
    let unit = "hcfs@ana.service";
    let show = |property: &str| container.show("", unit, property);
    assert!(container.ends(&Container::ana("hcfs service install --system --user ana"), 77).contains("sudo"));

    container.ok("mkdir /etc/hcfs && hcfs service install --system --user ana");
    let client = |words: &str| Container::ana(&format!("hcfs --socket /run/hcfs/ana/hcfs.sock {words}"));
    container.ok(&client("wait --timeout 60"));
    container.until(&format!("systemctl show --value --property=StatusText {unit} | grep '^idle, 1 file in step$'"));
    container.ok(&Container::ana(&format!("echo two > '{FOLDER}/two'")));
    container.until(&format!("systemctl show --value --property=StatusText {unit} | grep '^idle, 2 files in step$'"));
    container.ok("hcfs service status --system --user ana | grep --invert-match 'not as this version'");

    // It sees the user's folder and its own files of all that the user has, and writes nowhere else.
    let inside =
        |line: &str| format!("nsenter --target {} --mount -- runuser -u ana -- sh -c \"{line}\"", show("MainPID"));
    container.ends(&inside("cat /home/ana/secret"), 1);
    container.ok(&inside("ls -A /home/ana | sort | tr '\\n' ' ' | grep '^.config .local My'"));
    for place in ["/home/ana/x", "/usr/x", "/etc/hcfs/x", "/var/lib/x", "/x"] {
        container.ends(&inside(&format!("touch {place} 2>/dev/null")), 1);
    }
    assert_eq!(show("User"), "ana");

    // A folder that is not there may be a file system that is not mounted: it does not start on an empty directory.
    container.ok(&format!("systemctl stop {unit} && mv '{FOLDER}' /home/ana/away"));
    container.ends(&format!("systemctl start {unit}"), 1);
    assert_eq!(show("ExecMainStatus"), "226", "the mount namespace");
    container.ok(&format!("systemctl stop {unit} && mv /home/ana/away '{FOLDER}'"));
    container.ok(&Container::ana(&format!("test -e '{FOLDER}/two'")));

    container.ok(&format!("cp /home/ana/.config/hcfs/config.toml /good && echo magic = 1 >> /home/ana/.config/hcfs/config.toml && systemctl reset-failed {unit}"));
    container.ends(&format!("systemctl start {unit}"), 1);
    assert_eq!(
        (show("ActiveState"), show("ExecMainStatus"), show("NRestarts")),
        ("failed".into(), "78".into(), "0".into())
    );
    container.ok("hcfs service uninstall --system --user ana && test ! -e '/etc/systemd/system/hcfs@.service'");
    container.journal(unit);
}

/// What the document on services says of those who look on, done as it says.
#[test]
fn a_group_looks_on() {
    const TEXT: &str = include_str!("../../crates/hcfs/docs/service.md");
    let part = |heading: &str| TEXT.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let container = Container::boot(true);
    container.with_user();
    container.ok("useradd --create-home bob && useradd --create-home eve");
    let as_root = |line: &str| line.trim_start_matches("sudo ").to_owned();
    let as_bob = |line: &str| format!("runuser -u bob -- {line}");
    for line in blocks(part("The system's"), "sh").flat_map(str::lines) {
        container.ok(&if line.starts_with("sudo ") { as_root(line) } else { Container::ana(line) });
    }
    let status = "hcfs --socket /run/hcfs/ana/hcfs.sock status";
    assert!(container.ends(&as_bob(status), 77).contains("another user's"));

    let setting = blocks(part("Who may look on"), "toml").next().unwrap();
    container.ok(&format!("echo '{setting}' >> /home/ana/.config/hcfs/config.toml"));
    assert!(container.ends("hcfs service install --system --user ana", 78).contains("no group \"operators\""));
    let mut sections = blocks(part("Who may look on"), "sh");
    for line in sections.next().unwrap().lines() {
        container.ok(&as_root(line));
    }
    container.ok(&Container::ana("hcfs --socket /run/hcfs/ana/hcfs.sock wait --timeout 60"));
    for line in sections.next().unwrap().lines() {
        container.ok(&as_bob(line));
    }
    // A reload leaves it open, and so does a restart.
    container.ok("systemctl reload hcfs@ana.service");
    container.ok(&as_bob(status));
    container.ok("systemctl restart hcfs@ana.service");
    container.ok(&as_bob(status));
    let pause = "hcfs --socket /run/hcfs/ana/hcfs.sock folder pause docs";
    assert!(container.ends(&as_bob(pause), 77).contains("you may only look"));
    container.ends(&as_bob("hcfs --socket /run/hcfs/ana/hcfs.sock cat one"), 77);
    container.ends(&as_bob("ls /run/hcfs/ana"), 2);
    assert!(container.ends(&format!("runuser -u eve -- {status}"), 77).contains("another user's"));
    container.ok(&Container::ana(pause));
    container.journal("hcfs@ana.service");
}

#[test]
fn a_secret_sealed_to_the_machine() {
    let container = Container::boot(true);
    let unit = "hcfs@ana.service";
    container.ok("useradd --create-home --uid 1000 ana && mkdir /plain && echo a long enough secret > /plain/unlock");
    container.ok("chown -R ana /plain");
    let init = "mkdir docs && CREDENTIALS_DIRECTORY=/plain hcfs init --quiet --folder docs --unlock credential:unlock";
    container.ok(&Container::ana(init));
    container.ok("systemd-creds encrypt --name=unlock /plain/unlock /etc/ana.cred && rm -r /plain");
    container.ok("mkdir /etc/systemd/system/hcfs@ana.service.d");
    let drop_in = "[Service]\nLoadCredentialEncrypted=unlock:/etc/ana.cred\n";
    container.ok(&format!("echo '{drop_in}' > /etc/systemd/system/hcfs@ana.service.d/secret.conf"));
    container.ok("hcfs service install --system --user ana");
    container.until(&format!("systemctl show --value --property=StatusText {unit} | grep '^idle, 0 files in step$'"));
    // What install did not write stays.
    container.ok("hcfs service uninstall --system --user ana");
    container.ok("test -e /etc/systemd/system/hcfs@ana.service.d/secret.conf");
    container.journal(unit);
}

#[test]
fn a_server_of_the_system() {
    let container = Container::boot(true);
    let show = |property: &str| container.show("", "hcfs-server.service", property);
    container.with_server();
    container.ok("systemctl enable --now hcfs-server");
    assert_eq!(show("ActiveState"), "active");
    let first = show("MainPID");
    container.ok("systemctl reload hcfs-server");
    container.ok("test -e /var/lib/private/hcfs-server");
    assert_eq!((show("MainPID"), show("ActiveState")), (first, "active".into()));
    container.ok("systemctl stop hcfs-server");
    assert_eq!((show("ActiveState"), show("Result")), ("inactive".into(), "success".into()));
    container.ok("mkdir -p /etc/hcfs-server && echo 'OPTIONS=--database magic://x' > /etc/hcfs-server/options");
    container.ends("systemctl start hcfs-server", 1);
    assert_eq!(
        (show("ActiveState"), show("ExecMainStatus"), show("NRestarts")),
        ("failed".into(), "78".into(), "0".into())
    );
    container.journal("hcfs-server.service");
}

#[test]
fn a_port_that_systemd_holds_for_the_server() {
    const ASK: &str = "timeout 60 bash -c 'exec 3<>/dev/tcp/127.0.0.1/443; printf \"GET /health HTTP/1.0\\r\\n\\r\\n\" >&3; \
                       head -1 <&3' | grep ' 200 '";
    let container = Container::boot(true);
    container.with_server();
    let show = |unit: &str, property: &str| container.show("", unit, property);
    let (server, socket) = ("hcfs-server.service", "hcfs-server.socket");
    let at_443 = "[Socket]\nListenStream=\nListenStream=127.0.0.1:443\n";
    container.ok(&format!(
        "mkdir /etc/systemd/system/{socket}.d && echo '{at_443}' > /etc/systemd/system/{socket}.d/port.conf"
    ));
    container.ok("mkdir /etc/hcfs-server && echo OPTIONS= > /etc/hcfs-server/options && systemctl daemon-reload");
    container.ok(&format!("systemctl enable --now {socket}"));
    assert_eq!(show(server, "ActiveState"), "inactive");

    // Whoever connects waits for the server, which has no right to that port; also while it is down.
    container.ok(ASK);
    assert_eq!((show(server, "ActiveState"), show(server, "CapabilityBoundingSet")), ("active".into(), String::new()));
    container.ok(&format!("systemctl stop {server} 2>/dev/null"));
    container.ok(ASK);

    // Two who disagree on the address are told, once.
    container.ok("echo 'OPTIONS=--listen 127.0.0.1:8080' > /etc/hcfs-server/options");
    container.ends(&format!("systemctl restart {server}"), 1);
    assert_eq!((show(server, "ExecMainStatus"), show(server, "NRestarts")), ("78".into(), "0".into()));
    container.ok(&format!(
        "journalctl --unit {server} | grep 'a socket at 127.0.0.1:443, and --listen says 127.0.0.1:8080'"
    ));

    // Who connects meanwhile has it started again and again, which is why a daemon has no such socket; it ends soon.
    container.run(ASK).unwrap();
    container
        .until(&format!("test \"$(systemctl show --value --property=Result {socket})\" = service-start-limit-hit"));
    container.journal(server);
}
