//! A fake with one zone, and a provider that may write in it.

use super::{ALIASED, ZONE, add, adds, name, named, removals};
use dns01_provider::{DnsProvider, Fqdn, ProviderError, Zone};
use dns01_tests::fake_dns_api::{FakeDnsApi, Service};
use std::borrow::Borrow as _;
use std::sync::Arc;
use std::time::Duration;

/// The service `S` as a fake, and a key `K` for it: a token, a pair of keys, an application.
pub(crate) struct Stand<S: Service, K: ToOwned + ?Sized> {
    pub(crate) api: Arc<FakeDnsApi<S>>,
    /// [`ZONE`], as the provider knows it.
    pub(crate) zone: Zone,
    /// What the fake calls it.
    pub(crate) id: String,
    pub(crate) key: K::Owned,
    build: fn(&FakeDnsApi<S>, &K) -> Arc<dyn DnsProvider>,
}

impl<S: Service, K: ToOwned + ?Sized> Stand<S, K> {
    /// `build` makes the plugin as `dns01.toml` would, for that fake and a key; `id` is the
    /// fake's for [`ZONE`].
    pub(crate) fn new(
        api: FakeDnsApi<S>,
        id: String,
        key: K::Owned,
        build: fn(&FakeDnsApi<S>, &K) -> Arc<dyn DnsProvider>,
    ) -> Self {
        let zone = Zone { id: Some(id.clone()), ..named(ZONE) };
        Self { api: Arc::new(api), zone, id, key, build }
    }

    /// At a service that knows the zone by something else than what the fake calls it.
    pub(crate) fn known_as(mut self, id: &str) -> Self {
        self.zone.id = Some(id.to_owned());
        self
    }

    /// Refuses everything for rate.
    pub(crate) fn refusing_all(self) -> Self {
        self.api.limit(0, Duration::from_secs(300));
        self
    }

    /// The plugin, anew.
    pub(crate) fn provider(&self) -> Arc<dyn DnsProvider> {
        self.with(self.key.borrow())
    }

    /// The plugin with another key.
    pub(crate) fn with(&self, key: &K) -> Arc<dyn DnsProvider> {
        (self.build)(&self.api, key)
    }

    /// The values at `name`, as the fake holds them.
    pub(crate) fn values(&self, name: &Fqdn) -> Vec<String> {
        self.set(name).1
    }

    /// The same with their TTL.
    pub(crate) fn set(&self, name: &Fqdn) -> (u32, Vec<String>) {
        self.api.txt(&self.id, name.as_str())
    }

    /// Whether just `values` stand at each of `names`.
    pub(crate) fn all_hold(&self, names: &[Fqdn], values: &[&str]) -> bool {
        names.iter().all(|name| self.values(name) == values)
    }

    /// Puts a CNAME at [`ALIASED`].
    pub(crate) fn alias(&self) {
        self.api.add(&self.id, ALIASED, "CNAME", 3600, "elsewhere.test.");
    }

    /// Why `provider` cannot write in the zone.
    pub(crate) async fn refusal(&self, provider: &dyn DnsProvider) -> ProviderError {
        provider.apply(&self.zone, &[add(&name("refused"), "v")]).await.unwrap_err()
    }

    /// Adds a value at `count` names at once and removes them again, by one provider; the
    /// numbers of requests that it took to add, and to remove.
    pub(crate) async fn each_way(&self, count: usize) -> (usize, usize) {
        let (provider, names) = (self.provider(), super::names(count));
        let before = self.api.requests().len();
        provider.apply(&self.zone, &adds(&names, "v")).await.unwrap();
        assert!(self.all_hold(&names, &["v"]), "all are added");
        let between = self.api.requests().len();
        provider.apply(&self.zone, &removals(&names, "v")).await.unwrap();
        assert!(self.all_hold(&names, &[]), "all are removed");
        (between - before, self.api.requests().len() - between)
    }

    /// Has `provider` write two values one after the other into the zone, of which it is told
    /// the name only.
    pub(crate) async fn write_by_name(&self, provider: &dyn DnsProvider) {
        let (zone, here) = (named(ZONE), name("looked-up"));
        for value in ["v", "w"] {
            provider.apply(&zone, &[add(&here, value)]).await.unwrap();
        }
        let mut values = self.values(&here);
        values.sort_unstable();
        assert_eq!(values, ["v", "w"]);
    }
}
