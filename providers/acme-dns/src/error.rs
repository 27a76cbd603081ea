//! What the server's refusals mean, and what else can go wrong: the one place where they become
//! a [`ProviderError`].

use crate::account::Account;
use crate::storage::StorageError;
use dns01_provider::http::Reply;
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// The server's own word for a refusal.
pub(crate) fn code(reply: &Reply) -> Option<String> {
    serde_json::from_slice::<Refusal>(reply.body()).ok().map(|refusal| refusal.error)
}

/// Why no account was made.
pub(crate) fn not_registered(reply: &Reply) -> ProviderError {
    let code = code(reply);
    match (reply.status(), code.as_deref()) {
        (400, Some("invalid_allowfrom_cidr")) => reply
            .error_of(ProviderErrorKind::Invalid, "the server does not take the networks of `allow_from`")
            .with_hint("write each as a network: `192.0.2.0/24`"),
        (404 | 405, _) => reply
            .error_of(ProviderErrorKind::Permission, "the server registers nobody")
            .with_hint("check `url`; where `disable_registration` is set, its operator makes the account"),
        _ => refused(reply),
    }
}

/// Why a value was not written.
pub(crate) fn not_updated(reply: &Reply, account: &Account) -> ProviderError {
    let code = code(reply);
    let error = match (reply.status(), code.as_deref()) {
        (401, _) => {
            reply.error_of(ProviderErrorKind::Auth, "the server does not let the account write").with_hint(
                "the server does not know the account any more, or its `allowfrom` does not hold this \
                 machine's address: take its entry out of the storage, and a new one is registered",
            )
        }
        (404 | 405, _) => reply
            .error_of(ProviderErrorKind::NotFound, "no acme-dns answers there")
            .with_hint("`url` is what stands before `/update`"),
        _ => refused(reply),
    };
    error.with_context("account", &account.fulldomain)
}

fn refused(reply: &Reply) -> ProviderError {
    match (reply.status(), code(reply)) {
        (400, Some(code)) => {
            reply.error_of(ProviderErrorKind::Invalid, &format!("the server refuses the request as `{code}`"))
        }
        _ => reply.error(),
    }
}

/// The account is there, and nothing leads to it.
pub(crate) fn no_alias(name: &Fqdn, account: &Account, fresh: bool, storage: &Path) -> ProviderError {
    let (storage, record) = (storage.display(), account.record(name));
    let message = if fresh {
        format!("an account for `{name}` was registered and stored in `{storage}`; no CNAME leads to it yet")
    } else {
        format!("no CNAME leads from `{name}` to its account in `{storage}`")
    };
    ProviderError::new(ProviderErrorKind::NotFound, message)
        .with_hint(format!("create this record, once and for all: `{record}`"))
}

/// A challenge name has no account, and none is to be made.
pub(crate) fn no_account(name: &Fqdn, storage: &Path) -> ProviderError {
    let message = format!("`{}` holds no account for `{name}`", storage.display());
    ProviderError::new(ProviderErrorKind::NotFound, message)
        .with_hint("set `register = true`, or add the account that the name is to use")
}

/// An alias leads to a name whose account is somebody else's.
pub(crate) fn strange_account(name: &Fqdn, storage: &Path) -> ProviderError {
    let message = format!("`{}` holds no account that may write `{name}`", storage.display());
    ProviderError::new(ProviderErrorKind::NotFound, message).with_hint(
        "the CNAME leads to an account that is kept elsewhere: add it to the storage, or let the CNAME lead \
         to one that is there",
    )
}

/// The service's two promises that dns01 cannot do without at other services.
pub(crate) fn not_a_challenge() -> ProviderError {
    let message = "acme-dns takes the values of dns-01 challenges only: 43 characters of base64url";
    ProviderError::new(ProviderErrorKind::Invalid, message)
}

pub(crate) fn not_removable() -> ProviderError {
    let message = "acme-dns removes no values; the next two take the place of what stands there";
    ProviderError::new(ProviderErrorKind::Invalid, message)
}

impl From<StorageError> for ProviderError {
    fn from(error: StorageError) -> Self {
        let kind = match &error {
            StorageError::Busy { .. } => ProviderErrorKind::Unavailable,
            _ => ProviderErrorKind::Invalid,
        };
        let hint = match &error {
            StorageError::Form { .. } => "it is one JSON object, with an account for each domain",
            StorageError::Busy { .. } => "another program is registering accounts",
            StorageError::Read { .. } | StorageError::Write { .. } => {
                "let this user read and write the file and its folder"
            }
        };
        Self::new(kind, error.to_string()).with_hint(hint).with_source(error)
    }
}
