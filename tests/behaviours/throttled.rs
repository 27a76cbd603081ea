//! Providers that are in trouble just when many orders want something: a refusal for rate, then
//! no answer in time though the work is done. Nothing is lost, doubled or left behind.

use async_trait::async_trait;
use dns01_core::clock::Clock;
use dns01_core::records::{Record, Records};
use dns01_core::store::{OrderId, Store};
use dns01_provider::{
    Applied, Credential, CredentialName, DnsProvider, Fqdn, Limits, Listing, Plugin, ProviderError, Settings,
    TxtChange, TxtValue, Zone, ZoneName,
};
use dns01_tests::fake_dns_api::cloudflare::{Access, Cloudflare};
use dns01_tests::fake_dns_api::route53::{Route53, Statement};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, Service};
use hyper::header::RETRY_AFTER;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const ZONE: &str = "example.test";
const ORDERS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);

/// The same provider, given up sooner, so that nobody waits half a minute here.
#[derive(Debug)]
struct Impatient(Arc<dyn DnsProvider>);

#[async_trait]
impl DnsProvider for Impatient {
    fn limits(&self) -> Limits {
        let mut limits = self.0.limits();
        limits.call_timeout = Duration::from_secs(1);
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.0.apply(zone, changes).await
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.0.values(zone, name).await
    }
}

fn name(number: usize) -> Fqdn {
    Fqdn::parse(&format!("_acme-challenge.n{number}.{ZONE}")).unwrap()
}

/// Fifty orders hold a value each, of which every fifth shares its name with the one before, and
/// let go, while the service is in trouble both times.
async fn nothing_is_lost_or_doubled<S: Service>(
    api: &FakeDnsApi<S>,
    id: &str,
    plugin: Plugin,
    settings: Settings,
    too_many: Answer,
) {
    let zone = Zone { name: ZoneName::parse(ZONE).unwrap(), id: Some(id.to_owned()) };
    let credential = CredentialName::parse("service").unwrap();
    let provider = Impatient((plugin.build)(settings).unwrap());
    let (directory, tracker) = (tempfile::tempdir().unwrap(), TaskTracker::new());
    let store = Store::open(directory.path(), Clock::system(), &tracker).await.unwrap();
    let credentials = [Credential::new(credential.clone(), Arc::new(provider))];
    let records = Records::new(store, credentials, tracker, &CancellationToken::new());
    let trouble = || {
        for fault in [Fault::Instead(too_many.clone()), Fault::Nothing, Fault::Late(Duration::from_secs(3))] {
            api.fault(fault);
        }
    };
    let place = |number: usize| name(if number % 5 == 4 { number - 1 } else { number });
    let wanted = |number: usize| {
        let value = TxtValue::parse(&format!("value-of-order-{number}")).unwrap();
        let (credential, zone) = (credential.clone(), zone.clone());
        vec![Record { credential, zone, name: place(number), value, ttl: 120, persistent: false }]
    };
    let values = |number: usize| {
        let mut values = api.txt(id, place(number).as_str()).1;
        values.sort();
        values
    };

    trouble();
    let announced: Vec<_> = (0..ORDERS).map(|number| (number, records.announce())).collect();
    let holds = announced.into_iter().map(|(number, announcement)| {
        let (records, wanted) = (records.clone(), wanted(number));
        async move { records.hold(&OrderId::random(), announcement, wanted).await.unwrap() }
    });
    let holds = futures_util::future::join_all(holds).await;
    for number in 0..ORDERS {
        let others = format!("theirs-at-{number}");
        let mut expected = match number % 5 {
            3 => vec![number, number + 1],
            4 => vec![number - 1, number],
            _ => vec![number],
        }
        .into_iter()
        .map(|number| format!("value-of-order-{number}"))
        .collect::<Vec<_>>();
        if number == 0 {
            expected.insert(0, others);
        }
        assert_eq!(values(number), expected, "once each, beside what is not ours");
    }

    trouble();
    let released = holds.into_iter().map(|hold| hold.release(PATIENCE));
    let released = futures_util::future::join_all(released).await;
    assert_eq!(released.iter().map(|one| one.removed).sum::<usize>(), ORDERS, "{released:?}");
    let left = api.edit(|held| held.zone_mut(id).unwrap().records.clone());
    let left: Vec<_> = left.iter().map(|record| record.data.as_str()).collect();
    assert_eq!(left, ["theirs-at-0"]);
    // Rows go a moment after their records.
    let deadline = Instant::now() + PATIENCE;
    while !records.list().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "the ledger is not empty: {:?}", records.list().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(api.requests().len() < 16, "{:?}", api.requests());
}

#[tokio::test]
async fn route_53_in_trouble_loses_nothing_and_doubles_nothing() {
    let api = FakeDnsApi::start(Route53::new()).unwrap();
    let id = api.zone(ZONE);
    api.add(&id, name(0).as_str(), "TXT", 300, "theirs-at-0");
    api.edit(|held| held.zone_mut(&id).unwrap().records[0].form = "\"theirs-at-0\"".to_owned());
    let actions = ["ListResourceRecordSets", "ChangeResourceRecordSets"];
    let key = api.service().key(&[Statement::of(&actions).in_zone(&id)]);
    let endpoint = api.url();
    let settings = Settings::default()
        .with("endpoint_url", endpoint.trim_end_matches("/2013-04-01"))
        .with("access_key_id", json!({ "literal": key.id }))
        .with("secret_access_key", json!({ "literal": key.secret }));
    // It never says for how long.
    let too_many = api.service().throttled();
    nothing_is_lost_or_doubled(&api, &id, dns01_provider_route53::PLUGIN, settings, too_many).await;
}

#[tokio::test]
async fn cloudflare_in_trouble_loses_nothing_and_doubles_nothing() {
    let api = FakeDnsApi::start(Cloudflare::new()).unwrap();
    let id = api.zone(ZONE);
    api.add(&id, name(0).as_str(), "TXT", 300, "theirs-at-0");
    let token = api.service().token(&[Access::Edit(id.clone())]);
    let settings =
        Settings::default().with("base_url", api.url()).with("api_token", json!({ "literal": token }));
    let too_many = api.service().throttled().with(RETRY_AFTER, "2");
    nothing_is_lost_or_doubled(&api, &id, dns01_provider_cloudflare::PLUGIN, settings, too_many).await;
}
