//! Sources, limits, and what the daemon is.

use hcfs_api::quantity::{bytes, many};
use hcfs_api::{Limits, Source, SourceDetail, SourceState, Status};
use maud::{Markup, html};

use super::shell::sentence;
use super::words::{mark, name, source_state};
use super::{Part, Pen};

impl Pen<'_> {
    pub(super) fn sources(&self, details: &[SourceDetail]) -> Vec<Part> {
        let list = html! {
            @if details.is_empty() {
                p .empty { "No service brings files into a folder. Add one: " code { "hcfs source add --help" } }
            }
            @for (key, detail) in details.iter().enumerate() { (self.source(key, detail)) }
        };
        vec![Part::new("headline", html! { h1 { "Sources" } }), Part::new("sources", list)]
    }

    fn source(&self, key: usize, detail: &SourceDetail) -> Markup {
        let source = &detail.source;
        let title = format!("source-{key}");
        html! {
            section .card aria-labelledby=(title) {
                div .title {
                    h2 id=(title) { (name(&source.name)) }
                    (mark(source_state(source.state)))
                    div .actions {
                        @if source.state == SourceState::Running {
                            (self.source_button("cancel-source", &source.name, "End the run"))
                        } @else if source.state != SourceState::Waiting {
                            (self.source_button("run-source", &source.name, "Run now"))
                        }
                    }
                }
                p .aside {
                    (source.kind) " into " (name(&source.into)) ", " (many(source.files, "file"))
                    @if let Some(run) = &source.last_run {
                        ", last run " (self.moment(run.began_at)) " brought " (run.brought)
                    }
                    @if let Some(next) = source.next_run_at { ", next run " (self.moment(next)) }
                }
                @if let Some(trouble) = &source.trouble {
                    p { bdi { (sentence(&trouble.message)) } }
                    p .hint { bdi { (sentence(&trouble.hint)) } }
                }
                (under_way(source))
                @if !detail.problems.is_empty() {
                    ul .problems aria-label="Problems" {
                        @for problem in &detail.problems {
                            li {
                                b { (name(&problem.item)) } " " bdi { (sentence(&problem.message)) }
                                @if !problem.hint.is_empty() { p .hint { bdi { (sentence(&problem.hint)) } } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn source_button(&self, act: &str, source: &str, words: &str) -> Markup {
        html! {
            form method="post" action="act" {
                (self.hidden(act))
                input type="hidden" name="source" value=(source);
                button { (words) span .unseen { " “" (name(source)) "”" } }
            }
        }
    }

    pub(super) fn settings(&self, status: &Status, limits: &Limits) -> Vec<Part> {
        vec![
            Part::new("headline", html! { h1 { "Settings" } }),
            Part::new("limits", self.limits(limits)),
            Part::new("about", about(status)),
            Part::new(
                "keys",
                html! {
                    @if !status.daemon.locked {
                        section .card aria-labelledby="keys-title" {
                            h2 id="keys-title" { "Keys" }
                            p { "Locking closes the keys: every folder rests until the password opens them again." }
                            form method="post" action="act" { (self.hidden("lock")) button { "Lock" } }
                        }
                    }
                },
            ),
        ]
    }

    fn limits(&self, limits: &Limits) -> Markup {
        let rate = |id: &str, words: &str, value: u64| {
            html! {
                div .field {
                    label for=(id) { (words) }
                    // A limit below one KiB a second is shown as one: 0 means that there is none.
                    input id=(id) name=(id) type="number" inputmode="numeric" min="0" step="1" required
                        value=(value.div_ceil(1024)) aria-describedby="limits-hint";
                }
            }
        };
        html! {
            section .card aria-labelledby="limits-title" {
                h2 id="limits-title" { "Limits" }
                form method="post" action="act" .fields {
                    (self.hidden("limits"))
                    (rate("upload", "To the server, KiB/s", limits.upload))
                    (rate("download", "From the server, KiB/s", limits.download))
                    div .field {
                        label for="transfers" { "Files at once, in each folder" }
                        input id="transfers" name="transfers" type="number" inputmode="numeric" min="1"
                            max=(Limits::TRANSFERS_MAX) step="1" required value=(limits.transfers);
                    }
                    button .main { "Set" }
                }
                p .hint id="limits-hint" { "0 is no limit. They are written to the configuration, and the folders start anew." }
            }
        }
    }
}

fn under_way(source: &Source) -> Markup {
    html! {
        @if !source.transfers.is_empty() {
            ul .transfers aria-label="Under way" {
                @for transfer in &source.transfers {
                    li {
                        span .file { (name(&transfer.item)) }
                        span .way { (transfer.stage) }
                        @match (transfer.percent, transfer.size) {
                            (Some(percent), _) => progress max="100" value=(percent) aria-label=(transfer.item) {},
                            (None, Some(size)) => {
                                progress max=(size.max(1)) value=(transfer.done.min(size)) aria-label=(transfer.item) {}
                            }
                            (None, None) => progress aria-label=(transfer.item) {},
                        }
                        span .number { (bytes(transfer.done)) }
                    }
                }
            }
        }
    }
}

fn about(status: &Status) -> Markup {
    let server = &status.server;
    html! {
        section .card aria-labelledby="about-title" {
            h2 id="about-title" { "About" }
            dl .facts {
                div { dt { "Device" } dd { (name(&status.daemon.device)) } }
                div {
                    dt { "Server" }
                    dd {
                        @if server.embedded { "inside the daemon" @if server.url.is_some() { ", " } }
                        @if let Some(url) = &server.url { (name(url)) }
                    }
                }
                div { dt { "Account" } dd .long { @match &server.account { Some(account) => (name(account)), None => "not known" } } }
                div { dt { "Version" } dd { (status.daemon.version) } }
            }
        }
    }
}
