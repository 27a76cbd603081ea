//! Where things are if nobody says otherwise: `/etc` and `/var/lib` for root, the XDG base
//! directories for everybody else.

use crate::errors::Failure;
use std::path::{Path, PathBuf};

/// The state directory of somebody who has no place for one and names none: nothing can be made
/// there. It ends in [`no_home`].
pub(crate) const NOWHERE: &str = "/dev/null/dns01";

/// Where things are if nobody says otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The configuration; `None` without a home.
    pub(crate) config: Option<PathBuf>,
    /// The state directory; `None` without a home.
    pub(crate) state: Option<PathBuf>,
}

impl Paths {
    /// Those of the user that runs the program.
    pub(crate) fn of_this_user() -> Self {
        Self::of(is_root(), |name| std::env::var_os(name).map(PathBuf::from))
    }

    fn of(root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        if root {
            return Self {
                config: Some("/etc/dns01/dns01.toml".into()),
                state: Some("/var/lib/dns01".into()),
            };
        }
        // Relative values are to be ignored, says the XDG base directory specification.
        let absolute = |name| variable(name).filter(|path| path.is_absolute());
        let base =
            |name, below: &str| absolute(name).or_else(|| absolute("HOME").map(|home| home.join(below)));
        Self {
            config: base("XDG_CONFIG_HOME", ".config").map(|base| base.join("dns01").join("dns01.toml")),
            state: base("XDG_STATE_HOME", ".local/state").map(|base| base.join("dns01")),
        }
    }
}

/// There is no usual place for what `flag` names.
pub(crate) fn no_home(flag: &str) -> Failure {
    Failure::usage("usage-no-home", format!("HOME is not set: name {flag}"))
}

/// True if nothing at all is at `path`.
pub(crate) fn is_absent(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// The owner of our own entry in `/proc` is the user we run as.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_ordinary_users_have_places_of_their_own() {
        let variable = |name: &str| match name {
            "HOME" => Some(PathBuf::from("/home/ann")),
            "XDG_STATE_HOME" => Some(PathBuf::from("/srv/state")),
            "XDG_CONFIG_HOME" => Some(PathBuf::from("relative")),
            _ => None,
        };
        let root = Paths::of(true, variable);
        assert_eq!(root.config.as_deref(), Some(Path::new("/etc/dns01/dns01.toml")));
        assert_eq!(root.state.as_deref(), Some(Path::new("/var/lib/dns01")));
        let ann = Paths::of(false, variable);
        assert_eq!(ann.config.as_deref(), Some(Path::new("/home/ann/.config/dns01/dns01.toml")));
        assert_eq!(ann.state.as_deref(), Some(Path::new("/srv/state/dns01")));
    }

    #[test]
    fn without_a_home_nothing_has_a_place_unless_it_has_one_of_its_own() {
        let nobody = Paths::of(false, |_| None);
        assert_eq!(nobody, Paths { config: None, state: None });
        let nobody = Paths::of(false, |name| (name == "HOME").then(PathBuf::new));
        assert_eq!(nobody, Paths { config: None, state: None });
        let state = |name: &str| (name == "XDG_STATE_HOME").then(|| PathBuf::from("/srv/state"));
        assert_eq!(Paths::of(false, state).state.as_deref(), Some(Path::new("/srv/state/dns01")));
    }
}
