//! The modes in which nobody in the DNS is asked.

use super::*;
use crate::config::{PropagationConfig, ZoneConfig};
use crate::deploy::LiveDirectory;
use crate::dns::{Dns, DnsSettings};
use crate::event::Events;
use crate::issue::{BoundCredential, Routes};
use crate::records::{Records, ZoneReport};
use crate::store::Store;
use async_trait::async_trait;
use dns01_provider::memory::MemoryProvider;
use dns01_provider::{
    Applied, Credential, CredentialName, DnsProvider, Fqdn, Limits, Listing, ProviderError,
    ProviderErrorKind, TxtChange, TxtValue, Zone, ZoneName,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The memory provider with a status: what it says next, the last for ever.
#[derive(Debug)]
struct Telling {
    memory: MemoryProvider,
    says: Mutex<Vec<Result<Published, ProviderErrorKind>>>,
    asked: Mutex<Vec<(String, Instant)>>,
}

#[async_trait]
impl DnsProvider for Telling {
    fn limits(&self) -> Limits {
        self.memory.limits()
    }
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.memory.apply(zone, changes).await
    }
    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        self.memory.values(zone, name).await
    }
    async fn published(&self, _: &Zone, receipt: &Receipt) -> Result<Published, ProviderError> {
        self.asked.lock().unwrap().push((receipt.0.clone(), Instant::now()));
        let mut says = self.says.lock().unwrap();
        let said = if says.len() > 1 { says.remove(0) } else { says[0] };
        said.map_err(|kind| ProviderError::new(kind, "no"))
    }
}

/// The time that is left for the order.
const LIMIT: Duration = Duration::from_secs(600);

struct Scene {
    context: Context,
    provider: Arc<Telling>,
    credential: Credential,
    _state: tempfile::TempDir,
}

fn zone() -> Zone {
    Zone::named(ZoneName::parse("example.test").unwrap())
}

impl Scene {
    async fn new(says: &[Result<Published, ProviderErrorKind>]) -> Self {
        let memory = MemoryProvider::new([zone().name]);
        let provider = Arc::new(Telling { memory, says: Mutex::new(says.to_vec()), asked: Mutex::default() });
        let credential =
            Credential::new(CredentialName::parse("telling").unwrap(), Arc::clone(&provider) as _);
        let state = tempfile::tempdir().unwrap();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let store = Store::open(state.path(), crate::clock::Clock::system(), &tasks).await.unwrap();
        let records = Records::new(store.clone(), [credential.clone()], tasks.clone(), &cancel);
        let dns = Dns::new(DnsSettings::default(), tasks.clone(), cancel.clone());
        let live = LiveDirectory::below(state.path());
        let routes = Routes::new(Vec::new());
        let context = Context::new(store, records, dns, routes, live, Events::nowhere(), tasks, cancel);
        Self { context, provider, credential, _state: state }
    }

    fn route(&self, propagation: PropagationConfig) -> Route {
        let bound = BoundCredential {
            credential: self.credential.clone(),
            zones: vec![ZoneConfig { propagation, ..ZoneConfig::new(zone()) }],
            ttl: None,
            propagation: PropagationConfig::default(),
            aliases: BTreeMap::new(),
        };
        Routes::new(vec![bound]).to(&zone().name).unwrap()
    }

    async fn wait(
        &self,
        propagation: PropagationConfig,
        receipts: &[&str],
    ) -> (Result<Seen, IssueError>, Vec<String>) {
        let route = self.route(propagation);
        let written = [ZoneReport {
            credential: self.credential.name().clone(),
            zone: zone().name,
            values: 1,
            calls: 1,
            receipts: receipts.iter().map(|text| Receipt((*text).to_owned())).collect(),
        }];
        let (progress, mut heard) = watch::channel(Progress::default());
        let texts = Mutex::new(Vec::new());
        let listen = async {
            while heard.changed().await.is_ok() {
                texts.lock().unwrap().push(heard.borrow_and_update().to_string());
            }
            std::future::pending().await
        };
        let result = tokio::select! {
            biased;
            never = listen => never,
            result = seen(&self.context, &route, &[], &written, LIMIT, &progress) => result,
        };
        (result, texts.into_inner().unwrap())
    }

    fn asked(&self) -> Vec<String> {
        self.provider.asked.lock().unwrap().iter().map(|(receipt, _)| receipt.clone()).collect()
    }
}

fn provider_mode() -> PropagationConfig {
    PropagationConfig { check: CheckMode::Provider, ..PropagationConfig::default() }
}

#[tokio::test]
async fn the_service_is_asked_in_growing_pauses_until_it_says_yes_to_every_receipt() {
    let not_yet = Ok(Published::NotYet);
    let scene = Scene::new(&[not_yet, not_yet, Ok(Published::Yes)]).await;
    tokio::time::pause();
    let (result, told) = scene.wait(provider_mode(), &["one", "two"]).await;
    assert!(matches!(result, Ok(Seen::Published)), "{result:?}");
    assert_eq!(scene.asked(), ["two", "two", "two", "one"]);
    let at: Vec<Instant> = scene.provider.asked.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert_eq!([at[1] - at[0], at[2] - at[1]].map(|pause| pause.as_millis() / 10), [100, 150]);
    assert!(told.iter().any(|text| text == "telling says that the change is still under way"), "{told:?}");
}

#[tokio::test]
async fn a_service_that_never_says_yes_fails_it_when_the_time_is_over() {
    let scene = Scene::new(&[Ok(Published::NotYet)]).await;
    tokio::time::pause();
    let rules = PropagationConfig { timeout: Duration::from_secs(20), ..provider_mode() };
    let (result, _) = scene.wait(rules, &["one"]).await;
    let Err(error @ IssueError::Unpublished { .. }) = result else { panic!("{result:?}") };
    assert_eq!(error.id(), "propagation");
}

#[tokio::test]
async fn a_zone_that_settles_asks_the_service_once_more() {
    let scene = Scene::new(&[Ok(Published::Yes)]).await;
    tokio::time::pause();
    let rules = PropagationConfig { settle: Duration::from_secs(5), ..provider_mode() };
    let begun = Instant::now();
    let (result, told) = scene.wait(rules, &["one"]).await;
    assert!(result.is_ok() && begun.elapsed().as_secs() == 5, "{result:?} {:?}", begun.elapsed());
    assert_eq!(scene.asked(), ["one", "one"]);
    assert!(told.iter().any(|text| text == "asking the service again in 5 s"), "{told:?}");
}

#[tokio::test]
async fn a_service_without_a_status_is_told_before_anything_is_written_and_otherwise_after() {
    let scene = Scene::new(&[Ok(Published::NotAvailable)]).await;
    let route = scene.route(provider_mode());
    let error = check_beforehand(&route, LIMIT).await.unwrap_err();
    assert_eq!(error.id(), "no-provider-status");
    assert!(error.hint().unwrap().contains("wait"), "{error}");
    for receipts in [&["one"][..], &[]] {
        let (result, _) = scene.wait(provider_mode(), receipts).await;
        assert!(matches!(result, Err(IssueError::NoStatus { .. })), "{result:?}");
    }
    let asked = scene.asked().len();
    check_beforehand(&scene.route(PropagationConfig::default()), LIMIT).await.unwrap();
    assert_eq!(scene.asked().len(), asked, "only the mode `provider` asks");
    let telling = Scene::new(&[Err(ProviderErrorKind::NotFound)]).await;
    check_beforehand(&telling.route(provider_mode()), LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_fixed_wait_is_counted_down_and_nobody_is_asked() {
    let scene = Scene::new(&[Ok(Published::Yes)]).await;
    tokio::time::pause();
    let rules = PropagationConfig {
        check: CheckMode::Unwatched,
        wait: Duration::from_secs(30),
        ..PropagationConfig::default()
    };
    let begun = Instant::now();
    let (result, told) = scene.wait(rules.clone(), &["one"]).await;
    assert!(matches!(result, Ok(Seen::Waited(waited)) if waited.as_secs() == 30), "{result:?}");
    assert_eq!((begun.elapsed().as_secs(), told.len()), (30, 30));
    assert_eq!(told[8], "waiting another 22 s, as configured");
    assert_eq!(scene.asked().len(), 0);
    let too_long = PropagationConfig { wait: Duration::from_secs(601), ..rules };
    let error = check_beforehand(&scene.route(too_long.clone()), LIMIT).await.unwrap_err();
    assert!(matches!(error, IssueError::WaitTooLong { .. }), "{error:?}");
    let (result, _) = scene.wait(too_long, &[]).await;
    assert!(matches!(result, Err(IssueError::WaitTooLong { .. })), "{result:?}");
}
