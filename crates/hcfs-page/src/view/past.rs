//! What was: the trash, the versions of a file, the log.

use hcfs_api::quantity::{bytes, many};
use hcfs_api::{Explanation, History, LocalVersion, LogEvent, Page, RemoteVersion, TrashedFile, Version};
use maud::{Markup, html};

use super::shell::sentence;
use super::words::{Tone, link, mark, name};
use super::{LOG_LINES, Part, Pen, View};

impl Pen<'_> {
    pub(super) fn trash(&self, label: &str, after: u64, page: &Page<TrashedFile>) -> Vec<Part> {
        let headline = html! {
            p .crumb { (link(&View::Folder(label.to_owned()), name(label))) }
            h1 { "Trash" }
            p .aside { "What was replaced or deleted here. A restored file never replaces another." }
        };
        let next = page.next.map(|after| View::Trash { folder: label.to_owned(), after });
        let files = html! {
            @if page.items.is_empty() { p .empty { "Nothing is in the trash." } } @else {
                table .wide {
                    caption .unseen { "Files in the trash, the oldest first" }
                    thead {
                        tr {
                            th scope="col" { "File" } th scope="col" { "Went there" }
                            th scope="col" .number { "Size" } th scope="col" { span .unseen { "Actions" } }
                        }
                    }
                    tbody {
                        @for file in &page.items {
                            tr {
                                th scope="row" { (name(&file.path)) }
                                td data-label="Went there" { (self.moment(file.at)) }
                                td .number data-label="Size" { (bytes(file.size)) }
                                td .acts { (self.restore(label, &file.id, &file.path)) }
                            }
                        }
                    }
                }
                @if let Some(next) = &next { p { (link(next, "More")) } }
            }
        };
        let empty = html! {
            @if !page.items.is_empty() && after == 0 {
                details .danger {
                    summary { "Empty the trash…" }
                    p {
                        @if page.next.is_none() { (many(page.items.len() as u64, "file")) } @else { "All files" }
                        " of this trash would be gone for good. What the server keeps stays there."
                    }
                    form method="post" action="act" {
                        (self.hidden("empty-trash"))
                        input type="hidden" name="folder" value=(label);
                        button .danger { "Remove for good" }
                    }
                }
            }
        };
        vec![Part::new("headline", headline), Part::new("trash", files), Part::new("empty", empty)]
    }

    fn restore(&self, label: &str, id: &str, path: &str) -> Markup {
        html! {
            form method="post" action="act" {
                (self.hidden("restore"))
                input type="hidden" name="folder" value=(label);
                input type="hidden" name="id" value=(id);
                button { "Restore" span .unseen { " " (name(path)) } }
            }
        }
    }

    pub(super) fn file(&self, label: &str, explained: &Explanation, history: &History) -> Vec<Part> {
        let (tone, words) = standing(&explained.state);
        let headline = html! {
            p .crumb { (link(&View::Folder(label.to_owned()), name(label))) }
            div .title { h1 { (name(&explained.path)) } (mark((tone, words))) }
            p { bdi { (sentence(&explained.reason)) } }
            @if !explained.hint.is_empty() { p .hint { bdi { (sentence(&explained.hint)) } } }
            @if explained.conflict.is_some() || explained.hold.is_some() {
                p { (link(&View::Attention, "Decide it")) }
            }
        };
        let sides = html! {
            section aria-labelledby="sides-title" {
                h2 id="sides-title" { "What each side has" }
                dl .facts {
                    div { dt { "Here" } dd { (self.here(explained.local.as_ref())) } }
                    div { dt { "On the server" } dd { (there(explained.remote.as_ref())) } }
                    div { dt { "Last agreed on" } dd { (there(explained.synced.as_ref())) } }
                }
            }
        };
        let versions = html! {
            section aria-labelledby="versions-title" {
                h2 id="versions-title" { "Versions that can be had on this device" }
                @if history.versions.is_empty() { p .empty { "No version is known here." } } @else {
                    table .wide {
                        thead {
                            tr {
                                th scope="col" { "Where" } th scope="col" { "When" }
                                th scope="col" .number { "Size" } th scope="col" { span .unseen { "Actions" } }
                            }
                        }
                        tbody { @for version in &history.versions { (self.version(label, version)) } }
                    }
                }
            }
        };
        vec![
            Part::new("headline", headline),
            Part::new("sides", sides),
            Part::new("versions", versions),
            Part::new("find", self.find(label)),
        ]
    }

    fn here(&self, version: Option<&LocalVersion>) -> Markup {
        html! {
            @match version {
                None => "nothing",
                Some(version) => { (bytes(version.size)) ", changed " (self.moment(version.modified_at)) }
            }
        }
    }

    fn version(&self, label: &str, version: &Version) -> Markup {
        let place = match version.place.as_str() {
            "here" => "Here",
            "server" => "On the server",
            "synced" => "Last agreed on",
            "conflict_copy" => "Conflict copy",
            "trash" => "In the trash",
            other => other,
        };
        html! {
            tr {
                th scope="row" {
                    (place)
                    @if version.place == "conflict_copy" { span .path { (name(&version.path)) } }
                }
                td data-label="When" {
                    @match (version.at, version.revision) {
                        (Some(at), _) => (self.moment(at)),
                        (None, Some(revision)) => { "version " (revision) }
                        (None, None) => "not known",
                    }
                }
                td .number data-label="Size" { (bytes(version.size)) }
                td .acts {
                    @if let Some(id) = &version.trash_id { (self.restore(label, id, &version.path)) }
                }
            }
        }
    }

    pub(super) fn log(&self, label: &str, after: Option<u64>, page: &Page<LogEvent>) -> Vec<Part> {
        let part = |after| View::Log { folder: label.to_owned(), after };
        let older = page.items.first().map(|first| first.id.saturating_sub(1)).filter(|before| *before > 0);
        let older = older.map(|before| part(Some(before.saturating_sub(LOG_LINES as u64))));
        let newer = page.next.map(|next| part(Some(next)));
        let headline = html! {
            p .crumb { (link(&View::Folder(label.to_owned()), name(label))) }
            h1 { "Log" }
        };
        let lines = html! {
            (self.lines(label, page.items.iter().rev()))
            nav .pages aria-label="Parts of the log" {
                @if let Some(newer) = &newer { (link(newer, "Newer")) }
                @if after.is_some() { (link(&part(None), "The newest")) }
                @if let Some(older) = &older { (link(older, "Older")) }
            }
        };
        vec![Part::new("headline", headline), Part::new("log", lines)]
    }

    /// Lines of a log, in the order given.
    pub(super) fn lines<'l>(&self, label: &str, events: impl ExactSizeIterator<Item = &'l LogEvent>) -> Markup {
        html! {
            @if events.len() == 0 { p .empty { "Nothing happened yet." } } @else {
                ol .log {
                    @for event in events {
                        li {
                            (self.moment(event.at))
                            span {
                                @if let Some(path) = &event.path {
                                    (link(&View::File { folder: label.to_owned(), path: path.clone() }, name(path))) " "
                                }
                                span .aside { bdi { (event.text) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn there(version: Option<&RemoteVersion>) -> Markup {
    html! {
        @match version {
            None => "nothing",
            Some(version) => { (bytes(version.size)) ", version " (version.revision) }
        }
    }
}

/// How a path stands.
fn standing(state: &str) -> (Tone, &str) {
    match state {
        "synced" => (Tone::Good, "In step"),
        "ignored" => (Tone::Rest, "Ignored"),
        "waiting" => (Tone::Busy, "Waits"),
        "moving" => (Tone::Busy, "Moving"),
        "conflict" => (Tone::Wants, "In conflict"),
        "held" => (Tone::Wants, "Held back"),
        "problem" => (Tone::Bad, "Has a problem"),
        "left_alone" => (Tone::Rest, "Left alone"),
        "directory" => (Tone::Rest, "A directory"),
        "absent" => (Tone::Rest, "Nowhere"),
        other => (Tone::Rest, other),
    }
}
