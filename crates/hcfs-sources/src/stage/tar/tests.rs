use proptest::prelude::*;

use super::*;

/// One entry: header, content, padding.
fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    entry_of_size(kind, name, content.len() as u64, content)
}

fn entry_of_size(kind: u8, name: &str, size: u64, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(BLOCK), 0);
    block
}

fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), END.to_vec()].concat()
}

fn read_by(archive: &[u8], step: usize) -> Result<(Vec<u8>, Member), TarError> {
    let mut reader = TarReader::new(Some(archive.len() as u64));
    let mut bytes = Vec::new();
    for piece in archive.chunks(step) {
        reader.push(piece, &mut |more: &[u8]| {
            bytes.extend_from_slice(more);
            Ok(())
        })?;
    }
    reader.finish()?;
    Ok((bytes, reader.member().unwrap().clone()))
}

fn why(archive: &[u8]) -> String {
    let whole = read_by(archive, usize::MAX).unwrap_err().to_string();
    assert_eq!(read_by(archive, 7).unwrap_err().to_string(), whole);
    whole
}

#[test]
fn one_file_is_taken_out() {
    let packed = archive(&[entry(b'0', "hello.txt", b"hello")]);
    let (bytes, member) = read_by(&packed, 100).unwrap();
    assert_eq!(bytes, b"hello");
    assert_eq!(member, Member { name: "hello.txt".to_owned(), size: 5, offset: 512 });
    assert!(is_header(&packed[..BLOCK]) && !is_header(&packed[1..=BLOCK]));
    assert_eq!(name_in(&packed[..BLOCK]).as_deref(), Some("hello.txt"));

    // Without an end mark nothing is lost; with more zeros nothing is added.
    assert_eq!(read_by(&entry(b'0', "a", b"x"), 512).unwrap().0, b"x");
    assert_eq!(read_by(&[packed, vec![0; 10_240]].concat(), 512).unwrap().0, b"hello");
    assert_eq!(read_by(&archive(&[entry(b'0', "./empty", b"")]), 512).unwrap().0, b"");
}

#[test]
fn long_names_and_large_sizes_are_read() {
    let long = "d/".repeat(120) + "name";
    let record = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n").len();
        let length = (1..).find(|length: &usize| length.to_string().len() + rest == *length).unwrap();
        format!("{length} {key}={value}\n")
    };
    let attributes = record("mtime", "1.5") + &record("path", &long) + &record("size", "3");
    let content = entry_of_size(b'0', "short", 0, b"abc");
    let packed = archive(&[entry(b'g', "global", b"9 a=bcde\n"), entry(b'x', "pax", attributes.as_bytes()), content]);
    let (bytes, member) = read_by(&packed, 1).unwrap();
    assert_eq!((bytes.as_slice(), member.name.as_str(), member.size), (b"abc".as_slice(), long.as_str(), 3));

    let gnu = archive(&[entry(b'L', "././@LongLink", format!("{long}\0").as_bytes()), entry(b'0', "d/d", b"abc")]);
    assert_eq!(read_by(&gnu, 600).unwrap().1.name, long);

    let mut prefixed = entry(b'0', "name", b"abc");
    prefixed[345..348].copy_from_slice(b"dir");
    seal(&mut prefixed);
    assert_eq!(read_by(&prefixed, 600).unwrap().1.name, "dir/name");
}

#[test]
fn what_is_not_one_file_is_refused() {
    let file = || entry(b'0', "a", b"x");
    for (entries, reason) in [
        (vec![], "it holds no file"),
        (vec![file(), entry(b'0', "b", b"y")], "it holds more than one file"),
        (vec![entry(b'5', "d", b"")], "it holds a directory"),
        (vec![entry(b'0', "d/", b"")], "it holds a directory"),
        (vec![entry(b'2', "link", b"")], "it holds a link or a device"),
        (vec![entry(b'1', "link", b"")], "it holds a link or a device"),
        (vec![entry(b'3', "null", b"")], "it holds a link or a device"),
        (vec![entry(b'S', "sparse", b"")], "it holds a link or a device"),
        (vec![entry(b'x', "pax", b"27 GNU.sparse.major=1234567"), file()], "a header cannot be read"),
        (vec![entry(b'x', "pax", b"x"), file()], "a header cannot be read"),
        (vec![entry(b'x', "pax", b"99 path=a\n"), file()], "a header cannot be read"),
        (vec![entry(b'0', "../a", b"x")], "the name in it leaves the folder"),
        (vec![entry(b'0', "d/../../a", b"x")], "the name in it leaves the folder"),
        (vec![entry(b'0', "/etc/passwd", b"x")], "the name in it leaves the folder"),
        (vec![entry(b'0', "..\\a", b"x")], "the name in it leaves the folder"),
        (vec![entry(b'0', "", b"x")], "the name in it leaves the folder"),
        (vec![entry(b'x', "pax", b"13 path=../a\n"), file()], "the name in it leaves the folder"),
        (vec![entry_of_size(b'0', "a", 1 << 30, b"x")], "the file in it has 1073741824 bytes, more than came"),
        (vec![entry_of_size(b'x', "a", 70_000, b"")], "a record of attributes is longer than 64 KiB"),
        (vec![file(), END.to_vec(), file()], "something follows its end"),
        (vec![file(), END.to_vec(), vec![0; 1024 * 1024]], "something follows its end"),
    ] {
        assert_eq!(why(&archive(&entries)), reason);
    }
    assert_eq!(why(&file()[..700]), "it ends in the middle");
    assert_eq!(why(&[file(), vec![0; 100]].concat()), "it ends in the middle");
    let mut bad = file();
    bad[0] = b'b';
    assert_eq!(why(&bad), "a header's check sum is wrong");
}

#[test]
fn goes_on_inside_the_content() {
    let content: Vec<u8> = (0..2000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let packed = archive(&[entry(b'0', "a", &content)]);
    let (_, member) = read_by(&packed, 4096).unwrap();
    for done in [0, 1, 511, 512, 1999, 2000] {
        let mut reader = TarReader::inside(member.clone(), done, Some(packed.len() as u64));
        let mut bytes = content[..usize::try_from(done).unwrap()].to_vec();
        let rest = &packed[usize::try_from(member.offset + done).unwrap()..];
        reader
            .push(rest, &mut |more: &[u8]| {
                bytes.extend_from_slice(more);
                Ok(())
            })
            .unwrap();
        reader.finish().unwrap();
        assert!(bytes == content);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_file_comes_back(content in proptest::collection::vec(any::<u8>(), 0..5000), step in 1_usize..3000, cut in 0_usize..9000) {
        let packed = archive(&[entry(b'0', "name", &content)]);
        let (bytes, member) = read_by(&packed, step).unwrap();
        prop_assert!(bytes == content && member.size == content.len() as u64);
        // Cut inside the content or its header, it is no file.
        let cut = cut % (BLOCK + content.len());
        prop_assert!(cut == BLOCK + content.len() || read_by(&packed[..cut], step).is_err());
    }

    #[test]
    fn any_damage_is_met_with_an_error_or_a_file(
        at in 0_usize..1536, byte in any::<u8>(), reseal in any::<bool>(), step in 1_usize..600,
    ) {
        let mut packed = archive(&[entry(b'x', "pax", b"10 path=a\n"), entry(b'0', "name", &[7; 100])]);
        packed[at] = byte;
        if reseal {
            seal(&mut packed[..BLOCK]);
            seal(&mut packed[2 * BLOCK..]);
        }
        if let Ok((bytes, member)) = read_by(&packed, step) {
            prop_assert_eq!(bytes.len() as u64, member.size);
        }
    }

    #[test]
    fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..2000), step in 1_usize..600) {
        prop_assert!(read_by(&bytes, step).is_err());
    }
}
