//! What in the state directory is open to others.

use super::database::FILE;
use super::envelope::MASTER_KEY_FILE;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Permissions of group and others to write.
const WRITABLE: u32 = 0o022;
/// All permissions of group and others.
const OPEN: u32 = 0o077;

/// Something in the state directory that is open to others than its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenToOthers {
    /// What is open.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// What others can do, as `be read`.
    pub danger: &'static str,
    /// The command that shuts it.
    pub remedy: String,
}

/// What in `directory` is open to others: the directory, if they can write to it, the database
/// and the master key, if they can read or write them. `live/` is its reader's business.
#[must_use]
pub fn open_to_others(directory: &Path) -> Vec<OpenToOthers> {
    let look = |path: PathBuf, forbidden: u32, change: &str| {
        let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o7777;
        let danger = if mode & WRITABLE != 0 { "be written" } else { "be read" };
        let remedy = format!("chmod {change} {}", quoted(&path));
        (mode & forbidden != 0).then_some(OpenToOthers { path, mode, danger, remedy })
    };
    let files = [MASTER_KEY_FILE, FILE].map(|file| look(directory.join(file), OPEN, "600"));
    [look(directory.to_owned(), WRITABLE, "go-w")].into_iter().chain(files).flatten().collect()
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn what_others_can_read_or_write_is_found_with_what_shuts_it() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("it's");
        std::fs::create_dir(&directory).unwrap();
        for (file, mode) in [("", 0o755), ("dns01.db", 0o600), ("master.key", 0o600)] {
            let path = if file.is_empty() { directory.clone() } else { directory.join(file) };
            if !file.is_empty() {
                write(&path, "").unwrap();
            }
            set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(open_to_others(&directory), []);
        set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        set_permissions(directory.join("master.key"), Permissions::from_mode(0o644)).unwrap();
        let found = open_to_others(&directory);
        let found: Vec<_> = found.iter().map(|one| (one.mode, one.danger, one.remedy.as_str())).collect();
        let place = directory.to_str().unwrap().replace('\'', r"'\''");
        let (whole, key) = (format!("chmod go-w '{place}'"), format!("chmod 600 '{place}/master.key'"));
        assert_eq!(found, [(0o777, "be written", whole.as_str()), (0o644, "be read", key.as_str())]);
    }
}
