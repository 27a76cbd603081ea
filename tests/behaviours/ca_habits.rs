//! What CAs do within the rules: refuse nonces, reuse authorizations, ask for patience, bind
//! accounts, offer profiles and several chains, and offer challenges that nobody knows.

mod authorizations;
mod chains;
mod challenges;
mod external_accounts;
mod nonces;
mod patience;
mod profiles;

use dns01_tests::rig::Pebble;

/// How often `pebble` was asked for `kind`.
fn count(pebble: &Pebble, kind: &str) -> usize {
    pebble.requests().iter().filter(|(_, asked)| asked == kind).count()
}
