//! Every folder, what is in flight, the throughput.

use hcfs_api::quantity::{bytes, count, many, rate, span};
use hcfs_api::{Direction, Folder, Rates, Status, Transfer};
use maud::{Markup, html};

use super::chart::chart;
use super::words::{all_wants, is_known, link, mark, name, state, wants};
use super::{Part, Pen, View};
use crate::throughput::Moved;

/// Transfers of a folder that are shown; the rest is counted.
const TRANSFERS: usize = 12;

impl Pen<'_> {
    pub(super) fn overview(&self, status: &Status, moved: &[Moved]) -> Vec<Part> {
        vec![
            Part::new("headline", html! { h1 { (headline(status)) } }),
            Part::new("folders", self.folders(status)),
            Part::new("transfers", all_transfers(status)),
            Part::new(
                "throughput",
                html! {
                    section aria-labelledby="throughput-title" {
                        h2 id="throughput-title" { "Throughput" }
                        (chart(moved, status.rates))
                    }
                },
            ),
        ]
    }

    fn folders(&self, status: &Status) -> Markup {
        html! {
            section aria-labelledby="folders-title" {
                h2 id="folders-title" { "Folders" }
                @if status.folders.is_empty() {
                    p .empty { "No folder is kept in step yet. Add one: " code { "hcfs folder add LABEL DIR" } }
                } @else {
                    table .wide {
                        thead {
                            tr {
                                th scope="col" { "Folder" } th scope="col" { "State" }
                                th scope="col" .number { "In step" } th scope="col" .number { "Left" }
                                th scope="col" { "Looked at" } th scope="col" { span .unseen { "Actions" } }
                            }
                        }
                        tbody { @for folder in &status.folders { (self.folder_row(folder)) } }
                    }
                }
            }
        }
    }

    fn folder_row(&self, folder: &Folder) -> Markup {
        let counts = &folder.counts;
        let wanted = wants(folder);
        html! {
            tr {
                th scope="row" {
                    (link(&View::Folder(folder.label.clone()), name(&folder.label)))
                    span .path { (name(&folder.path)) }
                }
                td data-label="State" {
                    (mark(state(folder.state)))
                    @if wanted > 0 { " " span .aside { (link(&View::Attention, many(wanted, "thing"))) } }
                }
                td .number data-label="In step" {
                    @if is_known(folder) {
                        (many(counts.synced_files, "file")) span .aside { (bytes(counts.synced_bytes)) }
                    } @else { "not known" }
                }
                td .number data-label="Left" { (left(folder)) }
                td data-label="Looked at" {
                    @match folder.last_cycle_at { Some(at) => (self.moment(at)), None => "not yet" }
                }
                td .acts { (self.folder_actions(folder)) }
            }
        }
    }
}

/// What a folder has still to move.
fn left(folder: &Folder) -> Markup {
    let counts = &folder.counts;
    html! {
        @if !is_known(folder) { "not known" } @else if counts.pending == 0 { "nothing" } @else {
            (count(counts.pending))
            @if let Some(seconds) = folder.rates.seconds_left { span .aside { "about " (span(seconds)) } }
        }
    }
}

/// The state of everything, in a few words.
fn headline(status: &Status) -> String {
    let pending = status.totals.counts.pending;
    match all_wants(status) {
        _ if status.daemon.locked => "Locked".to_owned(),
        0 if status.folders.is_empty() => "No folder yet".to_owned(),
        0 if status.idle => "Everything is in step".to_owned(),
        0 if pending > 0 => format!("Syncing {}", many(pending, "change")),
        0 if status.is_working() => "Looking for changes".to_owned(),
        0 => "Resting".to_owned(),
        1 => "One thing needs you".to_owned(),
        wanted => format!("{} things need you", count(wanted)),
    }
}

fn all_transfers(status: &Status) -> Markup {
    let busy: Vec<&Folder> = status.folders.iter().filter(|folder| !folder.transfers.is_empty()).collect();
    html! {
        @if !busy.is_empty() {
            section aria-labelledby="transfers-title" {
                h2 id="transfers-title" { "In flight" }
                @for folder in busy { (transfers(folder)) }
            }
        }
    }
}

/// The files of a folder that are in flight.
pub(super) fn transfers(folder: &Folder) -> Markup {
    let more = folder.transfers.len().saturating_sub(TRANSFERS);
    html! {
        ul .transfers aria-label=(format!("In flight in {}", folder.label)) {
            @for transfer in folder.transfers.iter().take(TRANSFERS) { (one_transfer(transfer)) }
            @if more > 0 { li .aside { "and " (count(more as u64)) " more" } }
        }
        (pace(folder.rates))
    }
}

fn one_transfer(transfer: &Transfer) -> Markup {
    let way = match transfer.direction {
        Direction::Up => "to the server",
        Direction::Down => "from the server",
    };
    // An empty file has moved as soon as it moves.
    let size = transfer.size.max(1);
    let percent = transfer.done.min(size).saturating_mul(100) / size;
    html! {
        li {
            span .file { (name(&transfer.path)) }
            span .way { (way) }
            progress max="100" value=(percent) aria-label=(transfer.path) { (percent) " %" }
            span .number { (bytes(transfer.done)) " of " (bytes(transfer.size)) }
        }
    }
}

fn pace(rates: Rates) -> Markup {
    html! {
        p .aside {
            (rate(rates.up)) " up, " (rate(rates.down)) " down"
            @if let Some(seconds) = rates.seconds_left { ", about " (span(seconds)) " left" }
        }
    }
}
