//! Adding and removing sources, as [`edit`](super::edit) does folders.

use std::fmt::Write as _;
use std::path::Path;

use hcfs_api::{AddSource, ErrorCode, Paths, SourceSpec};

use super::edit::{quoted, section_lines, write_checked};
use super::error::ConfigError;
use super::section::Source;
use super::source::Service;
use super::{Config, read_text};

/// Adds a source at the end of the file.
///
/// # Errors
/// The source cannot be one or does not fit beside what there is, or the file cannot be read, understood or written.
pub fn add_source(paths: &Paths, added: &AddSource) -> Result<(), ConfigError> {
    let mut text = read_text(&paths.config)?.unwrap_or_default();
    let before = Config::parse(&paths.config, &text, paths)?;
    if before.sources.contains_key(&added.name) {
        return Err(ConfigError::Unfit {
            message: format!("there is a source \"{}\" already", added.name.escape_debug()),
            hint: "give every source a name of its own, or remove that one first".into(),
            code: ErrorCode::Exists,
        });
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // Writing into a String cannot fail.
    let _ = write!(text, "\n[[source]]\nname = {}\n{}", quoted(&added.name), lines_of(&added.spec));
    let _ = writeln!(text, "into = {}", quoted(&added.into));
    if let Some(every) = &added.every {
        let _ = writeln!(text, "every = {}", quoted(every));
    }
    let after = Config::parse(&paths.config, &text, paths).map_err(without_place)?;
    let mut wanted = before;
    let source = after.sources.get(&added.name).cloned();
    wanted.sources.extend(source.map(|source| (added.name.clone(), source)));
    write_checked(paths, &text, &wanted)
}

/// Cuts a source's section out of the file.
///
/// # Errors
/// No such source, or the file cannot be read, understood or written.
pub fn remove_source(paths: &Paths, name: &str) -> Result<(), ConfigError> {
    let text = read_text(&paths.config)?.unwrap_or_default();
    let mut wanted = Config::parse(&paths.config, &text, paths)?;
    let Some(lines) = wanted.sources.remove(name).and_then(|_| section_lines(&text, "source", "name", name)) else {
        return Err(ConfigError::Unfit {
            message: format!("no source \"{}\" in the configuration", name.escape_debug()),
            hint: "see `hcfs source list`".into(),
            code: ErrorCode::NoSource,
        });
    };
    let (head, tail) = (&text[..lines.start], &text[lines.end..]);
    write_checked(paths, &format!("{head}{tail}"), &wanted)
}

/// Reads what is to be brought without adding it.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read_spec(spec: &SourceSpec) -> Result<Service, ConfigError> {
    let text = lines_of(spec);
    let read = || {
        let mut section = Source { file: Path::new("the request"), text: &text }.parse()?;
        let service = Service::read(&mut section)?;
        section.finish()?;
        Ok(service)
    };
    read().map_err(without_place)
}

/// The keys of a source as the file has them.
fn lines_of(spec: &SourceSpec) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {value}");
        }
    };
    let as_text = |value: &Option<String>| value.as_deref().map(quoted);
    line("kind", Some(quoted(spec.kind.as_str())));
    line("base_url", as_text(&spec.base_url));
    line("credential", as_text(&spec.credential));
    line("customer_id", as_text(&spec.customer_id));
    line("organization", as_text(&spec.organization));
    let items: Vec<String> = spec.items.iter().map(|item| quoted(item)).collect();
    line("items", (!items.is_empty()).then(|| format!("[{}]", items.join(", "))));
    line("all", spec.all.then(|| "true".to_owned()));
    line("accept", as_text(&spec.accept));
    line("quality", as_text(&spec.quality));
    line("deadline", as_text(&spec.deadline));
    line("cleanup", spec.cleanup.then(|| "true".to_owned()));
    line("verify", as_text(&spec.verify));
    text
}

/// What is wrong with a request stands in no file yet.
fn without_place(error: ConfigError) -> ConfigError {
    match error {
        ConfigError::At { message, hint, .. } => ConfigError::Unfit { message, hint, code: ErrorCode::BadRequest },
        other => other,
    }
}
