//! What the dead left, and what is still held at the end.

use super::*;
use std::path::Path;

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

/// A service that knows its zone by one id alone.
#[derive(Clone, Debug)]
struct ById(MemoryProvider, &'static str);

#[async_trait]
impl DnsProvider for ById {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        match zone.id.as_deref() == Some(self.1) {
            true => self.0.apply(zone, changes).await,
            false => Err(refusal(ProviderErrorKind::NotFound)),
        }
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.0.values(zone, name).await
    }
}

#[tokio::test]
async fn a_zone_that_was_made_anew_is_swept_and_written_by_its_new_id() {
    let (directory, store) = temporary().await;
    let service = MemoryProvider::new([zone().name]);
    let in_zone = |label: &str, id: &str| {
        let zone = Zone { id: Some(id.to_owned()), ..zone() };
        vec![Record { zone, ..record(label, "1") }]
    };
    let (path, old, left) =
        (directory.path().to_path_buf(), ById(service.clone(), "old"), in_zone("a", "old"));
    killed_process(move || async move {
        let records = records_over(open(&path).await, &old);
        let hold = records.hold(&OrderId::random(), records.announce(), left).await;
        std::mem::drop(hold.unwrap());
    })
    .await;
    let credential = Credential::new(credential_name(), Arc::new(ById(service.clone(), "new")));
    let configured = [(credential, vec![in_zone("a", "new")[0].zone.clone()])];
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let records = Records::of_zones(store, configured, tasks, &stop);
    assert_eq!(records.sweep().await.unwrap(), Swept { removed: 1, left: Vec::new() });
    let hold = records.hold(&OrderId::random(), records.announce(), in_zone("b", "new")).await.unwrap();
    assert_eq!(service.everything(&zone().name), [(fqdn("b"), value("1"))]);
    assert_eq!(hold.release(PATIENCE).await.removed, 1);
}

/// Services that know nothing of each other, each of `zones` with a credential of one name.
fn namesakes<const N: usize>(
    store: Store,
    zones: [&[&str]; N],
) -> ([Credential; N], Records, [MemoryProvider; N]) {
    let services = zones.map(|_| MemoryProvider::new([zone().name]));
    let credentials =
        services.each_ref().map(|service| Credential::new(credential_name(), Arc::new(service.clone())));
    let zones =
        zones.map(|zones| zones.iter().map(|zone| Zone::named(ZoneName::parse(zone).unwrap())).collect());
    let all = credentials.clone().into_iter().zip(zones);
    let records = Records::of_zones(store, all, TaskTracker::new(), &CancellationToken::new());
    (credentials, records, services)
}

#[tokio::test]
async fn what_the_dead_left_goes_through_the_first_of_its_name_that_has_the_zone() {
    const HERE: &[&str] = &["example.test"];
    const ELSEWHERE: &[&str] = &["other.test"];
    const ALL: &[&str] = &[];
    for (zones, expected) in
        [([ELSEWHERE, ALL, HERE], 2), ([HERE, HERE, ALL], 0), ([ELSEWHERE, ELSEWHERE, ALL], 2)]
    {
        let (directory, store) = temporary().await;
        let (_, records, services) = namesakes::<3>(store, zones);
        killed_with(directory.path(), &services[expected], "killed").await;
        assert_eq!(services[expected].everything(&zone().name).len(), 1);
        assert_eq!(records.sweep().await.unwrap(), Swept { removed: 1, left: Vec::new() });
        assert_eq!(services[expected].everything(&zone().name), [], "{zones:?}");
    }
}

#[tokio::test]
async fn an_order_writes_through_the_one_that_was_chosen_and_not_through_its_namesake() {
    let (_directory, store) = temporary().await;
    let (credentials, records, services) = namesakes(store, [&["example.test"], &["example.test"]]);
    let stand = || services.each_ref().map(|service| service.everything(&zone().name).len());
    let first = hold(&records, "a", "1").await.unwrap();
    let second = hold(&records.through(credentials[1].clone()), "b", "1").await.unwrap();
    assert_eq!(stand(), [1, 1]);
    assert_eq!(first.release(PATIENCE).await.removed, 1);
    assert_eq!(stand(), [0, 1]);
    drop(second);
    emptied(&records).await;
    assert_eq!(stand(), [0, 0]);
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

/// A process that publishes a value and is killed.
async fn killed_with(directory: &Path, service: &MemoryProvider, label: &'static str) {
    let (directory, service) = (directory.to_path_buf(), service.clone());
    killed_process(move || async move {
        let records = records_over(open(&directory).await, &service);
        std::mem::drop(hold(&records, label, "1").await.unwrap());
    })
    .await;
}
