//! One question to several servers of a zone.

use super::answer::{TxtAnswer, code_name, shown_name};
use super::delegation::ZoneServers;
use super::message::{QueryError, Question, Reply};
use super::query::QueryClient;
use super::resolver::Resolver;
use super::resolving::ResolverClient;
use super::{DnsError, answer};
use dns01_provider::name::ZoneName;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// When half of the servers have answered, the others have so long.
const STRAGGLERS: Duration = Duration::from_millis(500);
/// The next server is asked beside the ones before when they have not answered after this.
const STAGGER: Duration = Duration::from_millis(300);

/// What one address answered.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) server: String,
    pub(super) address: SocketAddr,
    pub(super) result: Result<Reply, QueryError>,
}

/// Asks every address at once. It ends when all have answered, or some time after half of the
/// servers have: who is silent then is found out while waiting for the records.
pub(super) async fn ask_every(client: &QueryClient, zone: &ZoneServers, question: &Question) -> Vec<Heard> {
    let mut asked: FuturesUnordered<_> = zone
        .addresses()
        .map(|(server, address)| async move {
            let result = client.ask(address, question).await;
            Heard { server: server.to_owned(), address, result }
        })
        .collect();
    let mut heard = Vec::new();
    let mut answered = HashSet::new();
    let mut end = None;
    loop {
        let next = tokio::select! {
            next = asked.next() => next,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => None,
        };
        let Some(next) = next else { return heard };
        if next.result.is_ok() {
            answered.insert(next.server.clone());
        }
        heard.push(next);
        if end.is_none() && answered.len() * 2 >= zone.servers.len() {
            end = Some(Instant::now() + STRAGGLERS);
        }
    }
}

/// Asks one address after the other, with a head start each, until `accept` takes an answer.
///
/// # Errors
/// [`DnsError::NoAnswer`] with what each address said, when none is accepted.
pub(super) async fn ask_first<T>(
    client: &QueryClient,
    zone: &str,
    addresses: impl IntoIterator<Item = (String, SocketAddr)>,
    question: &Question,
    mut accept: impl FnMut(&Reply) -> Option<T>,
) -> Result<T, DnsError> {
    let mut rest = addresses.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut details = Vec::new();
    loop {
        let more = rest.next();
        let exhausted = more.is_none();
        if let Some((server, address)) = more {
            asked.push(async move { (server, address, client.ask(address, question).await) });
        }
        let patience = Instant::now() + STAGGER;
        tokio::select! {
            Some((server, address, result)) = asked.next() => {
                if let Ok(reply) = &result && let Some(accepted) = accept(reply) {
                    return Ok(accepted);
                }
                details.push(format!("{server} {}: {}", address.ip(), said(&result)));
            }
            () = sleep_until(patience), if !exhausted => {}
            else => break,
        }
    }
    if details.is_empty() {
        details.push("it has no name server with an address".to_owned());
    }
    Err(DnsError::NoAnswer {
        zone: zone.to_owned(),
        name: shown_name(&question.name),
        details: details.join("; "),
    })
}

/// The TXT records of `name`, as the first of `servers` tells that knows the name.
pub(super) async fn ask_txt(
    client: &QueryClient,
    servers: &ZoneServers,
    name: &Name,
) -> Result<TxtAnswer, DnsError> {
    let question = Question::new(name.clone(), RecordType::TXT);
    let addresses =
        servers.addresses().map(|(server, address)| (server.to_owned(), address)).collect::<Vec<_>>();
    ask_first(client, servers.zone.as_str(), addresses, &question, |reply| {
        Some(TxtAnswer::read(name, &reply.message)).filter(TxtAnswer::is_usable)
    })
    .await
}

/// The lesser of the SOA record's own TTL and its MINIMUM (RFC 2308 §5).
pub(super) async fn negative_ttl(client: &QueryClient, zone: &ZoneServers) -> Option<Duration> {
    let question = Question::new(answer::wire_name(zone.zone.apex()), RecordType::SOA);
    let addresses =
        zone.addresses().map(|(server, address)| (server.to_owned(), address)).collect::<Vec<_>>();
    let seconds = ask_first(client, zone.zone.as_str(), addresses, &question, |reply| {
        reply.message.answers.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
            _ => None,
        })
    });
    seconds.await.ok().map(|seconds| Duration::from_secs(u64::from(seconds)))
}

/// The same, as the first of `resolvers` knows it.
pub(super) async fn negative_ttl_by(
    client: &ResolverClient,
    resolvers: &[Resolver],
    zone: &ZoneName,
) -> Option<Duration> {
    let answer = client.ask_any(resolvers, &answer::wire_name(zone.apex()), RecordType::SOA).await.ok()?;
    // A resolver counts the record's own TTL down; the zone's word is the other number.
    answer.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(Duration::from_secs(u64::from(soa.minimum))),
        _ => None,
    })
}

/// What an answer of no use was, in a few words.
pub(super) fn said(result: &Result<Reply, QueryError>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(reply) if reply.message.response_code != ResponseCode::NoError => {
            code_name(reply.message.response_code)
        }
        Ok(reply) if !reply.message.authoritative => "an answer without authority".to_owned(),
        Ok(_) => "an answer without what was asked for".to_owned(),
    }
}

/// What an answer says of the alias, in a few words.
pub(super) fn said_of_alias(answer: &TxtAnswer) -> String {
    match answer.aliases.first() {
        Some(alias) => format!("alias of `{}`", shown_name(&alias.to)),
        None => "no alias".to_owned(),
    }
}
