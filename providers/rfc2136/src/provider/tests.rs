use super::*;
use crate::config::ServerAddress;
use dns01_provider::{ProviderErrorKind, ZoneName};
use hickory_proto::op::{MessageType, OpCode};
use hickory_proto::rr::rdata::{CNAME, TXT};
use hickory_proto::rr::{RData, RecordType};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn zone() -> Zone {
    Zone::named(ZoneName::parse("example.test").unwrap())
}

fn fqdn(host: &str) -> Fqdn {
    Fqdn::parse(&format!("_acme-challenge.{host}.example.test")).unwrap()
}

fn wire(host: &str) -> Name {
    wire_name(&fqdn(host))
}

fn add(host: &str, value: &str) -> TxtChange {
    TxtChange::Add { name: fqdn(host), value: TxtValue::parse(value).unwrap(), ttl: 60 }
}

fn remove(host: &str, value: &str) -> TxtChange {
    TxtChange::Remove { name: fqdn(host), value: TxtValue::parse(value).unwrap() }
}

fn nothing() -> Sight {
    Sight::Values { ttl: None, values: Vec::new() }
}

fn plan(changes: &[TxtChange], before: Vec<Sight>) -> Result<Plan, UpdateError> {
    Plan::new(wire_name(zone().name.apex()), changes, added_names(changes), before)
}

#[test]
fn a_batch_is_one_update_message_with_one_record_for_each_change() {
    let changes = [add("a", "1"), remove("b", "2"), add("a", "3")];
    let plan = plan(&changes, vec![nothing()]).unwrap();
    let [message] = &plan.messages[..] else { panic!("{} messages", plan.messages.len()) };
    assert_eq!((message.op_code, message.message_type), (OpCode::Update, MessageType::Query));
    assert_eq!(message.queries[0].query_type(), RecordType::SOA);
    assert!(message.answers.is_empty(), "no prerequisites");
    let records: Vec<_> = message
        .authorities
        .iter()
        .map(|record| (record.name.clone(), record.dns_class, record.ttl))
        .collect();
    assert_eq!(
        records,
        [(wire("a"), DNSClass::IN, 60), (wire("b"), DNSClass::NONE, 0), (wire("a"), DNSClass::IN, 60)]
    );
}

#[test]
fn an_existing_rrset_keeps_its_ttl() {
    let there = Sight::Values { ttl: Some(3600), values: vec![b"theirs".to_vec()] };
    let plan = plan(&[add("a", "1"), add("b", "2")], vec![there, nothing()]).unwrap();
    let ttls: Vec<u32> = plan.messages[0].authorities.iter().map(|record| record.ttl).collect();
    assert_eq!(ttls, [3600, 60]);
}

#[test]
fn a_batch_is_split_below_sixty_kilobytes_and_keeps_its_order() {
    let long = "x".repeat(1000);
    let changes: Vec<TxtChange> = (0..200).map(|index| add(&format!("h{index}"), &long)).collect();
    let before = vec![nothing(); 200];
    let plan = plan(&changes, before).unwrap();
    assert_eq!(plan.messages.len(), 4);
    assert!(plan.messages.iter().all(|message| message.to_vec().unwrap().len() <= LARGEST_MESSAGE + 100));
    let names: Vec<Name> = plan
        .messages
        .iter()
        .flat_map(|message| &message.authorities)
        .map(|record| record.name.clone())
        .collect();
    assert_eq!(names, changes.iter().map(|change| wire_name(change.name())).collect::<Vec<_>>());
}

#[test]
fn the_largest_batch_of_usual_challenges_is_one_message() {
    let value = "v".repeat(43);
    let changes: Vec<TxtChange> = (0..LARGEST_BATCH)
        .map(|index| add(&format!("some-longer-host-name-{index}.department"), &value))
        .collect();
    assert_eq!(plan(&changes, vec![nothing(); LARGEST_BATCH]).unwrap().messages.len(), 1);
}

#[test]
fn names_beyond_a_zone_cut_or_a_redirection_are_refused_before_anything_is_sent() {
    let cut = Sight::Cut(wire("a").base_name());
    assert!(matches!(plan(&[add("a", "1")], vec![cut]), Err(UpdateError::ZoneCut { .. })));
    let redirected = Sight::Redirected { owner: wire("a").base_name(), target: wire("b") };
    assert!(matches!(plan(&[add("a", "1")], vec![redirected]), Err(UpdateError::Redirected { .. })));
}

#[test]
fn where_an_alias_was_seen_the_update_demands_that_it_is_a_wildcards() {
    let alias = Sight::Alias { target: wire("elsewhere") };
    let plan = plan(&[add("a", "1"), add("b", "2")], vec![nothing(), alias]).unwrap();
    let [prerequisite] = &plan.messages[0].answers[..] else { panic!("one prerequisite") };
    assert_eq!((&prerequisite.name, prerequisite.record_type()), (&wire("b"), RecordType::CNAME));
    assert_eq!((prerequisite.dns_class, prerequisite.ttl), (DNSClass::NONE, 0));
}

/// A server on a loopback port: it carries out updates of TXT values and answers questions, as
/// its `quirk` wants.
#[derive(Clone)]
struct Server {
    address: std::net::SocketAddr,
    zone: Arc<Mutex<FakeZone>>,
}

#[derive(Default)]
struct FakeZone {
    quirk: Quirk,
    records: Vec<Record>,
    updates: Vec<Message>,
    looks: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Quirk {
    #[default]
    None,
    /// Answers pairs of questions in reverse.
    Reverse,
    /// Shows what was added from the third look on.
    Lags,
    /// Accepts everything, and an alias stands at every name from the second look on.
    Hides,
    /// Refuses questions.
    RefusesQuestions,
    /// Refuses the second UPDATE message.
    RefusesSecond,
    /// Says nothing.
    Silent,
    /// Closes the connection in the middle of a reply.
    HangsUp,
}

impl Server {
    async fn with(quirk: Quirk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(FakeZone { quirk, ..FakeZone::default() }));
        let server = Self { address, zone };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        server
    }

    async fn serve(&self, mut stream: tokio::net::TcpStream) -> Option<()> {
        let mut held: Vec<Vec<u8>> = Vec::new();
        loop {
            let length = stream.read_u16().await.ok()?;
            let mut bytes = vec![0; usize::from(length)];
            stream.read_exact(&mut bytes).await.ok()?;
            let reply = self.zone.lock().unwrap().answer(&Message::from_vec(&bytes).unwrap());
            let quirk = self.zone.lock().unwrap().quirk;
            let Some(reply) = reply else { continue };
            let question = reply.op_code == OpCode::Query;
            let bytes = reply.to_vec().unwrap();
            held.push([&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat());
            if quirk == Quirk::HangsUp {
                stream.write_all(&held[0][..7]).await.ok()?;
                return None;
            }
            if quirk == Quirk::Reverse && question && held.len() < 2 {
                continue;
            }
            for frame in held.drain(..).rev() {
                stream.write_all(&frame).await.ok()?;
            }
        }
    }

    fn provider(&self) -> Rfc2136 {
        self.provider_within(Duration::from_secs(10))
    }

    fn provider_within(&self, timeout: Duration) -> Rfc2136 {
        let server = ServerAddress::parse(&self.address.to_string()).unwrap();
        Rfc2136::new(Config { server, tsig: None, timeout })
    }

    fn updates(&self) -> Vec<Message> {
        self.zone.lock().unwrap().updates.clone()
    }
}

impl FakeZone {
    fn answer(&mut self, request: &Message) -> Option<Message> {
        let mut reply = Message::response(request.id, request.op_code);
        reply.queries.clone_from(&request.queries);
        match self.quirk {
            Quirk::Silent => return None,
            Quirk::RefusesQuestions if request.op_code == OpCode::Query => {
                reply.metadata.response_code = ResponseCode::Refused;
            }
            Quirk::RefusesSecond if request.op_code == OpCode::Update && self.updates.len() == 1 => {
                self.updates.push(request.clone());
                reply.metadata.response_code = ResponseCode::Refused;
            }
            _ if request.op_code == OpCode::Update => self.update(request),
            _ => self.look(request.queries[0].name(), &mut reply),
        }
        Some(reply)
    }

    fn update(&mut self, request: &Message) {
        for record in &request.authorities {
            self.records.retain(|present| (&present.name, &present.data) != (&record.name, &record.data));
            if record.dns_class == DNSClass::IN {
                self.records.push(record.clone());
            }
        }
        self.updates.push(request.clone());
    }

    fn look(&mut self, name: &Name, reply: &mut Message) {
        self.looks += 1;
        if self.quirk == Quirk::Hides && self.looks > 1 {
            let target = RData::CNAME(CNAME(Name::from_ascii("x.other.test.").unwrap()));
            reply.add_answer(Record::from_rdata(name.clone(), 60, target));
        } else if self.quirk != Quirk::Lags || self.looks > 3 {
            reply.add_answers(self.records.iter().filter(|record| record.name == *name).cloned());
        }
    }
}

#[tokio::test]
async fn values_are_added_read_back_and_removed_in_one_update_each() {
    let server = Server::with(Quirk::None).await;
    let provider = server.provider();
    provider.apply(&zone(), &[add("a", "1"), add("b", "2"), add("a", "3")]).await.unwrap();
    let there = |host| {
        let (provider, name) = (provider.clone(), fqdn(host));
        async move { provider.values(&zone(), &name).await.unwrap() }
    };
    let listed = |values: &[&str]| {
        Listing::Listed(values.iter().map(|value| TxtValue::parse(value).unwrap()).collect())
    };
    assert_eq!(there("a").await, listed(&["1", "3"]));
    provider.apply(&zone(), &[remove("a", "1"), remove("b", "2")]).await.unwrap();
    assert_eq!((there("a").await, there("b").await), (listed(&["3"]), listed(&[])));
    assert_eq!(server.updates().len(), 2);
}

#[tokio::test]
async fn replies_may_come_in_any_order() {
    let server = Server::with(Quirk::Reverse).await;
    let changes = [add("a", "1"), add("b", "2")];
    server.zone.lock().unwrap().records.push(Record::from_rdata(
        wire("b"),
        777,
        RData::TXT(TXT::new(vec!["theirs".to_owned()])),
    ));
    server.provider().apply(&zone(), &changes).await.unwrap();
    let ttls: Vec<u32> = server.updates()[0].authorities.iter().map(|record| record.ttl).collect();
    assert_eq!(ttls, [60, 777]);
}

#[tokio::test]
async fn a_server_that_shows_an_add_late_is_waited_for() {
    let server = Server::with(Quirk::Lags).await;
    server.provider().apply(&zone(), &[add("a", "1")]).await.unwrap();
    assert!(server.zone.lock().unwrap().looks > 3);
    assert_eq!(server.updates().len(), 1);
}

#[tokio::test]
async fn an_add_that_stays_hidden_fails_with_its_reason_and_is_taken_back() {
    let server = Server::with(Quirk::Hides).await;
    let error = server.provider().apply(&zone(), &[add("a", "1")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, false));
    assert!(error.to_string().contains("alias of `x.other.test`"), "{error}");
    assert!(server.zone.lock().unwrap().records.is_empty());
}

#[tokio::test]
async fn a_server_that_refuses_questions_still_takes_updates() {
    let server = Server::with(Quirk::RefusesQuestions).await;
    server.provider().apply(&zone(), &[add("a", "1")]).await.unwrap();
    let error = server.provider().values(&zone(), &fqdn("a")).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Permission);
}

#[tokio::test]
async fn what_the_first_message_of_a_failed_batch_added_is_taken_back_but_not_what_was_there() {
    let server = Server::with(Quirk::RefusesSecond).await;
    let long = |index: usize| format!("{index:03}{}", "x".repeat(1000));
    let there = TxtValue::parse(&long(0)).unwrap();
    server.zone.lock().unwrap().records.push(api::change_record(
        &wire("h0"),
        there.character_strings().collect(),
        DNSClass::IN,
        60,
    ));
    let changes: Vec<TxtChange> = (0..60).map(|index| add(&format!("h{index}"), &long(index))).collect();
    let error = server.provider().apply(&zone(), &changes).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Permission);
    let left: Vec<Name> =
        server.zone.lock().unwrap().records.iter().map(|record| record.name.clone()).collect();
    assert_eq!(left, [wire("h0")]);
}

#[tokio::test]
async fn silence_ends_at_the_time_limit_and_names_the_server() {
    let server = Server::with(Quirk::Silent).await;
    let provider = server.provider_within(Duration::from_millis(50));
    let error = provider.apply(&zone(), &[add("a", "1")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Unavailable, true));
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}

#[tokio::test]
async fn a_broken_connection_is_a_passing_error() {
    let server = Server::with(Quirk::HangsUp).await;
    let error = server.provider().apply(&zone(), &[add("a", "1")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Unavailable, true));
}

#[tokio::test]
async fn an_empty_batch_asks_nobody() {
    let server = Server::with(Quirk::Silent).await;
    server.provider_within(Duration::from_millis(50)).apply(&zone(), &[]).await.unwrap();
}

fn needs(hosts: &[&str]) -> Vec<ScopeNeed> {
    hosts.iter().map(|host| ScopeNeed { zone: zone(), name: fqdn(host) }).collect()
}

#[tokio::test]
async fn no_probe_of_an_audit_could_change_a_record_of_anybody() {
    let server = Server::with(Quirk::None).await;
    let report = server.provider().audit_scope(&needs(&["a", "b"])).await.unwrap();
    assert!(matches!(report, ScopeReport::MoreThanNeeded { .. }), "this server takes everything: {report:?}");
    let updates = server.updates();
    assert!(updates.len() > 5, "{}", updates.len());
    for (message, record) in
        updates.iter().flat_map(|one| one.authorities.iter().map(move |record| (one, record)))
    {
        assert_eq!(record.dns_class, DNSClass::NONE, "it removes one record, and adds none: {record}");
        let nobodys = record.data.to_string().contains("dns01-scope-");
        let guarded = message.answers.iter().any(|prerequisite| {
            (&prerequisite.name, prerequisite.record_type()) == (&record.name, record.record_type())
                && prerequisite.dns_class == DNSClass::NONE
        });
        assert!(nobodys || guarded, "somebody may have it: {record}");
    }
}

#[tokio::test]
async fn what_is_refused_at_a_needed_name_is_missing() {
    let server = Server::with(Quirk::RefusesSecond).await;
    let report = server.provider().audit_scope(&needs(&["a"])).await.unwrap();
    let ScopeReport::NotEnough { findings } = report else { panic!("{report:?}") };
    assert_eq!(findings[0], format!("it may not write TXT at `{}`", fqdn("a")));
    let silent = Server::with(Quirk::Silent).await.provider_within(Duration::from_millis(50));
    assert!(silent.audit_scope(&needs(&["a"])).await.unwrap_err().is_retryable());
}
