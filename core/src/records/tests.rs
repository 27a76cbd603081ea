//! The records room as its users see it, over the reference provider.

mod by_hand;
mod crashes;
mod holds;
mod rounds;
mod sweeps;

use super::*;
use crate::store::tests::{killed_process, open, temporary};
use async_trait::async_trait;
use dns01_provider::TxtRecords;
use dns01_provider::memory::{Fault, MemoryProvider};
use dns01_provider::{
    Applied, Batch, DnsProvider, Limits, Listing, ProviderError, ProviderErrorKind, TxtChange,
};
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

fn refusal(kind: ProviderErrorKind) -> ProviderError {
    ProviderError::new(kind, "not today")
}
