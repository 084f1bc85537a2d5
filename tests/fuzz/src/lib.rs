//! Fuzz targets: whatever bytes come from outside, a parser says what they are or what is wrong with them.
//!
//! A target takes any bytes and panics where a promise is broken: not only that nothing panics, but that what was read
//! can be written and is read again as the same, that bounds hold, and that two readers of one format agree.
//!
//! `corpus/TARGET/` holds bytes worth starting from, and every input that ever found something. The same targets run in
//! two ways: `tests/fuzz/short.rs` mutates the corpus for a moment on every change, and `cargo xtask soak fuzz` lets
//! coverage lead for as long as is wanted.

mod mutate;
mod targets;

use std::path::PathBuf;

pub use mutate::Mutator;
pub use targets::TARGETS;

/// One parser, or a family of them.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Words its format knows, to make inputs of.
    pub words: &'static [&'static str],
    /// Panics where a promise is broken.
    pub run: fn(&[u8]),
}

impl Target {
    /// Where its corpus lies.
    #[must_use]
    pub fn corpus(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }

    /// The inputs of its corpus, in order.
    ///
    /// # Errors
    /// The corpus cannot be read.
    pub fn inputs(&self) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut inputs = Vec::new();
        for entry in std::fs::read_dir(self.corpus())? {
            let path = entry?.path();
            inputs.push((path.clone(), std::fs::read(path)?));
        }
        inputs.sort();
        Ok(inputs)
    }
}

/// The target of a name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
