//! Where a data folder stands so that every byte of its disk can be read: an ext4 image mounted through a loop device,
//! where root is allowed to do that; elsewhere a plain folder, of which the files are all there is to read.

#![allow(dead_code, reason = "two test programs use this file, each what it needs")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of the image: room for everything that the tests write, and small enough to be read whole.
const IMAGE_BYTES: u64 = 96 * 1024 * 1024;

/// A disk of one's own. Dropped, it is unmounted and gone.
pub struct Place {
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Place {
    /// A fresh one; says on the test's output which kind it is.
    pub fn new() -> Self {
        let place = Self::of_bytes(IMAGE_BYTES);
        let kind =
            if place.mounted { "an ext4 image: its raw bytes" } else { "a plain folder: the bytes of its files" };
        println!("The data folder is on {kind} are what is looked at.");
        place
    }

    /// One of this size.
    pub fn of_bytes(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut place = Self { folder, mounted: false };
        fs::create_dir(place.mount_point()).unwrap();
        File::create(place.image()).unwrap().set_len(bytes).unwrap();
        // 4 KiB blocks, as mkfs itself chooses for any disk that is not tiny; nothing kept back for root.
        let made = run("mkfs.ext4", &["-q", "-b", "4096", "-m", "0"], &[&place.image()]);
        place.mounted = made && run("mount", &["-o", "loop"], &[&place.image(), &place.mount_point()]);
        place
    }

    /// Whether it is a disk of its own.
    pub fn is_image(&self) -> bool {
        self.mounted
    }

    /// Where files can be put.
    pub fn mount_point(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// The data folder on it.
    pub fn data(&self) -> PathBuf {
        self.mount_point().join("data")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Every byte of the disk, also of files that are gone; without a disk of its own, those of the files, and names.
    pub fn raw(&self) -> Vec<u8> {
        if self.mounted {
            rustix::fs::syncfs(File::open(self.mount_point()).unwrap()).unwrap();
            return fs::read(self.image()).unwrap();
        }
        let mut bytes = Vec::new();
        for path in files_under(&self.mount_point()) {
            bytes.extend(path.to_string_lossy().bytes());
            // Every file begins at a block's start, as on a disk.
            bytes.resize(bytes.len().next_multiple_of(4096), 0);
            bytes.extend(fs::read(&path).unwrap());
            bytes.resize(bytes.len().next_multiple_of(4096), 0);
        }
        bytes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted && !run("umount", &[], &[&self.mount_point()]) {
            run("umount", &["--lazy"], &[&self.mount_point()]);
        }
    }
}

/// Runs a program that may be missing or not allowed; whether it succeeded.
fn run(program: &str, flags: &[&str], paths: &[&Path]) -> bool {
    let output = Command::new(program).args(flags).args(paths).output();
    output.is_ok_and(|output| output.status.success())
}

/// Every file below a folder, in no particular order.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_under(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// A copy of a folder as it stands, as a backup or a snapshot makes one.
pub fn copy(from: &Path, to: &Path) {
    for file in files_under(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}
