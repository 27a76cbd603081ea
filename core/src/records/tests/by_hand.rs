//! Values that a person adds and removes.

use super::*;

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
