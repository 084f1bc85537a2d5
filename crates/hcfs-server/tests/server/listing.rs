use std::collections::BTreeSet;

use hcfs_wire::{GetState, UserSummary};
use http::{Method, StatusCode};

use crate::harness::{Reply, Rig, account, rig};

async fn page(rig: &Rig, query: &str) -> GetState {
    rig.get(&rig.listing_route(query)).await.success()
}

async fn ask(rig: &Rig, query: &str, tag: &str) -> Reply {
    rig.send(Method::GET, &rig.listing_route(query), &[("if-none-match", tag)], "").await
}

#[tokio::test]
async fn pages_are_stable_and_complete() {
    let rig = rig().await;
    let puts = (0..23_u64).map(|number| {
        let rig = &rig;
        async move { rig.put(&format!("file {number}"), 10, number, None).await }
    });
    futures_util::future::join_all(puts).await;
    let whole = rig.listing().await;
    assert_eq!((whole.total_count, whole.files.len(), whole.has_more), (23, 23, false));

    let mut paged = Vec::new();
    loop {
        let next = page(&rig, &format!("?offset={}&limit=5", paged.len())).await;
        assert_eq!((next.limit, next.offset, next.total_count), (5, paged.len() as u64, 23));
        paged.extend(next.files);
        if !next.has_more {
            break;
        }
    }
    assert_eq!(paged, whole.files);

    // A new file comes last, a changed one keeps its place.
    let changed = whole.files[3].clone();
    let path =
        (0..23).map(|number| format!("file {number}")).find(|path| crate::harness::id(path) == changed.path_hash);
    rig.put(&path.unwrap(), 10, 77, Some(changed.revision())).await;
    rig.put("new", 10, 99, None).await;
    let after = rig.listing().await;
    let ids = |listing: &GetState| listing.files.iter().map(|file| file.path_hash).collect::<Vec<_>>();
    assert_eq!(ids(&after)[..23], ids(&whole)[..]);
    assert_eq!(after.files[23].path_hash, crate::harness::id("new"));
    assert_eq!(ids(&after).into_iter().collect::<BTreeSet<_>>().len(), 24);
}

#[tokio::test]
async fn limits_are_coerced_and_nonsense_is_refused() {
    let rig = rig().await;
    rig.put("a", 10, 1, None).await;
    assert_eq!(page(&rig, "").await.limit, 1000);
    assert_eq!(page(&rig, "?limit=0").await.limit, 1);
    assert_eq!(page(&rig, "?limit=99999").await.limit, 5000);
    let beyond = page(&rig, "?offset=18446744073709551615").await;
    assert_eq!((beyond.files.len(), beyond.has_more, beyond.total_count), (0, false, 1));
    for query in ["?limit=x", "?offset=-1", "?limit=99999999999"] {
        let reply = rig.get(&rig.listing_route(query)).await;
        assert_eq!(reply.failure(), (400, "invalid_manifest".to_owned()), "{query}");
    }
    let other = format!("/get_state/{}/{}", account(2), rig.folder);
    assert_eq!(rig.get(&other).await.failure(), (403, "forbidden".to_owned()));
    let empty = format!("/get_state/{}/{}", rig.account, "1".repeat(16));
    assert_eq!(rig.get(&empty).await.success::<GetState>().total_count, 0);
}

#[tokio::test]
async fn an_unchanged_folder_is_answered_with_304_until_it_changes() {
    let rig = rig().await;
    let mut tags = vec![rig.get(&rig.listing_route("")).await.header("etag").to_owned()];
    let first = rig.put("a", 10, 1, None).await;
    let mut last = first;
    for step in 0..4 {
        let known = tags.last().unwrap().clone();
        assert_eq!(ask(&rig, "", &known).await.status, StatusCode::OK, "step {step} changed it");
        let tag = rig.get(&rig.listing_route("?offset=1")).await.header("etag").to_owned();
        assert!(!tags.contains(&tag));
        let reply = ask(&rig, "?limit=3", &tag).await;
        assert_eq!((reply.status, reply.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(reply.header("etag"), tag);
        assert_eq!(ask(&rig, "", &format!("\"other\", {tag}")).await.status, StatusCode::NOT_MODIFIED);
        assert_eq!(ask(&rig, "?offset=1", &tag).await.status, StatusCode::OK, "only the first page");
        tags.push(tag);
        match step {
            0 => last = rig.put("a", 20, 2, Some(last)).await,
            1 => last = rig.rename(&[("a", "b", last.id)]).await.successes[0].revision(),
            2 => {
                rig.send(Method::DELETE, &rig.file_route("delete", "b"), &[], "").await;
            }
            _ => {}
        }
    }
    let tag = tags.last().unwrap().clone();
    let rig = rig.restart().await;
    assert_eq!(ask(&rig, "", &tag).await.status, StatusCode::NOT_MODIFIED, "after a restart too");
}

#[tokio::test]
async fn the_summary_follows_the_files() {
    let rig = rig().await;
    let summary = || async {
        let summary: UserSummary = rig.get(&format!("/get_user_summary/{}", rig.account)).await.success();
        (summary.file_count, summary.total_bytes)
    };
    assert_eq!(summary().await, (0, 0));
    let first = rig.put("a", 10, 1, None).await;
    rig.put("b", 100, 2, None).await;
    assert_eq!(summary().await, (2, 110));
    let second = rig.put("a", 30, 3, Some(first)).await;
    assert_eq!(summary().await, (2, 130));
    rig.rename(&[("a", "c", second.id)]).await;
    assert_eq!(summary().await, (2, 130));
    rig.send(Method::DELETE, &rig.file_route("delete", "b"), &[], "").await;
    assert_eq!(summary().await, (1, 30));
    let other = format!("/get_user_summary/{}", account(2));
    assert_eq!(rig.get(&other).await.failure(), (403, "forbidden".to_owned()));
}
