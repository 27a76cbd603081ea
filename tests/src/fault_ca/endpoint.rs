//! Which ACME resource a request is for, told by Pebble's paths.

/// A kind of ACME resource (RFC 8555 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET` of the directory.
    Directory,
    /// A nonce asked for.
    NewNonce,
    /// An account created or found.
    NewAccount,
    /// An account read, updated or deactivated.
    Account,
    /// A new order.
    NewOrder,
    /// A pre-authorization (RFC 8555 §7.4.1), which Pebble does not have.
    NewAuthz,
    /// An order read.
    Order,
    /// The orders list of an account.
    OrdersList,
    /// An authorization read or deactivated.
    Authz,
    /// A challenge read or answered.
    Challenge,
    /// A certificate request sent in.
    Finalize,
    /// A certificate downloaded, alternates included.
    Certificate,
    /// A revocation.
    Revoke,
    /// An account key rolled over.
    KeyChange,
    /// Renewal information (RFC 9773).
    RenewalInfo,
    /// Anything else.
    Other,
}

/// Pebble's paths, by their beginnings, and those of the fake pre-authorization.
const PATHS: [(&str, Endpoint); 19] = [
    ("/dir", Endpoint::Directory),
    ("/nonce-plz", Endpoint::NewNonce),
    ("/sign-me-up", Endpoint::NewAccount),
    ("/my-account/", Endpoint::Account),
    ("/order-plz", Endpoint::NewOrder),
    ("/my-order/", Endpoint::Order),
    ("/list-orderz/", Endpoint::OrdersList),
    ("/authZ/", Endpoint::Authz),
    ("/chalZ/", Endpoint::Challenge),
    ("/finalize-order/", Endpoint::Finalize),
    ("/certZ/", Endpoint::Certificate),
    ("/revoke-cert", Endpoint::Revoke),
    ("/rollover-account-key", Endpoint::KeyChange),
    ("/fake/new-authz", Endpoint::NewAuthz),
    ("/fake/authz/", Endpoint::Authz),
    ("/fake/challenge/", Endpoint::Challenge),
    ("/fake/order/", Endpoint::Order),
    ("/fake/finalize/", Endpoint::Finalize),
    ("/fake/certificate/", Endpoint::Certificate),
];

impl Endpoint {
    /// What stands at `path`.
    #[must_use]
    pub fn of(path: &str) -> Self {
        // The renewal information's path carries a draft's number, which changes with Pebble.
        if path.contains("/renewalInfo") {
            return Self::RenewalInfo;
        }
        PATHS.iter().find(|(start, _)| path.starts_with(start)).map_or(Self::Other, |(_, endpoint)| *endpoint)
    }
}
