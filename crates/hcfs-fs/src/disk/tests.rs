use std::os::unix::fs::symlink;

use super::*;

fn disks(root: &Path) -> [LinuxDisk; 2] {
    [LinuxDisk::open(root).unwrap(), LinuxDisk::open(root).unwrap().without_openat2()]
}

fn refusal<T>(result: io::Result<T>) -> Refusal {
    Refusal::of(&result.err().expect("must be refused"))
}

fn names(disk: &dyn Disk, dir: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    disk.list(dir, &mut |name, _| {
        names.push(name.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    names.sort();
    names
}

#[test]
fn no_call_leaves_the_root_or_follows_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    std::fs::create_dir_all(root.join("d")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("x"), "theirs").unwrap();
    std::fs::write(root.join("own"), "own").unwrap();
    symlink(&outside, root.join("link")).unwrap();
    symlink("../../outside", root.join("d/up")).unwrap();
    symlink("x", root.join("file-link")).unwrap();
    for disk in disks(&root) {
        for path in [&b"link/x"[..], b"d/up/x"] {
            assert_eq!(refusal(disk.stat(path)), Refusal::Symlink);
            assert_eq!(refusal(disk.open(path, Open::Read)), Refusal::Symlink);
            assert_eq!(refusal(disk.open(path, Open::Write)), Refusal::Symlink);
            assert_eq!(refusal(disk.unlink(path)), Refusal::Symlink);
            assert_eq!(refusal(disk.rename(path, b"stolen", Rename::NoReplace)), Refusal::Symlink);
            assert_eq!(refusal(disk.rename(b"own", path, Rename::Replace)), Refusal::Symlink);
            assert_eq!(refusal(disk.link(path, b"stolen")), Refusal::Symlink);
        }
        assert_eq!(refusal(disk.list(b"link", &mut |_, _| ControlFlow::Continue(()))), Refusal::Symlink);
        assert_eq!(refusal(disk.mkdir(b"link/new", 0o777)), Refusal::Symlink);
        assert_eq!(refusal(disk.open(b"link/new", Open::Create { mode: 0o600 })), Refusal::Symlink);
        assert_eq!(refusal(disk.open(b"file-link", Open::Read)), Refusal::Symlink);
        assert_eq!(disk.stat(b"link").unwrap().kind, Kind::Symlink);
        assert!(disk.stat(b"d/../../outside/x").is_err());
        assert!(disk.list(b"..", &mut |_, _| ControlFlow::Continue(())).is_err());
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(root.join("own")).unwrap(), "own");
}

#[test]
fn the_two_ways_to_a_directory_agree() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
    std::fs::write(dir.path().join("a/b/c/x"), "content").unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    for disk in disks(dir.path()) {
        assert_eq!(disk.stat(b"a/b/c/x").unwrap().fingerprint.size, 7);
        assert_eq!(names(&disk, b"a/b"), [b"c"]);
        assert_eq!(names(&disk, b""), [&b"a"[..], b"file"]);
        assert_eq!(refusal(disk.stat(b"a/gone/x")), Refusal::NotFound);
        assert_eq!(refusal(disk.stat(b"file/x")), Refusal::NotADirectory);
        assert_eq!(refusal(disk.rmdir(b"a/b")), Refusal::NotEmpty);
        assert_eq!(refusal(disk.mkdir(b"a/b", 0o777)), Refusal::Exists);
        assert_eq!(refusal(disk.stat(&[b'x'; 300])), Refusal::Name);
        disk.sync_dir(b"").unwrap();
        disk.sync_dir(b"a/b").unwrap();
        assert!(disk.space().unwrap().total > 0);
    }
}

#[test]
fn a_path_longer_than_the_system_takes_is_reached_in_steps() {
    let dir = tempfile::tempdir().unwrap();
    for (index, disk) in disks(dir.path()).iter().enumerate() {
        let name = [b'0' + u8::try_from(index).unwrap(); 200];
        let mut path = Vec::new();
        for _ in 0..40 {
            path = join(&path, &name);
            disk.mkdir(&path, 0o777).unwrap();
        }
        assert!(path.len() > 8_000);
        let file = join(&path, b"x");
        disk.open(&file, Open::Create { mode: 0o600 }).unwrap().write_all_at(b"deep", 0).unwrap();
        assert_eq!(disk.stat(&file).unwrap().fingerprint.size, 4);
        assert_eq!(names(disk, &path), [b"x"]);
    }
}

#[test]
fn a_small_file_is_read_whole_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let disk = LinuxDisk::open(dir.path()).unwrap();
    std::fs::write(dir.path().join("x"), "12345").unwrap();
    assert_eq!(read_small(&disk, b"x", 5).unwrap(), b"12345");
    assert_eq!(read_small(&disk, b"x", 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert!(read_small(&disk, b"", 4).is_err());
}

#[test]
fn refusals_are_told_by_the_number_of_the_system() {
    use rustix::io::Errno;
    for (errno, refusal) in [
        (Errno::NOENT, Refusal::NotFound),
        (Errno::EXIST, Refusal::Exists),
        (Errno::NOTDIR, Refusal::NotADirectory),
        (Errno::ISDIR, Refusal::IsADirectory),
        (Errno::NOTEMPTY, Refusal::NotEmpty),
        (Errno::LOOP, Refusal::Symlink),
        (Errno::NOSPC, Refusal::NoSpace),
        (Errno::DQUOT, Refusal::Quota),
        (Errno::ROFS, Refusal::ReadOnly),
        (Errno::ACCESS, Refusal::Denied),
        (Errno::PERM, Refusal::Denied),
        (Errno::NAMETOOLONG, Refusal::Name),
        (Errno::ILSEQ, Refusal::Name),
        (Errno::INVAL, Refusal::Unsupported),
        (Errno::NOSYS, Refusal::Unsupported),
        (Errno::OPNOTSUPP, Refusal::Unsupported),
        (Errno::XDEV, Refusal::OtherFileSystem),
        (Errno::IO, Refusal::Other),
    ] {
        assert_eq!(Refusal::of(&errno.into()), refusal, "{errno}");
    }
}

#[test]
fn the_order_of_names_is_relied_on_only_where_it_is_known_to_be_kept() {
    assert!(!LinuxDisk::open(Path::new("/proc")).unwrap().keeps_order());
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        assert!(LinuxDisk::open(memory).unwrap().keeps_order());
    }
    assert!(!Nowhere::at(memory).keeps_order());
}

#[test]
fn what_the_device_is_not_known_to_have_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let disk = LinuxDisk::open(dir.path()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let fifo = disk.open(b"fifo", Open::Read).unwrap();
    // The system has no fsync of a FIFO.
    assert_eq!(refusal(fifo.sync()), Refusal::Unsupported);
    assert_eq!(refusal(disk.sync_dir(b"none")), Refusal::NotFound);
    disk.sync_dir(b"").unwrap();
}

#[test]
fn a_root_that_is_not_there_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "1").unwrap();
    let disk = Nowhere::at(dir.path());
    let refused = [
        disk.stat(b"a").map(drop),
        disk.list(b"", &mut |_, _| ControlFlow::Continue(())),
        disk.open(b"a", Open::Read).map(drop),
        disk.rename(b"a", b"b", Rename::Replace),
        disk.link(b"a", b"b"),
        disk.unlink(b"a"),
        disk.mkdir(b"d", 0o700),
        disk.rmdir(b"d"),
        disk.sync_dir(b""),
        disk.sync_all(),
        disk.space().map(drop),
    ];
    for (call, result) in refused.into_iter().enumerate() {
        assert_eq!(refusal(result), Refusal::NotFound, "{call}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
