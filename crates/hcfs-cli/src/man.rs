//! Manual pages: one for the program, and one for each command, as `hcfs-folder-add.1`.
//!
//! They are made from the arguments as they are read, so they cannot fall behind, and carry no date, so that the same
//! program always makes the same pages.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use crate::args::{GlobalOptions, Invocation, ManOptions};
use crate::error::CliError;
use crate::terminal::Terminal;
use crate::{ExitCode, json_object};

/// What the environment says, as hcfs(1) shows it.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("HCFS_CONFIG", "the configuration, instead of $XDG_CONFIG_HOME/hcfs/config.toml"),
    ("HCFS_STATE_DIR", "the state directory, instead of $XDG_STATE_HOME/hcfs"),
    ("HCFS_SOCKET", "the daemon's socket, instead of $XDG_RUNTIME_DIR/hcfs/hcfs.sock"),
    ("HCFS_SERVER_DATA", "the server's files, instead of $XDG_DATA_HOME/hcfs/server"),
    ("HCFS_LOG", "what is logged, such as debug, or warn,hcfs_engine=trace"),
    ("NO_COLOR", "set to anything: print no colors"),
];

/// Writes every page.
///
/// # Errors
/// The directory or a page cannot be written.
pub fn write_pages(asked: &ManOptions, options: &GlobalOptions, terminal: &mut Terminal) -> Result<ExitCode, CliError> {
    fs::create_dir_all(&asked.dir).map_err(|source| CliError::file("make", &asked.dir, source))?;
    let mut names = Vec::new();
    for (name, page) in pages() {
        let path = asked.dir.join(&name);
        write_page(&path, &page).map_err(|source| CliError::file("write", &path, source))?;
        names.push(name);
    }
    if options.json {
        let fields = [("dir", json!(asked.dir.to_string_lossy())), ("pages", json!(names))];
        terminal.out(&format!("{}\n", json_object(&fields)))?;
    } else if !options.quiet {
        let pages = crate::render::many(names.len() as u64, "page");
        terminal.out(&format!("{pages} in {}\n", crate::render::plain(&asked.dir.to_string_lossy())))?;
    }
    Ok(ExitCode::Done)
}

/// A new file each time: what a link of that name leads to is nobody's to change.
fn write_page(path: &Path, page: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, page.as_bytes()))
}

/// The name and the text of every page, the program's first.
fn pages() -> Vec<(String, String)> {
    let mut command = Invocation::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add_pages(&command, &mut Vec::new(), &mut pages);
    pages
}

fn add_pages(command: &clap::Command, above: &mut Vec<String>, pages: &mut Vec<(String, String)>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push((format!("{name}.1"), page(command, &name, above)));
    above.push(name);
    for below in command.get_subcommands() {
        add_pages(below, above, pages);
    }
    above.pop();
}

fn page(command: &clap::Command, name: &str, above: &[String]) -> String {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // What stands behind the help gets sections of its own.
    let plain = command.clone().after_help(Resettable::Reset);
    let source = format!("hcfs {}", env!("CARGO_PKG_VERSION"));
    // An empty argument must be quoted, or the next one takes its place.
    let man = Man::new(plain).title(name.to_uppercase()).date("\"\"").source(source).manual("User Commands");
    let mut text = Vec::new();
    // Writing into a Vec cannot fail.
    let _ = man.render(&mut text);
    let mut page = String::from_utf8_lossy(&text).into_owned();
    page.push_str(&sections(&after, above).to_roff());
    page
}

fn sections(after: &str, above: &[String]) -> Roff {
    let mut roff = Roff::new();
    let examples: Vec<&str> = after.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for example in examples {
        roff.text([roman(example)]);
    }
    roff.control("fi", []);
    roff.control("SH", ["EXIT STATUS"]);
    for code in ExitCode::ALL {
        roff.control("TP", ["6"]).text([bold(code.number().to_string())]).text([roman(code.meaning())]);
    }
    if above.is_empty() {
        roff.control("SH", ["ENVIRONMENT"]);
        for (variable, meaning) in ENVIRONMENT {
            roff.control("TP", []).text([bold(variable)]).text([roman(meaning)]);
        }
        roff.text([]);
    } else {
        roff.control("SH", ["SEE ALSO"]);
        for (at, page) in above.iter().enumerate() {
            let end = if at + 1 == above.len() { "(1)" } else { "(1)," };
            roff.text([bold(page.as_str()), roman(end)]);
        }
    }
    roff
}

#[cfg(test)]
mod tests;
