use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::*;

fn by_name() -> BTreeMap<String, String> {
    pages().into_iter().collect()
}

#[test]
fn every_command_has_a_page_and_every_page_a_command() {
    let pages = by_name();
    let mut expected = vec!["hcfs.1".to_owned()];
    let mut pending: Vec<(String, clap::Command)> = vec![("hcfs".into(), Invocation::command())];
    while let Some((path, command)) = pending.pop() {
        for below in command.get_subcommands() {
            let path = format!("{path}-{}", below.get_name());
            expected.push(format!("{path}.1"));
            pending.push((path, below.clone()));
        }
    }
    expected.sort();
    assert_eq!(pages.into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn every_page_has_its_sections_and_no_line_a_formatter_would_misread() {
    for (name, page) in by_name() {
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "\"EXIT STATUS\""] {
            assert!(page.contains(&format!(".SH {section}\n")), "{name} has no {section}");
        }
        let title = name.trim_end_matches(".1").to_uppercase();
        let version = env!("CARGO_PKG_VERSION");
        assert!(page.contains(&format!("\n.TH {title} 1 \"\" \"hcfs {version}\" \"User Commands\"\n")), "{name}");
        for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
            let request = line.split(' ').next().unwrap();
            let known = [".TH", ".SH", ".TP", ".PP", ".RS", ".RE", ".IP", ".br", ".nf", ".fi", ".ie", ".el"];
            assert!(known.contains(&request), "{name}: {line}");
        }
        assert!(!page.contains("EXTRA"), "{name}: the examples have a section of their own");
    }
}

/// Formats every page with warnings on, where a formatter is installed.
#[test]
fn formatters_have_nothing_to_say() {
    let dir = tempfile::tempdir().unwrap();
    for (name, page) in by_name() {
        fs::write(dir.path().join(&name), page).unwrap();
        for (program, args) in [
            ("groff", ["-man", "-Kutf8", "-Tutf8", "-ww", "-z"].as_slice()),
            ("mandoc", ["-T", "lint", "-W", "error"].as_slice()),
        ] {
            let formatted = Command::new(program).args(args).arg(dir.path().join(&name)).stdin(Stdio::null()).output();
            let Ok(formatted) = formatted else { continue };
            let said = String::from_utf8_lossy(&formatted.stderr);
            assert!(formatted.status.success() && said.is_empty(), "{program} {name}: {said}");
        }
    }
}

#[test]
fn a_page() {
    let page = &by_name()["hcfs-trash-restore.1"];
    insta::assert_snapshot!(page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn pages_are_written_into_a_directory_that_need_not_exist() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("share/man/man1");
    let asked = ManOptions { dir: dir.clone() };
    let (mut terminal, screen) = Terminal::scripted();
    write_pages(&asked, &GlobalOptions::default(), &mut terminal).unwrap();
    let count = pages().len();
    assert_eq!(screen.take_out(), format!("{count} pages in {}\n", dir.display()));
    // Once more: over those that are there, but through no link.
    let elsewhere = root.path().join("precious");
    fs::write(&elsewhere, "mine").unwrap();
    fs::remove_file(dir.join("hcfs.1")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, dir.join("hcfs.1")).unwrap();
    let json = GlobalOptions { json: true, ..GlobalOptions::default() };
    write_pages(&asked, &json, &mut terminal).unwrap();
    let told: serde_json::Value = serde_json::from_str(&screen.take_out()).unwrap();
    assert_eq!((&told["schema"], told["pages"].as_array().unwrap().len()), (&1.into(), count));
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    assert_eq!(fs::read_to_string(dir.join("hcfs.1")).unwrap(), by_name()["hcfs.1"]);

    let asked = ManOptions { dir: elsewhere.join("below") };
    let refused = write_pages(&asked, &json, &mut terminal).unwrap_err();
    assert_eq!((refused.exit(), refused.code()), (ExitCode::Failed, "io"));
}
