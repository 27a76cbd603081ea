//! `live/<name>/` with its four files, replaced all at once.
//!
//! The files of one version stand in `archive/<name>/<version>/`; `live/<name>` is a symbolic
//! link to that directory. A new version is written and flushed beside the old one, then the
//! link is renamed over: a reader, or a crash at any point, sees four files that belong
//! together.
//!
//! A directory gets its number when it is whole, by a rename, and is never written to again. Where
//! a number is taken by another certificate (the store was lost, or an older one brought back),
//! the next free one above all others is used.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Versions kept in the archive beside the live one.
const KEPT: u64 = 2;

/// The files of one certificate, all PEM.
#[derive(Clone)]
pub struct FileSet {
    /// The private key; `None` when the user brought a request of their own.
    pub private_key: Option<Zeroizing<String>>,
    /// The certificate alone.
    pub certificate: String,
    /// The certificates above it, without the root.
    pub chain: String,
}

impl std::fmt::Debug for FileSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileSet(…)")
    }
}

/// Why files could not be put in place. The old ones are untouched.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be {doing}", path.display())]
pub struct DeployError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

impl DeployError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
                "the disk is full; the certificate is kept in the store, and the next run puts it in place"
                    .to_owned(),
            ),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Some("the certificate is kept in the store, and the next run puts it in place".to_owned())
            }
            io::ErrorKind::AlreadyExists => {
                Some("move it away: this place is a link to the newest version of the certificate".to_owned())
            }
            _ => None,
        }
    }
}

/// The directories `live/` and `archive/` below the state directory.
#[derive(Clone, Debug)]
pub struct LiveDirectory {
    state: PathBuf,
}

/// Who owns the files and who may read them: taken over from the version before.
#[derive(Clone, Copy)]
struct Access {
    mode: u32,
    owner: Option<(u32, u32)>,
}

impl LiveDirectory {
    /// The directories below `state`.
    #[must_use]
    pub fn below(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Where the files of `name` are found.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.state.join("live").join(name)
    }

    /// The version whose files are live, if any.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<u64> {
        let target = fs::read_link(self.path(name)).ok()?;
        let version = target.file_name()?.to_str()?.parse().ok()?;
        // A link whose files were lost is no version.
        fs::metadata(self.path(name).join("fullchain.pem")).ok()?;
        Some(version)
    }

    /// Makes `files` the live ones of `name`, as `version` where that number is free. Doing it
    /// again is harmless: where they are live already, nothing is written. Blocks on the disk.
    ///
    /// # Errors
    /// A file or directory could not be written; what was live still is.
    pub fn place(&self, name: &str, version: u64, files: &FileSet) -> Result<PathBuf, DeployError> {
        let live = self.path(name);
        if fs::symlink_metadata(&live).is_ok_and(|found| !found.is_symlink()) {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(DeployError { path: live, doing: "replaced by a link", source });
        }
        if self.version(name).is_some() && shows(&live, files) {
            return Ok(live);
        }
        let archive = self.state.join("archive").join(name);
        for parent in [&self.state.join("live"), &archive] {
            make_directory(parent, true)?;
        }
        let highest = versions(&archive).max().unwrap_or(0);
        let stands = shows(&archive.join(version.to_string()), files);
        let number = if stands || version > highest { version } else { highest.saturating_add(1) };
        if !stands {
            self.write_version(name, &archive, number, files)?;
        }
        switch(&live, Path::new("../archive").join(name).join(number.to_string()).as_path())?;
        prune(&archive, number);
        Ok(live)
    }

    fn write_version(
        &self,
        name: &str,
        archive: &Path,
        number: u64,
        files: &FileSet,
    ) -> Result<(), DeployError> {
        let fresh = archive.join(".new");
        // Left by a crash: nobody has seen it.
        match fs::remove_dir_all(&fresh) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&fresh, "cleared", source));
            }
            _ => make_directory(&fresh, false)?,
        }
        let live = self.path(name);
        keep_directory_access(&live, &fresh)?;
        let full_chain = format!("{}{}", files.certificate, files.chain);
        for (file, content) in [
            ("privkey.pem", files.private_key.as_ref().map(|key| key.as_str())),
            ("cert.pem", Some(files.certificate.as_str())),
            ("chain.pem", Some(files.chain.as_str())),
            ("fullchain.pem", Some(full_chain.as_str())),
        ] {
            if let Some(content) = content {
                write_file(&fresh.join(file), content, Access::of(&live.join(file)))?;
            }
        }
        flush_directory(&fresh)?;
        let directory = archive.join(number.to_string());
        fs::rename(&fresh, &directory).map_err(|source| failed(&directory, "put in place", source))?;
        flush_directory(archive)
    }
}

/// True if the certificate that stands in `directory` is that of `files`, and no file is missing. A
/// number alone tells nothing: another store has other versions under the same ones.
fn shows(directory: &Path, files: &FileSet) -> bool {
    let is_there = |file: &str| fs::metadata(directory.join(file)).is_ok();
    fs::read_to_string(directory.join("cert.pem")).is_ok_and(|present| present == files.certificate)
        && is_there("chain.pem")
        && is_there("fullchain.pem")
        && (files.private_key.is_none() || is_there("privkey.pem"))
}

/// The numbers that are taken in `archive`.
fn versions(archive: &Path) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(archive).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

impl Access {
    fn of(existing: &Path) -> Self {
        fs::metadata(existing).map_or(Self { mode: 0o600, owner: None }, |found| Self {
            mode: found.mode() & 0o777,
            owner: Some((found.uid(), found.gid())),
        })
    }
}

fn failed(path: &Path, doing: &'static str, source: io::Error) -> DeployError {
    DeployError { path: path.to_owned(), doing, source }
}

fn make_directory(path: &Path, recursive: bool) -> Result<(), DeployError> {
    let made = fs::DirBuilder::new().recursive(recursive).mode(0o700).create(path);
    made.map_err(|source| failed(path, "created", source))
}

/// A group that was let into the directory before stays let in.
fn keep_directory_access(old: &Path, new: &Path) -> Result<(), DeployError> {
    let Ok(found) = fs::metadata(old) else { return Ok(()) };
    std::os::unix::fs::chown(new, Some(found.uid()), Some(found.gid()))
        .and_then(|()| fs::set_permissions(new, found.permissions()))
        .map_err(|source| failed(new, "given its old owner and mode", source))
}

fn write_file(path: &Path, content: &str, access: Access) -> Result<(), DeployError> {
    let write = || -> io::Result<()> {
        // Private until it has its owner; the umask must not widen nor narrow the kept mode.
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())?;
        if let Some((user, group)) = access.owner {
            std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
        }
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(access.mode))?;
        file.sync_all()
    };
    write().map_err(|source| failed(path, "written", source))
}

fn flush_directory(path: &Path) -> Result<(), DeployError> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| failed(path, "flushed", source))
}

fn switch(live: &Path, target: &Path) -> Result<(), DeployError> {
    let name = live.file_name().expect("a certificate has a name").to_string_lossy();
    let parent = live.parent().expect("it stands in `live`");
    let fresh = parent.join(format!(".{name}.new"));
    let switch = || -> io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(target, &fresh)?,
        }
        fs::rename(&fresh, live)
    };
    switch().map_err(|source| failed(live, "switched to the new version", source))?;
    flush_directory(parent)
}

/// Old private keys are not kept for ever. What cannot be removed is left for next time.
fn prune(archive: &Path, live: u64) {
    for version in versions(archive).filter(|version| version.saturating_add(KEPT) < live) {
        let _ = fs::remove_dir_all(archive.join(version.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(mark: &str) -> FileSet {
        FileSet {
            private_key: Some(Zeroizing::new(format!("key {mark}\n"))),
            certificate: format!("leaf {mark}\n"),
            chain: format!("chain {mark}\n"),
        }
    }

    fn read(live: &LiveDirectory, file: &str) -> String {
        fs::read_to_string(live.path("site").join(file)).unwrap()
    }

    #[test]
    fn four_private_files_stand_in_live_and_change_together() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        assert_eq!(live.version("site"), None);
        live.place("site", 1, &files("one")).unwrap();
        assert_eq!(live.version("site"), Some(1));
        live.place("site", 2, &files("two")).unwrap();
        assert_eq!(read(&live, "fullchain.pem"), "leaf two\nchain two\n");
        assert_eq!(read(&live, "privkey.pem"), "key two\n");
        for file in ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"] {
            let mode = fs::metadata(live.path("site").join(file)).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }

    #[test]
    fn a_mode_that_was_widened_by_hand_is_kept() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        live.place("site", 1, &files("one")).unwrap();
        let key = live.path("site").join("privkey.pem");
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        live.place("site", 2, &files("two")).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::metadata(live.path("site").join("cert.pem")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_a_crash_left_of_a_version_is_written_anew() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        live.place("site", 1, &files("one")).unwrap();
        let torn = state.path().join("archive/site/.new");
        fs::create_dir(&torn).unwrap();
        fs::write(torn.join("privkey.pem"), "torn").unwrap();
        symlink("../archive/site/.new", state.path().join("live/.site.new")).unwrap();
        assert_eq!(read(&live, "privkey.pem"), "key one\n");
        live.place("site", 2, &files("two")).unwrap();
        assert_eq!(read(&live, "privkey.pem"), "key two\n");
        assert!(!torn.exists());
    }

    #[test]
    fn what_a_crash_left_whole_is_made_live_as_it_is() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        live.place("site", 1, &files("one")).unwrap();
        live.place("site", 2, &files("two")).unwrap();
        switch(&live.path("site"), Path::new("../archive/site/1")).unwrap();
        live.place("site", 2, &files("two")).unwrap();
        assert_eq!(live.version("site"), Some(2));
        assert_eq!(read(&live, "privkey.pem"), "key two\n");
    }

    #[test]
    fn a_number_that_another_certificate_has_is_not_taken_for_it_nor_written_over() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        live.place("site", 1, &files("one")).unwrap();
        live.place("site", 2, &files("two")).unwrap();
        let old = |file: &str| fs::read_to_string(state.path().join("archive/site").join(file)).unwrap();
        // The store was lost, and counts from 1 again.
        for (version, mark) in [(1, "first"), (2, "second")] {
            live.place("site", version, &files(mark)).unwrap();
            assert_eq!(read(&live, "cert.pem"), format!("leaf {mark}\n"));
            assert_eq!(read(&live, "privkey.pem"), format!("key {mark}\n"));
            assert_eq!(old("2/cert.pem"), "leaf two\n");
        }
        assert_eq!(live.version("site"), Some(4));
        live.place("site", 2, &files("second")).unwrap();
        assert_eq!(live.version("site"), Some(4), "what is live is not placed again");
    }

    #[test]
    fn a_file_that_somebody_deleted_comes_back() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        live.place("site", 1, &files("one")).unwrap();
        for file in ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"] {
            fs::remove_file(live.path("site").join(file)).unwrap();
            live.place("site", 1, &files("one")).unwrap();
            assert!(live.path("site").join(file).exists(), "{file}");
        }
    }

    #[test]
    fn a_failure_leaves_the_old_files_live() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        live.place("site", 1, &files("one")).unwrap();
        // A file where the directory should be: it cannot be cleared away as one.
        fs::write(state.path().join("archive/site/.new"), "in the way").unwrap();
        let error = live.place("site", 2, &files("two")).unwrap_err();
        assert!(error.to_string().contains("archive/site/.new` cannot be cleared"), "{error}");
        assert_eq!(read(&live, "privkey.pem"), "key one\n");
    }

    #[test]
    fn a_directory_of_somebody_else_in_live_is_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        fs::create_dir_all(live.path("site")).unwrap();
        let error = live.place("site", 1, &files("one")).unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("move it away")), "{error}");
    }

    #[test]
    fn old_versions_are_thinned_out() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        for version in 1..=5 {
            live.place("site", version, &files(&version.to_string())).unwrap();
        }
        let mut kept: Vec<_> = fs::read_dir(state.path().join("archive/site"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        kept.sort();
        assert_eq!(kept, ["3", "4", "5"]);
    }
}
