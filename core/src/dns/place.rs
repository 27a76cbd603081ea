//! What the servers of a zone show at one name, before anything is written there.

use super::answer::{Alias, TxtAnswer, code_name, shown_name, wire_name};
use super::delegation::ZoneServers;
use super::message::Question;
use super::survey::{Heard, ask_every, ask_txt, said, said_of_alias};
use super::zone_cut::{check_cut, descend};
use super::zones::ConfiguredZones;
use super::{DnsError, Inner};
use dns01_provider::name::{Fqdn, ZoneName};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use std::sync::Arc;

/// A name in its zone, as the zone's servers show it.
pub(super) struct Place {
    pub(super) name: Fqdn,
    pub(super) servers: Arc<ZoneServers>,
    /// Whether the zone is configured, or served by the credential.
    pub(super) writable: bool,
    pub(super) alias: Option<Alias>,
    pub(super) exists: bool,
}

impl Place {
    /// Asks every server of the zone that `name` is in: the configured one, or the one found.
    pub(super) async fn find(dns: &Inner, name: &Fqdn, zones: &ConfiguredZones) -> Result<Self, DnsError> {
        let configured = zones.containing(name);
        let servers = match configured {
            Some(zone) => dns.delegations.of_configured(zone).await?,
            None => descend(dns, name).await?,
        };
        let question = Question::new(wire_name(name), RecordType::TXT);
        let heard = ask_every(&dns.client, &servers, &question).await;
        let answers = usable(&servers.zone, name, &question.name, &heard)?;
        if let Some(zone) = configured {
            check_cut(dns, zone, &servers, name, &answers).await?;
        }
        let alias = agreed_alias(&servers.zone, name, &answers)?;
        let exists = answers.iter().any(|(_, answer)| answer.code == ResponseCode::NoError);
        let writable = configured.is_some() || zones.serves(&servers.zone);
        Ok(Self { name: name.clone(), servers, writable, alias, exists })
    }

    /// True if a sibling that nobody made has the same alias.
    pub(super) async fn is_from_wildcard(&self, dns: &Inner, alias: &Alias) -> Result<bool, DnsError> {
        let Some(parent) = self.name.parent().filter(|parent| self.servers.zone.contains(parent)) else {
            return Ok(false);
        };
        let sibling = self.ask(dns, &stranger_below(&parent)).await?;
        Ok(sibling.aliases.first().is_some_and(|other| other.to == alias.to))
    }

    /// The host above this name, if only a wildcard makes it exist: then a name below it that
    /// nobody made exists too, and so does such a name beside it.
    pub(super) async fn host_from_wildcard(&self, dns: &Inner) -> Result<Option<Fqdn>, DnsError> {
        let apex = self.servers.zone.apex();
        let Some(host) = self.name.parent().filter(|host| host != apex && host.is_at_or_below(apex)) else {
            return Ok(None);
        };
        let Some(above) = host.parent() else { return Ok(None) };
        if !self.ask(dns, &stranger_below(&host)).await?.shows_something() {
            return Ok(None);
        }
        let beside = self.ask(dns, &stranger_below(&above)).await?.shows_something();
        Ok(beside.then_some(host))
    }

    async fn ask(&self, dns: &Inner, name: &Name) -> Result<TxtAnswer, DnsError> {
        ask_txt(&dns.client, &self.servers, name).await
    }
}

impl TxtAnswer {
    fn shows_something(&self) -> bool {
        self.code == ResponseCode::NoError || !self.aliases.is_empty()
    }
}

/// A name below `parent` that nobody has made.
fn stranger_below(parent: &Fqdn) -> Name {
    let label = format!("dns01-{:016x}", rand::random::<u64>());
    // A name too long for this has no room for a challenge label either.
    wire_name(parent).prepend_label(label).unwrap_or_else(|_| wire_name(parent))
}

/// The answers that say something of the name, by server.
fn usable<'a>(
    zone: &ZoneName,
    name: &Fqdn,
    wire: &Name,
    heard: &'a [Heard],
) -> Result<Vec<(&'a Heard, TxtAnswer)>, DnsError> {
    let answers: Vec<_> = heard
        .iter()
        .filter_map(|heard| {
            let reply = heard.result.as_ref().ok()?;
            let answer = TxtAnswer::read(wire, &reply.message);
            answer.is_usable().then_some((heard, answer))
        })
        .collect();
    if answers.is_empty() {
        let details = heard
            .iter()
            .map(|heard| format!("{} {}: {}", heard.server, heard.address.ip(), said(&heard.result)))
            .collect::<Vec<_>>();
        let details = match details.is_empty() {
            true => "it has no name server with an address".to_owned(),
            false => details.join("; "),
        };
        return Err(DnsError::NoAnswer { zone: zone.to_string(), name: name.to_string(), details });
    }
    if let Some((_, answer)) = answers.iter().find(|(_, answer)| answer.code == ResponseCode::YXDomain) {
        return Err(DnsError::AliasTarget {
            name: name.clone(),
            target: answer.aliases.first().map_or_else(String::new, |alias| shown_name(&alias.to)),
            reason: format!("the redirected name is too long ({})", code_name(answer.code)),
        });
    }
    Ok(answers)
}

/// The alias that all answers give, or none. Answers without authority count only when there
/// are no others.
fn agreed_alias(
    zone: &ZoneName,
    name: &Fqdn,
    answers: &[(&Heard, TxtAnswer)],
) -> Result<Option<Alias>, DnsError> {
    let any_authoritative = answers.iter().any(|(_, answer)| answer.authoritative);
    let mut counting = answers
        .iter()
        .filter(|(_, answer)| answer.authoritative || !any_authoritative)
        .map(|(_, answer)| answer);
    let Some(first) = counting.next() else { return Ok(None) };
    let target = |answer: &TxtAnswer| answer.aliases.first().map(|alias| alias.to.clone());
    if counting.all(|answer| target(answer) == target(first)) {
        return Ok(first.aliases.first().cloned());
    }
    let answers = answers
        .iter()
        .map(|(heard, answer)| format!("{} {}: {}", heard.server, heard.address.ip(), said_of_alias(answer)))
        .collect::<Vec<_>>()
        .join("; ");
    Err(DnsError::AliasDisagreement { zone: zone.clone(), name: name.clone(), answers })
}
