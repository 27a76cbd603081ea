//! The ACME client (RFC 8555): speaks to a CA, and knows nothing of DNS.
//!
//! [`Client`] is a CA, [`Account`] is us at that CA; all else is plain data. The order of
//! things:
//!
//! ```text
//! Client::create_account → Account::new_order → fetch_authorization → (publish) → respond
//!   → wait_ready → finalize → wait_valid → download → CertificateChain::parse_and_check
//! ```
//!
//! | file | what stands there |
//! |---|---|
//! | `directory`, `preset` | where a CA does what; CAs known by name |
//! | `client` | a CA; what it tells without a signature |
//! | `transport`, `reach`, `reply`, `nonce`, `jws`, `limits`, `shared` | one signed request, with all its repetitions |
//! | `signer` | account keys |
//! | `registration`, `key_change` | how a key gets an account, and an account another key |
//! | `account`, `order`, `authorization`, `challenge` | what RFC 8555 calls so |
//! | `agreement`, `ordering`, `opening`, `authorizing`, `waiting`, `issuance`, `revocation` | what an account does with them |
//! | `certificate`, `renewal_info` | what came of it, checked; when to renew |
//! | `problem`, `error` | what went wrong |

mod account;
mod agreement;
mod authorization;
mod authorizing;
mod certificate;
mod challenge;
mod client;
mod directory;
mod error;
#[cfg(test)]
mod fake_ca;
mod issuance;
mod jws;
mod key_change;
mod limits;
mod nonce;
mod opening;
mod order;
mod ordering;
mod preset;
mod problem;
mod reach;
mod registration;
mod renewal_info;
mod reply;
mod revocation;
mod shared;
mod signer;
mod transport;
mod waiting;

pub use account::{Account, AccountState, AccountUrl};
pub use authorization::{Authorization, AuthorizationStatus};
pub use certificate::{CertificateChain, CertificateError};
pub use challenge::{
    Challenge, ChallengeStatus, ChallengeTask, ChallengeType, IgnoredChallenge, account_label, dns_value,
    persist_value,
};
pub use client::Client;
pub use directory::{Directory, Meta};
pub use error::{AcmeError, LimitScope, NameFailure, Operation, Unreachable};
pub use limits::Limits;
pub use order::{Identifier, NewOrder, OpenOrder, Order, OrderStatus};
pub use preset::{ExternalAccount, PRESETS, Preset};
pub use problem::{Problem, ProblemKind};
pub use reach::CaEndpoint;
pub use registration::{ExternalAccountBinding, NewAccount, Registration};
pub use renewal_info::{CertificateId, RenewalInfo};
pub use revocation::RevocationReason;
pub(crate) use shared::{AsAcme, Shared};
pub use signer::{Algorithm, Jwk, Signer, SignerError, SoftwareKey};

#[cfg(test)]
mod tests {
    #[test]
    fn this_room_names_neither_dns_nor_records() {
        let rooms = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/acme")).unwrap();
        let mut files: Vec<_> = rooms.map(|entry| entry.unwrap().path()).collect();
        files.push(concat!(env!("CARGO_MANIFEST_DIR"), "/src/acme.rs").into());
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for room in ["dns", "records"] {
                let named =
                    text.contains(&format!("crate::{room}")) || text.contains(&format!("dns01_core::{room}"));
                assert!(!named, "{} names {room}", file.display());
            }
        }
    }
}
