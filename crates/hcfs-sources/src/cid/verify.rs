//! Content held against its CID.
//!
//! Purpose: [`Verifier`] takes the content in pieces; [`rebuild`] tries what is less likely on the staged
//! file, when the first guess of how its tree was built was wrong.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::hash::Running;
use super::id::{Claim, ContentId};
use super::unixfs::{CLASSIC, Leaf, Shape, Tree, WIDE};

/// Bytes read at once from a staged file.
const READ: usize = 256 * 1024;

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The content is that of the CID.
    Right,
    /// It is not.
    Wrong,
    /// It is not, or it was put together in another way.
    OtherTree,
    /// It cannot be compared.
    Unknown(String),
}

enum Check {
    Inline { left: Vec<u8>, right: bool },
    Raw(Box<Running>),
    Tree(Box<Tree>),
    Unknown(String),
}

/// Compares content with a CID, piece after piece.
pub(crate) struct Verifier {
    id: ContentId,
    check: Check,
}

impl Verifier {
    pub(crate) fn new(id: ContentId) -> Self {
        let check = match &id.claim {
            Claim::Inline(bytes) => Check::Inline { left: bytes.clone(), right: true },
            Claim::Raw(hash) => Check::Raw(Box::new(Running::new(*hash))),
            Claim::Tree { hash, old } => Check::Tree(Box::new(Tree::new(*hash, CLASSIC, usual_leaf(*old)))),
            Claim::Unknown(reason) => Check::Unknown(reason.clone()),
        };
        Self { id, check }
    }

    /// Takes the next bytes of the content.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.check {
            Check::Inline { left, right } => match left.strip_prefix(bytes) {
                Some(rest) => *left = rest.to_vec(),
                None => *right = false,
            },
            Check::Raw(running) => running.update(bytes),
            Check::Tree(tree) => tree.update(bytes),
            Check::Unknown(_) => {}
        }
    }

    /// The finding, all content having gone by.
    pub(crate) fn finish(self) -> Finding {
        let right = match self.check {
            Check::Inline { left, right } => right && left.is_empty(),
            Check::Raw(running) => running.finish() == self.id.multihash,
            Check::Tree(tree) => {
                let right = tree.finish().contains(&self.id.multihash);
                return if right { Finding::Right } else { Finding::OtherTree };
            }
            Check::Unknown(reason) => return Finding::Unknown(reason),
        };
        if right { Finding::Right } else { Finding::Wrong }
    }
}

/// The leaves that importers make for a CID of this version unless they are told otherwise.
fn usual_leaf(old: bool) -> Leaf {
    if old { Leaf::File } else { Leaf::Raw }
}

/// Whether the first `len` bytes of a file are the content of a CID, by any tree but the one [`Verifier`] builds.
/// Reads the file once.
pub(crate) fn rebuild(file: &File, len: u64, id: &ContentId) -> io::Result<bool> {
    let Claim::Tree { hash, old } = id.claim else { return Ok(false) };
    let leaves = [Leaf::Raw, Leaf::File, Leaf::RawNode].into_iter();
    let classic = leaves.filter(|leaf| *leaf != usual_leaf(old)).map(|leaf| (CLASSIC, leaf));
    // A file of one chunk is the same in both shapes.
    let wide = [Leaf::Raw, Leaf::File].into_iter().filter(|_| len > CLASSIC.chunk as u64).map(|leaf| (WIDE, leaf));
    let mut trees: Vec<Tree> =
        classic.chain(wide).map(|(shape, leaf): (Shape, _)| Tree::new(hash, shape, leaf)).collect();
    each_piece(file, 0, len, |piece| {
        trees.iter_mut().for_each(|tree| tree.update(piece));
        Ok::<_, io::Error>(())
    })?;
    Ok(trees.into_iter().any(|tree| tree.finish().contains(&id.multihash)))
}

/// Reads the bytes of a file from `from` to `to` in order.
pub(crate) fn each_piece<E: From<io::Error>>(
    file: &File,
    from: u64,
    to: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = vec![0; READ];
    let mut at = from;
    while at < to {
        let want = usize::try_from(to - at).map_or(READ, |left| left.min(READ));
        file.read_exact_at(&mut buffer[..want], at)?;
        take(&buffer[..want])?;
        at += want as u64;
    }
    Ok(())
}
