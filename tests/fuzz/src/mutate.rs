//! Seeded mutations of a corpus, for runs without a fuzzer's engine.

use hcfs_testkit::Rng;

/// The longest input that is made.
const LONGEST: usize = 64 * 1024;
/// Bytes that bounds are made of.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'"'];

/// Makes inputs of a corpus and the words of a format.
pub struct Mutator<'a> {
    rng: Rng,
    corpus: &'a [Vec<u8>],
    words: &'a [&'a str],
}

impl<'a> Mutator<'a> {
    /// The inputs of a seed.
    #[must_use]
    pub fn new(seed: u64, corpus: &'a [Vec<u8>], words: &'a [&'a str]) -> Self {
        Self { rng: Rng::new(seed), corpus, words }
    }

    fn some(&mut self) -> Vec<u8> {
        let chosen = self.rng.below(self.corpus.len());
        self.corpus.get(chosen).cloned().unwrap_or_default()
    }

    /// The next input: one of the corpus, changed in a few places.
    #[must_use]
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.some();
        for _ in 0..1 + self.rng.below(5) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.below(input.len() + 1);
        let until = at + self.rng.below(input.len() - at + 1).min(self.rng.below(64));
        match self.rng.below(9) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..until)),
            2 => {
                let piece = input[at..until].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let other = self.some();
                let from = self.rng.below(other.len() + 1);
                let to = from + self.rng.below(other.len() - from + 1);
                input.splice(at..until, other[from..to].iter().copied());
            }
            4 | 5 if !self.words.is_empty() => {
                let word = self.words[self.rng.below(self.words.len())];
                input.splice(at..until, word.bytes());
            }
            6 => {
                let edge = EDGES[self.rng.below(EDGES.len())];
                input.splice(at..until, std::iter::repeat_n(edge, 1 + self.rng.below(16)));
            }
            _ => {
                let mask = 1 << self.rng.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= mask;
                }
            }
        }
    }
}
