pub(crate) mod samples;

use hcfs_api::{Conflict, ConflictSide, Hold, LogEvent, Problem, RemoteFile};
use insta::assert_snapshot;
use jiff::tz::TimeZone;

use super::*;
use samples::NOW;

const WIDE: Look = Look { width: Some(80), color: false };
const NARROW: Look = Look { width: Some(20), color: false };
const PIPE: Look = Look { width: None, color: false };

#[test]
fn status_of_idle_folders() {
    assert_snapshot!(status(&samples::idle(), NOW, WIDE));
}

#[test]
fn status_with_transfers() {
    assert_snapshot!(status(&samples::syncing(), NOW, WIDE));
}

#[test]
fn status_with_transfers_in_a_pipe() {
    assert_snapshot!(status(&samples::syncing(), NOW, PIPE));
}

#[test]
fn status_with_transfers_in_20_columns() {
    assert_snapshot!(status(&samples::syncing(), NOW, NARROW));
}

#[test]
fn status_while_the_server_cannot_be_reached() {
    assert_snapshot!(status(&samples::offline(), NOW, WIDE));
}

#[test]
fn status_while_locked() {
    assert_snapshot!(status(&samples::locked(), NOW, WIDE));
}

#[test]
fn status_with_something_left() {
    assert_snapshot!(status(&samples::attention(), NOW, WIDE));
}

#[test]
fn status_with_something_left_in_20_columns() {
    assert_snapshot!(status(&samples::attention(), NOW, NARROW));
}

#[test]
fn status_without_folders() {
    assert_snapshot!(status(&samples::no_folders(), NOW, WIDE));
}

#[test]
fn status_in_color() {
    let look = Look { width: Some(80), color: true };
    assert_snapshot!(status(&samples::attention(), NOW, look).replace('\x1b', "␛"));
}

#[test]
fn list_of_sources() {
    assert_snapshot!(sources(&samples::sources(), NOW, WIDE));
    assert_snapshot!(sources(&samples::sources(), NOW, NARROW));
    assert_snapshot!(sources(&[], NOW, PIPE), @r"
    no source brings files yet
    hint: add one with `hcfs source add NAME KIND …`
    ");
}

#[test]
fn one_source_with_its_files_and_problems() {
    let shown = &samples::sources()[0];
    assert_snapshot!(source(shown, &[samples::source_problem()], &[samples::source_file()], NOW, WIDE));
}

#[test]
fn how_a_run_ended() {
    let mut all = String::new();
    for source in samples::sources() {
        let problems = if source.problems > 0 { vec![samples::source_problem()] } else { Vec::new() };
        let reply = hcfs_api::RunReply { schema: 1, ended: source.transfers.is_empty(), source };
        all.push_str(&ran(&reply, &problems, WIDE));
    }
    assert_snapshot!(all);
}

#[test]
fn status_with_sources() {
    let mut shown = samples::idle();
    shown.sources = samples::sources();
    assert_snapshot!(status(&shown, NOW, WIDE));
}

#[test]
fn live_lines() {
    assert_snapshot!(live(&samples::syncing(), NOW, WIDE).join("\n"));
    assert_snapshot!(live(&samples::offline(), NOW, WIDE).join("\n"));
}

#[test]
fn phases_for_a_log() {
    let all = samples::all();
    let lines: Vec<String> = all.iter().flat_map(|status| &status.folders).map(|one| phase(one, NOW)).collect();
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn list_of_folders() {
    assert_snapshot!(folders(&samples::attention().folders, WIDE));
    assert_snapshot!(folders(&[], WIDE), @r"
    no folder is kept in step yet
    hint: add one with `hcfs folder add LABEL DIR`
    ");
}

/// Elements, each with its folder.
type InFolders<T> = Vec<(String, T)>;

fn wrong() -> (InFolders<Problem>, InFolders<Conflict>, InFolders<Hold>) {
    let problem = |path: Option<&str>, message: &str, hint: &str| Problem {
        path: path.map(str::to_owned),
        code: "name".into(),
        message: message.into(),
        hint: hint.into(),
    };
    let problems = vec![
        ("documents".into(), problem(Some("a\\b.txt"), "the name has a backslash", "rename the file")),
        ("photos".into(), problem(None, "the directory \"/home/me/photos\" is missing", "plug the disk in")),
    ];
    let conflict = |path: &str, kind: &str| Conflict {
        id: 1,
        path: path.into(),
        kind: kind.into(),
        copy: None,
        at: NOW - 120_000,
        local_size: Some(2048),
        remote_size: Some(10),
        local: Some(ConflictSide { size: 2048, at: Some(NOW - 300_000), device: Some("laptop".into()) }),
        remote: Some(ConflictSide { size: 10, at: Some(NOW - 240_000), device: None }),
        skipped: false,
    };
    let conflicts = vec![
        (
            "documents".into(),
            Conflict {
                copy: Some("report (conflict, laptop, 2026-11-21).odt".into()),
                ..conflict("report.odt", "both_modified")
            },
        ),
        (
            "documents".into(),
            Conflict { remote_size: None, remote: None, skipped: true, ..conflict("x", "modified_here_deleted_there") },
        ),
    ];
    let holds = vec![(
        "documents".into(),
        Hold {
            id: 3,
            kind: "mass_deletion_here".into(),
            scope: None,
            count: 1200,
            of: 1234,
            examples: vec!["a.txt".into(), "letters/b.txt".into()],
            at: NOW - 7_200_000,
        },
    )];
    (problems, conflicts, holds)
}

#[test]
fn lists_of_what_is_wrong() {
    let (some_problems, some_conflicts, some_holds) = wrong();
    assert_snapshot!(problems(&some_problems, WIDE));
    assert_snapshot!(conflicts(&some_conflicts, NOW, WIDE));
    assert_snapshot!(holds(&some_holds, NOW, WIDE));
    assert_snapshot!(hold_question(&some_holds[0].1, WIDE));
    assert_snapshot!(problems(&some_problems, NARROW));
    assert_eq!(
        problems(&[], WIDE) + &conflicts(&[], NOW, WIDE) + &holds(&[], NOW, WIDE),
        "no problems\nno conflicts\nno holds\n"
    );
}

#[test]
fn every_kind_of_hold_says_what_would_happen() {
    let said: Vec<String> = [
        "mass_deletion_here",
        "mass_deletion_there",
        "unknown_folder",
        "rollback",
        "equivocation",
        "root_missing",
        "root_empty",
        "root_replaced",
        "of a newer daemon",
    ]
    .into_iter()
    .map(|kind| {
        let scope = kind.starts_with("mass").then(|| "photos".to_owned());
        let hold = Hold { id: 1, kind: kind.into(), scope, count: 30, of: 40, examples: vec![], at: NOW };
        hold_question(&hold, PIPE) + &hold_asked(&hold).1 + "\n"
    })
    .collect();
    assert_snapshot!(said.concat());
}

#[test]
fn a_plan() {
    assert_snapshot!(plan("documents", &samples::plan(), WIDE));
    assert_snapshot!(plan("documents", &samples::empty_plan(), WIDE), @"documents: nothing to do");
}

fn logged(text: &str) -> LogEvent {
    LogEvent {
        folder: "documents".into(),
        id: 1,
        at: NOW,
        kind: "uploaded".into(),
        path: Some("letters/a.txt".into()),
        text: text.into(),
    }
}

fn listed(path: &str) -> RemoteFile {
    RemoteFile {
        path: path.into(),
        size: 12_345,
        hash: String::new(),
        file_id: String::new(),
        revision: 1,
        revision_id: String::new(),
    }
}

#[test]
fn one_line_each() {
    assert_snapshot!(event(&logged("12 bytes sent"), &TimeZone::UTC, WIDE), @"2026-11-21 06:40:00  documents: letters/a.txt: 12 bytes sent");
    assert_snapshot!(remote_file(&listed("letters/a.txt"), WIDE), @"  12.1 KiB  letters/a.txt");
    assert_snapshot!(remote_file(&listed("letters/a.txt"), NARROW), @"letters/a.txt");
}

/// Everything that can be rendered in a look.
fn everything(look: Look) -> Vec<String> {
    let (some_problems, some_conflicts, some_holds) = wrong();
    let mut all: Vec<String> = samples::all().iter().map(|one| status(one, NOW, look)).collect();
    all.extend(samples::all().iter().map(|one| live(one, NOW, look).join("\n")));
    all.extend(samples::all().iter().map(|one| folders(&one.folders, look)).filter(|text| !text.contains("hint")));
    all.push(problems(&some_problems, look));
    all.push(conflicts(&some_conflicts, NOW, look));
    all.push(holds(&some_holds, NOW, look));
    all.push(plan("documents", &samples::plan(), look));
    all.push(event(&logged("12 bytes sent"), &TimeZone::UTC, look));
    all.push(remote_file(&listed("日本語/写真.jpg"), look));
    all
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for columns in 0..=100 {
        for text in everything(Look { width: Some(columns), color: false }) {
            for line in text.lines() {
                assert!(width(line) <= columns, "{columns} columns: {line:?}");
            }
        }
    }
}

#[test]
fn colors_change_no_text_and_end_on_their_line() {
    for columns in [20, 80] {
        let plain = everything(Look { width: Some(columns), color: false });
        for (text, plain) in everything(Look { width: Some(columns), color: true }).iter().zip(plain) {
            let mut bare = String::new();
            for line in text.split_inclusive('\n') {
                let mut parts = line.split('\x1b');
                bare.push_str(parts.next().unwrap());
                let mut open = false;
                for part in parts {
                    let (code, rest) = part.split_once('m').unwrap();
                    open = code != "[0";
                    bare.push_str(rest);
                }
                assert!(!open, "{line:?}");
            }
            assert_eq!(bare, plain);
        }
    }
}

#[test]
fn names_cannot_command_the_terminal() {
    let evil = "a\x1b]0;x\x07\r\n\u{202e}txt";
    let mut folder = samples::attention();
    folder.folders[0].label = evil.into();
    folder.folders[0].transfers = samples::transfers(1, evil);
    let texts = [
        status(&folder, NOW, WIDE),
        live(&folder, NOW, WIDE).join("\n"),
        folders(&folder.folders, WIDE),
        remote_file(&listed(evil), PIPE),
        event(&LogEvent { path: Some(evil.into()), ..logged(evil) }, &TimeZone::UTC, PIPE),
    ];
    for text in texts {
        assert!(!text.contains(['\x1b', '\x07', '\r', '\u{202e}']), "{text:?}");
        assert!(text.contains("a\\u{1b}]0;x"), "{text:?}");
    }
}

#[test]
fn cutting_counts_columns_not_characters() {
    for (text, columns, shown) in [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ] {
        assert_eq!(cut(text, columns), shown, "{text} in {columns}");
    }
}

fn a_checkup() -> hcfs_api::Checkup {
    use hcfs_api::{Check, Verdict};
    let check = |name: &str, about: Option<&str>, verdict, message: &str, hint: &str| Check {
        name: name.into(),
        about: about.map(Into::into),
        verdict,
        message: message.into(),
        hint: hint.into(),
    };
    hcfs_api::Checkup::of(vec![
        check("configuration", None, Verdict::Ok, "\"/home/me/.config/hcfs/config.toml\", 1 folder", ""),
        check("secret", None, Verdict::Fail, "\"/k\" can be read by other users", "run `chmod 600 \"/k\"`"),
        check("free_space", Some("docs\u{202e}"), Verdict::Warn, "80.0 MiB\nare free", "free some space there"),
    ])
}

#[test]
fn what_a_checkup_found() {
    assert_snapshot!(checkup(&a_checkup(), false, WIDE));
    assert_snapshot!(checkup(&a_checkup(), true, NARROW));
    assert_snapshot!(checkup(&a_checkup(), false, PIPE));
    assert_snapshot!(checkup(&a_checkup(), false, Look { color: true, ..WIDE }));
}

#[test]
fn a_checkup_fails_by_what_must_be_mended_alone() {
    use hcfs_api::{ExitCode, Verdict};
    let mut found = a_checkup();
    assert_eq!(found.exit(), ExitCode::Failed);
    found.checks.retain(|check| check.verdict != Verdict::Fail);
    assert_eq!(found.exit(), ExitCode::Done);
    let (mut terminal, screen) = crate::Terminal::scripted();
    let options = crate::GlobalOptions { json: true, ..crate::GlobalOptions::default() };
    assert_eq!(crate::print_checkup(&found, &options, &mut terminal).unwrap(), ExitCode::Done);
    let json: serde_json::Value = serde_json::from_str(&screen.take_out()).unwrap();
    assert_eq!((&json["schema"], &json["checks"][1]["verdict"]), (&1.into(), &"warn".into()));
    found.checks.retain(|check| check.verdict != Verdict::Warn);
    let quiet = crate::GlobalOptions { quiet: true, ..crate::GlobalOptions::default() };
    crate::print_checkup(&found, &quiet, &mut terminal).unwrap();
    assert_eq!(screen.take_out(), "", "with --quiet a sound machine says nothing");
}
