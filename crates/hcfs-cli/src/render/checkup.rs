//! What `hcfs doctor` found.

use hcfs_api::{Check, Checkup, Verdict};

use super::table::{Cell, Last, table};
use super::{Look, Paint, plain, wrapped};

/// A line for each check and its hint below, then how many came out how; only what is wrong where `quiet`.
#[must_use]
pub fn checkup(checkup: &Checkup, quiet: bool, look: Look) -> String {
    let paint = Paint(look.color);
    let shown: Vec<&Check> = checkup.checks.iter().filter(|check| !quiet || check.verdict != Verdict::Ok).collect();
    let rows: Vec<Vec<Cell>> = shown.iter().map(|check| row(check)).collect();
    let mut out = String::new();
    for (line, check) in table(look, Last::Named, &rows).lines().zip(&shown) {
        out.push_str(line);
        out.push('\n');
        if check.verdict != Verdict::Ok && !check.hint.is_empty() {
            out.push_str(&paint.faint_lines(&wrapped(look, 6, &format!("hint: {}", plain(&check.hint)))));
        }
    }
    if !quiet {
        let [ok, warn, fail] = [Verdict::Ok, Verdict::Warn, Verdict::Fail].map(|verdict| checkup.count(verdict));
        out.push_str(&wrapped(look, 0, &format!("{ok} ok, {warn} to know, {fail} to mend")));
    }
    out
}

fn row(check: &Check) -> Vec<Cell> {
    let paint = match check.verdict {
        Verdict::Ok => Paint::good,
        Verdict::Warn => Paint::attention,
        Verdict::Fail => Paint::bad,
    };
    let name = check.name.replace('_', " ");
    let name = match &check.about {
        Some(about) => format!("{}: {name}", plain(about)),
        None => name,
    };
    // One line each: what an error says may have several.
    let message = check.message.lines().collect::<Vec<_>>().join(" ");
    vec![Cell::painted(check.verdict.as_str(), paint), name.into(), plain(&message).into_owned().into()]
}
