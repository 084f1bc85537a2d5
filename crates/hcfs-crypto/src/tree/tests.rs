use proptest::prelude::*;

use super::*;
use crate::vectors::cycle;

/// Hashes `input` cut at `cuts`, every piece in updates of `step` bytes, joined in the order `order` gives.
fn hash_cut(input: &[u8], cuts: &[usize], step: usize, reversed: bool) -> Option<[u8; 32]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    ends.extend([0, input.len()]);
    ends.sort_unstable();
    ends.dedup();
    let total = input.len() as u64;
    let mut pieces: Vec<Piece> = ends
        .windows(2)
        .map(|ends| {
            let mut piece = PieceHasher::new(ends[0] as u64..ends[1] as u64, total);
            input[ends[0]..ends[1]].chunks(step).for_each(|bytes| piece.update(bytes));
            piece.finish()
        })
        .collect();
    if reversed {
        pieces.reverse();
    }
    let mut joiner = Joiner::new(total);
    pieces.into_iter().for_each(|piece| joiner.push(piece));
    joiner.finish()
}

#[test]
fn every_size_around_the_boundaries_of_leaves_and_subtrees_in_one_to_four_pieces() {
    let input = cycle(4 * 262_144 + 2);
    let around = |at: usize| at.saturating_sub(1)..=at + 1;
    let bounds = [0, 1024, 2048, 3072, 4096, 8192, 65_536, 262_144, 262_164, 524_288, 786_432, 1_048_576];
    for len in bounds.into_iter().flat_map(around) {
        let input = &input[..len];
        for pieces in 1..=4 {
            let cuts: Vec<usize> = (1..pieces).map(|piece| (len * piece).div_ceil(pieces)).collect();
            let expected = Some(*blake3::hash(input).as_bytes());
            assert_eq!(hash_cut(input, &cuts, 262_144, false), expected, "{len} bytes in {pieces} pieces");
        }
    }
}

#[test]
fn a_piece_that_is_missing_short_or_long_makes_no_hash() {
    let input = cycle(10_000);
    let piece = |bytes: Range<usize>, given: Range<usize>| {
        let mut piece = PieceHasher::new(bytes.start as u64..bytes.end as u64, 10_000);
        piece.update(&input[given]);
        piece.finish()
    };
    let joined = |first: Piece, second: Option<Piece>| {
        let mut joiner = Joiner::new(10_000);
        joiner.push(first);
        second.into_iter().for_each(|piece| joiner.push(piece));
        joiner.finish()
    };
    let whole = Some(*blake3::hash(&input).as_bytes());
    assert_eq!(joined(piece(0..5000, 0..5000), Some(piece(5000..10_000, 5000..10_000))), whole);
    assert_eq!(joined(piece(0..5000, 0..5000), None), None);
    assert_eq!(joined(piece(0..5000, 0..4999), Some(piece(5000..10_000, 5000..10_000))), None);
    assert_eq!(joined(piece(0..5000, 0..5001), Some(piece(5000..10_000, 5000..10_000))), None);
    assert_eq!(joined(piece(0..5000, 0..5000), Some(piece(5001..10_000, 5001..10_000))), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_cut_gives_the_hash_of_the_whole(
        len in prop_oneof![0..4000_usize, 0..300_000_usize],
        cuts in prop::collection::vec(any::<usize>(), 0..9),
        step in prop_oneof![1..50_usize, 1..70_000_usize],
        reversed in any::<bool>(),
    ) {
        let input = cycle(len);
        // Small steps over a long input only cost time.
        let step = step.max(len / 2000);
        prop_assert_eq!(hash_cut(&input, &cuts, step.max(1), reversed), Some(*blake3::hash(&input).as_bytes()));
    }
}
