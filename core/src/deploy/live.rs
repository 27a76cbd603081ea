//! `live/<name>/` with its four files, replaced all at once.
//!
//! The files of one version stand in `archive/<name>/<version>/`; `live/<name>` is a symbolic
//! link to that directory. A new version is written and flushed beside the old one, then the
//! link is renamed over: a reader, or a crash at any point, sees four files that belong
//! together.

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

    /// Makes `files` the live ones of `name`, as `version`. Doing it again is harmless. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// A file or directory could not be written; what was live still is.
    pub fn place(&self, name: &str, version: u64, files: &FileSet) -> Result<PathBuf, DeployError> {
        let live = self.path(name);
        if fs::symlink_metadata(&live).is_ok_and(|found| !found.is_symlink()) {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(DeployError { path: live, doing: "replaced by a link", source });
        }
        let archive = self.state.join("archive").join(name);
        let directory = archive.join(version.to_string());
        for parent in [&self.state.join("live"), &archive] {
            make_directory(parent, true)?;
        }
        if self.version(name) != Some(version) {
            self.write_version(name, &directory, files)?;
            switch(&live, Path::new("../archive").join(name).join(version.to_string()).as_path())?;
        }
        prune(&archive, version);
        Ok(live)
    }

    fn write_version(&self, name: &str, directory: &Path, files: &FileSet) -> Result<(), DeployError> {
        // Left by a crash before the link was switched: nobody has seen it.
        match fs::remove_dir_all(directory) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed(directory, "cleared", source));
            }
            _ => make_directory(directory, false)?,
        }
        let live = self.path(name);
        keep_directory_access(&live, directory)?;
        let full_chain = format!("{}{}", files.certificate, files.chain);
        for (file, content) in [
            ("privkey.pem", files.private_key.as_ref().map(|key| key.as_str())),
            ("cert.pem", Some(files.certificate.as_str())),
            ("chain.pem", Some(files.chain.as_str())),
            ("fullchain.pem", Some(full_chain.as_str())),
        ] {
            if let Some(content) = content {
                write_file(&directory.join(file), content, Access::of(&live.join(file)))?;
            }
        }
        flush_directory(directory)?;
        flush_directory(directory.parent().expect("a version stands in the archive"))
    }
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
    for entry in fs::read_dir(archive).into_iter().flatten().flatten() {
        let version = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        if version.is_some_and(|version| version + KEPT < live) {
            let _ = fs::remove_dir_all(entry.path());
        }
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
        let torn = state.path().join("archive/site/2");
        fs::create_dir(&torn).unwrap();
        fs::write(torn.join("privkey.pem"), "torn").unwrap();
        symlink("../archive/site/2", state.path().join("live/.site.new")).unwrap();
        assert_eq!(read(&live, "privkey.pem"), "key one\n");
        live.place("site", 2, &files("two")).unwrap();
        assert_eq!(read(&live, "privkey.pem"), "key two\n");
    }

    #[test]
    fn a_failure_leaves_the_old_files_live() {
        let state = tempfile::tempdir().unwrap();
        let live = LiveDirectory::below(state.path());
        live.place("site", 1, &files("one")).unwrap();
        // A file where the version's directory should be: it cannot be cleared away as one.
        fs::write(state.path().join("archive/site/2"), "in the way").unwrap();
        let error = live.place("site", 2, &files("two")).unwrap_err();
        assert!(error.to_string().contains("archive/site/2` cannot be cleared"), "{error}");
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
