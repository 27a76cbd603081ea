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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_twice_though_many_ask_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let take = || (0..50).map(|_| number(directory.path(), "thing")).collect::<Vec<_>>();
        let mut taken = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        taken.sort_unstable();
        assert_eq!(taken, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn networks_lie_in_the_loopback_block_apart_from_the_servers() {
        assert_eq!(Network(0).address(7), Ipv4Addr::new(127, 64, 0, 7));
        assert_eq!(Network(257).address(7), Ipv4Addr::new(127, 65, 1, 7));
    }
}
