//! `cargo xtask figures`: how large the rooms of the house are.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cargo_metadata::{DependencyKind, MetadataCommand};

/// How many of the longest files and functions are named.
const SHOWN: usize = 5;

/// Prints lines per crate, the longest files and functions, and each crate's depth over the workspace's floors.
pub(crate) fn run() -> Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let mut files: Vec<(usize, PathBuf)> = Vec::new();
    let mut functions: Vec<(usize, String)> = Vec::new();
    let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<16}{:>8}{:>8}", "crate", "code", "tests")?;
    let (mut code_sum, mut test_sum) = (0, 0);
    for package in &metadata.packages {
        let root = package.manifest_path.parent().map(|p| p.as_std_path().to_owned()).unwrap_or_default();
        let (mut code, mut tests) = (0, 0);
        for path in sources(&root)? {
            let text = std::fs::read_to_string(&path)?;
            let inside = without_tests(&text);
            if is_test(&root, &path) {
                tests += text.lines().count();
            } else {
                code += inside;
                tests += text.lines().count() - inside;
                files.push((inside, path.clone()));
                functions.extend(
                    function_lengths(&text, inside).map(|(n, name)| (n, format!("{name} in {}", path.display()))),
                );
            }
        }
        writeln!(out, "{:<16}{code:>8}{tests:>8}", package.name)?;
        code_sum += code;
        test_sum += tests;
        let below = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal && d.path.is_some());
        edges.insert(package.name.to_string(), below.map(|d| d.name.clone()).collect());
    }
    writeln!(out, "{:<16}{code_sum:>8}{test_sum:>8}\n", "all")?;
    for (what, mut list) in [
        ("longest files", files.into_iter().map(|(n, p)| (n, p.display().to_string())).collect::<Vec<_>>()),
        ("longest functions", functions),
    ] {
        list.sort_unstable_by(|a, b| b.cmp(a));
        writeln!(out, "{what}")?;
        for (lines, name) in list.iter().take(SHOWN) {
            let name = name.replace(metadata.workspace_root.as_str(), "").replace(" in /", " in ");
            writeln!(out, "{lines:>6}  {}", name.trim_start_matches('/'))?;
        }
    }
    writeln!(out, "\ndepth over the workspace's own crates")?;
    for name in edges.keys() {
        writeln!(out, "{:>6}  {name}", depth(name, &edges))?;
    }
    Ok(())
}

/// The longest chain of workspace crates below this one.
fn depth(name: &str, edges: &BTreeMap<String, Vec<String>>) -> usize {
    edges.get(name).map_or(0, |below| below.iter().map(|b| 1 + depth(b, edges)).max().unwrap_or(0))
}

/// Every Rust source below a package's directory, without build output.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file holds tests, benchmarks or examples rather than what ships.
fn is_test(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    !inside.starts_with("src")
        || inside.components().any(|c| c.as_os_str() == "tests")
        || inside.file_name().is_some_and(|name| name == "tests.rs")
}

/// Lines before the file's own test module.
fn without_tests(text: &str) -> usize {
    text.lines().position(|line| line.starts_with("#[cfg(test)]")).unwrap_or_else(|| text.lines().count())
}

/// Name and length of each function in the first `until` lines, by indentation as rustfmt leaves it.
fn function_lengths(text: &str, until: usize) -> impl Iterator<Item = (usize, String)> {
    let lines: Vec<&str> = text.lines().take(until).collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else { continue };
        let is_item = before
            .split_whitespace()
            .all(|w| matches!(w, "pub" | "pub(crate)" | "pub(super)" | "async" | "const" | "unsafe"));
        if !is_item || code.trim_end().ends_with(';') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(line.len() - code.len()));
        if let Some(length) = lines[start..].iter().position(|l| *l == close) {
            let name = after.split(['(', '<']).next().unwrap_or_default();
            found.push((length + 1, name.to_owned()));
        }
    }
    found.into_iter()
}
