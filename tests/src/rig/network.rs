//! Addresses of a test's own.

use std::net::Ipv4Addr;
use std::path::Path;

/// A /24 of 127.0.0.0/8 that nobody else uses.
#[derive(Clone, Copy, Debug)]
pub struct Network(usize);

impl Network {
    pub(super) fn allocate(directory: &Path) -> Self {
        Self(number(directory, "network"))
    }

    /// Host `last` of the network.
    #[must_use]
    pub fn address(self, last: u8) -> Ipv4Addr {
        let octet = |number: usize| u8::try_from(number).expect("fewer than 30000 networks are ever taken");
        Ipv4Addr::new(127, octet(64 + self.0 / 256), octet(self.0 % 256), last)
    }
}

/// The next unused number of `kind`. A directory can be created only once, so this holds
/// between processes too.
pub(super) fn number(directory: &Path, kind: &str) -> usize {
    let folder = directory.join("taken");
    std::fs::create_dir_all(&folder).expect("the rig's directory is writable");
    let free = |number: &usize| std::fs::create_dir(folder.join(format!("{kind}.{number}"))).is_ok();
    (0..30_000).find(free).expect("fewer than 30000 numbers are ever taken")
}
