//! Lies about what there is: paths, revisions, and rows that are hidden.

use hcfs_testkit::bytes as content;
use serde_json::Value;

use crate::front::{Reply, bytes, row};
use crate::scene::Scene;

#[test]
fn paths_that_belong_to_other_rows_or_lead_out_are_not_taken() {
    let mut scene = Scene::new(&[("one", b"1"), ("two", b"2")]);
    // What people write can read like a path, and then its blob opens as one.
    scene.publish(&[("bait", b"../outside"), ("state", b".hcfs/marker"), ("new", b"new"), ("newer", b"newer")]);
    let outside = *blake3::hash(b"../outside").as_bytes();
    let inside = *blake3::hash(b".hcfs/marker").as_bytes();
    type Change = fn(&mut Value, [u8; 32], &str);
    let changes: [(&str, Change); 4] = [
        ("the path of another row", |listing, _, _| {
            let other = row(listing, "two")["encrypted_path"].clone();
            row(listing, "new")["encrypted_path"] = other;
        }),
        ("none", |listing, _, _| row(listing, "new")["encrypted_path"] = Value::Array(Vec::new())),
        ("a way out", |listing, id, text| {
            let row = row(listing, "new");
            row["encrypted_path"] = Value::Array(Vec::new());
            row["relative_path"] = text.into();
            row["path_hash"] = bytes(&id);
        }),
        ("another one in plaintext", |listing, _, _| row(listing, "new")["relative_path"] = "two".into()),
    ];
    for (how, change) in changes {
        for (id, text) in [(outside, "../outside"), (inside, ".hcfs/marker")] {
            scene.front.change(move |request, reply| match request.is_listing() {
                true => reply.listing(|listing| change(listing, id, text)),
                false => reply,
            });
            scene.refuses();
            assert_eq!(scene.listed(), ["quarantined"], "{how}");
            assert!(!scene.victim.tree().contains_key("new"), "{how}");
        }
    }
    scene.agree();
}

#[test]
fn a_blob_that_opens_as_a_path_leads_nowhere() {
    let mut scene = Scene::new(&[("one", b"1")]);
    scene.publish(&[("bait", b"../outside"), ("trap", b".hcfs/marker")]);
    for (path, text) in [("bait", "../outside"), ("trap", ".hcfs/marker")] {
        let id = *blake3::hash(text.as_bytes()).as_bytes();
        let blob = scene.front.blob_of(path);
        scene.front.change(move |request, reply| match request.is_listing() {
            true => reply.row("one", |row| {
                row["path_hash"] = bytes(&id);
                row["encrypted_path"] = bytes(&blob);
            }),
            false => reply,
        });
        scene.refuses();
        // The row in whose place it stands is missing, and the server does not say that it is gone.
        assert_eq!(scene.listed(), ["quarantined", "server_error one"], "{text}");
    }
    scene.agree();
}

#[test]
fn an_older_version_or_another_of_the_same_number_is_held() {
    let mut scene = Scene::new(&[("file", b"version 1"), ("other", b"1")]);
    scene.publish(&[("file", b"version 2")]);
    scene.agree();
    for (seq, id, code) in [(1, 7, "rollback"), (2, 7, "equivocation")] {
        scene.front.change(move |request, reply| {
            if request.is_listing() {
                return reply.row("file", |row| {
                    row["revision_seq"] = seq.into();
                    row["revision_id"] = bytes(&[id; 32]);
                    row["salted_hash"] = bytes(&[9; 32]);
                });
            }
            reply
        });
        scene.publish(&[("other", format!("goes on {seq}").as_bytes())]);
        let status = scene.refuses();
        let listed = scene.listed();
        assert!(listed.iter().any(|one| one.starts_with(code)), "{listed:?} {status}");
        assert_eq!(scene.victim.tree()["file"], b"version 2");
        assert_eq!(scene.victim.tree()["other"], format!("goes on {seq}").as_bytes());
        scene.agree();
    }
}

/// A person may go back to an old content, so a server may say that one did.
#[test]
fn an_old_content_under_a_new_number_is_taken_and_what_it_replaces_is_kept() {
    let mut scene = Scene::new(&[("file", b"version 1")]);
    let old = scene.front.row_of("file");
    let blob = scene.front.blob_of("file");
    scene.publish(&[("file", b"version 2")]);
    scene.agree();
    scene.front.change(move |request, reply| {
        if request.is_listing() {
            return reply.row("file", |row| {
                *row = old.clone();
                row["revision_seq"] = 3.into();
            });
        }
        if !request.fetches("file") {
            return reply;
        }
        let id: String =
            old["revision_id"].as_array().unwrap().iter().map(|n| format!("{:02x}", n.as_u64().unwrap())).collect();
        Reply { body: blob.clone(), ..reply }.with("x-revision-seq", "3").with("x-revision-id", &id)
    });
    let before = scene.victim.tree();
    assert_eq!(scene.sync().0, Some(0));
    scene.unharmed(&before);
    assert_eq!(scene.victim.tree()["file"], b"version 1");
    assert!(scene.trash().contains(&b"version 2"[..]));
}

#[test]
fn rows_that_are_hidden_delete_nothing() {
    let names: Vec<String> = (0..40).map(|number| format!("d/{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let scene = Scene::new(&files);
    let before = scene.victim.tree();
    let hide = |keep: usize| {
        move |reply: Reply| {
            reply.listing(|listing| {
                let rows = listing["files"].as_array_mut().unwrap();
                rows.truncate(keep);
                listing["total_count"] = rows.len().into();
            })
        }
    };
    // Only missing from the listing: asked for by their ids they are there.
    for keep in [39, 3, 0] {
        scene.front.change(move |request, reply| if request.is_listing() { hide(keep)(reply) } else { reply });
        let _ = scene.sync();
        scene.unharmed(&before);
    }
    // Gone in every way: that is a deletion, and too large a one to happen unasked.
    scene.front.change(move |request, reply| match (request.is_listing(), request.is_download()) {
        (true, _) => hide(3)(reply),
        (_, true) => Reply::not_found(),
        _ => reply,
    });
    scene.refuses();
    assert!(scene.listed().iter().any(|one| one.contains("delet")), "{:?}", scene.listed());
    // The folder itself is unknown.
    scene.front.change(move |request, reply| match request {
        _ if request.is_listing() => hide(0)(reply),
        _ if request.is_download() => Reply::not_found(),
        _ if request.target.starts_with("/list_folders/") => {
            reply.listing(|all| all["folders"] = Value::Array(Vec::new()))
        }
        _ => reply,
    });
    let status = scene.refuses();
    assert_eq!(status["state"], "held", "{status}");
    scene.agree();
}

#[test]
fn listings_without_sense_or_end_are_refused_in_bounded_memory() {
    let scene = Scene::new(&[("file", &content(1000, 1)), ("other", b"1")]);
    let before = scene.victim.tree();
    type Lie = fn(&mut Value);
    let lies: [(&str, Lie); 7] = [
        ("rows without end", |listing| listing["has_more"] = true.into()),
        ("a total of everything", |listing| listing["total_count"] = u64::MAX.into()),
        ("the rows of another account", |listing| {
            listing["ss58_address"] = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into();
        }),
        ("the rows of another folder", |listing| listing["folder_hash"] = "0000000000000000".into()),
        ("a path of a megabyte", |listing| row(listing, "file")["encrypted_path"] = bytes(&vec![1; 1 << 20])),
        ("a file of all bytes there are", |listing| row(listing, "file")["size_bytes"] = u64::MAX.into()),
        ("more rows than a page may have", |listing| {
            let one = row(listing, "file").clone();
            listing["files"] = Value::Array(vec![one; 5_001]);
        }),
    ];
    for (how, lie) in lies {
        scene.front.change(move |request, reply| if request.is_listing() { reply.listing(lie) } else { reply });
        let (code, said) = scene.sync();
        assert_ne!(code, Some(0), "{how}: {said}");
        scene.unharmed(&before);
    }
    scene.agree();
}
