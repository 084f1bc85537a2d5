//! The blob store.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{Subject, cases, random};
use crate::blobs::{BlobPlace, BlobStore, PIECE, PartError, WriteError};
use crate::metadata::SessionId;

cases![
    it_answers,
    a_blob_comes_back_byte_for_byte,
    what_is_not_placed_is_not_there,
    small_blobs_share_objects,
    removed_objects_are_gone,
    a_session_becomes_a_blob,
    a_session_that_is_gone_leaves_nothing,
];

fn bytes(length: usize, seed: u8) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn store(blobs: &dyn BlobStore, content: &Bytes) -> BlobPlace {
    let mut receiving = blobs.receive(content.len() as u64).await.unwrap();
    for piece in content.chunks(100_000) {
        receiving.write(content.slice_ref(piece)).await.unwrap();
    }
    let received = receiving.finish().await.unwrap();
    assert_eq!(received.hash.0, *blake3::hash(content).as_bytes());
    assert_eq!(received.length, content.len() as u64);
    let place = received.place().await.unwrap();
    assert_eq!(place.length, content.len() as u64);
    place
}

async fn read(blobs: &dyn BlobStore, place: BlobPlace, range: Range<u64>) -> Option<Bytes> {
    let open = blobs.open(place).await.unwrap()?;
    assert_eq!(open.length, place.length);
    Some(axum::body::to_bytes(open.body(range), usize::MAX).await.unwrap())
}

async fn is_listed(blobs: &dyn BlobStore, place: BlobPlace) -> Option<u64> {
    let listed = blobs.list(place.object.shard()).await.unwrap();
    listed.into_iter().find(|(object, _)| *object == place.object).map(|(_, length)| length)
}

async fn it_answers(at: Subject) {
    at.blobs.ping().await.unwrap();
    assert!(at.blobs.has_room(1).await.unwrap());
}

async fn a_blob_comes_back_byte_for_byte(at: Subject) {
    let blobs = at.blobs.as_ref();
    for length in [0, 1, 28, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, (8 << 20) - 1, 8 << 20, (17 << 20) + 5] {
        let content = bytes(length, 1);
        let place = store(blobs, &content).await;
        let whole = length as u64;
        assert_eq!(read(blobs, place, 0..whole).await.unwrap(), content, "{length}");
        assert!(is_listed(blobs, place).await.unwrap() >= place.end());
        for range in [0..whole.min(1), whole / 3..whole / 2, whole.saturating_sub(1)..whole, whole..whole] {
            let part = content.slice(range.start as usize..range.end as usize);
            assert_eq!(read(blobs, place, range.clone()).await.unwrap(), part, "{range:?} of {length}");
        }
        let longer = BlobPlace { length: place.length + 1_000_000_000, ..place };
        assert!(blobs.open(longer).await.unwrap().is_none(), "it is not all there");
    }
}

async fn what_is_not_placed_is_not_there(at: Subject) {
    let count = || async {
        let mut count = 0;
        for shard in 0..=u8::MAX {
            count += at.blobs.list(shard).await.unwrap().len();
        }
        count
    };
    let before = count().await;
    for length in [10, PIECE + 1, 9 << 20] {
        let mut receiving = at.blobs.receive(length as u64).await.unwrap();
        receiving.write(bytes(length, 2)).await.unwrap();
        drop(receiving);
        let mut receiving = at.blobs.receive(length as u64).await.unwrap();
        receiving.write(bytes(length, 2)).await.unwrap();
        drop(receiving.finish().await.unwrap());
    }
    assert_eq!(count().await, before);
}

async fn small_blobs_share_objects(at: Subject) {
    let contents: Vec<_> = (0..200).map(|seed| bytes(300 + usize::from(seed), seed)).collect();
    let places = join_all(contents.iter().map(|content| store(at.blobs.as_ref(), content))).await;
    let mut objects: Vec<_> = places.iter().map(|place| place.object).collect();
    objects.sort_unstable();
    objects.dedup();
    assert!(objects.len() <= 50, "{} objects", objects.len());
    for (content, place) in contents.iter().zip(places) {
        assert_eq!(read(at.blobs.as_ref(), place, 0..place.length).await.as_ref(), Some(content));
    }
}

async fn removed_objects_are_gone(at: Subject) {
    let blobs = at.blobs.as_ref();
    let (small, large) = (store(blobs, &bytes(10, 3)).await, store(blobs, &bytes(2 * PIECE, 3)).await);
    let open = blobs.open(large).await.unwrap().unwrap();
    assert_ne!(small.object, large.object);
    for _ in 0..2 {
        blobs.remove(vec![small.object, large.object]).await.unwrap();
        assert!(blobs.open(small).await.unwrap().is_none() && blobs.open(large).await.unwrap().is_none());
        assert!(is_listed(blobs, large).await.is_none());
    }
    drop(open);
    blobs.remove(Vec::new()).await.unwrap();
}

async fn a_session_becomes_a_blob(at: Subject) {
    let (id, content) = (SessionId(random()), bytes(2_500_000, 4));
    let part = |index: u32| {
        let spool = at.blobs.spool(id);
        let range = u64::from(index) * 1_000_000..(u64::from(index) + 1) * 1_000_000.min(content.len() as u64);
        let range = range.start..range.end.min(content.len() as u64);
        let content = content.slice(range.start as usize..range.end as usize);
        async move {
            let mut part = spool.part(index, range).await?;
            part.write(content).await?;
            part.finish().await
        }
    };
    let kept = at.blobs.spool(id);
    assert!(part(2).await.unwrap());
    let (first, second) = tokio::join!(part(0), part(1));
    assert!(first.unwrap() && second.unwrap() && part(1).await.unwrap());
    assert!(at.blobs.spooled().await.unwrap().contains(&id));

    let mut short = at.blobs.spool(id).part(0, 0..10).await.unwrap();
    short.write(Bytes::from_static(b"123")).await.unwrap();
    assert!(!short.finish().await.unwrap(), "it is not all there");
    let mut long = at.blobs.spool(id).part(0, 0..2).await.unwrap();
    assert!(matches!(long.write(Bytes::from_static(b"123")).await, Err(PartError::TooLong)));
    drop(long);
    assert!(part(0).await.unwrap());

    let received = Arc::clone(&kept).seal(3, content.len() as u64).await.unwrap();
    assert_eq!((received.hash.0, received.length), (*blake3::hash(&content).as_bytes(), content.len() as u64));
    assert!(matches!(part(0).await, Err(PartError::Sealed)));
    kept.unseal();
    assert!(part(0).await.unwrap());
    let received = kept.seal(3, content.len() as u64).await.unwrap();
    let place = received.place().await.unwrap();
    at.blobs.remove_spool(id).await.unwrap();
    assert!(!at.blobs.spooled().await.unwrap().contains(&id));
    assert_eq!(read(at.blobs.as_ref(), place, 0..place.length).await.unwrap(), content);
}

async fn a_session_that_is_gone_leaves_nothing(at: Subject) {
    let id = SessionId(random());
    at.blobs.remove_spool(id).await.unwrap();
    let spool = at.blobs.spool(id);
    let mut part = Arc::clone(&spool).part(0, 0..3).await.unwrap();
    part.write(Bytes::from_static(b"123")).await.unwrap();
    spool.close();
    assert!(matches!(part.finish().await, Err(PartError::Sealed)));
    assert!(matches!(Arc::clone(&spool).part(0, 0..3).await, Err(PartError::Sealed)));
    at.blobs.remove_spool(id).await.unwrap();
    assert!(!at.blobs.spooled().await.unwrap().contains(&id));
    let lost = at.blobs.spool(SessionId(random())).seal(1, 3).await;
    assert!(matches!(lost.err(), Some(WriteError::PartsLost | WriteError::Store(_))), "no part is there");
}
