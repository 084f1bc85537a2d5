//! The document around every view.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use hcfs_api::{ApiError, Status};
use maud::{DOCTYPE, Markup, html};

use super::words::{self, all_wants, link, name};
use super::{Drawn, Part, Pen, View};
use crate::gate::Notice;

pub(super) fn heading(view: &View) -> &'static str {
    match view {
        View::Overview => "Overview",
        View::Attention => "Needs you",
        View::Folder(_) => "Folder",
        View::Trash { .. } => "Trash",
        View::File { .. } => "File",
        View::Log { .. } => "Log",
        View::Sources => "Sources",
        View::Settings => "Settings",
    }
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) }
        link rel="icon" href="icon.svg" type="image/svg+xml";
        link rel="stylesheet" href="style.css";
    }
}

/// Parts that stand in the frame of the document, and not in the main column.
const FRAME: [&str; 2] = ["badge", "server"];

pub(super) fn document(view: &View, drawn: &Drawn, notice: Option<&Notice>, token: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (head(&drawn.title))
                script src="script.js" defer {}
            }
            body data-view=(view.href()) {
                a .skip href="#main" { "To the content" }
                header {
                    div .bar {
                        span .brand { (link(&View::Overview, "hcfs")) }
                        (frame_part(drawn, "server"))
                        form method="post" action="act" .leave {
                            input type="hidden" name="token" value=(token);
                            input type="hidden" name="do" value="leave";
                            button .quiet { "Close this page" }
                        }
                    }
                    nav aria-label="Views" {
                        @for (to, words) in [
                            (View::Overview, "Overview"),
                            (View::Attention, "Needs you"),
                            (View::Sources, "Sources"),
                            (View::Settings, "Settings"),
                        ] {
                            @let href = to.href();
                            a href=(if href.is_empty() { "./" } else { &href }) aria-current=[(to == *view).then_some("page")] {
                                (words)
                                @if to == View::Attention { (frame_part(drawn, "badge")) }
                            }
                        }
                    }
                }
                main id="main" tabindex="-1" {
                    @if let Some(notice) = notice { (said_once(notice)) }
                    p id="line" class="banner bad" role="status" hidden {}
                    @for part in drawn.parts.iter().filter(|part| !FRAME.contains(&part.id)) { (in_main(part)) }
                }
                footer {
                    p .unseen id="said" role="status" aria-live="polite" {}
                    noscript { p { "Without scripts this page shows what was when it was loaded; load it again to see what is." } }
                }
            }
        }
    }
}

fn in_main(part: &Part) -> Markup {
    html! { div .part id=(part.id) data-version=(part.version()) { (part.markup) } }
}

fn frame_part(drawn: &Drawn, id: &str) -> Markup {
    html! {
        @for part in drawn.parts.iter().filter(|part| part.id == id) {
            span .part id=(part.id) data-version=(part.version()) { (part.markup) }
        }
    }
}

fn said_once(notice: &Notice) -> Markup {
    html! {
        div class=(if notice.good { "banner good" } else { "banner bad" }) id="notice" tabindex="-1" autofocus
            role=(if notice.good { "status" } else { "alert" })
        {
            p { bdi { (sentence(&notice.text)) } }
            @if !notice.hint.is_empty() { p .hint { bdi { (sentence(&notice.hint)) } } }
        }
    }
}

/// A fragment as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?', '`']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

pub(super) fn badge(status: &Status) -> Markup {
    let wanted = all_wants(status);
    html! { @if wanted > 0 { span .badge { (wanted) span .unseen { " open" } } } }
}

pub(super) fn server(status: &Status) -> Markup {
    let (tone, words) = match (status.daemon.locked, status.server.reachable) {
        (true, _) => (words::Tone::Rest, "locked"),
        (false, Some(true)) => (words::Tone::Good, "server reached"),
        (false, Some(false)) => (words::Tone::Wants, "server not reached"),
        (false, None) => (words::Tone::Rest, "server not asked yet"),
    };
    html! { span .device { (name(&status.daemon.device)) } (words::mark((tone, words))) }
}

/// An answer of the socket that is an error, in the place of what was asked for.
pub(super) fn wrong(error: &ApiError) -> Markup {
    html! {
        div .banner .bad role="alert" {
            p { bdi { (sentence(&error.message)) } }
            @if !error.hint.is_empty() { p .hint { bdi { (sentence(&error.hint)) } } }
        }
    }
}

/// What is shown of a daemon that does not answer.
pub(super) fn nothing(error: &ApiError) -> Drawn {
    Drawn {
        parts: vec![Part::new("wrong", wrong(error))],
        said: String::new(),
        title: "hcfs".to_owned(),
        wrong: StatusCode::from_u16(error.code.status()).ok(),
    }
}

impl Pen<'_> {
    /// The password's form, while it is needed.
    pub(super) fn unlock(&self, status: &Status) -> Markup {
        if !status.daemon.locked {
            return html! {};
        }
        html! {
            section .card aria-labelledby="unlock-title" {
                h2 id="unlock-title" { "The keys are closed" }
                p { "No folder is kept in step until the password of the recovery phrase opens them." }
                form method="post" action="act" .row {
                    (self.hidden("unlock"))
                    label for="password" { "Password" }
                    input id="password" type="password" name="password" autocomplete="current-password" required;
                    button .main { "Unlock" }
                }
            }
        }
    }
}

/// A page of its own, for who has no session or no business here. Goes on to `then` at once, where there is one.
pub(crate) fn alone(status: StatusCode, title: &str, text: &str, then: Option<&str>) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (head(&format!("{title} · hcfs")))
                @if let (Some(then), StatusCode::OK) = (then, status) {
                    meta http-equiv="refresh" content=(format!("0; url={then}"));
                }
            }
            body .alone {
                main {
                    h1 { (title) }
                    p { (text) }
                    @if let Some(then) = then { p { a href=(then) { "Go on" } } }
                }
            }
        }
    };
    (status, Html(page.into_string())).into_response()
}
