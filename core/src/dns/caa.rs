//! Whether CAA records let the CA issue (RFC 8659, RFC 8657).

use super::Dns;
use super::delegation::ConfiguredZones;
use dns01_provider::name::Fqdn;

/// What is to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaQuestion {
    /// The name of the identifier, without `*.`.
    pub name: Fqdn,
    /// Whether a wildcard certificate is wanted.
    pub wildcard: bool,
    /// The directory's `caaIdentities`; empty if it has none.
    pub ca_identities: Vec<String>,
    /// Our account at that CA.
    pub account_url: String,
    /// The validation method, `dns-01` for instance (RFC 8657 §4).
    pub method: String,
}

/// That nothing forbids the issuance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaaDecision {
    /// No CAA record concerns this request.
    NoRecords,
    /// A record allows it.
    Allowed(CaaRule),
    /// There are records, but the CA's directory does not say which names it goes by.
    IdentityUnknown {
        /// The name the records stand at.
        at: Fqdn,
    },
}

/// A CAA record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaRule {
    /// The name it stands at.
    pub at: Fqdn,
    /// The record as master files write it: `0 issue "letsencrypt.org"`.
    pub record: String,
}

/// Why the CA would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaaRefusal {
    /// The records at a name do not allow it.
    #[error("CAA at `{at}` forbids it: {}", records.join(", "))]
    Forbidden {
        /// The name the records stand at.
        at: Fqdn,
        /// All records there that have a say, as master files write them.
        records: Vec<String>,
        /// Why none of them allows it.
        reason: String,
        /// What to add or change.
        hint: String,
    },
    /// The look-up failed, which forbids as well, here and at the CA.
    #[error("CAA cannot be looked up at `{at}`: {reason}")]
    LookupFailed {
        /// The name asked about.
        at: Fqdn,
        /// What went wrong.
        reason: String,
    },
}

impl CaaRefusal {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Forbidden { hint, .. } => hint.clone(),
            Self::LookupFailed { at, .. } => format!(
                "the CA would meet the same failure: check the name servers of `{at}` (and DNSSEC there), or `resolvers`"
            ),
        }
    }
}

pub(super) async fn decide(
    _dns: &Dns,
    _question: &CaaQuestion,
    _zones: &ConfiguredZones,
) -> Result<CaaDecision, CaaRefusal> {
    Ok(CaaDecision::NoRecords)
}
