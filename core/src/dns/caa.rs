//! Whether CAA records let the CA issue (RFC 8659, RFC 8657).

use super::Inner;
use super::answer::wire_name;
use super::delegation::ConfiguredZones;
use super::flight::Flights;
use super::recursive::LookupFailure;
use dns01_provider::name::Fqdn;
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use hickory_proto::rr::rdata::CAA;
use hickory_proto::rr::{RData, RecordType};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaQuestion {
    /// The name of the identifier, without `*.`.
    pub name: Fqdn,
    /// Whether a wildcard certificate is wanted.
    pub wildcard: bool,
    /// The directory's `caaIdentities`; empty if it has none.
    pub ca_identities: Vec<String>,
    /// Our account at that CA; `None` before there is one, when `accounturi` is not held
    /// against it.
    pub account_url: Option<String>,
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
    #[error("CAA at `{at}` forbids it, for {reason}: {}", records.join(", "))]
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

/// CAA look-ups of this process, each made once.
pub(super) type Known = Flights<(Fqdn, Vec<SocketAddr>), Arc<[Record]>, LookupFailure>;

/// A CAA record (RFC 8659 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    flags: u8,
    tag: String,
    value: Vec<u8>,
}

/// Looks at the name and each of its parents at once; the lowest records count (RFC 8659 §3).
pub(super) async fn decide(
    dns: &Inner,
    question: &CaaQuestion,
    zones: &ConfiguredZones,
) -> Result<CaaDecision, CaaRefusal> {
    let resolvers = zones.containing(&question.name).map_or(&[][..], |zone| &zone.resolvers);
    let mut tree: FuturesOrdered<_> = question
        .name
        .ancestors()
        .map(|name| async move {
            let records = records_at(dns, &name, resolvers).await;
            (name, records)
        })
        .collect();
    while let Some((at, records)) = tree.next().await {
        match records {
            Ok(records) if records.is_empty() => {}
            Ok(records) => return judge(question, &at, &records),
            Err(LookupFailure(reason)) => return Err(CaaRefusal::LookupFailed { at, reason }),
        }
    }
    Ok(CaaDecision::NoRecords)
}

async fn records_at(
    dns: &Inner,
    name: &Fqdn,
    resolvers: &[SocketAddr],
) -> Result<Arc<[Record]>, LookupFailure> {
    let key = (name.clone(), resolvers.to_vec());
    let work = || {
        let (recursive, (name, resolvers)) = (dns.recursive.clone(), key.clone());
        async move {
            let found = recursive.lookup(&resolvers, &wire_name(&name), RecordType::CAA).await?;
            Ok(found.iter().filter_map(Record::read).collect())
        }
        .boxed()
    };
    dns.caa.get(&key, work).await
}

/// Applies the records at one name.
fn judge(question: &CaaQuestion, at: &Fqdn, records: &[Record]) -> Result<CaaDecision, CaaRefusal> {
    let forbidden = |records: Vec<&Record>, reason: String, hint: String| CaaRefusal::Forbidden {
        at: at.clone(),
        records: records.into_iter().map(Record::to_string).collect(),
        reason,
        hint,
    };
    if let Some(record) = records.iter().find(|record| record.is_critical() && !record.is_known()) {
        let reason = "it has a critical property that CAs may not know".to_owned();
        return Err(forbidden(
            vec![record],
            reason,
            format!("take the record away at `{at}`, or its critical flag"),
        ));
    }
    let tag = relevant_tag(question.wildcard, records);
    let relevant: Vec<&Record> =
        records.iter().filter(|record| record.tag.eq_ignore_ascii_case(tag)).collect();
    if relevant.is_empty() {
        return Ok(CaaDecision::NoRecords);
    }
    if question.ca_identities.is_empty() && relevant.iter().any(|record| record.issuer().is_some()) {
        return Ok(CaaDecision::IdentityUnknown { at: at.clone() });
    }
    let mut objection = None;
    for record in &relevant {
        match record.objection(question) {
            None => return Ok(CaaDecision::Allowed(CaaRule { at: at.clone(), record: record.to_string() })),
            Some(found) => objection = objection.max(Some(found)),
        }
    }
    let objection = objection.unwrap_or(Objection::OtherIssuer);
    let hint = objection.hint(question, tag, at);
    Err(forbidden(relevant, objection.to_string(), hint))
}

/// `issuewild` where a wildcard is wanted and any such record stands; `issue` otherwise
/// (RFC 8659 §4.3).
fn relevant_tag(wildcard: bool, records: &[Record]) -> &'static str {
    let any_wild = records.iter().any(|record| record.tag.eq_ignore_ascii_case("issuewild"));
    if wildcard && any_wild { "issuewild" } else { "issue" }
}

/// Why a record does not allow an issuance; the nearer to allowing it, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Objection {
    OtherIssuer,
    Malformed,
    Method,
    Account,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherIssuer => "no record names this CA",
            Self::Malformed => "the record that names this CA is malformed",
            Self::Method => "the record that names this CA does not list the method in `validationmethods`",
            Self::Account => "the record that names this CA has another account in `accounturi`",
        })
    }
}

impl Objection {
    fn hint(self, question: &CaaQuestion, tag: &str, at: &Fqdn) -> String {
        let identity = question.ca_identities.first().map_or("the CA's domain", String::as_str);
        match self {
            Self::OtherIssuer => format!("add `{at}. CAA 0 {tag} \"{identity}\"`, or use another CA"),
            Self::Malformed => format!("write it as `{at}. CAA 0 {tag} \"{identity}\"`"),
            Self::Method => format!("add `{}` to its `validationmethods`", question.method),
            Self::Account => match &question.account_url {
                Some(account) => format!("set its `accounturi` to `{account}`, or add a record with that"),
                None => "register an account first".to_owned(),
            },
        }
    }
}

impl Record {
    fn read(data: &RData) -> Option<Self> {
        match data {
            RData::CAA(CAA { issuer_critical, reserved_flags, tag, value, .. }) => Some(Self {
                flags: u8::from(*issuer_critical) << 7 | reserved_flags & 0x7f,
                tag: tag.clone(),
                value: value.clone(),
            }),
            _ => None,
        }
    }

    /// The first bit is meant; some took the 1 in old examples for it, and CAs honour both.
    fn is_critical(&self) -> bool {
        self.flags & 0x81 != 0
    }

    fn is_known(&self) -> bool {
        ["issue", "issuewild", "iodef", "issuemail"].iter().any(|tag| self.tag.eq_ignore_ascii_case(tag))
    }

    /// The issuer it names, if it names one.
    fn issuer(&self) -> Option<&str> {
        let value = std::str::from_utf8(&self.value).ok()?;
        let issuer = value.split(';').next()?.trim_matches(SPACE);
        (!issuer.is_empty()).then_some(issuer)
    }

    /// Why it does not allow what is asked; `None` if it does.
    fn objection(&self, question: &CaaQuestion) -> Option<Objection> {
        let named = self.issuer().is_some_and(|issuer| {
            question.ca_identities.iter().any(|identity| identity.eq_ignore_ascii_case(issuer))
        });
        if !named {
            return Some(Objection::OtherIssuer);
        }
        let Some(parameters) = self.parameters() else {
            return Some(Objection::Malformed);
        };
        let parameter = |wanted: &str| {
            parameters.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
        };
        // RFC 8657 §3: the whole URL, compared octet by octet.
        if let (Some(wanted), Some(account)) = (parameter("accounturi"), &question.account_url)
            && wanted != account
        {
            return Some(Objection::Account);
        }
        // RFC 8657 §4.
        let listed = |methods: &str| methods.split(',').any(|method| method.trim() == question.method);
        parameter("validationmethods").filter(|methods| !listed(methods)).map(|_| Objection::Method)
    }

    /// The parameters after the issuer; `None` if they are malformed or one is there twice,
    /// which makes the record unsatisfiable.
    fn parameters(&self) -> Option<Vec<(&str, &str)>> {
        let value = std::str::from_utf8(&self.value).ok()?;
        let mut parameters: Vec<(&str, &str)> = Vec::new();
        let mut parts: Vec<&str> = value.split(';').skip(1).collect();
        // One semicolon at the end is usual.
        if parts.last().is_some_and(|last| last.trim_matches(SPACE).is_empty()) {
            parts.pop();
        }
        for part in parts {
            let (tag, value) = part.split_once('=')?;
            let (tag, value) = (tag.trim_matches(SPACE), value.trim_matches(SPACE));
            let sound = !tag.is_empty()
                && tag.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
                && value.bytes().all(|octet| octet.is_ascii_graphic());
            let twice = parameters.iter().any(|(other, _)| other.eq_ignore_ascii_case(tag));
            if !sound || twice {
                return None;
            }
            parameters.push((tag, value));
        }
        Some(parameters)
    }
}

/// What may stand around the parts of a value (RFC 8659 §4.2: WSP).
const SPACE: [char; 2] = [' ', '\t'];

/// The record as master files write it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} \"", self.flags, self.tag)?;
        for octet in self.value.iter().copied() {
            match octet {
                b'"' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                b' '..=b'~' => write!(f, "{}", char::from(octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        f.write_str("\"")
    }
}
