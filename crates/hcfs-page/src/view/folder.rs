//! One folder.

use hcfs_api::quantity::{bytes, count, many};
use hcfs_api::{Folder, FolderDetail, LogEvent};
use maud::{Markup, html};

use super::overview::transfers;
use super::words::{is_known, link, mark, mode, name, state};
use super::{Part, Pen, View};

impl Pen<'_> {
    pub(super) fn folder(&self, detail: &FolderDetail, log: &[LogEvent]) -> Vec<Part> {
        let folder = &detail.folder;
        let label = &folder.label;
        vec![
            Part::new(
                "headline",
                html! {
                    div .title {
                        h1 { (name(label)) }
                        (mark(state(folder.state)))
                        (self.folder_actions(folder))
                    }
                    p .path { (name(&folder.path)) }
                },
            ),
            Part::new("attention", self.waiting(0, detail)),
            Part::new(
                "transfers",
                html! {
                    @if !folder.transfers.is_empty() {
                        section aria-labelledby="transfers-title" {
                            h2 id="transfers-title" { "In flight" }
                            (transfers(folder))
                        }
                    }
                },
            ),
            Part::new("facts", self.facts(folder)),
            Part::new("find", self.find(label)),
            Part::new(
                "glance",
                html! {
                    section aria-labelledby="log-title" {
                        h2 id="log-title" { "Lately" }
                        (self.lines(label, log.iter().rev()))
                        p { (link(&View::Log { folder: label.clone(), after: None }, "The whole log")) }
                    }
                },
            ),
        ]
    }

    fn facts(&self, folder: &Folder) -> Markup {
        let counts = &folder.counts;
        if !is_known(folder) {
            return html! { p .empty { "How it stands is known once it is open." } };
        }
        html! {
            section aria-labelledby="facts-title" {
                h2 id="facts-title" { "How it stands" }
                dl .facts {
                    div { dt { "In step" } dd { (many(counts.synced_files, "file")) ", " (bytes(counts.synced_bytes)) } }
                    div { dt { "Here" } dd { (many(counts.local_files, "file")) } }
                    div { dt { "On the server" } dd { (many(counts.remote_files, "file")) } }
                    div { dt { "Left to do" } dd { (count(counts.pending)) } }
                    div { dt { "Sent since the start" } dd { (bytes(counts.sent)) } }
                    div { dt { "Received since the start" } dd { (bytes(counts.received)) } }
                    div {
                        dt { "Looked at" }
                        dd { @match folder.last_cycle_at { Some(at) => (self.moment(at)), None => "not yet" } }
                    }
                    div { dt { "Kept in step" } dd { (mode(folder.mode)) } }
                }
                p { (link(&View::Trash { folder: folder.label.clone(), after: 0 }, "What is in the trash")) }
            }
        }
    }

    /// The way to one path.
    pub(super) fn find(&self, label: &str) -> Markup {
        html! {
            form method="get" action="file" .row role="search" aria-label="A file of this folder" {
                input type="hidden" name="folder" value=(label);
                label for="path" { "Why does a file stand as it does, and which versions are there?" }
                input id="path" name="path" required autocomplete="off" placeholder="letters/report.odt";
                button { "Show" }
            }
        }
    }
}
