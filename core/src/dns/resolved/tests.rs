//! Waits at scripted resolvers.

use super::super::scripted::{Act, Asked, ScriptedServer};
use super::super::{ConfiguredZone, ConfiguredZones, Dns, DnsSettings, PropagationReport};
use super::*;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::{SOA, TXT};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const NAME: &str = "_acme-challenge.example.test";

/// A resolver that says there is no such name for so many seconds, until it is `seen`.
fn poisoned(seconds: u32, seen: Instant) -> impl FnMut(&Asked) -> Act {
    move |asked| {
        let zone = Name::from_ascii("example.test.").unwrap();
        if Instant::now() >= seen {
            return Act::Reply(with_values(asked, &["one", "two"], 60));
        }
        let mut reply = asked.reply(ResponseCode::NXDomain);
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, 3600);
        reply.authorities = vec![Record::from_rdata(zone, seconds, RData::SOA(soa))];
        Act::Reply(reply)
    }
}

fn with_values(asked: &Asked, values: &[&str], ttl: u32) -> Message {
    let mut reply = asked.reply(ResponseCode::NoError);
    let record = |value: &&str| {
        Record::from_rdata(asked.name().clone(), ttl, RData::TXT(TXT::new(vec![(*value).to_owned()])))
    };
    reply.answers = values.iter().map(record).collect();
    reply
}

async fn wait_at(
    resolvers: &[&ScriptedServer],
    rules: &PropagationRules,
    shown: &watch::Sender<Progress>,
) -> Result<PropagationReport, Box<PropagationFailure>> {
    let dns = Dns::new(DnsSettings::default(), TaskTracker::new(), CancellationToken::new());
    let resolvers = resolvers.iter().map(|server| Resolver::from(server.address)).collect();
    let zone = ConfiguredZone {
        check: CheckMode::Recursive(resolvers),
        ..ConfiguredZone::named(ZoneName::parse("example.test").unwrap())
    };
    let name = Fqdn::parse(NAME).unwrap();
    let location = dns.locate(&name, &ConfiguredZones::new(vec![zone])).await.unwrap();
    let values = ["one", "two"].map(|value| TxtValue::parse(value).unwrap()).to_vec();
    dns.propagated(&[Awaited { location, values }], rules, shown).await
}

fn within(seconds: u64) -> PropagationRules {
    PropagationRules { timeout: Duration::from_secs(seconds), ..PropagationRules::default() }
}

#[tokio::test(start_paused = true)]
async fn every_resolver_must_show_every_value() {
    let good =
        ScriptedServer::start(|asked| Act::Reply(with_values(asked, &["two", "other", "one"], 60))).await;
    let half = ScriptedServer::start(|asked| Act::Reply(with_values(asked, &["one"], 2))).await;
    let (shown, _) = watch::channel(Progress::default());
    let report = wait_at(&[&good], &within(5), &shown).await.unwrap();
    assert_eq!(report.elapsed.as_secs(), 0);
    let failure = wait_at(&[&good, &half], &within(5), &shown).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::TimedOut);
    assert!(failure.to_string().starts_with("not every resolver shows every value"), "{failure}");
    let standings: Vec<_> = failure.table.rows.iter().map(|row| row.standing).collect();
    assert_eq!(standings, [Standing::Confirmed, Standing::Blocking]);
    assert!(failure.table.rows[1].answer.starts_with("1 of 2 values"), "{:?}", failure.table.rows);
    assert!(good.asked().iter().all(|asked| asked.message.recursion_desired));
}

#[tokio::test(start_paused = true)]
async fn a_negative_answer_is_waited_out_and_counted_down_not_asked_again() {
    let seen = Instant::now() + Duration::from_secs(3);
    let resolver = ScriptedServer::start(poisoned(42, seen)).await;
    let (shown, mut heard) = watch::channel(Progress::default());
    let counted = tokio::spawn(async move {
        let mut texts = Vec::new();
        while heard.changed().await.is_ok() {
            texts.push(heard.borrow_and_update().to_string());
        }
        texts
    });
    let report = wait_at(&[&resolver], &within(180), &shown).await.unwrap();
    drop(shown);
    assert_eq!(
        resolver.asked().iter().filter(|asked| !asked.is_tcp()).count(),
        2,
        "one look more, and no other"
    );
    assert!((42..45).contains(&report.elapsed.as_secs()), "{:?}", report.elapsed);
    let texts = counted.await.unwrap();
    for left in [42, 41, 7, 1] {
        let wanted = format!("says there is no such name for another {left} s");
        assert!(texts.iter().any(|text| text.ends_with(&wanted)), "{wanted}: {texts:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_memory_longer_than_the_wait_fails_at_once_with_what_to_do() {
    let resolver = ScriptedServer::start(poisoned(900, Instant::now() + Duration::from_secs(1))).await;
    let (shown, _) = watch::channel(Progress::default());
    let failure = wait_at(&[&resolver], &within(180), &shown).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Remembered);
    assert!(failure.elapsed.as_secs() < 2, "{:?}", failure.elapsed);
    let hint = failure.hint.unwrap();
    assert!(hint.contains("no such name for another 15 min") && hint.contains("SOA record"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn a_negative_answer_that_nobody_remembers_is_asked_again_soon() {
    let begun = Instant::now();
    let resolver = ScriptedServer::start(move |asked| match begun.elapsed() < Duration::from_secs(2) {
        true => Act::Reply(asked.reply(ResponseCode::NXDomain)),
        false => Act::Reply(with_values(asked, &["one", "two"], 60)),
    })
    .await;
    let (shown, _) = watch::channel(Progress::default());
    let report = wait_at(&[&resolver], &within(30), &shown).await.unwrap();
    assert!((2..4).contains(&report.elapsed.as_secs()), "{:?}", report.elapsed);
}

#[tokio::test(start_paused = true)]
async fn resolvers_that_nobody_hears_of_fail_it_soon_and_one_alone_at_the_end() {
    let silent = ScriptedServer::start(|_| Act::Silence).await;
    let broken = ScriptedServer::start(|asked| Act::Reply(asked.reply(ResponseCode::ServFail))).await;
    let good = ScriptedServer::start(|asked| Act::Reply(with_values(asked, &["one", "two"], 60))).await;
    let (shown, _) = watch::channel(Progress::default());
    let failure = wait_at(&[&silent, &broken], &within(60), &shown).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::NothingAnswered);
    assert!(failure.hint.unwrap().contains("HTTPS_PROXY"));
    assert_eq!(failure.table.rows[1].answer, "SERVFAIL");
    let failure = wait_at(&[&silent, &good], &within(20), &shown).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::TimedOut);
    assert!(failure.hint.unwrap().contains("does not answer"));
}

#[tokio::test(start_paused = true)]
async fn settling_looks_once_more_and_says_when() {
    let resolver = ScriptedServer::start(|asked| Act::Reply(with_values(asked, &["one", "two"], 60))).await;
    let (shown, mut heard) = watch::channel(Progress::default());
    let rules = PropagationRules { settle: Duration::from_secs(4), ..within(5) };
    let resolvers = [&resolver];
    let wait = wait_at(&resolvers, &rules, &shown);
    let noted = async {
        let noted = |progress: &Progress| progress.note.as_deref() == Some("looking again in 2 s");
        heard.wait_for(noted).await.unwrap().resolvers_confirmed
    };
    let (report, confirmed) = tokio::join!(wait, noted);
    assert_eq!(confirmed, 1);
    assert_eq!(report.unwrap().elapsed.as_secs(), 4);
    assert_eq!(resolver.asked().len(), 2);
}
