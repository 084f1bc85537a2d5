use std::io::Write as _;
use std::sync::LazyLock;

use serde::Deserialize;

use super::follow::Follower;
use super::hash::{Hash, Running};
use super::id::{Claim, ContentId};
use super::unixfs::{CLASSIC, Leaf, Shape, Tree, WIDE};
use super::verify::{Finding, Verifier, rebuild};

#[derive(Deserialize)]
struct Vectors {
    trees: Vec<TreeVector>,
    raw: Vec<RawVector>,
}

#[derive(Deserialize)]
struct TreeVector {
    importer: String,
    chunk: usize,
    links: usize,
    size: usize,
    cid: String,
}

#[derive(Deserialize)]
struct RawVector {
    hash: String,
    size: usize,
    cid: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/unixfs.json")).unwrap()
}

/// After so many bytes the file the generator's note describes repeats itself.
const PERIOD: usize = 1 << 24;

static PATTERN: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..PERIOD).map(|at| (at + 7 * (at / 256) + 13 * (at / 65536)).to_le_bytes()[0]).collect());

/// The file of `size` bytes in pieces.
fn pieces(size: usize) -> impl Iterator<Item = &'static [u8]> {
    (0..size).step_by(PERIOD).flat_map(move |from| PATTERN[..PERIOD.min(size - from)].chunks(100_003))
}

fn pattern(size: usize) -> Vec<u8> {
    pieces(size).collect::<Vec<_>>().concat()
}

fn leaf_of(importer: &str) -> Leaf {
    match importer.split_once(", ").unwrap().1 {
        "file leaves" => Leaf::File,
        "raw nodes" => Leaf::RawNode,
        _ => Leaf::Raw,
    }
}

#[test]
fn trees_are_those_of_the_importer() {
    for vector in vectors().trees {
        let id = ContentId::parse(&vector.cid).unwrap();
        if let Claim::Raw(hash) = id.claim {
            // A file of one raw chunk has no tree.
            assert!(vector.size <= vector.chunk && vector.importer.ends_with("raw leaves"), "{}", vector.cid);
            assert_eq!(hash.digest(&[&pattern(vector.size)]), id.multihash);
            continue;
        }
        if vector.size == 0 && vector.importer.ends_with("never reduced") {
            // Without a chunk there is no raw leaf: it is the empty node of the other importers.
            continue;
        }
        let shape = Shape { chunk: vector.chunk, links: vector.links };
        let mut tree = Tree::new(Hash::Sha2_256, shape, leaf_of(&vector.importer));
        pieces(vector.size).for_each(|piece| tree.update(piece));
        let version = usize::from(!vector.importer.starts_with("v0"));
        assert_eq!(tree.finish()[version], id.multihash, "{} {}", vector.importer, vector.size);
    }
}

#[test]
fn content_of_every_usual_importer_is_verified() {
    for vector in vectors().trees {
        let shape = Shape { chunk: vector.chunk, links: vector.links };
        if (shape != CLASSIC && shape != WIDE) || vector.size > 10 * CLASSIC.chunk {
            continue;
        }
        let id = ContentId::parse(&vector.cid).unwrap();
        let content = pattern(vector.size);
        let finding = |content: &[u8]| {
            let mut verifier = Verifier::new(id.clone());
            content.chunks(70_001).for_each(|piece| verifier.update(piece));
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content).unwrap();
            match verifier.finish() {
                Finding::OtherTree if rebuild(&file, content.len() as u64, &id).unwrap() => Finding::Right,
                finding => finding,
            }
        };
        assert_eq!(finding(&content), Finding::Right, "{} {}", vector.importer, vector.size);
        // One bit more or less is another content.
        let mut other = content.clone();
        match other.last_mut() {
            Some(last) => *last ^= 1,
            None => other.push(0),
        }
        assert_ne!(finding(&other), Finding::Right);
        assert_ne!(finding(&[content.as_slice(), b"x"].concat()), Finding::Right);
    }
}

#[test]
fn raw_content_is_verified_by_every_hash() {
    for vector in vectors().raw {
        let id = ContentId::parse(&vector.cid).unwrap();
        let content = pattern(vector.size);
        let finding = |content: &[u8]| {
            let mut verifier = Verifier::new(id.clone());
            content.chunks(999).for_each(|piece| verifier.update(piece));
            verifier.finish()
        };
        assert_eq!(finding(&content), Finding::Right, "{} {}", vector.hash, vector.size);
        assert_eq!(finding(&[content.as_slice(), b"x"].concat()), Finding::Wrong);
        assert!(content.is_empty() || finding(&content[1..]) == Finding::Wrong);
        match id.claim {
            Claim::Raw(hash) => assert_eq!(Running::new(hash).finish()[..2], id.multihash[..2]),
            claim => assert_eq!(claim, Claim::Inline(content)),
        }
    }
}

/// The finding on what `write` leaves in a file that is followed while it is written.
fn followed(content: &[u8], also: &[u8], restarts: bool) -> std::io::Result<Finding> {
    let multihash: String = Hash::Sha2_256.digest(&[content]).iter().map(|byte| format!("{byte:02x}")).collect();
    let id = ContentId::parse(&format!("f0155{multihash}")).unwrap();
    let mut file = tempfile::tempfile()?;
    let mut follower = Follower::start(id, &file)?;
    let mut len = 0;
    if restarts {
        file.write_all(&pattern(3 << 20))?;
        follower.tell(3 << 20);
        file.set_len(0)?;
        std::io::Seek::rewind(&mut file)?;
        follower.restart()?;
    }
    for piece in content.chunks(300_007).chain([also]) {
        file.write_all(piece)?;
        len += piece.len() as u64;
        follower.tell(len);
    }
    follower.finish(len)
}

#[test]
fn a_file_is_verified_while_it_is_written() {
    for size in [0, 1, 1 << 20, (1 << 20) + 1, 20_000_000] {
        let content = pattern(size);
        assert_eq!(followed(&content, b"", false).unwrap(), Finding::Right, "{size}");
        assert_eq!(followed(&content, b"x", false).unwrap(), Finding::Wrong, "{size}");
        assert_eq!(followed(&content, b"", true).unwrap(), Finding::Right, "{size} after another content");
    }
}

#[test]
fn a_file_that_lost_what_was_written_has_no_finding() {
    let id = ContentId::parse(&vectors().raw[0].cid).unwrap();
    let file = tempfile::tempfile().unwrap();
    let mut follower = Follower::start(id, &file).unwrap();
    // More tells than may wait: the writer goes on though nobody reads any more.
    (1..=64).for_each(|mib| follower.tell(mib << 20));
    assert_eq!(follower.finish(65 << 20).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_cid_in_the_other_versions_form_is_the_same() {
    let old = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    let new = "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y";
    let (old, new) = (ContentId::parse(old).unwrap(), ContentId::parse(new).unwrap());
    assert_eq!(old.multihash, new.multihash);
    let file = tempfile::tempfile().unwrap();
    assert_eq!(Verifier::new(old).finish(), Finding::Right);
    assert_eq!(Verifier::new(new.clone()).finish(), Finding::OtherTree);
    assert!(rebuild(&file, 0, &new).unwrap());
}

#[test]
fn what_is_no_cid_is_refused() {
    let good = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    assert!(ContentId::parse(good).is_ok());
    let long = format!("z{}", "2".repeat(600));
    for text in ["", "Qm", "hello", "../../etc", "bafk/../x", "/ipfs/x", " ", &good[..40], &format!("{good}aa"), &long]
    {
        assert!(ContentId::parse(text).is_err(), "{text}");
    }
    let v0 = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    assert!(ContentId::parse(&v0[..45]).is_err());
    assert!(ContentId::parse(&format!("/ipfs/{v0}")).is_err());
}

#[test]
fn what_cannot_be_verified_says_why() {
    // dag-cbor, and raw by SHA-1.
    let cbor = ContentId::parse("bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua").unwrap();
    assert_eq!(cbor.claim, Claim::Unknown("its codec 0x71 is not that of a file".to_owned()));
    let sha1 = ContentId::parse("f0155111411f4f9c1c1ba9d9bd7a5a0b4bbd3bbd9d0b45cf7").unwrap();
    assert_eq!(sha1.claim, Claim::Unknown("its hash function 0x11 is not known here".to_owned()));
    assert!(matches!(Verifier::new(cbor).finish(), Finding::Unknown(_)));
}
