use std::sync::atomic::AtomicUsize;

use super::*;

const KIB: u64 = 1024;

/// Far less than any wait a limit should cause, more than the rounding of the clock.
const SLACK: Duration = Duration::from_millis(5);

#[tokio::test(start_paused = true)]
async fn no_limit_is_no_wait() {
    let start = Instant::now();
    RateLimit::unlimited().acquire(u64::MAX).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn bytes_take_the_time_the_rate_gives() {
    let limit = RateLimit::new(64 * KIB);
    let start = Instant::now();
    for _ in 0..10 {
        limit.acquire(64 * KIB).await;
    }
    // All but the last turn must be paid for before the last one begins.
    let due = Duration::from_secs(10) - Duration::from_millis(250);
    let took = start.elapsed();
    assert!(took + SLACK >= due && took <= due + Duration::from_millis(250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn idle_time_is_made_up_for_by_a_quarter_second_only() {
    let limit = RateLimit::new(64 * KIB);
    tokio::time::advance(Duration::from_secs(3600)).await;
    let start = Instant::now();
    limit.acquire(64 * KIB).await;
    assert!(start.elapsed() + SLACK >= Duration::from_millis(500), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn eight_transfers_share_evenly_whatever_their_pieces() {
    let limit = RateLimit::new(256 * KIB);
    let moved: Arc<[AtomicUsize; 8]> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..8_usize {
        let (limit, moved) = (limit.clone(), Arc::clone(&moved));
        tasks.spawn(async move {
            let piece = if index % 2 == 0 { 16 * KIB } else { 256 * KIB };
            loop {
                for _ in 0..piece / (16 * KIB) {
                    limit.acquire(16 * KIB).await;
                    moved[index].fetch_add(16, Ordering::Relaxed);
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let counts: Vec<usize> = moved.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most - least <= 32, "{counts:?}");
    let total: usize = counts.iter().sum();
    assert!((15_000..=15_700).contains(&total), "{total}");
}

#[tokio::test(start_paused = true)]
async fn a_large_piece_does_not_hold_small_ones_up() {
    let limit = RateLimit::new(64 * KIB);
    let large = tokio::spawn({
        let limit = limit.clone();
        async move { limit.acquire(6400 * KIB).await }
    });
    tokio::task::yield_now().await;
    let start = Instant::now();
    limit.acquire(KIB).await;
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
    large.abort();
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_those_who_wait() {
    let limit = RateLimit::new(1);
    let waiting = tokio::spawn({
        let limit = limit.clone();
        async move { limit.acquire(1024 * KIB).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished());
    let start = Instant::now();
    limit.set(1024 * KIB);
    waiting.await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());

    limit.set(1);
    let waiting = tokio::spawn({
        let limit = limit.clone();
        async move { limit.acquire(1024 * KIB).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let start = Instant::now();
    limit.set(0);
    waiting.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(limit.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_frees_the_turn() {
    let limit = RateLimit::new(KIB);
    limit.acquire(16 * KIB).await;
    let first = tokio::spawn({
        let limit = limit.clone();
        async move { limit.acquire(KIB).await }
    });
    tokio::task::yield_now().await;
    first.abort();
    let start = Instant::now();
    limit.acquire(KIB).await;
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(15) && took <= Duration::from_secs(16) + SLACK, "{took:?}");
}
