//! The folders: their directories, disks and watches, and what the daemon says of them.

use std::fs;
use std::io;
use std::path::Path;

use hcfs_api::{Folder, Paths, Verdict, quantity};
use hcfs_model::FolderLabel;
use rustix::fs::{statfs, statvfs};

use super::{Found, of_state, place};
use crate::config::{Config, FolderConfig};
use crate::supervise::database;

/// Where the system says how many directories a user may watch.
const WATCHES: &str = "/proc/sys/fs/inotify/max_user_watches";
/// Less room than this keeps a folder from working, in bytes.
const NO_ROOM: u64 = 64 << 20;
/// Less room than this is worth a word, in bytes.
const LITTLE_ROOM: u64 = 1 << 30;

pub(super) fn folders(found: &mut Found, paths: &Paths, config: &Config, shown: Option<&[Folder]>) {
    let limit = fs::read_to_string(WATCHES).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let mut directories = 0;
    for (label, folder) in &config.folders {
        let from = found.0.len();
        let state = shown.and_then(|folders| folders.iter().find(|folder| folder.label == label.as_str()));
        if let Some(shown) = state {
            daemon_says(found, shown);
        }
        if directory(found, paths, label, folder) {
            file_system(found, &folder.path);
            free_space(found, &folder.path);
            directories += count_directories(&folder.path, limit.unwrap_or(0));
        }
        found.about(from, label.as_str());
    }
    if let Some(limit) = limit.filter(|_| directories > 0) {
        watches(found, directories, limit);
    }
}

fn daemon_says(found: &mut Found, shown: &Folder) {
    let (message, hint) = match &shown.trouble {
        Some(trouble) => (format!("{}: {}", shown.state, trouble.message), trouble.hint.clone()),
        None => (shown.state.to_string(), "see `hcfs status`".to_owned()),
    };
    match of_state(shown.state) {
        Verdict::Ok => found.ok("folder", message),
        verdict => found.add(verdict, "folder", message, hint),
    }
}

/// Looks at the root and its marker; whether there is a directory.
fn directory(found: &mut Found, paths: &Paths, label: &FolderLabel, folder: &FolderConfig) -> bool {
    const NAME: &str = "directory";
    let at = folder.path.display();
    match fs::metadata(&folder.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hint = "create the directory, mount its file system, or correct the path";
            found.fail(NAME, format!("\"{at}\" does not exist"), hint);
            return false;
        }
        Err(error) => {
            found.fail(NAME, format!("\"{at}\": {error}"), "allow this user to enter the directories above it");
            return false;
        }
        Ok(meta) if !meta.is_dir() => {
            found.fail(NAME, format!("\"{at}\" is not a directory"), "name a directory");
            return false;
        }
        Ok(_) => {}
    }
    if let Err(error) = fs::read_dir(&folder.path) {
        found.fail(NAME, format!("\"{at}\" cannot be read: {error}"), "allow this user to read the directory");
        return false;
    }
    let own = folder.path.join(hcfs_model::RelPath::STATE_DIR);
    // Where the folder was kept in step before, its own directory takes the probe: the folder itself is watched.
    match place::is_writable(if own.is_dir() { &own } else { &folder.path }) {
        Ok(()) => found.ok(NAME, format!("\"{at}\" can be read and written")),
        Err(error) => {
            let hint = "allow this user to write to the directory; it keeps its state in .hcfs/";
            found.fail(NAME, format!("\"{at}\" cannot be written: {error}"), hint);
        }
    }
    let was_synced = database(paths, label).exists();
    match (own.join("marker").exists(), was_synced) {
        (true, _) => found.ok("marker", "there"),
        (false, false) => found.ok("marker", "none yet: it is made at the first start"),
        (false, true) => {
            let message = format!("\"{at}\" was kept in step before, and its marker is gone");
            let hint = "is its file system mounted? Else restore .hcfs/marker, or remove the folder and add it again";
            found.fail("marker", message, hint);
        }
    }
    true
}

fn file_system(found: &mut Found, root: &Path) {
    const NAME: &str = "file_system";
    let kind = statfs(root).map(|stat| u64::try_from(stat.f_type).unwrap_or_default()).unwrap_or_default();
    let (name, drawback) = known(kind);
    let same = root.join(".hcfs/marker").exists() && root.join(".hcfs/MARKER").exists();
    if same {
        let message = format!("{name}: names that differ in upper and lower case alone are one name here");
        return found.warn(NAME, message, "give such files other names: `hcfs problems` lists those that are left out");
    }
    match drawback {
        None => found.ok(NAME, name),
        Some((what, hint)) => found.warn(NAME, format!("{name}: {what}"), hint),
    }
}

/// A file system's name, and what it is short of for a folder.
fn known(kind: u64) -> (&'static str, Option<(&'static str, &'static str)>) {
    let far = Some((
        "changes made on other machines are noticed by the next full look alone",
        "let the machine that has the disk keep the folder in step, if you can",
    ));
    let plain = Some((
        "it keeps neither modes nor exact times, and may lose what was just written",
        "use a Linux file system, if you can",
    ));
    match kind {
        0xEF53 => ("ext4", None),
        0x9123_683E => ("btrfs", None),
        0x5846_5342 => ("xfs", None),
        0x2FC1_2FC1 => ("zfs", None),
        0xF2F5_2010 => ("f2fs", None),
        0x794C_7630 => ("overlay", None),
        0xCA45_1A4E => ("bcachefs", None),
        0x0102_1994 => ("tmpfs", Some(("its files are gone at the next start", "use a directory on a disk"))),
        0x6969 => ("nfs", far),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => ("smb", far),
        0x6573_5546 => ("fuse", far),
        0x4D44 => ("vfat", plain),
        0x2011_BAB0 => ("exfat", plain),
        0x7366_746E => ("ntfs", plain),
        _ => ("a file system this program has no word for", None),
    }
}

fn free_space(found: &mut Found, root: &Path) {
    if let Some((verdict, said)) = space(root) {
        let hint =
            if verdict == Verdict::Ok { "" } else { "free some space there, or empty the trash: `hcfs trash empty`" };
        found.add(verdict, "free_space", said, hint);
    }
}

/// How much room is left on a disk, in words.
pub(super) fn space(at: &Path) -> Option<(Verdict, String)> {
    let stat = statvfs(at).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let verdict = match free {
        0..NO_ROOM => Verdict::Fail,
        NO_ROOM..LITTLE_ROOM => Verdict::Warn,
        _ => Verdict::Ok,
    };
    // File systems that make inodes as they need them say 0 of 0.
    if stat.f_files > 0 && stat.f_favail == 0 {
        return Some((Verdict::Fail, "no more files can be made there: its inodes are used up".to_owned()));
    }
    Some((verdict, format!("{} are free", quantity::bytes(free))))
}

/// The directories below a root, itself included; not further than one above `limit`.
fn count_directories(root: &Path, limit: u64) -> u64 {
    let mut count = 0;
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        count += 1;
        if count > limit {
            break;
        }
        // What cannot be read is not watched.
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        pending.extend(below.map(|entry| entry.path()).filter(|path| !path.ends_with(hcfs_model::RelPath::STATE_DIR)));
    }
    count
}

fn watches(found: &mut Found, directories: u64, limit: u64) {
    const NAME: &str = "watches";
    let (needed, most) = (quantity::count(directories), quantity::count(limit));
    let larger = directories.saturating_mul(2).next_power_of_two().max(65_536);
    let hint = format!("run `sudo sysctl fs.inotify.max_user_watches={larger}`, and write it into /etc/sysctl.d/");
    if directories > limit {
        let message =
            format!("at least {needed} directories, and the system lets {most} be watched: changes are noticed late");
        return found.warn(NAME, message, hint);
    }
    if directories > limit / 4 * 3 {
        return found.warn(NAME, format!("{needed} directories, of {most} the system lets be watched"), hint);
    }
    found.ok(NAME, format!("{needed} directories, of {most} the system lets be watched"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(directories: u64, limit: u64) -> Verdict {
        let mut found = Found::default();
        watches(&mut found, directories, limit);
        found.0[0].verdict
    }

    #[test]
    fn watches_are_counted_against_what_the_system_allows() {
        assert_eq!(
            [verdict(10, 8192), verdict(7000, 8192), verdict(8193, 8192)],
            [Verdict::Ok, Verdict::Warn, Verdict::Warn]
        );
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        fs::create_dir_all(dir.path().join(".hcfs/trash")).unwrap();
        fs::write(dir.path().join("a/file"), "").unwrap();
        assert_eq!(count_directories(dir.path(), 100), 4);
        assert_eq!(count_directories(dir.path(), 2), 3, "it stops once it is clear");
    }

    #[test]
    fn a_full_disk_and_odd_file_systems_are_told() {
        assert_eq!(known(0x0102_1994).0, "tmpfs");
        assert!(known(0x0102_1994).1.is_some() && known(0xEF53).1.is_none());
        let (verdict, said) = space(Path::new("/proc")).unwrap();
        // A file system without any room.
        assert_eq!((verdict, said.as_str()), (Verdict::Fail, "0 B are free"));
        assert_eq!(space(Path::new("/no/such/place")), None);
    }
}
