//! A hundred names at services that count calls: how many calls there are, in which order, and
//! when the last one ends. The limits are exactly those of the plugins, the records layer is the
//! real one, and the clock is the test's.

use async_trait::async_trait;
use dns01_core::clock::Clock;
use dns01_core::records::{Hold, Record, Records, RecordsError};
use dns01_core::store::{OrderId, Store};
use dns01_provider::{
    Applied, Credential, CredentialName, DnsProvider, Fqdn, Limits, Listing, MemoryProvider, Plugin,
    ProviderError, ProviderErrorKind, Settings, TxtChange, TxtValue, Zone, ZoneName,
};
use futures_util::future::join_all;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// By so much the clock moves at a time; every wait of the limits is a multiple of it.
const STEP: Duration = Duration::from_millis(100);
/// Real time that passes meanwhile, for the store's own thread.
const REAL: Duration = Duration::from_millis(2);
/// The store works in real time, during which the clock moves on: by seconds where the machine is
/// busy. Calls of one round do not depend on it, and their times are exact.
const SLACK: Duration = Duration::from_secs(15);

/// The limits that the plugin has.
fn limits(plugin: &Plugin, keys: &[&str]) -> Limits {
    let secret = serde_json::json!({ "literal": "secret" });
    let settings = keys.iter().fold(Settings::default(), |settings, key| settings.with(key, secret.clone()));
    (plugin.build)(settings).unwrap().limits()
}

fn desec() -> Limits {
    limits(&dns01_provider_desec::PLUGIN, &["token"])
}

fn porkbun() -> Limits {
    limits(&dns01_provider_porkbun::PLUGIN, &["api_key", "secret_api_key"])
}

/// A call: when it came, to which zone, and with how many changes.
#[derive(Clone, Debug)]
struct Call {
    at: Instant,
    zone: ZoneName,
    changes: usize,
}

/// A service that writes down what it is asked.
#[derive(Clone, Debug)]
struct Counting {
    inner: MemoryProvider,
    calls: Arc<Mutex<Vec<Call>>>,
}

#[async_trait]
impl DnsProvider for Counting {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let call = Call { at: Instant::now(), zone: zone.name.clone(), changes: changes.len() };
        self.calls.lock().unwrap().push(call);
        self.inner.apply(zone, changes).await
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.inner.values(zone, name).await
    }
}

fn zone(name: &str) -> Zone {
    Zone::named(ZoneName::parse(name).unwrap())
}

fn credential_name() -> CredentialName {
    CredentialName::parse("counted").unwrap()
}

/// The records layer over a counting service with two zones.
struct Stand {
    _directory: TempDir,
    records: Records,
    service: Counting,
    begun: Instant,
}

impl Stand {
    async fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tracker = TaskTracker::new();
        let store = Store::open(directory.path(), Clock::system(), &tracker).await.unwrap();
        let zones = ["example.test", "other.test"].map(|name| zone(name).name);
        let inner = MemoryProvider::new(zones).with_limits(limits);
        let service = Counting { inner, calls: Arc::default() };
        let credential = Credential::new(credential_name(), Arc::new(service.clone()));
        let records = Records::new(store, [credential], tracker, &CancellationToken::new());
        Self { _directory: directory, records, service, begun: Instant::now() }
    }

    /// The order that wants one name of a zone, and when it was answered.
    async fn order(&self, zone_name: &str, number: usize) -> Result<(Hold, Instant), RecordsError> {
        let announcement = self.records.announce();
        let hold =
            self.records.hold(&OrderId::random(), announcement, vec![record(zone_name, number)]).await?;
        Ok((hold, Instant::now()))
    }

    /// As many orders at once, each for a name of its own.
    async fn orders(&self, zone_name: &str, count: usize) -> Vec<(Hold, Instant)> {
        let announced: Vec<_> = (0..count).map(|_| self.records.announce()).collect();
        let holds = announced.into_iter().enumerate().map(|(number, announcement)| async move {
            let wanted = vec![record(zone_name, number)];
            let hold = self.records.hold(&OrderId::random(), announcement, wanted).await.unwrap();
            (hold, Instant::now())
        });
        join_all(holds).await
    }

    fn calls(&self) -> Vec<Call> {
        self.service.calls.lock().unwrap().clone()
    }

    fn calls_to(&self, name: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.zone.as_str() == name).collect()
    }
}

fn record(zone_name: &str, number: usize) -> Record {
    Record {
        credential: credential_name(),
        zone: zone(zone_name),
        name: Fqdn::parse(&format!("_acme-challenge.host{number}.{zone_name}")).unwrap(),
        value: TxtValue::parse("v").unwrap(),
        ttl: 60,
        persistent: false,
    }
}

/// Runs `test` on a clock that moves step by step. It must not run by itself whenever the
/// program is idle, since the store's answers come from another thread.
fn on_the_tests_clock(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // While a blocking task is out, the paused clock stands still.
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let guard = tokio::task::spawn_blocking(move || wait.recv().is_err());
        let mut test = pin!(test);
        loop {
            tokio::select! {
                biased;
                () = &mut test => break,
                () = step() => {}
            }
        }
        drop(done);
        guard.await.unwrap();
    });
}

async fn step() {
    std::thread::sleep(REAL);
    // Whatever the other threads have brought is worked through first.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(STEP).await;
}

/// No span of `window` holds more than `most` calls.
fn assert_rate(calls: &[Call], most: usize, window: Duration) {
    for some in calls.windows(most + 1) {
        let span = some[most].at - some[0].at;
        assert!(span >= window, "{} calls within {span:?}", most + 1);
    }
}

#[test]
fn a_hundred_names_at_desec_are_one_call_each_way() {
    on_the_tests_clock(async {
        let stand = Stand::with(desec()).await;
        let holds = stand.orders("example.test", 100).await;
        assert_eq!(stand.calls().iter().map(|call| call.changes).collect::<Vec<_>>(), [100]);
        let released =
            join_all(holds.into_iter().map(|(hold, _)| hold.release(Duration::from_secs(60)))).await;
        assert!(released.iter().all(|one| one.removed == 1 && one.left.is_empty()), "{released:?}");
        assert_eq!(stand.calls().iter().map(|call| call.changes).collect::<Vec<_>>(), [100, 100]);
    });
}

#[test]
fn the_sixteenth_batch_at_desec_waits_for_its_minute_and_another_zone_does_not() {
    on_the_tests_clock(async {
        let stand = Stand::with(desec()).await;
        // One after the other, so that they are batches of their own.
        let sixteen = async {
            let mut holds = Vec::new();
            for number in 0..16 {
                holds.push(stand.order("example.test", number).await.unwrap());
            }
            holds
        };
        let other = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert_eq!(stand.calls_to("example.test").len(), 15, "the sixteenth waits");
            let (hold, answered) = stand.order("other.test", 0).await.unwrap();
            (hold, answered - stand.begun)
        };
        let (_sixteen, (_other, answered)) = tokio::join!(sixteen, other);
        assert!(answered < Duration::from_secs(30) + SLACK, "another zone goes on at once: {answered:?}");

        let calls = stand.calls_to("example.test");
        assert_eq!(calls.len(), 16);
        assert_rate(&calls, 2, Duration::from_secs(1));
        assert_rate(&calls, 15, Duration::from_secs(60));
        let at: Vec<Duration> = calls.iter().map(|call| call.at - calls[0].at).collect();
        // Two in each span of a second and a half, and no later than they must.
        assert!(at[14] <= Duration::from_millis(7 * 1500) + SLACK, "{at:?}");
        assert!(at[15] >= Duration::from_secs(60) && at[15] < Duration::from_secs(62) + SLACK, "{at:?}");
    });
}

#[test]
fn a_hundred_names_at_porkbun_take_a_second_each_and_no_order_waits_for_those_behind_it() {
    on_the_tests_clock(async {
        let stand = Stand::with(porkbun()).await;
        let holds = stand.orders("example.test", 100).await;
        let calls = stand.calls();
        assert_eq!(calls.len(), 100);
        assert_rate(&calls, 1, Duration::from_secs(1));
        let span = calls[99].at - calls[0].at;
        assert_eq!(span, Duration::from_secs(99), "a call a second, and not less");
        let mut answered: Vec<Instant> = holds.iter().map(|(_, answered)| *answered).collect();
        answered.sort();
        for (call, answered) in calls.iter().zip(&answered[..99]) {
            let waited = *answered - call.at;
            assert!(waited <= Duration::from_secs(1), "an order waited {waited:?} for others");
        }

        let released =
            join_all(holds.into_iter().map(|(hold, _)| hold.release(Duration::from_secs(60)))).await;
        assert!(released.iter().all(|one| one.removed == 1 && one.left.is_empty()), "none is given up");
        let calls = stand.calls();
        assert_eq!(calls.len(), 200);
        assert_rate(&calls, 1, Duration::from_secs(1));
    });
}

#[test]
fn another_zones_few_names_at_porkbun_take_turns_with_a_hundred() {
    on_the_tests_clock(async {
        let stand = Stand::with(porkbun()).await;
        let few = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let asked = Instant::now();
            let holds = stand.orders("other.test", 5).await;
            (holds, asked.elapsed())
        };
        let (_many, (_few, took)) = tokio::join!(stand.orders("example.test", 100), few);
        // Five of its own and five or six of the others'.
        assert!(took <= Duration::from_secs(11) + SLACK, "{took:?}");
        let calls = stand.calls();
        assert_eq!(calls.len(), 105);
        assert_rate(&calls, 1, Duration::from_secs(1));
        let places: Vec<usize> = calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.zone.as_str() == "other.test")
            .map(|(n, _)| n)
            .collect();
        assert!(places.windows(2).all(|pair| pair[1] == pair[0] + 2), "turn by turn: {places:?}");
        let span = calls[104].at - calls[0].at;
        assert_eq!(span, Duration::from_secs(104), "no second is lost");
    });
}

/// The day has its limits too: what cannot be done before an order's patience ends is refused at
/// once, with the time to wait, and nothing of it is sent.
#[tokio::test(start_paused = true)]
async fn the_hundred_and_first_change_of_an_hour_at_desec_is_refused_at_once() {
    let zones = ["example.test", "other.test"].map(|name| zone(name).name);
    let inner = MemoryProvider::new(zones).with_limits(desec());
    let service = Counting { inner, calls: Arc::default() };
    let credential = Credential::new(credential_name(), Arc::new(service.clone()));
    let change = |zone_name: &str, number| {
        let Record { name, value, ttl, .. } = record(zone_name, number);
        [TxtChange::Add { name, value, ttl }]
    };
    for number in 0..100 {
        credential.apply(&zone("example.test"), &change("example.test", number)).await.unwrap();
    }
    let before = Instant::now();
    let error = credential.apply(&zone("example.test"), &change("example.test", 100)).await.unwrap_err();
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waits in vain");
    assert_eq!(error.kind(), ProviderErrorKind::RateLimited, "{error}");
    assert!(error.retry_after().unwrap() > Duration::from_secs(600), "{error}");
    credential.apply(&zone("other.test"), &change("other.test", 0)).await.unwrap();
    assert_eq!(service.calls.lock().unwrap().len(), 101);
}
