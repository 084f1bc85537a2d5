//! The change feed: every change once, in order, told to who waits.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hcfs_model::FileId;
use hcfs_wire::{Feed, FeedChange};
use http::Method;

use crate::harness::*;

impl Rig {
    pub async fn changes(&self, query: &str) -> Feed {
        let feed: Feed = self.get(&self.changes_route(query)).await.success();
        assert_eq!((&feed.ss58_address, feed.folder_hash), (&self.account, self.folder));
        feed
    }

    pub fn changes_route(&self, query: &str) -> String {
        format!("/changes/{}/{}{query}", self.account, self.folder)
    }

    async fn delete(&self, path: &str) {
        let reply = self.send(Method::DELETE, &self.file_route("delete", path), &[], "").await;
        assert_eq!(reply.status, 200);
    }
}

/// The ids a feed tells of, and whether each is stored.
fn told(feed: &Feed) -> Vec<(FileId, bool)> {
    let told = |change: &FeedChange| match (&change.file, change.removed) {
        (Some(file), None) => (file.path_hash, true),
        (None, Some(removed)) => (removed, false),
        other => panic!("{other:?}"),
    };
    feed.changes.iter().map(told).collect()
}

#[tokio::test]
async fn every_kind_of_change_is_told_once_and_in_order() {
    let rig = rig().await;
    let nothing = rig.changes("").await;
    assert_eq!((nothing.next, nothing.changes.len(), nothing.has_more), (0, 0, false), "of a folder nobody knows");
    let a = rig.put("a", 10, 1, None).await;
    let b = rig.put("b", 10, 2, None).await;
    let a = rig.put("a", 11, 3, Some(a)).await;
    let stand = rig.changes("").await;
    assert_eq!((stand.next, stand.changes.len()), (3, 0), "without a number only where it stands");
    let all = rig.changes("?after=0").await;
    assert_eq!(told(&all), [(id("b"), true), (id("a"), true)], "a was changed last");
    assert_eq!(all.changes[1].file.as_ref().unwrap(), &rig.listing().await.files[0], "the row of the listing");
    assert_eq!(all.next, 3);

    rig.rename(&[("a", "c", a.id), ("b", "a", b.id)]).await;
    let renamed = rig.changes("?after=3").await;
    let mut ids = told(&renamed);
    ids.sort();
    let mut wanted = [(id("a"), true), (id("b"), false), (id("c"), true)];
    wanted.sort();
    assert_eq!(ids, wanted, "the name that was taken again is no removal");
    rig.delete("c").await;
    let deleted = rig.changes(&format!("?after={}", renamed.next)).await;
    assert_eq!(told(&deleted), [(id("c"), false)]);
    rig.put("c", 10, 4, None).await;
    let again = rig.changes(&format!("?after={}", renamed.next)).await;
    assert_eq!(told(&again), [(id("c"), true)], "a file that came back is no removal");
    assert_eq!(told(&rig.changes(&format!("?after={}", again.next)).await), []);
}

#[tokio::test]
async fn a_feed_is_paged_without_gaps() {
    let rig = rig().await;
    for number in 0..7 {
        rig.put(&format!("f{number}"), 1, number, None).await;
    }
    rig.delete("f2").await;
    rig.delete("f5").await;
    let (mut after, mut all, mut pages) = (0, Vec::new(), 0);
    loop {
        let page = rig.changes(&format!("?after={after}&limit=2")).await;
        assert_eq!(page.check(Some(after)), Ok(()));
        all.extend(told(&page));
        (after, pages) = (page.next, pages + 1);
        if !page.has_more {
            break;
        }
    }
    let path = |number: u64| id(&format!("f{number}"));
    let stored = [0, 1, 3, 4, 6].map(|number| (path(number), true));
    assert_eq!((all, pages), ([&stored[..], &[(path(2), false), (path(5), false)]].concat(), 4));
    assert_eq!(after, 9);
}

#[tokio::test]
async fn whoever_waits_is_woken_by_the_change() {
    let rig = rig().await;
    rig.put("a", 1, 1, None).await;
    let waiting = async {
        let feed = rig.changes("?after=1&wait=30").await;
        (feed, Instant::now())
    };
    let changing = async {
        // The first request is on its way when this one is answered.
        rig.listing().await;
        rig.put("b", 1, 2, None).await;
        Instant::now()
    };
    let ((feed, woken), changed) = tokio::join!(waiting, changing);
    assert_eq!(told(&feed), [(id("b"), true)]);
    assert!(woken.saturating_duration_since(changed) < Duration::from_secs(2));
}

#[tokio::test]
async fn a_wait_ends_and_tells_nothing_when_nothing_changes() {
    let rig = rig().await;
    rig.put("a", 1, 1, None).await;
    let start = Instant::now();
    let feed = rig.changes("?after=1&wait=1").await;
    assert_eq!((feed.changes.len(), feed.next, feed.has_more), (0, 1, false));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_server_that_stops_lets_nobody_wait() {
    let rig = rig().await;
    rig.put("a", 1, 1, None).await;
    let (client, token) = (rig.client.clone(), rig.token.clone());
    let uri = format!("http://{}{}", rig.running.address(), rig.changes_route("?after=1&wait=50"));
    let waiting = tokio::spawn(async move {
        let request = http::Request::get(uri).header("authorization", format!("Bearer {token}"));
        client.request(request.body(http_body_util::Full::default()).unwrap()).await.unwrap().status()
    });
    // The connection of the waiting request is the server's second.
    rig.listing().await;
    rig.get("/healthz").await;
    let start = Instant::now();
    rig.running.shutdown().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    // A request that came too late is not answered at all.
    assert!(waiting.await.is_err() || start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn only_so_many_may_wait() {
    let rig = rig_with(|config| config.limits.connections = 5).await;
    rig.put("a", 1, 1, None).await;
    // Longer than a request may take here: who is answered before anything changes was sent away.
    let mut waits: FuturesUnordered<_> = (0..3).map(|_| rig.changes("?after=1&wait=50")).collect();
    assert!(waits.next().await.unwrap().changes.is_empty(), "two may wait, one may not");
    rig.put("b", 1, 2, None).await;
    for _ in 0..2 {
        assert_eq!(told(&waits.next().await.unwrap()), [(id("b"), true)]);
    }
}

#[tokio::test]
async fn a_number_the_feed_does_not_know_is_told_to_begin_anew() {
    let rig = rig().await;
    assert_eq!(rig.get(&rig.changes_route("?after=1")).await.failure(), (410, "feed_reset".to_owned()));
    rig.put("a", 1, 1, None).await;
    assert_eq!(rig.get(&rig.changes_route("?after=2&wait=5")).await.failure(), (410, "feed_reset".to_owned()));
    assert_eq!(told(&rig.changes("?after=0").await).len(), 1);
    let body = serde_json::json!({"ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex()});
    let removed = rig.send(Method::DELETE, "/unregister_folder", &[], serde_json::to_vec(&body).unwrap()).await;
    assert_eq!(removed.status, 200);
    assert_eq!(rig.get(&rig.changes_route("?after=1")).await.failure(), (410, "feed_reset".to_owned()));
    let stand = rig.changes("").await.next;
    rig.put("b", 1, 2, None).await;
    assert_eq!(told(&rig.changes(&format!("?after={stand}")).await), [(id("b"), true)]);
}

#[tokio::test]
async fn a_feed_is_its_owners_alone() {
    let rig = rig().await;
    let other = format!("/changes/{}/{}", account(2), rig.folder);
    assert_eq!(rig.get(&other).await.failure(), (403, "forbidden".to_owned()));
    let reply = rig.send(Method::GET, &rig.changes_route(""), &[("authorization", "Bearer x")], "").await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn a_reader_that_follows_sees_every_change_of_many_writers() {
    let rig = rig().await;
    let writer = async |name: &str| {
        let mut revision = None;
        for round in 0..15 {
            revision = Some(rig.put(name, 1, round, revision).await);
            rig.put(&format!("{name}-{round}"), 1, round, None).await;
            if round % 3 == 0 {
                rig.delete(&format!("{name}-{round}")).await;
            }
        }
    };
    let reader = async {
        let (mut after, mut tree) = (0, std::collections::BTreeMap::new());
        while after < 4 * 35 {
            let page = rig.changes(&format!("?after={after}&wait=10&limit=5")).await;
            assert_eq!(page.check(Some(after)), Ok(()));
            after = page.next;
            for change in page.changes {
                match change.file {
                    Some(file) => drop(tree.insert(file.path_hash, file.revision())),
                    None => drop(tree.remove(&change.removed.unwrap())),
                }
            }
        }
        tree
    };
    let ((), (), (), (), tree) = tokio::join!(writer("a"), writer("b"), writer("c"), writer("d"), reader);
    let listed = rig.listing().await.files.iter().map(|file| (file.path_hash, file.revision())).collect();
    assert_eq!(tree, listed);
    assert_eq!(tree.len(), 4 * 11);
}
