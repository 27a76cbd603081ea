use super::*;
use crate::memory::{Fault, MemoryProvider};
use crate::name::ZoneName;
use crate::provider::Batch;
use crate::rate::Rate;
use futures_util::future::join_all;

fn zone() -> Zone {
    Zone::named(ZoneName::parse("example.test").unwrap())
}

fn name() -> Fqdn {
    Fqdn::parse("_acme-challenge.example.test").unwrap()
}

fn add() -> [TxtChange; 1] {
    [TxtChange::Add { name: name(), value: TxtValue::parse("v").unwrap(), ttl: 60 }]
}

fn error(kind: ProviderErrorKind) -> ProviderError {
    ProviderError::new(kind, "on request")
}

fn limited(seconds: u64) -> Fault {
    Fault::Refuse(error(ProviderErrorKind::RateLimited).with_retry_after(Duration::from_secs(seconds)))
}

/// A service, and a credential for it under the limits that `set` sets.
fn service(set: impl FnOnce(&mut Limits)) -> (MemoryProvider, Credential) {
    let mut limits = Limits::new(Batch::Zone(100));
    set(&mut limits);
    let service = MemoryProvider::new([zone().name]).with_limits(limits);
    let credential = Credential::new(CredentialName::parse("test").unwrap(), Arc::new(service.clone()));
    (service, credential)
}

#[tokio::test(start_paused = true)]
async fn a_passing_error_is_repeated_and_a_permanent_one_is_not() {
    let (service, credential) = service(|_| {});
    service.misbehave(Fault::Refuse(error(ProviderErrorKind::Unavailable)));
    service.misbehave(Fault::Refuse(error(ProviderErrorKind::Unavailable)));
    credential.apply(&zone(), &add()).await.unwrap();
    assert_eq!(credential.calls(), 3);
    service.misbehave(Fault::Refuse(error(ProviderErrorKind::Permission)));
    let refused = credential.apply(&zone(), &add()).await.unwrap_err();
    assert_eq!((refused.kind(), credential.calls()), (ProviderErrorKind::Permission, 4));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_wants_to_be_left_alone_for_ever_is_left_alone_for_a_day() {
    let (service, credential) = service(|_| {});
    service.misbehave(limited(u64::MAX));
    let refused = credential.apply(&zone(), &add()).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(24 * 3600)));
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    credential.apply(&zone(), &add()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn repetition_ends_with_the_last_error() {
    let (service, credential) = service(|_| {});
    for _ in 0..50 {
        service.misbehave(Fault::Refuse(error(ProviderErrorKind::Unavailable)));
    }
    let last = credential.values(&zone(), &name()).await.unwrap_err();
    assert_eq!(last.kind(), ProviderErrorKind::Unavailable);
    assert_eq!(credential.calls(), 1 + RETRIES as u64);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_reached_is_given_up_soon_and_has_certainly_done_nothing() {
    let (_, credential) = service(|_| {});
    let dead_address = || async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Err::<(), _>(error(ProviderErrorKind::Unavailable).with_nothing_sent(true))
    };
    let started = Instant::now();
    let last = credential.call("apply", None, dead_address).await.unwrap_err();
    assert!(last.is_nothing_sent());
    assert_eq!(credential.calls(), 2);
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_arrived_once_is_not_taken_for_one_that_never_did() {
    let unreached = || Fault::Refuse(error(ProviderErrorKind::Unavailable).with_nothing_sent(true));
    let (service, credential) = service(|_| {});
    service.misbehave(Fault::Refuse(error(ProviderErrorKind::Unavailable)));
    (0..9).for_each(|_| service.misbehave(unreached()));
    let last = credential.apply(&zone(), &add()).await.unwrap_err();
    assert!(!last.is_nothing_sent());
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_noticed_after_the_time_of_one_call_and_repeated() {
    let (service, credential) = service(|limits| limits.call_timeout = Duration::from_secs(7));
    service.misbehave(Fault::LoseReply);
    let started = Instant::now();
    credential.apply(&zone(), &add()).await.unwrap();
    assert_eq!(credential.calls(), 2);
    let elapsed = started.elapsed();
    assert!((Duration::from_secs(7)..Duration::from_secs(9)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn what_never_answers_is_given_up_after_one_repetition_and_may_have_worked() {
    let (service, credential) = service(|limits| limits.call_timeout = Duration::from_secs(30));
    (0..9).for_each(|_| service.misbehave(Fault::LoseReply));
    let started = Instant::now();
    let last = credential.apply(&zone(), &add()).await.unwrap_err();
    assert!(last.is_unanswered() && last.is_retryable() && !last.is_nothing_sent());
    assert_eq!(credential.calls(), 2);
    assert!(started.elapsed() < Duration::from_secs(62), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn all_ends_within_the_callers_patience() {
    let (service, credential) = service(|_| {});
    for _ in 0..9 {
        service.misbehave(Fault::LoseReply);
    }
    let started = Instant::now();
    let lost = credential.within(Duration::from_secs(40)).apply(&zone(), &add()).await.unwrap_err();
    assert_eq!(lost.kind(), ProviderErrorKind::Unavailable);
    assert!(started.elapsed() <= Duration::from_secs(40), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiting_in_line_does_not_count_as_a_slow_call() {
    let (service, credential) = service(|limits| {
        limits.in_flight = 1;
        limits.call_timeout = Duration::from_secs(5);
    });
    for _ in 0..4 {
        service.misbehave(Fault::Slow(Duration::from_secs(4)));
    }
    let started = Instant::now();
    let (zone, name) = (zone(), name());
    for result in join_all((0..4).map(|_| credential.values(&zone, &name))).await {
        result.unwrap();
    }
    assert_eq!((credential.calls(), started.elapsed().as_secs()), (4, 16));
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_than_allowed_are_under_way() {
    let (service, credential) = service(|limits| limits.in_flight = 3);
    for _ in 0..9 {
        service.misbehave(Fault::Slow(Duration::from_secs(1)));
    }
    let started = Instant::now();
    let (zone, name) = (zone(), name());
    join_all((0..9).map(|_| credential.values(&zone, &name))).await;
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn calls_keep_the_rate_of_the_service() {
    let (_service, credential) = service(|limits| {
        limits.in_flight = 50;
        limits.rates = vec![Rate::per_second(10)];
    });
    let started = Instant::now();
    let (zone, name) = (zone(), name());
    for result in join_all((0..40).map(|_| credential.values(&zone, &name))).await {
        result.unwrap();
    }
    // The first ten pass at once, then ten a second.
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_waits_for_its_own_rate_holds_up_no_other() {
    let other = Zone::named(ZoneName::parse("other.test").unwrap());
    let limits = Limits {
        in_flight: 1,
        zone_rates: vec![Rate::per_second(2), Rate::per_minute(3)],
        ..Limits::new(Batch::Zone(100))
    };
    let service = MemoryProvider::new([zone().name, other.name.clone()]).with_limits(limits);
    let credential = Credential::new(CredentialName::parse("test").unwrap(), Arc::new(service));
    let (zone, changes, started) = (zone(), add(), Instant::now());
    let busy = async {
        let mut times = Vec::new();
        for _ in 0..4 {
            credential.apply(&zone, &changes).await.unwrap();
            times.push(started.elapsed().as_secs());
        }
        times
    };
    let elsewhere = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let name = other.name.apex().child("_acme-challenge").unwrap();
        let change = TxtChange::Add { name, value: TxtValue::parse("v").unwrap(), ttl: 60 };
        credential.apply(&other, &[change]).await.unwrap();
        // What only looks is not counted by zone.
        credential.values(&zone, &name_in(&zone)).await.unwrap();
        started.elapsed().as_secs()
    };
    assert_eq!(tokio::join!(busy, elsewhere), (vec![0, 0, 1, 60], 10));
}

fn name_in(zone: &Zone) -> Fqdn {
    zone.name.apex().child("_acme-challenge").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_rate_pauses_everybody_who_uses_the_credential() {
    let (service, credential) = service(|_| {});
    service.misbehave(limited(30));
    let started = Instant::now();
    let (zone, name, first, second) = (zone(), name(), credential.clone(), credential.clone());
    let refused = async { first.values(&zone, &name).await.map(|_| started.elapsed().as_secs()) };
    let neighbour = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        second.values(&zone, &name).await.map(|_| started.elapsed().as_secs())
    };
    let (refused, neighbour) = tokio::join!(refused, neighbour);
    assert_eq!((refused.unwrap(), neighbour.unwrap()), (30, 30));
    assert_eq!(credential.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_about_one_zone_pauses_that_zone_only() {
    let other = Zone::named(ZoneName::parse("other.test").unwrap());
    let mut limits = Limits::new(Batch::Zone(100));
    limits.zone_rates = vec![Rate::per_second(100)];
    let service = MemoryProvider::new([zone().name, other.name.clone()]).with_limits(limits);
    let credential = Credential::new(CredentialName::parse("test").unwrap(), Arc::new(service.clone()));
    let refused = error(ProviderErrorKind::RateLimited).with_retry_after(Duration::from_secs(3600));
    service.misbehave(Fault::Refuse(refused.with_zone_only()));
    let begun = Instant::now();
    assert!(credential.apply(&zone(), &add()).await.unwrap_err().retry_after().is_some());
    let change = TxtChange::Add { name: name_in(&other), value: TxtValue::parse("v").unwrap(), ttl: 60 };
    credential.apply(&other, &[change]).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO, "the other zone goes on");
    let calls = credential.calls();
    let told = credential.apply(&zone(), &add()).await.unwrap_err();
    assert!(told.to_string().contains("leave the zone alone"), "{told}");
    assert_eq!(credential.calls(), calls, "and this one is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_pause_longer_than_the_patience_is_told_at_once() {
    let (service, credential) = service(|_| {});
    service.misbehave(limited(3600));
    let started = Instant::now();
    let refused = credential.values(&zone(), &name()).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(3600)));
    let neighbour = credential.values(&zone(), &name()).await.unwrap_err();
    assert_eq!(neighbour.kind(), ProviderErrorKind::RateLimited);
    assert_eq!(neighbour.retry_after().unwrap().as_secs(), 3600);
    assert_eq!((credential.calls(), started.elapsed().as_secs()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_its_place_in_line() {
    let (service, credential) = service(|limits| limits.in_flight = 1);
    service.misbehave(Fault::LoseReply);
    let (zone, changes) = (zone(), add());
    let call = credential.apply(&zone, &changes);
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let started = Instant::now();
    credential.apply(&zone, &changes).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 0);
}

#[test]
fn batches_are_as_few_as_the_service_allows_and_lose_nothing() {
    let change = |host: &str, value: &str| TxtChange::Remove {
        name: Fqdn::parse(&format!("{host}.example.test")).unwrap(),
        value: TxtValue::parse(value).unwrap(),
    };
    let changes =
        vec![change("a", "1"), change("b", "2"), change("a", "3"), change("c", "4"), change("a", "5")];
    for (batch, sizes) in
        [(Batch::Zone(2), vec![2, 2, 1]), (Batch::Name, vec![3, 1, 1]), (Batch::Record, vec![1; 5])]
    {
        let split = batch.split(changes.clone());
        assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{batch:?}");
        assert!(split.iter().all(|part| batch.allows(part)), "{batch:?}");
        assert!(changes.iter().all(|change| split.concat().contains(change)), "{batch:?}");
        assert_eq!(batch.allows(&changes), split.len() == 1, "{batch:?}");
    }
}

#[test]
fn a_credential_name_is_a_plain_word() {
    assert_eq!(CredentialName::parse("lab-2.eu_west").unwrap().as_str(), "lab-2.eu_west");
    for text in ["", "two words", "a/b", "ü", &"x".repeat(65)] {
        assert!(CredentialName::parse(text).is_err(), "{text}");
    }
}
