//! What systemd itself says of the units, without running them.

use std::path::{Path, PathBuf};
use std::process::Command;

use hcfs_tests::text;

fn units() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../systemd").canonicalize().unwrap()
}

/// The score of a unit of ours: the smaller, the less is left to whoever breaks in.
fn exposure(unit: &str) -> f64 {
    exposure_of(&units().join(unit))
}

fn exposure_of(unit: &Path) -> f64 {
    let mut command = Command::new("systemd-analyze");
    let out = command.args(["security", "--offline=yes", "--no-pager"]).arg(unit).output();
    let out = out.unwrap_or_else(|error| panic!("systemd-analyze does not start: {error}"));
    let said = text(&out.stdout);
    let last = said.lines().last().unwrap_or_default();
    eprintln!("{last}");
    let score = last.split_whitespace().find_map(|word| word.parse().ok());
    score.unwrap_or_else(|| panic!("{}: {said}{}", unit.display(), text(&out.stderr)))
}

#[test]
fn what_the_system_runs_is_exposed_little() {
    for unit in ["hcfs@.service", "hcfs-server.service"] {
        assert!(exposure(unit) <= 2.0, "{unit}");
    }
    // With what its drop-in adds for readers.
    let text = std::fs::read_to_string(units().join("hcfs@.service")).unwrap();
    let more = "SystemCallFilter=@chown\nSupplementaryGroups=operators\nPrivateUsers=no\nRuntimeDirectoryMode=0711\n";
    let dir = tempfile::tempdir().unwrap();
    let with_readers = dir.path().join("hcfs@.service");
    std::fs::write(&with_readers, text.replace("\n[Install]", &format!("\n{more}\n[Install]"))).unwrap();
    assert!(exposure_of(&with_readers) <= 2.0);
    // Of a user's unit nothing is taken that needs namespaces; systemd takes it for root's.
    assert!(exposure("hcfs.service") <= 6.5);
}

#[test]
fn systemd_understands_every_line() {
    let home = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(units()).unwrap() {
        let path = entry.unwrap().path();
        let unit = std::fs::read_to_string(&path).unwrap();
        // The program and its manual are where the package puts them, which need not be installed.
        let unit = unit.replace("/usr/bin/hcfs", "/bin/true");
        let unit: String =
            unit.lines().filter(|line| !line.starts_with("Documentation=")).map(|l| format!("{l}\n")).collect();
        let copy = home.path().join(path.file_name().unwrap());
        std::fs::write(&copy, unit).unwrap();
        copies.push(copy);
    }
    for copy in copies {
        let out = Command::new("systemd-analyze").arg("verify").arg(&copy).output().unwrap();
        let complaints = text(&out.stderr);
        let own: Vec<&str> = complaints.lines().filter(|line| line.contains("hcfs")).collect();
        assert!(own.is_empty(), "{}: {own:#?}", copy.display());
    }
}

#[test]
fn a_fatal_end_is_not_tried_again_and_secrets_have_a_way_in() {
    for (unit, ways) in [
        ("hcfs.service", &["Restart=on-failure", "ExecReload="][..]),
        ("hcfs@.service", &["Restart=on-failure", "ExecReload=", "LoadCredentialEncrypted="]),
        ("hcfs-server.service", &["Restart=on-failure", "ExecReload=", "LoadCredential="]),
    ] {
        let text = std::fs::read_to_string(units().join(unit)).unwrap();
        let needed = ["Type=notify", "WatchdogSec=", "RestartPreventExitStatus=77 78", "UMask=0077", "LimitCORE=0"];
        for line in needed.iter().chain(ways) {
            assert!(text.contains(line), "{line} in {unit}");
        }
    }
}
