//! Which of several equal contents moved where: told by the ends of their paths.

use crate::matrix::Slot;
use crate::rename::Keyed;

/// Pairs sources and targets whose paths have the longest common end, in whole segments, where there is but one such
/// source and one such target. A single source and a single target are a pair whatever they are called.
pub(crate) fn pair<K>(
    slots: &[Slot<'_>],
    sources: &[Keyed<K>],
    targets: &[Keyed<K>],
    mut link: impl FnMut(usize, usize),
) {
    if let ([source], [target]) = (sources, targets) {
        link(source.slot, target.slot);
        return;
    }
    let depth_of =
        |side: &[Keyed<K>]| side.iter().map(|row| segments(slots[row.slot].path.as_str())).max().unwrap_or(0);
    let deepest = depth_of(sources).min(depth_of(targets));
    let sources = sources.iter().map(|source| (false, source.slot));
    let targets = targets.iter().map(|target| (true, target.slot));
    let mut rows: Vec<(bool, usize)> = sources.chain(targets).collect();
    for depth in (0..=deepest).rev() {
        let mut ends: Vec<(&str, bool, usize)> = rows
            .iter()
            .filter_map(|&(side, row)| end(slots[row].path.as_str(), depth).map(|end| (end, side, row)))
            .collect();
        ends.sort_unstable();
        let mut paired = Vec::new();
        for group in ends.chunk_by(|a, b| a.0 == b.0) {
            if let [(_, false, source), (_, true, target)] = *group {
                link(source, target);
                paired.extend([source, target]);
            }
        }
        paired.sort_unstable();
        rows.retain(|row| paired.binary_search(&row.1).is_err());
        if rows.iter().all(|row| row.0) || rows.iter().all(|row| !row.0) {
            return;
        }
    }
}

fn segments(path: &str) -> usize {
    path.bytes().filter(|&byte| byte == b'/').count() + 1
}

/// The last `depth` segments; `None` if there are fewer.
fn end(path: &str, depth: usize) -> Option<&str> {
    let Some(before) = depth.checked_sub(1) else { return Some("") };
    match path.rmatch_indices('/').nth(before) {
        Some((slash, _)) => Some(&path[slash + 1..]),
        None => (segments(path) == depth).then_some(path),
    }
}
