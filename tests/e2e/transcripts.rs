//! What the commands print that need no daemon: stdout, stderr and exit code, from the real program. Those for the daemon
//! are in the command line's own tests.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use hcfs_tests::{Machine, text};

/// What differs from run to run, made the same: the home, and every word that is no word.
fn same(machine: &Machine, said: &str) -> String {
    let home = machine.path("");
    let said = said.replace(home.to_str().unwrap().trim_end_matches('/'), "~");
    let mut out = String::new();
    for word in said.split_inclusive(|char: char| !char.is_alphanumeric()) {
        let end = word.trim_end_matches(|char: char| !char.is_alphanumeric());
        let has = |what: fn(&u8) -> bool| end.as_bytes().iter().any(what);
        let is_random = end.len() >= 12 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        let is_date = end.len() >= 10 && end.bytes().all(|byte| byte.is_ascii_digit());
        out.push_str(if is_random || is_date { "…" } else { end });
        out.push_str(&word[end.len()..]);
    }
    out
}

/// Types lines one after another, and writes down what was said.
fn transcript(machine: &Machine, lines: &[&str]) -> String {
    let mut written = String::new();
    for line in lines {
        let out = machine.shell(line).env("HCFS_LOG", "off").output().unwrap();
        let _ = writeln!(written, "$ {}", same(machine, line));
        for (mark, said) in [(" ", &out.stdout), ("!", &out.stderr)] {
            for line in same(machine, &text(said)).lines() {
                let _ = writeln!(written, "{mark} {line}");
            }
        }
        let _ = writeln!(written, "({})\n", out.status.code().unwrap());
    }
    written
}

/// A phrase that everybody knows, so that its account is always the same.
fn known_words(machine: &Machine) {
    std::fs::write(machine.path("words.txt"), format!("{}art\n", "abandon ".repeat(23))).unwrap();
}

fn about_the_account(machine: &Machine) -> String {
    known_words(machine);
    std::fs::create_dir(machine.path("docs")).unwrap();
    let lines = [
        "hcfs up no/such/place",
        "hcfs daemon",
        "hcfs daemon --json",
        "hcfs key show-account",
        "hcfs key import --mnemonic-file nothing.txt",
        "hcfs key import --mnemonic-file words.txt",
        "hcfs init --device laptop --folder docs --server https://sync.example.org",
        "hcfs init --folder docs --json",
        "hcfs init --server https://other.example.org",
        "hcfs key show-account --json",
        "hcfs key export-mnemonic",
        "hcfs key export-mnemonic --json",
        "hcfs key change-password",
        "hcfs doctor --bogus",
        "hcfs --config /no/such/place/config.toml doctor --quiet | grep configuration",
        "hcfs fetch url http://127.0.0.1:9/list.csv",
        "hcfs fetch url ftp://example.org/list.csv --json",
        "hcfs man pages | sed s/^[0-9]*/MANY/",
        "hcfs completions bash | head -n 1",
        "hcfs completions csh 2>&1 | head -n 2",
        "hcfs version | sed s/[0-9].*/VERSION/",
    ];
    transcript(machine, &lines)
}

fn about_a_server(machine: &Machine) -> String {
    const ACCOUNT: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    let lines = [
        "hcfs server --listen 192.0.2.1:1",
        "hcfs server account add ACCOUNT",
        "hcfs server account quota ACCOUNT 1000000",
        "hcfs server account list",
        "hcfs server account list --json",
        "hcfs server token create --account ACCOUNT --label laptop",
        "hcfs server token list --account ACCOUNT",
        "hcfs server token revoke --account ACCOUNT 00ff",
        "hcfs server invitation create --label aunt",
        "hcfs server invitation list",
        "hcfs server invitation withdraw 00ff",
        "hcfs server account close ACCOUNT",
        "hcfs server publish --account ACCOUNT --folder docs a.txt",
        "hcfs server withdraw --account ACCOUNT --folder docs a.txt",
        "hcfs server stats",
        "hcfs server check",
        "hcfs server check --json",
        "hcfs server gc",
        "hcfs server gc --json",
    ];
    let lines: Vec<String> = lines.iter().map(|line| line.replace("ACCOUNT", ACCOUNT)).collect();
    transcript(machine, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn every_command_has_a_transcript() {
    let (machine, server) = (Machine::new().unwrap(), Machine::new().unwrap());
    let written = [about_the_account(&machine), about_a_server(&server)];
    insta::assert_snapshot!("account", written[0]);
    insta::assert_snapshot!("server", written[1]);

    let others = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/hcfs-cli/src/run/tests/snapshots");
    let mut typed: BTreeSet<String> = BTreeSet::new();
    let others =
        std::fs::read_dir(others).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    for transcript in written.into_iter().chain(others) {
        typed.extend(transcript.lines().filter_map(|line| line.strip_prefix("$ hcfs ")).map(|line| format!("{line} ")));
    }
    let pages = machine.shell("hcfs man pages --json").output().unwrap();
    let pages: serde_json::Value = serde_json::from_slice(&pages.stdout).unwrap();
    for page in pages["pages"].as_array().unwrap() {
        let page = page.as_str().unwrap().trim_end_matches(".1");
        // A command's name may have a hyphen where its page's has one between two names.
        let told = |line: &String| line.replace(' ', "-").starts_with(&page.replacen("hcfs-", "", 1));
        // The installer of units is looked at by the tests that have a service manager.
        let elsewhere = page == "hcfs" || page.starts_with("hcfs-service");
        assert!(elsewhere || typed.iter().any(told), "{page} has no transcript");
    }
}
