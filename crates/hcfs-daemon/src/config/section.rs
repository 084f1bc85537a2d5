//! Reading TOML strictly: every value is asked for by name, and what nobody asked for is an error with its place.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Wrong};

/// The text of a configuration and its name, to say where something stands.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    pub(super) file: &'s Path,
    pub(super) text: &'s str,
}

impl<'s> Source<'s> {
    /// The whole text as its top section.
    pub(super) fn parse(self) -> Result<Section<'s>, ConfigError> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let message = error.message().trim().replace('\n', ", ");
            let hint = "the file must be TOML: `key = value` lines under [section] headers, texts in quotes";
            self.error(error.span().unwrap_or(0..0), "", message, hint)
        })?;
        Ok(Section {
            source: self,
            name: String::new(),
            span: table.span(),
            table: table.into_inner(),
            asked: Vec::new(),
        })
    }

    fn error(self, span: Range<usize>, key: &str, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError::At {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: key.to_owned(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// One table that is being read.
pub(super) struct Section<'s> {
    source: Source<'s>,
    /// Its name in front of its keys: empty at the top.
    name: String,
    span: Range<usize>,
    table: DeTable<'s>,
    asked: Vec<&'static str>,
}

impl<'s> Section<'s> {
    /// The value of a key, read by `read`; `None` where it is absent.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(DeValue<'s>) -> Result<T, Wrong>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.remove(key) else { return Ok(None) };
        let span = value.span();
        read(value.into_inner()).map(Some).map_err(|wrong| self.wrong(span, key, &wrong))
    }

    /// The text of a key, read by `read`.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Result<Option<T>, ConfigError> {
        self.take(key, |value| match &value {
            DeValue::String(text) => read(text),
            other => Err(expected("a text in quotes", other)),
        })
    }

    /// A whole number within bounds.
    pub(super) fn number<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        bounds: Range<u64>,
    ) -> Result<Option<T>, ConfigError> {
        self.take(key, |value| match &value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| bounds.contains(number))
                .and_then(|number| T::try_from(number).ok())
                .ok_or_else(|| {
                    let last = bounds.end.saturating_sub(1);
                    Wrong::new("is out of bounds", format!("give a number from {} to {last}", bounds.start))
                }),
            other => Err(expected("a whole number", other)),
        })
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        self.take(key, |value| match value {
            DeValue::Boolean(flag) => Ok(flag),
            other => Err(expected("true or false", &other)),
        })
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        self.take(key, |value| match value {
            DeValue::Array(items) => items
                .into_iter()
                .map(|item| match item.into_inner() {
                    DeValue::String(text) => Ok(text.into_owned()),
                    other => Err(expected("a list of texts in quotes", &other)),
                })
                .collect(),
            other => Err(expected("a list of texts in quotes", &other)),
        })
    }

    /// A section of its own.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Option<Self>, ConfigError> {
        let Some(value) = self.remove(key) else { return Ok(None) };
        self.open(key, value).map(Some)
    }

    /// Every `[[key]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Result<Vec<Self>, ConfigError> {
        let Some(value) = self.remove(key) else { return Ok(Vec::new()) };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => items.into_iter().map(|item| self.open(key, item)).collect(),
            other => Err(self.wrong(
                span,
                key,
                &Wrong::new(
                    format!("is {}, and a section is expected", kind(&other)),
                    format!("write it as [[{key}]]"),
                ),
            )),
        }
    }

    /// A key that must be there.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>, hint: &str) -> Result<T, ConfigError> {
        value.ok_or_else(|| self.wrong(self.span.clone(), key, &Wrong::new("is missing", hint)))
    }

    /// An error at this section's head, for what only shows once all of it was read.
    pub(super) fn refuse(&self, key: &str, wrong: &Wrong) -> ConfigError {
        self.wrong(self.span.clone(), key, wrong)
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Some(key) = self.table.keys().min_by_key(|key| key.span().start) else { return Ok(()) };
        let name: &str = key.get_ref();
        let hint = match nearest(name, &self.asked) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("the keys here are {}", self.asked.join(", ")),
        };
        Err(self.wrong(key.span(), name, &Wrong::new("is not a key of the configuration", hint)))
    }

    fn remove(&mut self, key: &'static str) -> Option<Spanned<DeValue<'s>>> {
        self.asked.push(key);
        self.table.remove(key)
    }

    fn open(&self, key: &'static str, value: Spanned<DeValue<'s>>) -> Result<Self, ConfigError> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => {
                Ok(Self { source: self.source, name: self.path(key), span, table, asked: Vec::new() })
            }
            other => Err(self.wrong(span, key, &expected("a section", &other))),
        }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn wrong(&self, span: Range<usize>, key: &str, wrong: &Wrong) -> ConfigError {
        let path = self.path(key);
        let message = format!("`{path}` {}", wrong.message);
        self.source.error(span, &path, message, wrong.hint.as_str())
    }
}

fn expected(what: &str, found: &DeValue<'_>) -> Wrong {
    Wrong::new(format!("is {}, and {what} is expected", kind(found)), format!("give {what}"))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// The known name that a mistyped one is most likely meant to be: at most two edits away.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|&candidate| (edits(name, candidate), candidate))
        .filter(|&(edits, _)| edits <= 2)
        .min()
        .map(|(_, name)| name)
}

/// The Levenshtein distance, in characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
