//! What waits for the user: problems, conflicts, holds.

use hcfs_api::quantity::{bytes, count, many};
use hcfs_api::{Conflict, ConflictSide, FolderDetail, Hold, Problem, SourceState, Status};
use maud::{Markup, html};

use super::shell::sentence;
use super::words::{conflict_kind, held, hold_answers, link, mark, name, source_state, wants};
use super::{Part, Pen, View};

/// The ways out of a conflict: the form's value, the button, what it means.
const WAYS: [(&str, &str, &str); 4] = [
    ("keep-local", "Keep this device’s", "It takes the name on both sides."),
    ("accept-remote", "Take the server’s", "It takes the name; the one here goes to the trash."),
    ("keep-both", "Keep both", "The one here stands beside the other, under a name that says so."),
    ("skip", "Leave as is", "Neither is touched; it stays listed."),
];

impl Pen<'_> {
    pub(super) fn attention(&self, status: &Status, details: &[FolderDetail]) -> Vec<Part> {
        let open = details.iter().any(|detail| wants(&detail.folder) > 0);
        let failing: Vec<_> = status
            .sources
            .iter()
            .filter(|source| matches!(source.state, SourceState::Attention | SourceState::Failed))
            .collect();
        vec![
            Part::new("headline", html! { h1 { @if open { "Needs you" } @else { "Nothing needs you" } } }),
            Part::new(
                "attention",
                html! {
                    @if !open && failing.is_empty() {
                        p .empty { "Problems, conflicts and deletions that wait for your word would stand here." }
                    }
                    @for (key, detail) in details.iter().enumerate() {
                        section .group aria-label=(detail.folder.label) {
                            h2 { (link(&View::Folder(detail.folder.label.clone()), name(&detail.folder.label))) }
                            (self.waiting(key, detail))
                        }
                    }
                    @for source in failing {
                        p { (mark(source_state(source.state))) " " (link(&View::Sources, name(&source.name))) }
                    }
                },
            ),
        ]
    }

    /// Everything of one folder that waits; `key` tells it from other folders on the page.
    pub(super) fn waiting(&self, key: usize, detail: &FolderDetail) -> Markup {
        let counts = &detail.folder.counts;
        let label = &detail.folder.label;
        html! {
            @if let Some(trouble) = &detail.folder.trouble {
                div .card .problem {
                    p { bdi { (sentence(&trouble.message)) } }
                    p .hint { bdi { (sentence(&trouble.hint)) } }
                    (self.folder_button("look", label, "Try again"))
                }
            }
            @for hold in &detail.holds { (self.hold(key, label, hold)) }
            (more(counts.holds, detail.holds.len()))
            @for conflict in &detail.conflicts { (self.conflict(key, label, conflict)) }
            (more(counts.conflicts, detail.conflicts.len()))
            @if !detail.problems.is_empty() {
                ul .problems aria-label="Problems" {
                    @for problem in &detail.problems { (one_problem(label, problem)) }
                }
                (more(counts.problems, detail.problems.len()))
            }
        }
    }

    fn hold(&self, key: usize, label: &str, hold: &Hold) -> Markup {
        let (accept, restore) = hold_answers(hold);
        let title = format!("hold-{key}-{}", hold.id);
        let more = hold.count.saturating_sub(hold.examples.len() as u64);
        html! {
            article .card .hold aria-labelledby=(title) {
                p .kind { "Held back" }
                h3 id=(title) {
                    (held(hold))
                    @if let Some(scope) = &hold.scope { ", in " (name(scope)) }
                }
                p .aside { "Found " (self.moment(hold.at)) ". Nothing happens until you decide." }
                @if !hold.examples.is_empty() {
                    ul .names {
                        @for example in &hold.examples { li { (name(example)) } }
                        @if more > 0 { li .aside { "and " (count(more)) " more" } }
                    }
                }
                form method="post" action="act" .ways {
                    (self.hidden("settle"))
                    input type="hidden" name="folder" value=(label);
                    input type="hidden" name="id" value=(hold.id);
                    button .main name="answer" value="restore" { (restore) }
                    button .danger name="answer" value="accept" { (accept) }
                }
            }
        }
    }

    fn conflict(&self, key: usize, label: &str, conflict: &Conflict) -> Markup {
        let title = format!("conflict-{key}-{}", conflict.id);
        html! {
            article .card .conflict aria-labelledby=(title) {
                p .kind { "Conflict" @if conflict.skipped { ", left as it is as you said" } }
                h3 id=(title) { (name(&conflict.path)) }
                p .aside { (conflict_kind(&conflict.kind)) ", found " (self.moment(conflict.at)) "." }
                div .sides {
                    (self.side("This device", conflict.local.as_ref(), conflict.copy.as_deref()))
                    (self.side("The server", conflict.remote.as_ref(), None))
                }
                form method="post" action="act" .ways {
                    (self.hidden("resolve"))
                    input type="hidden" name="folder" value=(label);
                    input type="hidden" name="id" value=(conflict.id);
                    @for (value, words, means) in WAYS {
                        @let means_id = format!("{title}-{value}");
                        div .way {
                            button name="resolution" value=(value) aria-describedby=(means_id) { (words) }
                            p id=(means_id) .aside { (means) }
                        }
                    }
                }
            }
        }
    }

    fn side(&self, place: &str, side: Option<&ConflictSide>, copy: Option<&str>) -> Markup {
        html! {
            section .side aria-label=(place) {
                h4 { (place) }
                @match side {
                    None => p .gone { "Deleted" },
                    Some(side) => dl {
                        dt { "Size" } dd { (bytes(side.size)) }
                        dt { "Changed" }
                        dd { @match side.at { Some(at) => (self.moment(at)), None => "not known" } }
                        @if let Some(device) = &side.device { dt { "By" } dd { (name(device)) } }
                        @if let Some(copy) = copy { dt { "Kept as" } dd { (name(copy)) } }
                    }
                }
            }
        }
    }
}

fn one_problem(label: &str, problem: &Problem) -> Markup {
    html! {
        li .card .problem {
            @if let Some(path) = &problem.path {
                h3 { (link(&View::File { folder: label.to_owned(), path: path.clone() }, name(path))) }
            }
            p { bdi { (sentence(&problem.message)) } }
            @if !problem.hint.is_empty() { p .hint { bdi { (sentence(&problem.hint)) } } }
        }
    }
}

/// What a list leaves out.
fn more(of: u64, shown: usize) -> Markup {
    let left = of.saturating_sub(shown as u64);
    html! { @if left > 0 && shown > 0 { p .aside { (many(left, "other")) " are not listed here." } } }
}
