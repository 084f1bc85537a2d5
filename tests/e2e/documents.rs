//! What the documents show is true: every command in them runs, in their order, and every word is explained.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use hcfs_tests::{Machine, blocks, path, text};

const STARTED: &str = include_str!("../../crates/hcfs/docs/getting-started.md");
const SECOND: &str = include_str!("../../crates/hcfs/docs/second-device.md");
const SERVER: &str = include_str!("../../crates/hcfs/docs/server.md");
const SERVICE: &str = include_str!("../../crates/hcfs/docs/service.md");
const WORDS: &str = include_str!("../../crates/hcfs/docs/troubleshooting.md");

/// The commands a document shows, in order.
fn commands(document: &str) -> Vec<&str> {
    let lines = blocks(document, "sh").flat_map(str::lines).map(|line| line.split(" #").next().unwrap().trim());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Whether a command runs until it is ended.
fn stays(line: &str) -> bool {
    ["hcfs up ", "hcfs daemon", "hcfs server --listen"].iter().any(|start| line.starts_with(start))
}

/// Runs commands as a person types them, those that stay in the background.
#[track_caller]
fn type_all(machine: &mut Machine, lines: &[&str], change: impl Fn(&str) -> String) {
    for line in lines {
        let line = change(line);
        if stays(&line) {
            machine.spawn_line(&line).unwrap();
            if line.starts_with("hcfs server") {
                let at = line.split(' ').find(|word| word.starts_with("127.0.0.1:")).unwrap();
                machine.until_true(&line, || TcpStream::connect(at).is_ok());
            } else {
                let _ = machine.until(&line, |status| status["idle"] == true);
            }
            continue;
        }
        let out = machine.shell(&line).output().unwrap();
        assert!(out.status.success(), "$ {line}\n{}{}\n{}", text(&out.stdout), text(&out.stderr), machine.said());
    }
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn getting_started_a_server_and_a_second_device() {
    let mut first = Machine::new().unwrap();
    let lines = commands(STARTED);
    assert!(lines.len() > 18 && lines.iter().all(|line| !line.contains("sudo")), "{lines:?}");
    type_all(&mut first, &lines, str::to_owned);
    let shopping = first.path("notes/shopping.txt");
    assert_eq!(std::fs::read_to_string(&shopping).unwrap(), "milk, bread\n");
    type_all(&mut first, &commands(WORDS), str::to_owned);

    // The server both can reach; the first device moves to it as a person would, with its own account.
    let account = text(&first.shell("hcfs key show-account").output().unwrap().stdout).trim().to_owned();
    let port = port();
    let change = |line: &str| line.replace("5…", &account).replace("8080", &port.to_string());
    let mut server = Machine::new().unwrap();
    type_all(&mut server, &commands(SERVER), change);
    first.kill();
    let token = std::fs::read_to_string(server.path("token.txt")).unwrap();
    std::fs::write(first.path("token.txt"), &token).unwrap();
    let config = first.path(".config/hcfs/config.toml");
    let settings = std::fs::read_to_string(&config).unwrap();
    let place = blocks(SECOND, "toml").next().unwrap();
    let place = change(place).replace("/home/me/token.txt", path(&first.path("token.txt")));
    assert!(settings.contains("[server]\n"), "{settings}");
    std::fs::write(&config, settings.replace("[server]\n", &place)).unwrap();
    first.spawn_line("hcfs daemon").unwrap();
    let _ = first.until("held", |status| status["folders"][0]["state"] == "held");

    let mut second = Machine::new().unwrap();
    let words = std::fs::read_to_string(first.path(".local/state/hcfs/recovery-phrase.txt")).unwrap();
    std::fs::write(second.path("words.txt"), words).unwrap();
    std::fs::write(second.path("token.txt"), token).unwrap();
    let (mut on_first, mut moving, mut there, mut on_second) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (heading, lines) in [
        ("## On the first device", &mut on_first),
        ("## A server both can reach", &mut moving),
        ("## Where the server is", &mut there),
        ("## On the second device", &mut on_second),
    ] {
        let section = SECOND.split(heading).nth(1).unwrap().split("\n## ").next().unwrap();
        lines.extend(commands(section));
    }
    assert_eq!(on_first.len() + moving.len() + there.len() + on_second.len(), commands(SECOND).len());
    type_all(&mut first, &on_first, change);
    type_all(&mut first, &moving, change);
    type_all(&mut server, &there, |line| format!("HCFS_SERVER_DATA=$HOME/hcfs-server {}", change(line)));
    type_all(&mut second, &on_second, change);
    assert_eq!(std::fs::read(second.path("notes/shopping.txt")).unwrap(), std::fs::read(shopping).unwrap());
}

#[test]
fn every_command_and_option_the_documents_name_exists() {
    let machine = Machine::new().unwrap();
    let mut asked = BTreeSet::new();
    for document in [STARTED, SECOND, SERVER, SERVICE, WORDS] {
        // Blocks aside, whose commands run.
        let prose: String = document.split("```").step_by(2).collect();
        for quoted in prose.split('`').skip(1).step_by(2).filter_map(|text| text.strip_prefix("hcfs ")) {
            let is_command = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let words = quoted.split(' ').take_while(|word| is_command(word) && !word.starts_with('-'));
            asked.insert(words.collect::<Vec<_>>().join(" "));
        }
    }
    assert!(asked.len() > 10, "{asked:?}");
    for command in asked {
        let out = machine.shell(&format!("hcfs {command} --help")).output().unwrap();
        assert!(out.status.success(), "hcfs {command}: {}", text(&out.stderr));
        let last = command.split(' ').next_back().unwrap();
        assert!(text(&out.stdout).contains(&format!(" {last}")), "hcfs {command} is another command");
    }
    let help = text(&machine.shell("hcfs server --help").output().unwrap().stdout);
    for option in SERVER.split('`').filter(|quoted| quoted.starts_with("--")) {
        let known = help.contains(option) || ["--hashes"].contains(&option);
        assert!(known, "hcfs server {option}");
    }
}

/// The words in the first column of the table below a heading.
fn words(heading: &str) -> BTreeSet<&'static str> {
    let section = WORDS.split_once(&format!("\n## {heading}\n")).unwrap().1.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`')).collect()
}

fn source(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(file);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The texts that a function, or a constant, of a file holds.
fn texts(file: &str, from: &str, to: &str) -> BTreeSet<String> {
    let text = source(file);
    let part = text.split(from).nth(1).unwrap_or_else(|| panic!("{from}")).split(to).next().unwrap();
    part.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_word_a_user_may_meet_is_explained_and_no_other() {
    let codes: BTreeSet<String> = source("hcfs-api/API.md")
        .split("\n## Errors\n")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect();
    let as_str = |file: &str, of: &str| texts(file, &format!("impl {of} {{"), "\n    }\n}");
    let exits = ["0", "1", "2", "3", "4", "5", "6", "7", "77", "78", "130"].map(str::to_owned).into();
    for (heading, known, at_least) in [
        ("Errors", codes, 25),
        ("States of a folder", texts("hcfs-api/src/folder.rs", "pub fn as_str(self)", "\n    }\n"), 13),
        ("Problems of a file", as_str("hcfs-model/src/problem.rs", "ProblemCode"), 20),
        ("What the doctor looks at", texts("hcfs-daemon/src/doctor.rs", "pub const CHECKS", "];"), 19),
        ("Exit codes", exits, 11),
    ] {
        assert!(known.len() >= at_least, "{heading}: {known:?}");
        let explained: BTreeSet<String> = words(heading).into_iter().map(str::to_owned).collect();
        assert_eq!(explained, known, "{heading}");
    }
}
