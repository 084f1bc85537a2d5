//! Cuts, restarts and changes in any order: what arrives is one version of the file, whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod bench;

use bench::{Onlooker, Server, Step, answer, base, content, fetch_item, open, part, secret, send};
use hcfs_sources::{Fetched, Item, Items, Resume, Settings, StorageFileSettings};
use proptest::prelude::*;

/// How a service helps, or does not.
#[derive(Debug, Clone, Copy)]
struct Manners {
    ranges: bool,
    etag: bool,
    /// Whether a range of another version is given although it was asked for by `If-Range` not to be.
    ignores_if_range: bool,
    chunked: bool,
}

/// One request: which version is there by then, and after how many bytes of the body it is cut.
#[derive(Debug, Clone, Copy)]
struct Turn {
    changed: bool,
    keep: Option<usize>,
}

/// Of different lengths, so that a service without an `ETag` is told by that.
fn version(number: usize) -> Vec<u8> {
    (0..2000 + number * 37).map(|at| (at * 7 + number * 101 + at / 251).to_le_bytes()[0]).collect()
}

fn serve(manners: Manners, number: usize, seen: &bench::Seen, keep: Option<usize>) -> Vec<Step> {
    let body = version(number);
    let tag = format!("\"{number}\"");
    let asked = seen.header("range").filter(|_| manners.ranges);
    let same = manners.ignores_if_range || seen.header("if-range").is_none_or(|wanted| wanted == tag);
    let from: usize = asked
        .filter(|_| same)
        .map_or(0, |range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
    let etag = if manners.etag { format!("ETag: {tag}\r\n") } else { String::new() };
    if from >= body.len() {
        return vec![answer("416 No", &format!("Content-Range: bytes */{}\r\n", body.len()), b"")];
    }
    let (status, range) = match from {
        0 => ("200 OK", String::new()),
        _ => ("206 Part", format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len())),
    };
    let rest = &body[from..];
    let sent = &rest[..keep.unwrap_or(rest.len()).min(rest.len())];
    let head = format!("HTTP/1.1 {status}\r\n{etag}{range}Content-Type: application/pdf\r\n");
    let whole = sent.len() == rest.len();
    let mut steps = match manners.chunked && from == 0 {
        true => {
            let mut chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
            if !sent.is_empty() {
                chunk.extend_from_slice(format!("{:x}\r\n", sent.len()).as_bytes());
                chunk.extend_from_slice(sent);
                chunk.extend_from_slice(b"\r\n");
            }
            chunk.extend_from_slice(if whole { b"0\r\n\r\n" } else { b"" });
            vec![Step::Send(chunk)]
        }
        false => vec![send(&format!("{head}Content-Length: {}\r\n\r\n", rest.len())), Step::Send(sent.to_vec())],
    };
    if !whole {
        steps.push(Step::Cut);
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_two_versions_are_joined(
        (ranges, etag, ignores_if_range, chunked) in any::<(bool, bool, bool, bool)>(),
        turns in proptest::collection::vec(
            (proptest::bool::weighted(0.2), proptest::option::weighted(0.9, 0_usize..2000))
                .prop_map(|(changed, keep)| Turn { changed, keep }),
            0..12,
        ),
        crashes in proptest::collection::vec(any::<prop::sample::Index>(), 20),
    ) {
        let manners = Manners { ranges, etag, ignores_if_range, chunked };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let script = turns.clone();
            let server = Server::start(move |seen, number| {
                let changes = script.iter().take(number + 1).filter(|turn| turn.changed).count();
                serve(manners, changes, seen, script.get(number).and_then(|turn| turn.keep))
            })
            .await;
            let source = open(Settings::StorageFile(StorageFileSettings {
                base: base(&server),
                credential: secret(),
                customer_id: None,
                items: Items::These(vec![]),
                accept: None,
            }));
            let mut part = part();
            // Each run ends well or leaves a record; the script's cuts end some time.
            for crash in crashes {
                let onlooker = Onlooker::default();
                let fetched = fetch_item(&*source, &Item::new("file"), &mut part, None, &onlooker).await;
                if let Ok(Fetched::Done(brought)) = fetched {
                    let bytes = content(&part);
                    let changes = turns.iter().filter(|turn| turn.changed).count();
                    assert!((0..=changes).any(|number| bytes == version(number)), "{manners:?} {turns:?}");
                    assert_eq!(brought.hash.0, *blake3::hash(&bytes).as_bytes());
                    return;
                }
                // As after a crash: any record that was kept, with what the file became since.
                let kept = onlooker.kept.into_inner().unwrap();
                if !kept.is_empty() {
                    part.resume = Resume::from_text(&crash.get(&kept).to_text());
                }
            }
            panic!("it never came: {manners:?} {turns:?}");
        });
    }
}
