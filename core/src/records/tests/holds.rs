//! What a hold keeps, who shares it, and what goes with it.

use super::*;

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

#[tokio::test]
async fn other_peoples_values_stay() {
    let (_directory, records, service) = fresh().await;
    let foreign = TxtRecords { ttl: 7200, values: vec![value("theirs")] };
    service.write(&zone().name, &fqdn("a"), foreign.clone());
    hold(&records, "a", "1").await.unwrap().release(PATIENCE).await;
    assert_eq!(service.records(&zone().name, &fqdn("a")), foreign);
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
