//! How many calls a round takes, and whose mistake is whose.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

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
