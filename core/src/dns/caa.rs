//! Whether CAA records let the CA issue (RFC 8659, RFC 8657).

mod record;

use super::Inner;
use super::answer::wire_name;
use super::flight::Flights;
use super::recursive::LookupFailure;
use super::resolver::Resolver;
use super::zones::ConfiguredZones;
use super::{CheckMode, report};
use dns01_provider::name::Fqdn;
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use hickory_proto::rr::RecordType;
use record::{Objection, Record};
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
    /// No resolver can be reached from here, and the zone's check mode does without any.
    NotLookedUp {
        /// The name asked about.
        at: Fqdn,
        /// What went wrong.
        reason: String,
    },
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
        /// True if nobody answered at all, which the CA may not meet.
        silent: bool,
    },
}

impl CaaRefusal {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Forbidden { hint, .. } => hint.clone(),
            Self::LookupFailed { silent: true, .. } => {
                format!("no resolver answers: name one that does with `resolvers`; {}", report::other_modes())
            }
            Self::LookupFailed { at, .. } => format!(
                "the CA would meet the same failure: check the name servers of `{at}` (and DNSSEC there), or `resolvers`"
            ),
        }
    }
}

/// CAA look-ups of this process, each made once.
pub(super) type Known = Flights<(Fqdn, Vec<Resolver>), Arc<[Record]>, LookupFailure>;

/// Looks at the name and each of its parents at once; the lowest records count (RFC 8659 §3).
pub(super) async fn decide(
    dns: &Inner,
    question: &CaaQuestion,
    zones: &ConfiguredZones,
) -> Result<CaaDecision, CaaRefusal> {
    let resolvers = zones.public_view(&question.name);
    // Where nobody is asked about the zone, nobody may be there to ask about this either.
    let unwatched = matches!(
        zones.zone_of_host(&question.name).map(|zone| &zone.check),
        Some(CheckMode::Provider | CheckMode::Unwatched)
    );
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
            Err(LookupFailure { reason, silent: true }) if unwatched => {
                return Ok(CaaDecision::NotLookedUp { at, reason });
            }
            Err(LookupFailure { reason, silent }) => {
                return Err(CaaRefusal::LookupFailed { at, reason, silent });
            }
        }
    }
    Ok(CaaDecision::NoRecords)
}

async fn records_at(
    dns: &Inner,
    name: &Fqdn,
    resolvers: &[Resolver],
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

#[cfg(test)]
mod tests {
    use super::super::scripted::{Act, ScriptedServer, ZoneData, answer};
    use super::super::{ConfiguredZones, Dns, DnsSettings};
    use super::*;
    use hickory_proto::op::ResponseCode;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    const ACCOUNT: &str = "https://ca.test/acct/1";

    fn question(name: &str, wildcard: bool) -> CaaQuestion {
        CaaQuestion {
            name: Fqdn::parse(name).unwrap(),
            wildcard,
            ca_identities: vec!["ca.test".to_owned(), "also.ca.test".to_owned()],
            account_url: Some(ACCOUNT.to_owned()),
            method: "dns-01".to_owned(),
        }
    }

    /// Records as `flags tag value`.
    fn judged(records: &[&str], wildcard: bool) -> Result<CaaDecision, CaaRefusal> {
        let records: Vec<Record> = records
            .iter()
            .map(|record| {
                let mut parts = record.splitn(3, ' ');
                Record {
                    flags: parts.next().unwrap().parse().unwrap(),
                    tag: parts.next().unwrap().to_owned(),
                    value: parts.next().unwrap_or("").as_bytes().to_vec(),
                }
            })
            .collect();
        judge(&question("example.test", wildcard), &Fqdn::parse("example.test").unwrap(), &records)
    }

    fn allows(records: &[&str], wildcard: bool) -> bool {
        matches!(judged(records, wildcard), Ok(CaaDecision::Allowed(_) | CaaDecision::NoRecords))
    }

    #[test]
    fn a_record_that_names_the_ca_allows_and_others_do_not() {
        assert!(allows(&["0 issue other.test", "0 issue also.ca.test"], false));
        assert!(allows(&["0 ISSUE  CA.test ; "], false));
        assert!(!allows(&["0 issue other.test"], false));
        assert!(!allows(&["0 issue ;"], false));
        assert!(!allows(&["0 issue "], false));
        assert!(allows(&["0 iodef mailto:x@example.test"], false), "no record has a say");
    }

    #[test]
    fn issuewild_alone_counts_for_wildcards_and_never_for_others() {
        assert!(!allows(&["0 issue ca.test", "0 issuewild other.test"], true));
        assert!(allows(&["0 issue other.test", "0 issuewild ca.test"], true));
        assert!(allows(&["0 issue ca.test"], true));
        assert!(allows(&["0 issuewild other.test"], false));
    }

    #[test]
    fn an_unknown_critical_property_forbids_whatever_else_stands() {
        assert!(!allows(&["128 future x", "0 issue ca.test"], false));
        assert!(!allows(&["1 future x", "0 issue ca.test"], false));
        assert!(allows(&["0 future x", "0 issue ca.test"], false));
        assert!(allows(&["128 issue ca.test"], false));
    }

    #[test]
    fn account_and_method_are_held_against_the_parameters() {
        assert!(allows(&[&format!("0 issue ca.test; accounturi={ACCOUNT}")], false));
        assert!(!allows(&[&format!("0 issue ca.test; accounturi={ACCOUNT}2")], false));
        assert!(allows(&["0 issue ca.test; validationmethods=http-01,dns-01"], false));
        assert!(!allows(&["0 issue ca.test; validationmethods=http-01"], false));
        assert!(allows(&["0 issue ca.test; unknown=x"], false));
        assert!(!allows(&[&format!("0 issue ca.test; accounturi={ACCOUNT}; accounturi={ACCOUNT}")], false));
        assert!(!allows(&["0 issue ca.test; what is this"], false));
    }

    #[test]
    fn a_refusal_names_records_place_reason_and_remedy() {
        let refusal = judged(&["0 issue ca.test; validationmethods=http-01", "0 issue other.test"], false);
        let refusal = refusal.unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("`example.test`") && text.contains("0 issue \"other.test\""), "{text}");
        assert!(text.contains("validationmethods"), "the nearest miss is the reason: {text}");
        assert_eq!(refusal.hint(), "add `dns-01` to its `validationmethods`");
        let refusal = judged(&["0 issue other.test"], true).unwrap_err();
        assert_eq!(refusal.hint(), "add `example.test. CAA 0 issue \"ca.test\"`, or use another CA");
    }

    #[test]
    fn a_directory_without_identities_gives_a_warning_only() {
        let mut question = question("example.test", false);
        question.ca_identities.clear();
        let at = question.name.clone();
        let record =
            |value: &str| Record { flags: 0, tag: "issue".to_owned(), value: value.as_bytes().to_vec() };
        assert_eq!(
            judge(&question, &at, &[record("other.test")]),
            Ok(CaaDecision::IdentityUnknown { at: at.clone() })
        );
        assert!(judge(&question, &at, &[record(";")]).is_err(), "nobody may issue");
    }

    fn dns(resolver: &ScriptedServer) -> Dns {
        let settings = DnsSettings { resolvers: vec![resolver.address.into()], ..DnsSettings::default() };
        Dns::new(settings, TaskTracker::new(), CancellationToken::new())
    }

    #[tokio::test]
    async fn the_lowest_records_count_and_each_name_is_asked_once() {
        let zone = ZoneData::new(
            "test",
            "example.test CAA 0 issue \"other.test\"\na.example.test CAA 0 issue \"ca.test\"",
        );
        let resolver = ScriptedServer::serving(vec![zone]).await;
        let dns = dns(&resolver);
        let zones = ConfiguredZones::default();
        let allowed = dns.caa(&question("x.a.example.test", false), &zones).await.unwrap();
        let at = Fqdn::parse("a.example.test").unwrap();
        assert_eq!(allowed, CaaDecision::Allowed(CaaRule { at, record: "0 issue \"ca.test\"".to_owned() }));
        assert!(dns.caa(&question("b.example.test", false), &zones).await.is_err());
        let asked = resolver.asked();
        let parent = super::super::scripted::wire("example.test");
        assert_eq!(asked.iter().filter(|asked| *asked.name() == parent).count(), 1);
        assert!(asked.iter().all(|asked| asked.record_type() == RecordType::CAA));
    }

    #[tokio::test]
    async fn a_failure_below_the_first_records_forbids_and_above_does_not_matter() {
        let zone = ZoneData::new("test", "a.example.test CAA 0 issue \"ca.test\"");
        let zones = vec![zone];
        let failing = |at: &'static str| {
            let zones = zones.clone();
            move |asked: &super::super::scripted::Asked| {
                let fails = asked.name().to_ascii().eq_ignore_ascii_case(at);
                Act::Reply(if fails { asked.reply(ResponseCode::ServFail) } else { answer(&zones, asked) })
            }
        };
        let none = ConfiguredZones::default();
        let resolver = ScriptedServer::start(failing("x.a.example.test.")).await;
        let refusal = dns(&resolver).caa(&question("x.a.example.test", false), &none).await.unwrap_err();
        assert!(
            matches!(&refusal, CaaRefusal::LookupFailed { at, reason, silent: false } if at.as_str() == "x.a.example.test" && reason.contains("SERVFAIL")),
            "{refusal:?}"
        );
        let resolver = ScriptedServer::start(failing("example.test.")).await;
        assert!(dns(&resolver).caa(&question("x.a.example.test", false), &none).await.is_ok());
    }
}
