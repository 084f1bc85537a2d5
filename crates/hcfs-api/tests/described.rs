//! `API.md` against the code: every route, field, value, event and error code is there, and no other.
//!
//! The code is read as text: the types have no other form that tells the names and types of fields, and the routes are
//! the daemon's, above this crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hcfs_api::{ErrorCode, StreamEvent};

const TEXT: &str = include_str!("../API.md");

/// The rows of the table below a heading, cell by cell, without the first two.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let start = format!("\n{heading}\n");
    let section = TEXT.split_once(&start).unwrap_or_else(|| panic!("there is no \"{heading}\"")).1;
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row[1..].trim_end_matches('|').split('|').map(str::trim).collect()).collect()
}

fn code(cell: &str) -> &str {
    cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap_or_else(|| panic!("{cell}"))
}

/// A file of the workspace.
fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The routes that a file of the daemon's socket registers, below a prefix.
fn registered(file: &str, prefix: &str) -> BTreeSet<String> {
    let text = source(&format!("hcfs-daemon/src/{file}"));
    // Formatted code may stand on several lines.
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(".route( ", ".route(");
    let mut found = BTreeSet::new();
    for call in text.split(".route(\"").skip(1) {
        let (path, rest) = call.split_once('"').unwrap();
        let methods = rest.split(".route(").next().unwrap().split(".layer(").next().unwrap();
        let path = format!("{prefix}{}", if path == "/" { "" } else { path });
        for method in ["get", "post", "put", "delete", "patch"] {
            if methods.contains(&format!(" {method}(")) || methods.contains(&format!(".{method}(")) {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert!(!found.is_empty(), "{file}");
    found
}

#[test]
fn every_route_is_described_and_no_other() {
    let socket = source("hcfs-daemon/src/socket.rs");
    let below: Vec<&str> = socket.split(".nest(\"").skip(1).map(|call| call.split('"').next().unwrap()).collect();
    assert_eq!(below, ["/v1/folders/{label}", "/v1/sources/{name}"], "where further routes are");
    assert_eq!(source("hcfs-daemon/src/socket/folders.rs").matches(".merge(").count(), 2);
    let (folder, source) = (below[0], below[1]);
    let mut routes = registered("socket.rs", "");
    for (file, prefix) in [
        ("socket/folders.rs", folder),
        ("socket/content.rs", folder),
        ("socket/recovery.rs", folder),
        ("socket/sources.rs", source),
    ] {
        routes.extend(registered(file, prefix));
    }
    let rows = table("## Routes");
    let described: BTreeSet<String> = rows.iter().map(|row| code(row[0]).to_owned()).collect();
    assert_eq!(described.len(), rows.len(), "a route is described twice");
    assert_eq!(described, routes);
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        // What files hold is not for those who may only look on.
        let is_for_readers = row[0].starts_with("`GET ") && !row[0].ends_with("/content`");
        assert_eq!(row[1], if is_for_readers { "read" } else { "change" }, "{row:?}");
    }
}

/// A type of the code: its name, whether it is a request, and its lines.
struct Written {
    name: String,
    attributes: String,
    lines: Vec<String>,
}

/// The types of a kind, `struct` or `enum`, that have a JSON form.
fn written(kind: &str) -> Vec<Written> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut attributes = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("#[") {
                attributes.push_str(line);
            } else if let Some(rest) = line.strip_prefix(&format!("pub {kind} ")) {
                let name = rest.split(['<', ' ', '(']).next().unwrap().to_owned();
                if attributes.contains("Serialize") && line.ends_with('{') {
                    let lines = lines.by_ref().take_while(|line| *line != "}").map(|line| line.trim().to_owned());
                    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("///")).collect();
                    found.push(Written { name, attributes: std::mem::take(&mut attributes), lines });
                }
            } else if !line.starts_with("///") {
                attributes.clear();
            }
        }
    }
    assert!(found.len() > 5, "{kind}");
    found
}

/// What a Rust type is called in the text.
fn called(rust: &str) -> String {
    for (outer, told) in [("Option<", "{}, may be absent"), ("Vec<", "list of {}")] {
        if let Some(inner) = rust.strip_prefix(outer).and_then(|rest| rest.strip_suffix('>')) {
            return told.replace("{}", &called(inner));
        }
    }
    match rust.rsplit("::").next().unwrap() {
        "String" => "text".to_owned(),
        "bool" => "boolean".to_owned(),
        "u8" | "u32" | "u64" | "i64" => "integer".to_owned(),
        "UnixMillis" => "moment".to_owned(),
        "T" => "anything".to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn every_field_of_every_type_is_described_and_no_other() {
    let mut names = BTreeSet::new();
    for Written { name, attributes, lines } in written("struct") {
        let is_request = attributes.contains("deny_unknown_fields");
        let mut expected: Vec<(String, String)> = Vec::new();
        let mut attribute = String::new();
        for line in lines {
            if line.starts_with("#[serde") {
                attribute = line;
                assert!(!attribute.contains("rename"), "{name}: {attribute}");
                continue;
            }
            let (field, rust) = line.strip_prefix("pub ").unwrap().trim_end_matches(',').split_once(": ").unwrap();
            let mut told = called(rust);
            if is_request && attribute.contains("default") && !told.contains("absent") {
                told.push_str(", may be absent");
            }
            let field = if attribute.contains("flatten") { "…".to_owned() } else { format!("`{field}`") };
            expected.push((field, told));
            attribute.clear();
        }
        let rows = table(&format!("### {name}"));
        let described: Vec<(String, String)> = rows.iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
        assert_eq!(described, expected, "{name}");
        for row in rows {
            assert!(row.len() == 3 && row[2].len() > 3 || row[2] == "1", "{name}: {row:?}");
        }
        names.insert(name);
    }
    let types = TEXT.split_once("\n## Types\n").unwrap().1;
    let described: BTreeSet<String> =
        types.lines().filter_map(|line| line.strip_prefix("### ")).map(Into::into).collect();
    assert_eq!(described, names);
}

#[test]
fn every_value_of_every_kind_is_described_and_no_other() {
    let mut names = BTreeSet::new();
    for Written { name, attributes, lines } in written("enum") {
        let separator = if attributes.contains("kebab-case") { '-' } else { '_' };
        let values: Vec<String> = lines
            .iter()
            .filter(|line| !line.starts_with('#'))
            .map(|variant| {
                let mut value = String::new();
                for (at, char) in variant.trim_end_matches(',').char_indices() {
                    if char.is_uppercase() && at > 0 {
                        value.push(separator);
                    }
                    value.extend(char.to_lowercase());
                }
                value
            })
            .collect();
        let described: Vec<&str> = table(&format!("### {name}")).iter().map(|row| code(row[0])).collect();
        assert_eq!(described, values, "{name}");
        names.insert(name);
    }
    let values = TEXT.split_once("\n## Values\n").unwrap().1.split_once("\n## ").unwrap().0;
    let described: BTreeSet<String> =
        values.lines().filter_map(|line| line.strip_prefix("### ")).map(Into::into).collect();
    assert_eq!(described, names);
}

#[test]
fn every_error_code_is_described_with_its_numbers_and_no_other() {
    let described: BTreeMap<&str, Vec<&str>> =
        table("## Errors").into_iter().map(|row| (code(row[0]), row[1..].to_vec())).collect();
    let expected: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(described.keys().copied().collect::<BTreeSet<_>>(), expected);
    for &code in ErrorCode::ALL {
        let again = if code.is_retryable() { "yes" } else { "no" };
        let numbers = [code.status().to_string(), code.exit().number().to_string(), again.to_owned()];
        assert_eq!(described[code.as_str()][..3], numbers, "{code}");
        assert!(described[code.as_str()][3].len() > 5, "{code}");
    }
}

#[test]
fn every_event_is_described_and_no_other() {
    let described: BTreeSet<&str> = table("## Events").iter().map(|row| code(row[0])).collect();
    // A name is known if data that cannot be its own is refused, instead of being passed over.
    for name in &described {
        assert!(!matches!(StreamEvent::parse(name, "0"), Ok(None)), "{name} is no event");
    }
    let events = source("hcfs-api/src/event.rs");
    let names = events.split("fn name(&self)").nth(1).unwrap().split("fn ").next().unwrap();
    let names: BTreeSet<&str> = names.split('"').skip(1).step_by(2).collect();
    assert_eq!(described, names);
}
