//! PowerDNS's HTTP API against the real server, observed with `dig` and `nsupdate`.

use super::rfc2136::{Key, Target, Tools};
use dns01_provider::conformance::Subject;
use dns01_provider::{
    DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeNeed, ScopeReport, Settings, TxtChange, TxtValue,
    Zone, ZoneName,
};
use dns01_provider_powerdns::PLUGIN;
use dns01_tests::rig::{self, Primary, Rig};
use std::sync::Arc;

/// A key that the rig's server does not have.
const WRONG_KEY: &str = "not-the-key-of-this-server";
/// A label below which a CNAME stands where the challenge would.
const ALIASED: &str = "aliased";

/// The plugin, configured as `dns01.toml` would.
fn provider(key: &str) -> Arc<dyn DnsProvider> {
    let (url, _) = Rig::get().powerdns_api();
    let settings =
        Settings::default().with("url", url).with("api_key", serde_json::json!({ "literal": key }));
    (PLUGIN.build)(settings).expect("the settings are right")
}

/// The zone, known by its id as the server has it.
fn zone(zone: &rig::Zone) -> Zone {
    let name = ZoneName::parse(zone.name()).unwrap();
    Zone { id: Some(name.apex().absolute()), name }
}

/// A zone in which a CNAME stands at [`ALIASED`].
fn create() -> rig::Zone {
    let alias = format!("_acme-challenge.{ALIASED} 60 IN CNAME elsewhere");
    Rig::get().zone().primary(Primary::PowerDns).record(&alias).create()
}

fn add(name: &Fqdn, value: &str) -> TxtChange {
    TxtChange::Add { name: name.clone(), value: TxtValue::parse(value).unwrap(), ttl: 60 }
}

#[tokio::test]
async fn the_promises_are_kept_at_powerdns_by_its_http_api() {
    let rig = Rig::get();
    let parent = create();
    let child = rig.zone().primary(Primary::PowerDns).below(&parent).same_key(&parent).create();
    let key = parent.key();
    let tools = Tools::new(&Target {
        name: "PowerDNS",
        server: parent.primary(),
        zone: zone(&parent).name,
        sub_zone: None,
        forbidden: None,
        key: Key {
            name: key.name.clone(),
            algorithm: key.algorithm.name().to_owned(),
            secret: key.secret.clone(),
        },
    });
    let (_, api_key) = rig.powerdns_api();
    let forbidden = Fqdn::parse(&parent.host(&format!("_acme-challenge.{ALIASED}"))).unwrap();
    let subject = Subject::new("powerdns", provider(api_key), zone(&parent))
        .with_peer("real server, PowerDNS 4.7")
        .with_observer(Arc::new(tools))
        .with_sub_zone(zone(&child))
        .with_wrong_token(Ok(provider(WRONG_KEY)))
        .with_rate_limited(Err("the server refuses nothing for rate"))
        .with_forbidden(forbidden)
        .with_secrets([api_key, WRONG_KEY].map(secrecy::SecretString::from));
    super::table::assert_kept(&subject).await;
}

/// More names than are read one by one, so that the zone is read whole.
#[tokio::test]
async fn two_hundred_names_are_written_and_removed_in_one_batch() {
    let zone = zone(&create());
    let provider = provider(Rig::get().powerdns_api().1);
    let name = |n: usize| zone.name.apex().child(&format!("n{n}")).unwrap().child("_acme-challenge").unwrap();
    let names: Vec<Fqdn> = (0..200).map(name).collect();
    let adds: Vec<TxtChange> = names.iter().map(|name| add(name, "value")).collect();
    provider.apply(&zone, &adds).await.unwrap();
    let value = TxtValue::parse("value").unwrap();
    let listed = Listing::Listed(vec![value.clone()]);
    for name in [&names[0], &names[199]] {
        assert_eq!(provider.values(&zone, name).await.unwrap(), listed);
    }
    let remove = |name: &Fqdn| TxtChange::Remove { name: name.clone(), value: value.clone() };
    provider.apply(&zone, &names.iter().map(remove).collect::<Vec<_>>()).await.unwrap();
    for name in [&names[0], &names[199]] {
        assert_eq!(provider.values(&zone, name).await.unwrap(), Listing::Listed(Vec::new()));
    }
}

#[tokio::test]
async fn a_cname_at_the_name_and_an_unknown_zone_are_told_apart() {
    let parent = create();
    let provider = provider(Rig::get().powerdns_api().1);
    let aliased = Fqdn::parse(&parent.host(&format!("_acme-challenge.{ALIASED}"))).unwrap();
    let error = provider.apply(&zone(&parent), &[add(&aliased, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Conflict, "{error}");
    assert!(error.hint().unwrap().contains("CNAME"), "{error}");
    let stranger = Zone::named(ZoneName::parse("nobody-has-this.test").unwrap());
    let name = stranger.name.apex().child("_acme-challenge").unwrap();
    let error = provider.apply(&stranger, &[add(&name, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn the_key_is_found_to_reach_every_zone_of_the_server() {
    let (needed, other) = (create(), create());
    let provider = provider(Rig::get().powerdns_api().1);
    let name = Fqdn::parse(&needed.challenge()).unwrap();
    let report = provider.audit_scope(&[ScopeNeed { zone: zone(&needed), name }]).await.unwrap();
    let ScopeReport::MoreThanNeeded { findings } = report else { panic!("{report:?}") };
    assert!(findings.iter().any(|finding| finding.contains(other.name())), "{findings:?}");
    let Listing::Listed(zones) = provider.zones().await.unwrap() else { panic!("listed") };
    assert!(zones.contains(&zone(&needed)), "{zones:?}");
}
