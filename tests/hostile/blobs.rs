//! Lies about contents: what can be done to framed ciphertext without any key.

use hcfs_testkit::bytes;

use crate::front::{Reply, id};
use crate::scene::Scene;

const CHUNK: usize = 256 * 1024;
const HEADER: usize = 28;
const FRAME: usize = 4 + CHUNK + 16;

/// A blob with these frames of another, and the base nonce moved so that frame `j` opens at place `j ^ shift`.
fn rearranged(blob: &[u8], frames: &[usize], shift: u64) -> Vec<u8> {
    let mut made = blob[..24].to_vec();
    for (byte, moved) in made.iter_mut().zip(shift.to_le_bytes()) {
        *byte ^= moved;
    }
    made.extend_from_slice(&u32::try_from(frames.len()).unwrap().to_le_bytes());
    for frame in frames {
        let begin = HEADER + frame * FRAME;
        made.extend_from_slice(&blob[begin..blob.len().min(begin + FRAME)]);
    }
    made
}

/// The answer to a download, whole or in part, made from another blob.
fn served(reply: Reply, blob: Vec<u8>, size: usize) -> Reply {
    Reply { status: 200, body: blob, ..reply }.with("content-range", "").with("x-size-bytes", &size.to_string())
}

#[test]
fn frames_that_are_cut_off_permuted_or_sliced_never_get_a_name() {
    let mut scene = Scene::new(&[("file", b"the version before")]);
    let content = bytes(4 * CHUNK, 1);
    let lies: [(&str, usize, Vec<usize>, u64); 4] = [
        ("cut off", 2 * CHUNK, vec![0, 1], 0),
        ("permuted", 4 * CHUNK, vec![1, 0, 3, 2], 1),
        ("sliced", 2 * CHUNK, vec![2, 3], 2),
        ("one frame again and again", 4 * CHUNK, vec![0, 0, 0, 0], 0),
    ];
    scene.publish(&[("file", &content)]);
    for (how, size, frames, shift) in lies {
        scene.front.change(move |request, reply| {
            if request.is_listing() {
                return reply.row("file", |row| row["size_bytes"] = size.into());
            }
            if !request.fetches("file") {
                return reply;
            }
            if reply.status == 206 && reply.body.len() == 1 {
                return reply.with("x-size-bytes", &size.to_string());
            }
            let blob = reply.body.clone();
            served(reply, rearranged(&blob, &frames, shift), size)
        });
        scene.refuses();
        assert_eq!(scene.listed(), ["damaged file"], "{how}");
        assert_eq!(scene.victim.tree()["file"], b"the version before", "{how}");
    }
    scene.agree();
}

#[test]
fn blobs_that_change_places_are_damaged() {
    let mut scene = Scene::new(&[("one", b"1"), ("two", b"2")]);
    scene.publish(&[("one", b"version 2 of one"), ("two", b"version 2 of two")]);
    scene.front.change(|request, reply| {
        let other = if request.fetches("one") { "two" } else { "one" };
        if request.is_download() { Reply { body: request.of(other).body, ..reply } } else { reply }
    });
    scene.refuses();
    assert_eq!(scene.listed(), ["damaged one", "damaged two"]);
    scene.agree();
}

/// The published fields bind a content to no path: two rows that change places with all they have cannot be told from two
/// files whose contents changed places. Nothing is lost by it.
#[test]
fn what_cannot_be_told_from_a_swap_by_a_person_loses_nothing() {
    let scene = Scene::new(&[("one", b"content of one"), ("two", b"content of two")]);
    let paths = ["one", "two"];
    scene.front.change(move |request, reply| {
        if request.is_listing() {
            return reply.listing(|listing| {
                let fields = ["salted_hash", "size_bytes"];
                let rows = paths.map(|path| crate::front::row(listing, path).clone());
                for (path, other) in [("one", &rows[1]), ("two", &rows[0])] {
                    let row = crate::front::row(listing, path);
                    fields.iter().for_each(|field| row[*field] = other[*field].clone());
                    row["revision_seq"] = 2.into();
                    row["revision_id"] = crate::front::bytes(&[7; 32]);
                }
            });
        }
        let Some(at) = paths.iter().position(|path| request.fetches(path)) else { return reply };
        let reply = reply.with("x-revision-seq", "2").with("x-revision-id", &"07".repeat(32));
        Reply { body: request.of(paths[1 - at]).body, ..reply }
    });
    let _ = scene.sync();
    let tree = scene.victim.tree();
    assert_eq!((&tree["one"][..], &tree["two"][..]), (&b"content of two"[..], &b"content of one"[..]));
}

#[test]
fn headers_that_contradict_the_listing_are_not_believed() {
    let mut scene = Scene::new(&[("file", b"1"), ("other", b"stays")]);
    scene.publish(&[("file", b"version 2")]);
    let other = id("other");
    for (name, value) in [
        ("x-revision-id", "07".repeat(32)),
        ("x-revision-id", String::new()),
        ("x-revision-seq", "9".to_owned()),
        ("x-size-bytes", "8".to_owned()),
        ("x-size-bytes", "18446744073709551615".to_owned()),
        ("x-file-id", other),
        ("x-folder-hash", "0000000000000000".to_owned()),
    ] {
        let said = format!("{name}: {value}");
        scene.front.change(
            move |request, reply| {
                if request.fetches("file") { reply.with(name, &value) } else { reply }
            },
        );
        scene.refuses();
        assert_eq!(scene.victim.tree()["file"], b"1", "{said}");
    }
    scene.agree();
}
