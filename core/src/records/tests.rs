//! The records room as its users see it, over the reference provider.

mod crashes;

use super::*;
use crate::store::tests::{killed_process, open, temporary};
use async_trait::async_trait;
use dns01_provider::TxtRecords;
use dns01_provider::memory::{Fault, MemoryProvider};
use dns01_provider::{
    Applied, Batch, DnsProvider, Limits, Listing, ProviderError, ProviderErrorKind, TxtChange,
};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

fn zone() -> Zone {
    Zone::named(ZoneName::parse("example.test").unwrap())
}

fn credential_name() -> CredentialName {
    CredentialName::parse("memory").unwrap()
}

fn value(text: &str) -> TxtValue {
    TxtValue::parse(text).unwrap()
}

fn fqdn(label: &str) -> Fqdn {
    Fqdn::parse(&format!("_acme-challenge.{label}.example.test")).unwrap()
}

fn record(label: &str, text: &str) -> Record {
    Record {
        credential: credential_name(),
        zone: zone(),
        name: fqdn(label),
        value: value(text),
        ttl: 60,
        persistent: false,
    }
}

fn records_over(store: Store, provider: &(impl DnsProvider + Clone)) -> Records {
    let credential = Credential::new(credential_name(), Arc::new(provider.clone()));
    records_with(store, credential)
}

fn records_with(store: Store, credential: Credential) -> Records {
    Records::new(store, [credential], TaskTracker::new(), &CancellationToken::new())
}

/// A process with a service of its own.
async fn fresh() -> (TempDir, Records, MemoryProvider) {
    let (directory, store) = temporary().await;
    let service = MemoryProvider::new([zone().name]);
    let records = records_over(store, &service);
    (directory, records, service)
}

async fn hold(records: &Records, label: &str, text: &str) -> Result<Hold, RecordsError> {
    let announcement = records.announce();
    records.hold(&OrderId::random(), announcement, vec![record(label, text)]).await
}

/// Waits until the ledger is empty, as it is a moment after the last removal.
async fn emptied(records: &Records) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !records.list().await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", records.list().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_value_is_there_while_it_is_held_and_gone_afterwards() {
    let (_directory, records, service) = fresh().await;
    let hold = hold(&records, "a", "1").await.unwrap();
    assert_eq!(service.records(&zone().name, &fqdn("a")).values, [value("1")]);
    let report = &hold.zones()[0];
    assert_eq!((report.values, report.calls), (1, 1));
    let listed = records.list().await.unwrap();
    assert!(matches!(listed[0].holders[..], [Holder::Order { alive: true, .. }]));
    let released = hold.release(PATIENCE).await;
    assert_eq!(released, Released { removed: 1, ..Released::default() });
    assert!(service.everything(&zone().name).is_empty());
    emptied(&records).await;
}

#[tokio::test]
async fn a_hundred_announced_orders_cost_two_calls_in_all() {
    let (_directory, records, service) = fresh().await;
    let announced: Vec<_> = (0..100).map(|number| (number, records.announce())).collect();
    let holds = announced.into_iter().map(|(number, announcement)| {
        let records = records.clone();
        async move {
            // They come one after the other, as a CA's answers do.
            tokio::time::sleep(Duration::from_millis(number / 2)).await;
            let order = OrderId::random();
            let wanted = vec![record(&format!("n{number}"), "1")];
            records.hold(&order, announcement, wanted).await.unwrap()
        }
    });
    let holds = futures_util::future::join_all(holds).await;
    assert_eq!(service.applied(), 1);
    assert_eq!(service.everything(&zone().name).len(), 100);
    let released = futures_util::future::join_all(holds.into_iter().map(|hold| hold.release(PATIENCE))).await;
    assert_eq!(released.iter().map(|released| released.removed).sum::<usize>(), 100);
    assert_eq!(service.applied(), 2);
    emptied(&records).await;
}

#[tokio::test]
async fn two_hundred_names_of_one_order_are_one_call() {
    let (_directory, records, service) = fresh().await;
    let mut limits = Limits::new(Batch::Zone(200));
    limits.atomic = true;
    let records = records_over(records.0.store.clone(), &service.with_limits(limits));
    let wanted = (0..200).map(|number| record(&format!("n{number}"), "1")).collect();
    let hold = records.hold(&OrderId::random(), records.announce(), wanted).await.unwrap();
    assert_eq!((hold.zones()[0].values, hold.zones()[0].calls, service.applied()), (200, 1, 1));
}

#[tokio::test]
async fn an_order_that_never_comes_is_waited_for_a_quarter_of_a_second() {
    let (_directory, records, _service) = fresh().await;
    let _lost = records.announce();
    let started = tokio::time::Instant::now();
    let _hold = hold(&records, "a", "1").await.unwrap();
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(20) && waited < Duration::from_secs(5), "{waited:?}");
}

#[tokio::test]
async fn one_refused_name_among_many_fails_alone() {
    let (_directory, records, service) = fresh().await;
    service.forbid(fqdn("n37"));
    let announced: Vec<_> = (0..64).map(|number| (number, records.announce())).collect();
    let holds = announced.into_iter().map(|(number, announcement)| {
        let wanted = vec![record(&format!("n{number}"), "1"), record(&format!("n{number}"), "2")];
        let records = &records;
        async move { records.hold(&OrderId::random(), announcement, wanted).await }
    });
    let results = futures_util::future::join_all(holds).await;
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(failed.len(), 1);
    assert!(matches!(failed[0], RecordsError::Provider { name, .. } if *name == fqdn("n37")), "{failed:?}");
    assert_eq!(service.everything(&zone().name).len(), 126);
    // Batches that got through; as many again were refused.
    assert!(service.applied() <= 10, "{}", service.applied());
    drop(results);
    emptied(&records).await;
    assert!(service.everything(&zone().name).is_empty());
}

#[tokio::test]
async fn a_refused_credential_is_not_tried_name_by_name() {
    let (_directory, records, _service) = fresh().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Doubtful { calls: Arc::clone(&calls), answer: || refusal(ProviderErrorKind::Auth) };
    let records = records_over(records.0.store.clone(), &counting);
    let wanted = (0..64).map(|number| record(&format!("n{number}"), "1")).collect();
    let result = records.hold(&OrderId::random(), records.announce(), wanted).await;
    assert!(matches!(result, Err(RecordsError::Provider { .. })), "{result:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    // Nothing was written, the provider says, so nothing is left to remove.
    emptied(&records).await;
}

#[tokio::test]
async fn a_zone_that_refuses_everything_is_given_up_after_a_few_calls() {
    let (_directory, records, _service) = fresh().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Doubtful { calls: Arc::clone(&calls), answer: || refusal(ProviderErrorKind::Permission) };
    let records = records_over(records.0.store.clone(), &counting);
    let wanted = (0..256).map(|number| record(&format!("n{number}"), "1")).collect();
    let result = records.hold(&OrderId::random(), records.announce(), wanted).await;
    assert!(result.is_err());
    let calls = calls.load(Ordering::Relaxed);
    assert!((10..=40).contains(&calls), "{calls}");
}

#[tokio::test]
async fn a_call_that_timed_out_may_have_worked_and_is_undone() {
    let (_directory, records, service) = fresh().await;
    let credential = Credential::new(credential_name(), Arc::new(service.clone()));
    let records = records_with(records.0.store.clone(), credential.within(Duration::from_millis(200)));
    service.misbehave(Fault::LoseReply);
    let error = hold(&records, "a", "1").await.unwrap_err();
    assert!(matches!(&error, RecordsError::Provider { source, .. } if source.is_retryable()), "{error:?}");
    emptied(&records).await;
    assert!(service.everything(&zone().name).is_empty());
}

#[tokio::test]
async fn a_value_two_orders_share_goes_with_the_last_of_them() {
    let (directory, records, service) = fresh().await;
    let other = records_over(open(directory.path()).await, &service);
    let first = hold(&records, "a", "1").await.unwrap();
    let second = hold(&records, "a", "1").await.unwrap();
    let elsewhere = hold(&other, "a", "1").await.unwrap();
    let kept = Released { kept: 1, ..Released::default() };
    assert_eq!(first.release(PATIENCE).await, kept);
    assert_eq!(second.release(PATIENCE).await, kept);
    assert_eq!(service.everything(&zone().name).len(), 1);
    assert_eq!(elsewhere.release(PATIENCE).await.removed, 1);
    assert!(service.everything(&zone().name).is_empty());
    emptied(&records).await;
}

#[tokio::test]
async fn a_value_that_another_process_is_removing_is_there_for_who_comes_next() {
    let (directory, records, service) = fresh().await;
    let other = records_over(open(directory.path()).await, &service);
    let first = hold(&records, "a", "1").await.unwrap();
    service.misbehave(Fault::Slow(Duration::from_millis(300)));
    let (removed, second) = tokio::join!(first.release(PATIENCE), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        hold(&other, "a", "1").await.unwrap()
    });
    assert_eq!(removed.removed, 1);
    assert_eq!(service.everything(&zone().name).len(), 1);
    assert_eq!(second.release(PATIENCE).await.removed, 1);
}

#[tokio::test]
async fn other_peoples_values_stay() {
    let (_directory, records, service) = fresh().await;
    let foreign = TxtRecords { ttl: 7200, values: vec![value("theirs")] };
    service.write(&zone().name, &fqdn("a"), foreign.clone());
    hold(&records, "a", "1").await.unwrap().release(PATIENCE).await;
    assert_eq!(service.records(&zone().name, &fqdn("a")), foreign);
}

#[tokio::test]
async fn a_hold_that_is_given_up_half_way_leaves_nothing() {
    let (_directory, records, service) = fresh().await;
    service.misbehave(Fault::Slow(Duration::from_millis(100)));
    let asking = hold(&records, "a", "1");
    assert!(tokio::time::timeout(Duration::from_millis(50), asking).await.is_err());
    let hold = hold(&records, "b", "1").await.unwrap();
    hold.release(PATIENCE).await;
    emptied(&records).await;
    assert!(service.everything(&zone().name).is_empty());
}

/// A process that publishes a value and is killed.
async fn killed_with(directory: &Path, service: &MemoryProvider, label: &'static str) {
    let (directory, service) = (directory.to_path_buf(), service.clone());
    killed_process(move || async move {
        let records = records_over(open(&directory).await, &service);
        std::mem::drop(hold(&records, label, "1").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_the_dead_left_is_swept_and_what_the_living_hold_is_not() {
    let (directory, records, service) = fresh().await;
    let _living = hold(&records, "living", "1").await.unwrap();
    killed_with(directory.path(), &service, "killed").await;
    assert_eq!(service.everything(&zone().name).len(), 2);
    let swept = records.sweep().await.unwrap();
    assert_eq!(swept, Swept { removed: 1, left: Vec::new() });
    let left = service.everything(&zone().name);
    assert_eq!(left, [(fqdn("living"), value("1"))]);
    assert!(records.0.store.dead_owners().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_belongs_to_an_unknown_credential_is_kept_and_reported() {
    let (directory, records, service) = fresh().await;
    killed_with(directory.path(), &service, "killed").await;
    let stranger = Records::new(records.0.store.clone(), [], TaskTracker::new(), &CancellationToken::new());
    let swept = stranger.sweep().await.unwrap();
    assert_eq!((swept.removed, swept.left.len()), (0, 1));
    assert!(swept.left[0].reason.contains("memory"), "{}", swept.left[0].reason);
    assert_eq!(records.sweep().await.unwrap().removed, 1);
}

#[tokio::test]
async fn what_could_not_be_removed_is_removed_by_the_next_sweep() {
    let (_directory, records, service) = fresh().await;
    let hold = hold(&records, "a", "1").await.unwrap();
    service.misbehave(Fault::Refuse(refusal(ProviderErrorKind::Permission)));
    let released = hold.release(PATIENCE).await;
    assert_eq!((released.removed, released.left.len()), (0, 1));
    assert!(released.left[0].reason.contains("not today"), "{}", released.left[0].reason);
    assert_eq!(records.list().await.unwrap().len(), 1);
    assert_eq!(records.sweep().await.unwrap().removed, 1);
    emptied(&records).await;
    assert!(service.everything(&zone().name).is_empty());
}

#[tokio::test]
async fn what_a_person_adds_stays_until_a_person_removes_it() {
    let (directory, records, service) = fresh().await;
    let path = directory.path().to_path_buf();
    let (theirs, service_of_the_dead) = (record("a", "1"), service.clone());
    killed_process(move || async move {
        let records = records_over(open(&path).await, &service_of_the_dead);
        let reports = records.add_manually(vec![theirs]).await.unwrap();
        assert_eq!(reports[0].values, 1);
        records.shutdown(PATIENCE).await.unwrap();
    })
    .await;
    assert_eq!(records.sweep().await.unwrap(), Swept::default());
    assert_eq!(records.list().await.unwrap()[0].holders, [Holder::Manual]);
    assert_eq!(service.everything(&zone().name).len(), 1);
    assert_eq!(records.remove_manually(vec![record("a", "1")]).await.unwrap().removed, 1);
    assert!(service.everything(&zone().name).is_empty());
    emptied(&records).await;
}

#[tokio::test]
async fn a_value_that_is_not_in_the_ledger_is_not_removed_by_hand() {
    let (_directory, records, service) = fresh().await;
    let foreign = TxtRecords { ttl: 60, values: vec![value("theirs")] };
    service.write(&zone().name, &fqdn("a"), foreign.clone());
    let released = records.remove_manually(vec![record("a", "theirs")]).await.unwrap();
    assert_eq!(released.removed, 0);
    assert_eq!(service.records(&zone().name, &fqdn("a")), foreign);
}

#[tokio::test]
async fn a_value_a_person_could_not_add_is_not_kept_for_him() {
    let (_directory, records, service) = fresh().await;
    service.forbid(fqdn("a"));
    assert!(records.add_manually(vec![record("a", "1")]).await.is_err());
    emptied(&records).await;
}

#[tokio::test]
async fn a_persistent_value_is_not_ours_to_remove() {
    let (_directory, records, service) = fresh().await;
    let wanted = vec![Record { persistent: true, ..record("a", "stays") }, record("a", "goes")];
    let hold = records.hold(&OrderId::random(), records.announce(), wanted).await.unwrap();
    assert_eq!(records.list().await.unwrap().len(), 1);
    hold.release(PATIENCE).await;
    records.shutdown(PATIENCE).await.unwrap();
    assert_eq!(service.everything(&zone().name), [(fqdn("a"), value("stays"))]);
}

#[tokio::test]
async fn a_name_that_is_full_is_waited_for() {
    let (directory, records, service) = fresh().await;
    let mut limits = Limits::new(Batch::Record);
    limits.values_per_name = Some(2);
    let service = service.with_limits(limits);
    let records = records_over(records.0.store.clone(), &service);
    let other = records_over(open(directory.path()).await, &service);
    let too_many = vec![record("a", "1"), record("a", "2"), record("a", "3")];
    let refused = records.hold(&OrderId::random(), records.announce(), too_many).await;
    assert!(matches!(refused, Err(RecordsError::TooManyValues { most: 2, wanted: 3, .. })), "{refused:?}");
    let first = hold(&records, "a", "1").await.unwrap();
    let _second = hold(&other, "a", "2").await.unwrap();
    let mut third = Box::pin(hold(&other, "a", "3"));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut third).await.is_err());
    let _free = hold(&other, "b", "1").await.unwrap();
    first.release(PATIENCE).await;
    let _third = third.await.unwrap();
    assert_eq!(service.records(&zone().name, &fqdn("a")).values, [value("2"), value("3")]);
}

#[tokio::test]
async fn where_nothing_can_be_removed_only_the_ledger_is_cleared() {
    let (_directory, records, service) = fresh().await;
    let mut limits = Limits::new(Batch::Record);
    limits.can_remove = false;
    let records = records_over(records.0.store.clone(), &service.with_limits(limits));
    let released = hold(&records, "a", "1").await.unwrap().release(PATIENCE).await;
    assert_eq!(released, Released { kept: 1, ..Released::default() });
    assert_eq!(service.applied(), 1);
    emptied(&records).await;
}

#[tokio::test]
async fn a_ttl_below_the_providers_smallest_is_raised() {
    let (_directory, records, service) = fresh().await;
    let mut limits = Limits::new(Batch::Name);
    limits.smallest_ttl = 300;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noting = Noting { inner: service.with_limits(limits), asked: Arc::clone(&asked) };
    let records = records_over(records.0.store.clone(), &noting);
    let _hold = hold(&records, "a", "1").await.unwrap();
    let asked = asked.lock().unwrap();
    assert!(matches!(asked[..], [TxtChange::Add { ttl: 300, .. }]), "{asked:?}");
}

#[tokio::test]
async fn a_long_removal_is_waited_for_while_it_goes_on_and_no_longer() {
    let (_directory, records, service) = fresh().await;
    let records = records_over(records.0.store.clone(), &service.with_limits(Limits::new(Batch::Record)));
    let wanted = (0..24).map(|number| record(&format!("n{number}"), "1")).collect();
    let held = records.hold(&OrderId::random(), records.announce(), wanted).await.unwrap();
    for _ in 0..24 {
        service.misbehave(Fault::Slow(Duration::from_millis(100)));
    }
    // Four at once: 600 ms in all.
    let released = held.release(Duration::from_millis(400)).await;
    assert_eq!((released.removed, released.left.len()), (24, 0), "{released:?}");

    let held = hold(&records, "stuck", "1").await.unwrap();
    service.misbehave(Fault::Slow(Duration::from_secs(3600)));
    let begun = tokio::time::Instant::now();
    let released = held.release(Duration::from_millis(100)).await;
    assert_eq!((released.removed, released.left.len()), (0, 1), "{released:?}");
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn an_order_is_answered_when_its_own_values_are_written_and_not_with_the_last() {
    let (_directory, records, service) = fresh().await;
    let mut limits = Limits::new(Batch::Record);
    limits.in_flight = 1;
    let records = records_over(records.0.store.clone(), &service.with_limits(limits));
    let announced: Vec<_> = (0..3).map(|number| (number, records.announce())).collect();
    service.misbehave(Fault::Slow(Duration::ZERO));
    service.misbehave(Fault::Refuse(refusal(ProviderErrorKind::Permission)));
    service.misbehave(Fault::Slow(Duration::from_secs(3600)));
    let mut holds: Vec<_> = announced
        .into_iter()
        .map(|(number, announcement)| {
            let records = records.clone();
            Box::pin(async move {
                let wanted = vec![record(&format!("n{number}"), "1")];
                records.hold(&OrderId::random(), announcement, wanted).await
            })
        })
        .collect();
    let last = holds.pop().unwrap();
    let (second, first) = (holds.pop().unwrap(), holds.pop().unwrap());
    let answers = futures_util::future::join(first, second);
    let never = async {
        let _last = last.await;
        panic!("its call takes an hour")
    };
    let (first, second) = tokio::select! {
        biased;
        answers = tokio::time::timeout(PATIENCE, answers) => answers.unwrap(),
        () = never => unreachable!(),
    };
    assert!(first.is_ok());
    assert!(matches!(second, Err(RecordsError::Provider { .. })), "a refusal does not wait either");
}

#[tokio::test]
async fn an_end_removes_what_is_held_and_takes_no_more() {
    let (_directory, records, service) = fresh().await;
    let held = hold(&records, "a", "1").await.unwrap();
    let _lost = records.announce();
    let swept = records.shutdown(PATIENCE).await.unwrap();
    assert_eq!(swept, Swept { removed: 1, left: Vec::new() });
    assert!(service.everything(&zone().name).is_empty());
    assert!(matches!(hold(&records, "b", "1").await, Err(RecordsError::ShuttingDown)));
    drop(held);
    emptied(&records).await;
}

#[tokio::test]
async fn an_end_that_takes_too_long_says_what_is_left() {
    let (_directory, records, service) = fresh().await;
    let _held = hold(&records, "a", "1").await.unwrap();
    service.misbehave(Fault::Slow(Duration::from_secs(3600)));
    let swept = records.shutdown(Duration::from_millis(100)).await.unwrap();
    assert_eq!(swept.removed, 0);
    assert_eq!(swept.left[0].name, fqdn("a"));
    assert_eq!(records.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_writers_end_when_all_is_done() {
    let (_directory, records, _service) = fresh().await;
    let (store, service) = (records.0.store.clone(), MemoryProvider::new([zone().name]));
    let tracker = TaskTracker::new();
    let credential = Credential::new(credential_name(), Arc::new(service.clone()));
    let records = Records::new(store, [credential], tracker.clone(), &CancellationToken::new());
    let held = hold(&records, "a", "1").await.unwrap();
    drop((records, held));
    tracker.close();
    tokio::time::timeout(PATIENCE, tracker.wait()).await.unwrap();
    assert!(service.everything(&zone().name).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_do_not_write_in_one_zone_at_once() {
    let (directory, records, _service) = fresh().await;
    let merging = Merging::default();
    let processes = [
        records_over(records.0.store.clone(), &merging),
        records_over(open(directory.path()).await, &merging),
    ];
    let holds = processes.iter().enumerate().flat_map(|(process, records)| {
        let merging = &merging;
        (0..6).map(move |number| async move {
            tokio::time::sleep(Duration::from_millis(number * 7)).await;
            let text = format!("{process}-{number}");
            let held = hold(records, "a", &text).await.unwrap();
            assert!(merging.0.lock().unwrap().contains(&value(&text)), "{text} was lost");
            held.release(PATIENCE).await
        })
    });
    let released = futures_util::future::join_all(holds).await;
    assert!(released.iter().all(|released| released.removed == 1), "{released:?}");
    assert!(merging.0.lock().unwrap().is_empty());
}

fn refusal(kind: ProviderErrorKind) -> ProviderError {
    ProviderError::new(kind, "not today")
}

/// A provider that answers every call alike, having done nothing.
#[derive(Clone, Debug)]
struct Doubtful {
    calls: Arc<AtomicUsize>,
    answer: fn() -> ProviderError,
}

#[async_trait]
impl DnsProvider for Doubtful {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(1000));
        limits.atomic = true;
        limits
    }

    async fn apply(&self, _: &Zone, _: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Err((self.answer)())
    }

    async fn values(&self, _: &Zone, _: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        Ok(Listing::NotAvailable)
    }
}

/// A provider that writes down what it is asked.
#[derive(Clone, Debug)]
struct Noting {
    inner: MemoryProvider,
    asked: Arc<Mutex<Vec<TxtChange>>>,
}

#[async_trait]
impl DnsProvider for Noting {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.asked.lock().unwrap().extend_from_slice(changes);
        self.inner.apply(zone, changes).await
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.inner.values(zone, name).await
    }
}

/// A provider that reads, merges and writes without any protection, as some APIs do.
#[derive(Clone, Default, Debug)]
struct Merging(Arc<Mutex<Vec<TxtValue>>>);

#[async_trait]
impl DnsProvider for Merging {
    fn limits(&self) -> Limits {
        Limits::new(Batch::Name)
    }

    async fn apply(&self, _: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let mut values = self.0.lock().unwrap().clone();
        tokio::time::sleep(Duration::from_millis(5)).await;
        for change in changes {
            values.retain(|value| value != change.value());
            if matches!(change, TxtChange::Add { .. }) {
                values.push(change.value().clone());
            }
        }
        *self.0.lock().unwrap() = values;
        Ok(Applied::default())
    }

    async fn values(&self, _: &Zone, _: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        Ok(Listing::NotAvailable)
    }
}
