//! What the key may do, found by updates that change nothing.
//!
//! The removal of a record that is not there is no change, and is refused all the same where the
//! key may not make it. No probe relies on a prerequisite that fails: servers differ in whether
//! they look at prerequisites or at permissions first (RFC 2136 §3.2, §3.3).

use crate::api::{self, Session};
use crate::error::{ShownName, UpdateError};
use dns01_provider::ScopeReport;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::rdata::{A, CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData};
use std::net::Ipv4Addr;

/// Names that one probe asks for at once.
const NAMES_AT_ONCE: usize = 200;
/// The label that challenges have (RFC 8555 §8.4).
const CHALLENGE_LABEL: &str = "_acme-challenge";
/// An address that belongs to nobody (RFC 5737 §3).
const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// What was found in one zone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Needed and refused.
    missing: Vec<String>,
    /// Allowed and not needed.
    excess: Vec<String>,
    /// What was tried and is as it should be.
    probed: Vec<String>,
    /// Needed, and no answer tells whether it is allowed.
    unclear: Option<String>,
}

/// The server's word on a probe.
enum Verdict {
    Allowed,
    Refused,
    /// It stumbled over something else.
    Unclear(UpdateError),
}

/// Tries in the zone `apex` what is needed, TXT at `names`, and what is not.
pub(crate) async fn probe(
    session: &mut Session,
    apex: &Name,
    names: &[Name],
) -> Result<Findings, UpdateError> {
    let mut findings = Findings::default();
    // Whatever else is refused: is the key known, and has the server the zone?
    match session.update(api::empty_update(apex)).await {
        Ok(()) => {}
        Err(error) if error.passes() => return Err(error),
        Err(error) => {
            findings
                .missing
                .push(format!("every update of zone `{}` is refused: {error}", ShownName::from(apex)));
            return Ok(findings);
        }
    }
    let mut prober = Prober { session, apex, stranger: stranger() };
    prober.needed(names, &mut findings).await?;
    prober.other_names(names, &mut findings).await?;
    prober.other_types(names, &mut findings).await?;
    prober.unsigned(names, &mut findings).await?;
    Ok(findings)
}

/// The verdict on all zones together.
pub(crate) fn report(zones: Vec<Findings>, signed: bool) -> ScopeReport {
    let mut all = Findings::default();
    for zone in zones {
        all.missing.extend(zone.missing);
        all.excess.extend(zone.excess);
        all.probed.extend(zone.probed);
        all.unclear = all.unclear.or(zone.unclear);
    }
    if !signed && all.missing.is_empty() {
        all.excess.insert(
            0,
            "updates are not signed: whoever sends from this machine's address may make them".to_owned(),
        );
    }
    match all.unclear {
        Some(reason) if all.missing.is_empty() && all.excess.is_empty() => ScopeReport::CannotTell { reason },
        _ => {
            all.probed.push("which other zones of the server the key may write cannot be asked".to_owned());
            ScopeReport::of(all.missing, all.excess, all.probed)
        }
    }
}

struct Prober<'a> {
    session: &'a mut Session,
    apex: &'a Name,
    /// A label that nobody has used.
    stranger: String,
}

impl Prober<'_> {
    /// TXT at each of `names`: many at once, one by one only where something is refused.
    async fn needed(&mut self, names: &[Name], findings: &mut Findings) -> Result<(), UpdateError> {
        for some in names.chunks(NAMES_AT_ONCE) {
            if some.len() > 1 && matches!(self.may_write(some).await?, Verdict::Allowed) {
                continue;
            }
            for name in some {
                let shown = ShownName::from(name);
                match self.may_write(std::slice::from_ref(name)).await? {
                    Verdict::Allowed => {}
                    Verdict::Refused => findings.missing.push(format!("it may not write TXT at `{shown}`")),
                    Verdict::Unclear(error) => {
                        findings.unclear = Some(format!("TXT at `{shown}` was answered with {error}"));
                    }
                }
            }
        }
        let count = names.len();
        findings.probed.push(format!(
            "TXT at {count} needed name{} in `{}`",
            plural(count),
            ShownName::from(self.apex)
        ));
        Ok(())
    }

    /// TXT at names that are not needed: any name, other hosts' challenges, below a needed one.
    async fn other_names(&mut self, names: &[Name], findings: &mut Findings) -> Result<(), UpdateError> {
        let apex = ShownName::from(self.apex);
        let anywhere = below(&self.stranger, self.apex);
        if let Some(name) = &anywhere
            && self.is_allowed(name).await?
        {
            let shown = ShownName::from(name);
            findings.excess.push(format!("it may write TXT at any name of `{apex}` (tried at `{shown}`)"));
            return Ok(());
        }
        let others = anywhere.as_ref().and_then(|host| below(CHALLENGE_LABEL, host));
        let of_apex = below(CHALLENGE_LABEL, self.apex);
        let deeper = names.first().and_then(|name| below(&self.stranger, name));
        for (name, what) in [
            (others, "it may write the challenges of every host"),
            (
                of_apex,
                "it may write the challenge of the apex, and so get certificates for it and its wildcard",
            ),
            (deeper, "it may write TXT below a needed name"),
        ] {
            let Some(name) = name.filter(|name| !names.contains(name)) else { continue };
            let shown = ShownName::from(&name);
            if self.is_allowed(&name).await? {
                findings.excess.push(format!("{what} (tried at `{shown}`)"));
            } else {
                findings.probed.push(format!("TXT at `{shown}`, refused"));
            }
        }
        Ok(())
    }

    /// Other types, at a needed name and at one of nobody's.
    async fn other_types(&mut self, names: &[Name], findings: &mut Findings) -> Result<(), UpdateError> {
        let nowhere =
            Name::from_ascii(format!("{}.invalid.", self.stranger)).unwrap_or_else(|_| Name::root());
        let types =
            [RData::A(A(NOBODY)), RData::CNAME(CNAME(nowhere.clone())), RData::MX(MX::new(0, nowhere))];
        let anywhere = below(&self.stranger, self.apex);
        for name in names.first().into_iter().chain(&anywhere) {
            let (mut allowed, mut refused) = (Vec::new(), Vec::new());
            for data in &types {
                let kind = data.record_type();
                let mut message = api::empty_update(self.apex);
                // Somebody's record of this type is not risked, unlikely as it is to be this one.
                message.add_answer(api::nothing_at(name, kind));
                message.add_authority(api::removal(name, data.clone()));
                match self.verdict(message).await? {
                    Verdict::Allowed => allowed.push(kind.to_string()),
                    Verdict::Refused => refused.push(kind.to_string()),
                    Verdict::Unclear(_) => {}
                }
            }
            let shown = ShownName::from(name);
            if !allowed.is_empty() {
                findings.excess.push(format!("it may write {} at `{shown}`", allowed.join(", ")));
            }
            if !refused.is_empty() {
                findings.probed.push(format!("{} at `{shown}`, refused", refused.join(", ")));
            }
        }
        Ok(())
    }

    /// The same without the key: a server that goes by the address too needs none.
    async fn unsigned(&mut self, names: &[Name], findings: &mut Findings) -> Result<(), UpdateError> {
        if !self.session.has_key() {
            return Ok(());
        }
        let result = self.session.update_unsigned(self.nothing_removed(&names[..1.min(names.len())])).await;
        match verdict(result)? {
            Verdict::Allowed => findings
                .excess
                .push("the server takes updates from this machine's address without any key".to_owned()),
            _ => findings.probed.push("an update without the key, refused".to_owned()),
        }
        Ok(())
    }

    async fn is_allowed(&mut self, name: &Name) -> Result<bool, UpdateError> {
        Ok(matches!(self.may_write(std::slice::from_ref(name)).await?, Verdict::Allowed))
    }

    async fn may_write(&mut self, names: &[Name]) -> Result<Verdict, UpdateError> {
        self.verdict(self.nothing_removed(names)).await
    }

    async fn verdict(&mut self, message: Message) -> Result<Verdict, UpdateError> {
        verdict(self.session.update(message).await)
    }

    /// The removal, at each of `names`, of a TXT value that nobody has ever written.
    fn nothing_removed(&self, names: &[Name]) -> Message {
        let mut message = api::empty_update(self.apex);
        for name in names {
            message.add_authority(api::removal(name, RData::TXT(TXT::new(vec![self.stranger.clone()]))));
        }
        message
    }
}

fn verdict(result: Result<(), UpdateError>) -> Result<Verdict, UpdateError> {
    match result {
        Ok(()) => Ok(Verdict::Allowed),
        Err(error) if error.passes() => Err(error),
        // Knot says BADKEY of a key that it knows and that may not do this.
        Err(
            UpdateError::Response(ResponseCode::Refused | ResponseCode::NotAuth)
            | UpdateError::Tsig { error: TsigError::BadKey, .. },
        ) => Ok(Verdict::Refused),
        Err(error) => Ok(Verdict::Unclear(error)),
    }
}

/// A label that nobody has used.
fn stranger() -> String {
    format!("dns01-scope-{:016x}", rand::random::<u64>())
}

/// `label` in front of `name`, if there is room for it.
fn below(label: &str, name: &Name) -> Option<Name> {
    name.prepend_label(label).ok()
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excess(text: &str) -> Findings {
        Findings { excess: vec![text.to_owned()], ..Findings::default() }
    }

    #[test]
    fn findings_of_all_zones_make_one_verdict() {
        let probed = || Findings { probed: vec!["p".to_owned()], ..Findings::default() };
        let unclear = || Findings { unclear: Some("FORMERR".to_owned()), ..Findings::default() };
        let missing = || Findings { missing: vec!["m".to_owned()], ..Findings::default() };
        assert!(matches!(report(vec![probed(), probed()], true), ScopeReport::ExactlyEnough { .. }));
        assert!(matches!(report(vec![probed(), excess("e")], true), ScopeReport::MoreThanNeeded { .. }));
        assert!(matches!(report(vec![missing(), excess("e")], true), ScopeReport::NotEnough { .. }));
        assert!(matches!(report(vec![probed(), unclear()], true), ScopeReport::CannotTell { .. }));
        assert!(matches!(report(vec![unclear(), excess("e")], true), ScopeReport::MoreThanNeeded { .. }));
    }

    #[test]
    fn without_a_key_it_is_always_more_than_needed() {
        let ScopeReport::MoreThanNeeded { findings } = report(vec![Findings::default()], false) else {
            panic!("unsigned updates are anybody's")
        };
        assert!(findings[0].contains("not signed"), "{findings:?}");
    }
}
