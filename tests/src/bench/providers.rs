//! What providers cost: HTTP requests for many names in one zone, through the plugin as the zone
//! writers call it, counted where they arrive.

use super::figures::Figures;
use super::relay::Relay;
use crate::fake_dns_api::cloudflare::{Access, Cloudflare};
use crate::fake_dns_api::route53::{Route53, Statement};
use crate::fake_dns_api::{FakeDnsApi, Service};
use crate::rig::{Primary, Rig};
use dns01_provider::{
    Credential, CredentialName, Fqdn, Listing, Plugin, Settings, TxtChange, TxtValue, Zone, ZoneName,
};
use serde_json::json;

/// Names in the zone.
const NAMES: usize = 200;
const ZONE: &str = "example.test";

/// Adds a value at each of many names of one zone, and removes it, with each provider. Zones have
/// no id in the configuration, so that the first batch looks it up too.
pub(super) fn measure(rig: &Rig, figures: &mut Figures) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        route53(figures).await;
        cloudflare(figures).await;
        powerdns(rig, figures).await;
    });
}

async fn route53(figures: &mut Figures) {
    let api = FakeDnsApi::start(Route53::new()).expect("a port is free");
    let id = api.zone(ZONE);
    others(&api, &id);
    let changes = Statement::of(&["ListResourceRecordSets", "ChangeResourceRecordSets"]).in_zone(&id);
    let key = api.service().key(&[Statement::of(&["ListHostedZonesByName"]), changes]);
    let settings = Settings::default()
        .with("endpoint_url", api.url().trim_end_matches("/2013-04-01"))
        .with("access_key_id", json!({ "literal": key.id }))
        .with("secret_access_key", json!({ "literal": key.secret }));
    let writer = Writer::new(dns01_provider_route53::PLUGIN, settings, ZONE);
    writer.count(|| api.requests().len(), figures).await;
}

async fn cloudflare(figures: &mut Figures) {
    let api = FakeDnsApi::start(Cloudflare::new()).expect("a port is free");
    let id = api.zone(ZONE);
    others(&api, &id);
    let token = api.service().token(&[Access::Edit(id.clone()), Access::Read(id)]);
    let settings =
        Settings::default().with("base_url", api.url()).with("api_token", json!({ "literal": token }));
    let writer = Writer::new(dns01_provider_cloudflare::PLUGIN, settings, ZONE);
    writer.count(|| api.requests().len(), figures).await;
}

/// Requests to the real server are counted on the way.
async fn powerdns(rig: &Rig, figures: &mut Figures) {
    let zone = rig.zone().primary(Primary::PowerDns).create();
    let (url, key) = rig.powerdns_api();
    let server = url.trim_start_matches("http://").split('/').next().and_then(|text| text.parse().ok());
    let server = server.unwrap_or_else(|| panic!("`{url}` has no address"));
    let relay = Relay::to(server).expect("a port is free");
    let settings = Settings::default()
        .with("url", format!("http://{}", relay.address()))
        .with("api_key", json!({ "literal": key }));
    let writer = Writer::new(dns01_provider_powerdns::PLUGIN, settings, zone.name());
    writer.count(|| relay.requests(), figures).await;
}

/// The zone is in use: each of the names is a host.
fn others<S: Service>(api: &FakeDnsApi<S>, id: &str) {
    for number in 0..NAMES {
        api.add(id, &format!("n{number}.{ZONE}"), "A", 300, "192.0.2.1");
    }
}

/// The way of the zone writers: batches as the provider allows, through the one calling layer.
struct Writer {
    provider: &'static str,
    credential: Credential,
    zone: Zone,
}

impl Writer {
    fn new(plugin: Plugin, settings: Settings, zone: &str) -> Self {
        let provider = (plugin.build)(settings).expect("the settings are right");
        let name = CredentialName::parse(plugin.name).expect("it is a name");
        let zone = Zone::named(ZoneName::parse(zone).expect("it is a name"));
        Self { provider: plugin.name, credential: Credential::new(name, provider), zone }
    }

    fn name(&self, number: usize) -> Fqdn {
        let text = format!("_acme-challenge.n{number}.{}", self.zone.name);
        Fqdn::parse(&text).expect("it is a name")
    }

    async fn count(&self, requests: impl Fn() -> usize, figures: &mut Figures) {
        // As long as a challenge's.
        let value = TxtValue::parse(&"v".repeat(43)).expect("it is printable");
        let add = |number| TxtChange::Add { name: self.name(number), value: value.clone(), ttl: 60 };
        let remove = |number| TxtChange::Remove { name: self.name(number), value: value.clone() };
        let before = requests();
        self.apply((0..NAMES).map(add).collect()).await;
        let after = requests();
        self.stands(std::slice::from_ref(&value)).await;
        let again = requests();
        self.apply((0..NAMES).map(remove).collect()).await;
        let end = requests();
        self.stands(&[]).await;
        let provider = self.provider;
        figures.put(&format!("{provider}_{NAMES}_calls_add"), (after - before) as f64, "requests");
        figures.put(&format!("{provider}_{NAMES}_calls_remove"), (end - again) as f64, "requests");
    }

    async fn apply(&self, changes: Vec<TxtChange>) {
        for batch in self.credential.limits().batch.split(changes) {
            self.credential.apply(&self.zone, &batch).await.expect("the service is in order");
        }
    }

    /// A figure of work that was not done would mean nothing.
    async fn stands(&self, expected: &[TxtValue]) {
        for number in [0, NAMES - 1] {
            let name = self.name(number);
            let seen = self.credential.values(&self.zone, &name).await.expect("the service is in order");
            assert_eq!(seen, Listing::Listed(expected.to_vec()), "at {name}");
        }
    }
}
