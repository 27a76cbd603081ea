//! A small disk that can be filled and made read-only: a tmpfs, since root ignores modes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Mounts it on the folder `place`.
    pub(super) fn on(place: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=0700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place));
        Self { place: place.to_owned() }
    }

    /// Leaves only `free` KiB.
    pub(super) fn fill_but(&self, free: usize) {
        let mut file = File::create(self.filler()).unwrap();
        let block = [0; 4096];
        let mut written = 0;
        while file.write_all(&block).is_ok() {
            written += block.len() as u64;
        }
        file.set_len(written.saturating_sub(free as u64 * 1024)).unwrap();
    }

    /// Undoes [`Disk::fill_but`].
    pub(super) fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    pub(super) fn make_read_only(&self) {
        self.remount("remount,ro");
    }

    pub(super) fn make_writable(&self) {
        self.remount("remount,rw");
    }

    fn remount(&self, options: &str) {
        run(Command::new("mount").args(["-o", options]).arg(&self.place));
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.place));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
