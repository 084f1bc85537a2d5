//! The default UnixFS tree over a file, rebuilt while the file streams by.
//!
//! Facts: chunks of one size; balanced, up to a number of links a node; leaves are raw blocks, or `dag-pb` nodes that
//! hold a UnixFS message of type `File` or `Raw`; inner nodes are `dag-pb`. In a tree of version 0 the links to
//! `dag-pb` nodes are bare multihashes, in one of version 1 all links are CIDs of version 1. A file of one chunk is its
//! leaf, unless that is raw.
//!
//! Invariants: memory is one chunk and, for each level, one node's links. Both versions are built at once, since a CID
//! can be written in the other version's form; the leaves, which are nearly all of the work, are hashed once.
//!
//! Deliberately absent: other chunkers, trickle trees, modes and times in nodes. What they make cannot be told from
//! content that is not the right one.

use super::hash::Hash;

/// The numbers an importer builds by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of a chunk.
    pub(crate) chunk: usize,
    /// The most links a node has.
    pub(crate) links: usize,
}

/// What `ipfs add`, and the services built on it, do.
pub(crate) const CLASSIC: Shape = Shape { chunk: 256 * 1024, links: 174 };
/// What newer importers do.
pub(crate) const WIDE: Shape = Shape { chunk: 1024 * 1024, links: 1024 };

/// What a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// The chunk itself.
    Raw,
    /// A node with a message of type `File`.
    File,
    /// A node with a message of type `Raw`, as old importers make them.
    RawNode,
}

/// A link to a node, and what a parent's message needs to know of it.
#[derive(Clone)]
struct Link {
    /// The target as a link holds it, for each version.
    targets: [Vec<u8>; 2],
    /// The bytes of the node and all below it, for each version: links differ in length.
    cumulative: [u64; 2],
    /// Bytes of the file below it.
    content: u64,
}

/// Builds the tree.
pub(crate) struct Tree {
    hash: Hash,
    shape: Shape,
    leaf: Leaf,
    chunk: Vec<u8>,
    /// The links of each level that have no parent yet, the leaves' first.
    levels: Vec<Vec<Link>>,
}

const VARIANT_RAW: u8 = 0;
const VARIANT_FILE: u8 = 2;
const CODEC_RAW: u8 = 0x55;
const CODEC_DAG_PB: u8 = 0x70;

impl Tree {
    pub(crate) fn new(hash: Hash, shape: Shape, leaf: Leaf) -> Self {
        Self { hash, shape, leaf, chunk: Vec::with_capacity(shape.chunk), levels: vec![Vec::new()] }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // A chunk that is full is a leaf only when more follows: an empty leaf stands for an empty file alone.
            if self.chunk.len() == self.shape.chunk {
                self.end_chunk();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.shape.chunk - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
    }

    /// The multihashes of a `dag-pb` root over the file, in a tree of version 0 and in one of version 1.
    pub(crate) fn finish(mut self) -> [Vec<u8>; 2] {
        self.end_chunk();
        let mut level = 0;
        while let Some(links) = self.levels.get_mut(level) {
            let links = std::mem::take(links);
            let is_top = level + 1 >= self.levels.len();
            if let ([root], true) = (links.as_slice(), is_top) {
                // A raw leaf is no `dag-pb` node; importers that want one all the same put it below one.
                let root = if level == 0 && self.leaf == Leaf::Raw { self.parent(&links) } else { root.clone() };
                return root.targets.map(multihash_of);
            }
            if !links.is_empty() {
                let parent = self.parent(&links);
                self.put(level + 1, parent);
            }
            level += 1;
        }
        // Not reached: the last level with links ends in one root.
        [Vec::new(), Vec::new()]
    }

    fn end_chunk(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let leaf = self.leaf_of(&chunk);
        self.chunk = chunk;
        self.chunk.clear();
        self.put(0, leaf);
    }

    /// Adds a link to a level. A full level gets its parent when the next link comes.
    fn put(&mut self, level: usize, link: Link) {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        if self.levels[level].len() == self.shape.links {
            let full = std::mem::take(&mut self.levels[level]);
            let parent = self.parent(&full);
            self.put(level + 1, parent);
        }
        self.levels[level].push(link);
    }

    fn leaf_of(&self, chunk: &[u8]) -> Link {
        let content = chunk.len() as u64;
        let variant = match self.leaf {
            Leaf::Raw => {
                let target = cid_v1(CODEC_RAW, &self.hash.digest(&[chunk]));
                return Link { targets: [target.clone(), target], cumulative: [content; 2], content };
            }
            Leaf::File => VARIANT_FILE,
            Leaf::RawNode => VARIANT_RAW,
        };
        let mut head = vec![0x08, variant];
        if !chunk.is_empty() {
            head.push(0x12);
            varint(content, &mut head);
        }
        let mut tail = vec![0x18];
        varint(content, &mut tail);
        let mut front = vec![0x0a];
        varint((head.len() + chunk.len() + tail.len()) as u64, &mut front);
        front.extend_from_slice(&head);
        let size = (front.len() + chunk.len() + tail.len()) as u64;
        let multihash = self.hash.digest(&[&front, chunk, &tail]);
        Link { targets: [multihash.clone(), cid_v1(CODEC_DAG_PB, &multihash)], cumulative: [size; 2], content }
    }

    fn parent(&self, children: &[Link]) -> Link {
        let content = children.iter().map(|child| child.content).sum();
        let mut message = vec![0x08, VARIANT_FILE, 0x18];
        varint(content, &mut message);
        for child in children {
            message.push(0x20);
            varint(child.content, &mut message);
        }
        let node = |version: usize| {
            let mut node = Vec::new();
            for child in children {
                let mut link = vec![0x0a];
                varint(child.targets[version].len() as u64, &mut link);
                link.extend_from_slice(&child.targets[version]);
                // The empty name is written.
                link.extend_from_slice(&[0x12, 0x00, 0x18]);
                varint(child.cumulative[version], &mut link);
                node.push(0x12);
                varint(link.len() as u64, &mut node);
                node.extend_from_slice(&link);
            }
            node.push(0x0a);
            varint(message.len() as u64, &mut node);
            node.extend_from_slice(&message);
            let below: u64 = children.iter().map(|child| child.cumulative[version]).sum();
            (self.hash.digest(&[&node]), node.len() as u64 + below)
        };
        let ((hash_0, size_0), (hash_1, size_1)) = (node(0), node(1));
        Link { targets: [hash_0, cid_v1(CODEC_DAG_PB, &hash_1)], cumulative: [size_0, size_1], content }
    }
}

fn cid_v1(codec: u8, multihash: &[u8]) -> Vec<u8> {
    [&[1, codec], multihash].concat()
}

/// The multihash of a target: what follows version and codec, if they are there. A multihash of version 0 begins with
/// its code, and no code is 1.
fn multihash_of(target: Vec<u8>) -> Vec<u8> {
    if target.first() == Some(&1) { target[2..].to_vec() } else { target }
}

fn varint(mut value: u64, into: &mut Vec<u8>) {
    loop {
        let low = value.to_le_bytes()[0];
        value >>= 7;
        if value == 0 {
            into.push(low & 0x7f);
            return;
        }
        into.push(low | 0x80);
    }
}
