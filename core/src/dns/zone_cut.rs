//! Zone cuts between a zone and a name below it.

use super::answer::{TxtAnswer, wire_name};
use super::delegation::{ZoneServers, cut_in};
use super::message::Question;
use super::survey::{Heard, ask_first, ask_txt};
use super::zones::ConfiguredZone;
use super::{DnsError, Inner};
use dns01_provider::name::{Fqdn, ZoneName};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use std::sync::Arc;

/// More zones than labels cannot lie between a name and the top.
const LONGEST_DESCENT: usize = 16;

/// Follows referrals from a zone above `name` to the one it is in.
pub(super) async fn descend(dns: &Inner, name: &Fqdn) -> Result<Arc<ZoneServers>, DnsError> {
    let mut servers = dns.delegations.above(name).await?;
    for _ in 0..LONGEST_DESCENT {
        let answer = ask_txt(&dns.client, &servers, &wire_name(name)).await?;
        let Some(cut) = cut_below(dns, &servers, name, &answer).await? else {
            break;
        };
        servers = dns.delegations.of(&ZoneName::from(cut), &[]).await?;
    }
    match below_top_level(&servers.zone, name) {
        Some(zone) => Err(DnsError::NotDelegated { zone, parent: servers.zone.to_string() }),
        None => Ok(servers),
    }
}

/// The domain that is missing where a name seems to lie in a top-level domain's own zone: most
/// likely it is misspelt, and nobody who asks for certificates writes there. Whoever does says so
/// in the configuration.
fn below_top_level(zone: &ZoneName, name: &Fqdn) -> Option<Fqdn> {
    let apex = zone.apex();
    if apex.labels().count() > 1 {
        return None;
    }
    let domain = name.ancestors().take_while(|ancestor| ancestor != apex).last()?;
    (!domain.as_str().starts_with('_')).then_some(domain)
}

/// Refuses a real zone cut between the configured zone and the name.
pub(super) async fn check_cut(
    dns: &Inner,
    zone: &ConfiguredZone,
    servers: &ZoneServers,
    name: &Fqdn,
    answers: &[(&Heard, TxtAnswer)],
) -> Result<(), DnsError> {
    // A server that answers for the zone knows its cuts; one that does not may refer anywhere.
    let telling = answers.iter().find(|(_, answer)| answer.authoritative).or(answers.first());
    let Some((_, answer)) = telling else { return Ok(()) };
    match cut_below(dns, servers, name, answer).await? {
        Some(cut) => Err(DnsError::DeeperCut { name: name.clone(), configured: zone.name.clone(), cut }),
        None => Ok(()),
    }
}

/// The zone cut nearest below `servers`' zone on the way to `name`. Where the answer does not
/// prove its zone by a SOA record or a referral, NS records are asked for at each name between.
async fn cut_below(
    dns: &Inner,
    servers: &ZoneServers,
    name: &Fqdn,
    answer: &TxtAnswer,
) -> Result<Option<Fqdn>, DnsError> {
    // A server that follows an alias tells where the target lies (RFC 2308 §2), not the name.
    if answer.aliases.is_empty()
        && let Ok(proven) = cut_in(&servers.zone, answer.zone.as_ref(), answer.referral.as_ref())
    {
        return Ok(proven);
    }
    let apex = servers.zone.apex();
    let mut between: Vec<Fqdn> = name.ancestors().take_while(|ancestor| ancestor != apex).collect();
    between.reverse();
    for ancestor in between {
        if is_apex(dns, servers, &ancestor).await? {
            return Ok(Some(ancestor));
        }
    }
    Ok(None)
}

async fn is_apex(dns: &Inner, servers: &ZoneServers, name: &Fqdn) -> Result<bool, DnsError> {
    let wire = wire_name(name);
    let question = Question::new(wire.clone(), RecordType::NS);
    let addresses =
        servers.addresses().map(|(server, address)| (server.to_owned(), address)).collect::<Vec<_>>();
    ask_first(&dns.client, servers.zone.as_str(), addresses, &question, |reply| {
        let message = &reply.message;
        let known = matches!(message.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
        let records = message.answers.iter().chain(&message.authorities);
        let mut owned =
            records.filter(|record| record.record_type() == RecordType::NS && record.name == wire);
        known.then(|| owned.next().is_some())
    })
    .await
}
