//! Whether overwriting a file in place erases it here: that depends on the file system.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::IFlags;

/// What the program found out about the file system under the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Its usual name: `ext4`, `xfs`, …
    pub kind: &'static str,
    /// Whether overwriting in place erases.
    pub erases: bool,
    /// One sentence for the administrator.
    pub text: String,
}

/// File system types by their magic number (`linux/magic.h`, statfs(2)), and whether overwriting in place erases.
const KINDS: [(u64, &str, Erases); 13] = [
    (0xEF53, "ext4", Erases::UnlessJournalled),
    (0x5846_5342, "xfs", Erases::Yes),
    (0x0102_1994, "tmpfs", Erases::Yes),
    (0x8584_58f6, "ramfs", Erases::Yes),
    (0xF2F5_2010, "f2fs", Erases::No),
    (0x9123_683E, "btrfs", Erases::WithoutCopyOnWrite),
    (0x2FC1_2FC1, "zfs", Erases::No),
    (0x794C_7630, "overlayfs", Erases::No),
    (0x6969, "nfs", Erases::No),
    (0xFF53_4D42, "cifs", Erases::No),
    (0xFE53_4D42, "smb2", Erases::No),
    (0x6573_5546, "fuse", Erases::No),
    (0x0102_1997, "9p", Erases::No),
];

#[derive(Clone, Copy)]
enum Erases {
    Yes,
    No,
    UnlessJournalled,
    WithoutCopyOnWrite,
}

/// Asks a new file not to be copied on write, where the file system knows such a thing; elsewhere nothing happens.
pub(super) fn avoid_copy_on_write(file: &File) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(file.as_fd()) {
        let _ = rustix::fs::ioctl_setflags(file.as_fd(), flags | IFlags::NOCOW);
    }
}

/// Looks at the file system of `folder`, which must exist.
pub fn inspect(folder: &Path) -> std::io::Result<Media> {
    let magic = u64::try_from(rustix::fs::statfs(folder)?.f_type).unwrap_or_default() & 0xFFFF_FFFF;
    let found = KINDS.iter().find(|(number, ..)| *number == magic);
    let (kind, erases) = found.map_or(("an unknown file system", Erases::No), |(_, kind, erases)| (*kind, *erases));
    let erases = match erases {
        Erases::Yes => true,
        Erases::No => false,
        Erases::UnlessJournalled => !mount_options(folder)?.split(',').any(|option| option == "data=journal"),
        Erases::WithoutCopyOnWrite => takes_no_copy_on_write(folder),
    };
    let text = if erases {
        format!("The data folder is on {kind}: overwriting a key there erases it.")
    } else {
        format!(
            "The data folder is on {kind}, where overwriting a key does not surely erase it. \
             Move the data folder to an ext4 or xfs file system."
        )
    };
    Ok(Media { kind, erases, text })
}

fn takes_no_copy_on_write(folder: &Path) -> bool {
    let slots = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let slots = slots.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slots.")));
    // Before the first start there is no slot file yet; btrfs honours the flag on files made in this folder.
    slots.into_iter().all(|path| {
        let flags = File::open(path).map(|file| rustix::fs::ioctl_getflags(file.as_fd()));
        matches!(flags, Ok(Ok(flags)) if flags.contains(IFlags::NOCOW))
    })
}

/// Options of the mount that holds `folder`, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn mount_options(folder: &Path) -> std::io::Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?.replace("\\040", " ");
        folder.starts_with(&point).then(|| (point.len(), source.split(' ').nth(2).unwrap_or_default().to_owned()))
    });
    Ok(holding.max_by_key(|(length, _)| *length).map(|(_, options)| options).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_erases_and_processes_do_not() {
        assert!(inspect(Path::new("/dev/shm")).unwrap().erases);
        let proc = inspect(Path::new("/proc")).unwrap();
        assert!(!proc.erases && proc.text.contains("ext4 or xfs"));
    }
}
