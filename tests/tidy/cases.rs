//! The list of cases and the tests it names.

/// How each row begins. A case may be added; none goes away.
const ROWS: [&str; 48] = [
    "same change on both sides",
    "delete here, edit there",
    "directory deleted here",
    "both edited, or both created",
    "row missing from the listing",
    "404, HTML or 5xx",
    "empty or far shorter listing",
    "many deletions at once",
    "root missing, empty",
    "first run",
    "database lost",
    "remote deletion races",
    "editor saves",
    "file changes while it is read",
    "local edit between plan",
    "constantly growing file",
    "edit within the timestamp",
    "clock goes back",
    "all mtimes touched",
    "move of a file or a directory",
    "move + edit",
    "rename chains",
    "two devices move directories",
    "equal contents",
    "file and directory at the same name",
    "case-insensitive",
    "NFC and NFD",
    "odd and impossible names",
    "symlink, hard link",
    "unreadable",
    "disk full",
    "file system without exchange",
    "402",
    "401 or 403",
    "suspend",
    "lost answer",
    "revision lower",
    "inotify overflow",
    "event for something already gone",
    "ignore rule added",
    "ignored file inside",
    "many entries",
    "two daemons",
    "kill -9",
    "pause in the middle",
    "upload interrupted",
    "executable bit",
    "what a cycle displaced",
];

#[test]
fn every_case_is_listed_and_every_test_it_names_exists() {
    let root = super::metadata().workspace_root.into_std_path_buf();
    let list = std::fs::read_to_string(root.join("crates/hcfs-engine/CASES.md")).unwrap();
    let rows: Vec<Vec<&str>> = list
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| case |"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    for case in ROWS {
        assert!(rows.iter().any(|row| row[0].starts_with(case)), "no row for \"{case}\"");
    }
    for row in &rows {
        let [case, _, tests] = row.as_slice() else { panic!("{row:?} has not three columns") };
        let tests: Vec<&str> = tests.split('`').filter(|text| text.contains("::")).collect();
        assert!(!tests.is_empty(), "\"{case}\" names no test");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap();
            let place = if file.starts_with("tests/") { root.join(file) } else { root.join("crates").join(file) };
            let text = std::fs::read_to_string(&place).unwrap_or_else(|error| panic!("{file}: {error}"));
            let at = text.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{test} is not there"));
            let attribute =
                text[..at].lines().rev().find(|line| line.trim_start().starts_with('#')).unwrap_or_default();
            assert!(attribute.contains("test"), "{test} is no test");
        }
    }
}
