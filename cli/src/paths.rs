//! Where things are if nobody says otherwise: `/etc` and `/var/lib` for root, the XDG base
//! directories for everybody else.

use std::path::{Path, PathBuf};

/// Where things are if nobody says otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The configuration.
    pub(crate) config: PathBuf,
    /// The state directory.
    pub(crate) state: PathBuf,
}

impl Paths {
    /// Those of the user that runs the program.
    pub(crate) fn of_this_user() -> Self {
        Self::of(is_root(), |name| std::env::var_os(name).map(PathBuf::from))
    }

    fn of(root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        if root {
            return Self { config: "/etc/dns01/dns01.toml".into(), state: "/var/lib/dns01".into() };
        }
        let home = variable("HOME").unwrap_or_default();
        // Relative values are to be ignored, says the XDG base directory specification.
        let base = |name, below: &str| {
            variable(name).filter(|path| path.is_absolute()).unwrap_or_else(|| home.join(below))
        };
        Self {
            config: base("XDG_CONFIG_HOME", ".config").join("dns01").join("dns01.toml"),
            state: base("XDG_STATE_HOME", ".local/state").join("dns01"),
        }
    }
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
        assert_eq!(root.config, Path::new("/etc/dns01/dns01.toml"));
        assert_eq!(root.state, Path::new("/var/lib/dns01"));
        let ann = Paths::of(false, variable);
        assert_eq!(ann.config, Path::new("/home/ann/.config/dns01/dns01.toml"));
        assert_eq!(ann.state, Path::new("/srv/state/dns01"));
    }
}
