//! The package, from its installation to its purge.

use std::path::{Path, PathBuf};
use std::process::Command;

use hcfs_tests::{cargo, text};

use crate::container::Container;

/// The package with the program as the tests use it.
fn package() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--", "package", "--debug"]).current_dir(root);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    PathBuf::from(text(&out.stdout).lines().last().unwrap())
}

/// The same package, newer.
fn newer(package: &Path, place: &Path, target: &Path) {
    let tree = place.join("tree");
    let run = |program: &str, arguments: &[&Path]| {
        let out = Command::new(program).args(arguments).output().unwrap();
        assert!(out.status.success(), "{program}: {}", text(&out.stderr));
    };
    run("dpkg-deb", &["--raw-extract".as_ref(), package, &tree]);
    let control = std::fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let (version, next) = ("\nVersion: 0.1.0-1\n", "\nVersion: 0.1.0-2\n");
    assert!(control.contains(version), "{control}");
    std::fs::write(tree.join("DEBIAN/control"), control.replace(version, next)).unwrap();
    run("dpkg-deb", &["-Zgzip".as_ref(), "-z1".as_ref(), "--build".as_ref(), &tree, target]);
}

#[test]
fn installed_started_upgraded_removed_and_purged() {
    let container = Container::boot(false);
    let first = package();
    std::fs::copy(&first, container.shared("1.deb")).unwrap();
    newer(&first, &container.shared(""), &container.shared("2.deb"));
    let show = |unit: &str, property: &str| container.show("", unit, property);
    let (server, daemon) = ("hcfs-server.service", "hcfs@ana.service");

    container.ok("dpkg --install /shared/1.deb");
    assert!(container.ok("hcfs version").starts_with("hcfs "));
    assert_eq!((show(server, "UnitFileState"), show(server, "ActiveState")), ("disabled".into(), "inactive".into()));
    let share = "/usr/share";
    container.ok(&format!("zcat {share}/man/man1/hcfs-service.1.gz | grep '^.TH HCFS-SERVICE 1'"));
    container.ok(&format!("bash -n {share}/bash-completion/completions/hcfs"));
    container
        .ok(&format!("cd {share} && test -s zsh/vendor-completions/_hcfs -a -s fish/vendor_completions.d/hcfs.fish"));
    container.ok("test -d /etc/hcfs && test -z \"$(ls /etc/hcfs)\"");

    container.with_user();
    container.ok("systemctl enable --now hcfs-server && systemctl enable hcfs-server.socket");
    container.ok("hcfs service install --system --user ana");
    assert!(show(daemon, "FragmentPath").ends_with("/lib/systemd/system/hcfs@.service"), "the package brings it");
    container.ok("test ! -e '/etc/systemd/system/hcfs@.service'");
    let before = (show(server, "MainPID"), show(daemon, "MainPID"));

    container.ok("dpkg --install /shared/2.deb");
    assert_eq!(container.ok("dpkg-query --show --showformat='${Version}' hcfs"), "0.1.0-2");
    for (unit, pid) in [(server, before.0), (daemon, before.1)] {
        assert_eq!((show(unit, "ActiveState"), show(unit, "UnitFileState")), ("active".into(), "enabled".into()));
        assert_ne!(show(unit, "MainPID"), pid, "{unit} goes over to the new version");
    }
    container.until(&format!("systemctl show --value --property=StatusText {daemon} | grep '^idle, 1 file in step$'"));

    container.ok("dpkg --remove hcfs && test ! -e /usr/bin/hcfs");
    assert_eq!((show(server, "ActiveState"), show(daemon, "ActiveState")), ("inactive".into(), "inactive".into()));
    container.ok("dpkg --purge hcfs");
    assert_eq!(container.ok("find /etc /usr /var/lib/dpkg /var/lib/systemd -name '*hcfs*'"), "");
    // What people keep is theirs.
    container.ok("test -d /var/lib/private/hcfs-server -a -e /home/ana/.config/hcfs/config.toml");
    container.journal(daemon);
}
