//! What the frames cost beside what they are made of, in one run, since only ratios mean anything on a shared machine.
//!
//! `cargo bench -p hcfs-crypto` prints, for sealing and opening, our loop over full frames, `ring`'s ChaCha20-Poly1305
//! alone on the same buffer, and the `chacha20poly1305` crate; then the pinning of a file in the page cache beside
//! merely reading it. Every round runs all of them in turn; best and median of the rounds are printed.
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first thing that fails")]

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hcfs_crypto::frame::{BaseNonce, CHUNK, FRAME, LEN_FIELD, TAG, open_frame, seal_frame};
use hcfs_crypto::phrase::EncryptionKey;
use hcfs_crypto::pin::{ReadAt, hash_plain, pin};
use hcfs_model::AccountAddress;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

const FRAME_ROUNDS: usize = 25;
const FRAMES: usize = 100;
const FILE_ROUNDS: usize = 9;
const FILE: usize = 256 * 1024 * 1024;
const KEY: [u8; 32] = [7; 32];

/// The times of one contender, a round each.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    /// Best and median GB/s over `bytes` bytes a round.
    fn speeds(&self, bytes: usize) -> (f64, f64) {
        let mut times = self.0.clone();
        times.sort_unstable();
        let speed = |time: &Duration| bytes as f64 / time.as_secs_f64() / 1e9;
        (speed(&times[0]), speed(&times[times.len() / 2]))
    }

    fn print(&self, name: &str, bytes: usize, whole: &Self, whole_name: &str) {
        let ((best, median), of) = (self.speeds(bytes), whole.speeds(bytes));
        let (of_best, of_median) = (best / of.0, median / of.1);
        println!("{name:<30} {best:5.2} GB/s = {of_best:.2} of {whole_name}   (median {median:5.2} = {of_median:.2})");
    }
}

/// One way to seal a frame and to open it again, both in place.
trait Aead {
    fn seal(&mut self, frame: &mut [u8], index: u64);
    fn open(&mut self, frame: &mut [u8], index: u64);
}

struct Ours(EncryptionKey, BaseNonce);

impl Aead for Ours {
    fn seal(&mut self, frame: &mut [u8], index: u64) {
        black_box(seal_frame(&self.0, &self.1, index, frame).unwrap());
    }

    fn open(&mut self, frame: &mut [u8], index: u64) {
        black_box(open_frame(&self.0, &self.1, index, frame).unwrap());
    }
}

/// The bare AEAD with one key for all frames.
struct Ring(LessSafeKey, ring::aead::Tag);

impl Ring {
    fn nonce(index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&index.to_le_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Aead for Ring {
    fn seal(&mut self, frame: &mut [u8], index: u64) {
        let chunk = &mut frame[LEN_FIELD..FRAME - TAG];
        self.1 = self.0.seal_in_place_separate_tag(Self::nonce(index), Aad::empty(), chunk).unwrap();
    }

    fn open(&mut self, frame: &mut [u8], index: u64) {
        let chunk = &mut frame[LEN_FIELD..FRAME - TAG];
        let tag = self.1;
        black_box(self.0.open_in_place_separate_tag(Self::nonce(index), Aad::empty(), tag, chunk, 0..).unwrap());
    }
}

struct RustCrypto(XChaCha20Poly1305, Tag);

impl RustCrypto {
    fn nonce(index: u64) -> XNonce {
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&index.to_le_bytes());
        nonce.into()
    }
}

impl Aead for RustCrypto {
    fn seal(&mut self, frame: &mut [u8], index: u64) {
        let chunk = &mut frame[LEN_FIELD..FRAME - TAG];
        self.1 = self.0.encrypt_inout_detached(&Self::nonce(index), b"", chunk.into()).unwrap();
    }

    fn open(&mut self, frame: &mut [u8], index: u64) {
        let chunk = &mut frame[LEN_FIELD..FRAME - TAG];
        self.0.decrypt_inout_detached(&Self::nonce(index), b"", chunk.into(), &self.1).unwrap();
    }
}

/// Seals and opens the same buffer in turn, and returns the time of each.
fn round(aead: &mut dyn Aead, frame: &mut [u8]) -> (Duration, Duration) {
    let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
    for index in 0..FRAMES as u64 {
        let start = Instant::now();
        aead.seal(frame, index);
        let between = Instant::now();
        aead.open(frame, index);
        sealing += between - start;
        opening += between.elapsed();
    }
    (sealing, opening)
}

fn frames() {
    let mut ours = Ours(EncryptionKey::from_bytes(&KEY), BaseNonce::random().unwrap());
    let mut ring = Ring(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &KEY).unwrap()), [0; TAG].into());
    let mut rust_crypto = RustCrypto(XChaCha20Poly1305::new(&KEY.into()), Tag::default());
    let mut contenders: [(&mut dyn Aead, Times, Times); 3] = [
        (&mut ours, Times::default(), Times::default()),
        (&mut ring, Times::default(), Times::default()),
        (&mut rust_crypto, Times::default(), Times::default()),
    ];
    let mut frame = vec![1; FRAME];
    for _ in 0..FRAME_ROUNDS {
        for (aead, sealing, opening) in &mut contenders {
            let (seal, open) = round(*aead, &mut frame);
            sealing.0.push(seal);
            opening.0.push(open);
        }
    }
    let bytes = FRAMES * CHUNK;
    let [ours, ring, rust_crypto] = contenders;
    ours.1.print("seal", bytes, &ring.1, "ring alone");
    ours.2.print("open", bytes, &ring.2, "ring alone");
    rust_crypto.1.print("seal, chacha20poly1305 crate", bytes, &ring.1, "ring alone");
    rust_crypto.2.print("open, chacha20poly1305 crate", bytes, &ring.2, "ring alone");
    let (best, median) = ring.1.speeds(bytes);
    println!("{:<30} {best:5.2} GB/s   (median {median:5.2})", "seal, ring alone");
    let (best, median) = ring.2.speeds(bytes);
    println!("{:<30} {best:5.2} GB/s   (median {median:5.2})", "open, ring alone");
}

fn timed(times: &mut Times, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    times.0.push(start.elapsed());
}

/// Reads the whole file into one buffer, over and over.
fn read(file: &File) {
    let mut buffer = vec![0; CHUNK];
    for at in (0..FILE as u64).step_by(CHUNK) {
        ReadAt::read_exact_at(file, &mut buffer, at).unwrap();
        black_box(&mut buffer);
    }
}

fn files() {
    let mut file = tempfile::tempfile().unwrap();
    for _ in 0..FILE / CHUNK {
        file.write_all(&vec![5; CHUNK]).unwrap();
    }
    let key = EncryptionKey::from_bytes(&KEY);
    let account = AccountAddress::from_public_key(KEY);
    let (size, go_on) = (FILE as u64, AtomicBool::new(false));
    let pinned = |workers| {
        let nonce = BaseNonce::random().unwrap();
        black_box(pin(&file, size, &key, &account, nonce, workers, &go_on).unwrap());
    };
    let hashed = |workers| {
        black_box(hash_plain(&file, size, &account, workers, &go_on).unwrap());
    };
    let [mut reading, mut pin_1, mut pin_2, mut hash_1, mut hash_2, mut whole] =
        std::array::from_fn(|_| Times::default());
    let mut content = vec![0; FILE];
    ReadAt::read_exact_at(&file, &mut content, 0).unwrap();
    for _ in 0..FILE_ROUNDS {
        timed(&mut reading, || read(&file));
        timed(&mut pin_1, || pinned(1));
        timed(&mut pin_2, || pinned(2));
        timed(&mut hash_1, || hashed(1));
        timed(&mut hash_2, || hashed(2));
        timed(&mut whole, || {
            black_box(blake3::hash(&content));
        });
    }
    let (best, median) = reading.speeds(FILE);
    println!("{:<30} {best:5.2} GB/s   (median {median:5.2})", "read only");
    for (name, times) in [
        ("pin, 1 worker", pin_1),
        ("pin, 2 workers", pin_2),
        ("salted hash, 1 worker", hash_1),
        ("salted hash, 2 workers", hash_2),
        ("blake3::hash in memory", whole),
    ] {
        times.print(name, FILE, &reading, "read only");
    }
}

fn main() {
    // `cargo test --benches` only asks whether it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    frames();
    files();
}
