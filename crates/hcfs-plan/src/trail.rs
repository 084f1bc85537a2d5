//! Where a path came from, by the moves the watcher saw.

use std::collections::BTreeMap;

use hcfs_model::RelPath;

/// Moves of files and directories, followed back to where they began.
pub(crate) struct Trail(BTreeMap<String, String>);

impl Trail {
    /// Follows moves that happened in this order.
    pub(crate) fn of(moved: &[(RelPath, RelPath)]) -> Self {
        let mut trail = Self(BTreeMap::new());
        for (from, to) in moved {
            let origin = trail.origin(from).unwrap_or_else(|| from.as_str().to_owned());
            trail.carry(from, to);
            trail.0.insert(to.as_str().to_owned(), origin);
        }
        trail
    }

    /// Takes along what moved into a directory before the directory itself moves.
    fn carry(&mut self, from: &RelPath, to: &RelPath) {
        self.0.remove(from.as_str());
        let start = format!("{from}/");
        let inside = self.0.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        let inside: Vec<String> = inside.map(|(path, _)| path.clone()).collect();
        for path in inside {
            if let Some(origin) = self.0.remove(&path) {
                self.0.insert(format!("{to}/{}", &path[start.len()..]), origin);
            }
        }
    }

    /// Where the file at `path` was before; `None` if neither it nor a directory above it was seen moving.
    pub(crate) fn origin(&self, path: &RelPath) -> Option<String> {
        let mut above = path.as_str();
        loop {
            if let Some(origin) = self.0.get(above) {
                return Some(format!("{origin}{}", &path.as_str()[above.len()..]));
            }
            above = above.rsplit_once('/')?.0;
        }
    }
}
