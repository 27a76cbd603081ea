//! Orders (RFC 8555 §7.1.3): what is asked for, and how far it has come.

use super::problem::{Problem, lenient};
use super::renewal_info::CertificateId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use url::Url;

/// What a certificate is for (RFC 8555 §9.7.7).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identifier {
    /// The type: `dns`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name; in an order with `*.` in front for a wildcard, in an authorization without.
    pub value: String,
}

impl Identifier {
    /// A DNS name: A-labels, lower case, no trailing dot; `*.` in front for a wildcard.
    pub fn dns(name: impl Into<String>) -> Self {
        Self { kind: "dns".to_owned(), value: name.into() }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == "dns" { f.write_str(&self.value) } else { write!(f, "{} {}", self.kind, self.value) }
    }
}

/// What newOrder asks for (RFC 8555 §7.4).
#[derive(Clone, Debug, Default)]
pub struct NewOrder {
    /// The names, in any order.
    pub identifiers: Vec<Identifier>,
    /// One of the directory's profiles; the CA's default without.
    pub profile: Option<String>,
    /// The certificate this one takes the place of (RFC 9773 §5); sent only where the CA has
    /// renewal information, and dropped where the CA does not accept it.
    pub replaces: Option<CertificateId>,
    /// When the certificate shall begin to be valid; most CAs refuse it.
    pub not_before: Option<Timestamp>,
    /// When the certificate shall end; most CAs refuse it.
    pub not_after: Option<Timestamp>,
}

impl NewOrder {
    /// An order for `identifiers` with the CA's defaults.
    #[must_use]
    pub fn of(identifiers: Vec<Identifier>) -> Self {
        Self { identifiers, ..Self::default() }
    }
}

/// The body of newOrder.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewOrderPayload<'a> {
    identifiers: &'a [Identifier],
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
}

impl<'a> NewOrderPayload<'a> {
    pub(super) fn new(order: &'a NewOrder, with_replaces: bool) -> Self {
        Self {
            identifiers: &order.identifiers,
            profile: order.profile.as_deref(),
            replaces: order.replaces.as_ref().filter(|_| with_replaces).map(CertificateId::as_str),
            not_before: order.not_before,
            not_after: order.not_after,
        }
    }
}

/// An order as the CA last told it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Where the order lives: the one thing to keep.
    pub url: Url,
    /// How far it has come.
    pub status: OrderStatus,
    /// When it ends by itself.
    #[serde(default, deserialize_with = "lenient")]
    pub expires: Option<Timestamp>,
    /// What is asked for, in no particular order.
    pub identifiers: Vec<Identifier>,
    /// What has to be proven, in no particular order.
    #[serde(default)]
    pub authorizations: Vec<Url>,
    /// Where the request for the certificate goes.
    pub finalize: Url,
    /// Where the certificate is, once there is one.
    #[serde(default)]
    pub certificate: Option<Url>,
    /// Why it failed, if the CA says so here (Boulder does not).
    #[serde(default, deserialize_with = "lenient")]
    pub error: Option<Problem>,
    /// The profile the CA applies.
    #[serde(default, deserialize_with = "lenient")]
    pub profile: Option<String>,
    /// The certificate that the CA counts as replaced (RFC 9773 §5).
    #[serde(default, deserialize_with = "lenient")]
    pub replaces: Option<String>,
    /// How long the CA wants not to be asked again.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Order {
    /// True if the order is for exactly `identifiers`, in any order and letter case.
    #[must_use]
    pub fn is_for(&self, identifiers: &[Identifier]) -> bool {
        let sorted = |list: &[Identifier]| {
            let mut names: Vec<_> =
                list.iter().map(|i| (i.kind.clone(), i.value.to_ascii_lowercase())).collect();
            names.sort();
            names.dedup();
            names
        };
        sorted(&self.identifiers) == sorted(identifiers)
    }
}

/// How far an order has come (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OrderStatus {
    /// Something has to be proven.
    Pending,
    /// Everything is proven; the CA waits for the request.
    Ready,
    /// The CA is making the certificate.
    Processing,
    /// The certificate can be fetched.
    Valid,
    /// It failed or ended; only a new order helps.
    Invalid,
    /// A word this client does not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        })
    }
}

/// What a search of the orders list found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenOrder {
    /// An order for the same names that can still go on.
    Found(Box<Order>),
    /// The list has none.
    None,
    /// The CA keeps no list of orders (Boulder), so nobody can tell.
    NotListed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(extra: &str) -> Result<Order, serde_json::Error> {
        serde_json::from_str(&format!(
            r#"{{"url":"https://ca.test/order/1","status":"pending","identifiers":[{{"type":"dns","value":"a.test"}},
                {{"type":"dns","value":"*.A.test"}}],"finalize":"https://ca.test/finalize/1"{extra}}}"#
        ))
    }

    #[test]
    fn an_order_with_odd_decorations_is_read() {
        let order =
            order(r#","expires":"soon","error":"odd","profile":null,"replaces":{},"wonder":true"#).unwrap();
        assert_eq!(order.status, OrderStatus::Pending);
        assert_eq!(order.expires, None);
        assert_eq!(order.error, None);
    }

    #[test]
    fn the_names_of_an_order_are_compared_as_a_set() {
        let order = order("").unwrap();
        assert!(order.is_for(&[Identifier::dns("*.a.test"), Identifier::dns("a.test")]));
        assert!(!order.is_for(&[Identifier::dns("a.test")]));
        assert!(!order.is_for(&[Identifier::dns("a.test"), Identifier::dns("b.test")]));
    }

    #[test]
    fn new_order_carries_only_what_is_asked_for() {
        let new = NewOrder::of(vec![Identifier::dns("a.test")]);
        let json = serde_json::to_string(&NewOrderPayload::new(&new, true)).unwrap();
        assert_eq!(json, r#"{"identifiers":[{"type":"dns","value":"a.test"}]}"#);
    }
}
