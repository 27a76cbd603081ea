//! Porkbun against its fake, which an independent client has proven.

use super::fake::{Memory, ZONE, add, name, printed_by, remove, troubles_are_clear_errors, zone};
use super::table;
use dns01_provider::conformance::{Promise, Subject, Verdict};
use dns01_provider::{
    Credential, CredentialName, DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeNeed, ScopeReport,
    Settings, TxtValue, Zone,
};
use dns01_provider_porkbun::PLUGIN;
use dns01_tests::fake_dns_api::porkbun::Porkbun;
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A name in the zone where a CNAME stands.
const ALIASED: &str = "_acme-challenge.aliased.example.test";

type Keys = (String, String);

struct Stand {
    api: Arc<FakeDnsApi<Porkbun>>,
    zone: Zone,
    keys: Keys,
}

/// The fake with one domain and keys for it.
fn stand() -> Stand {
    let api = Arc::new(FakeDnsApi::start(Porkbun::new()).unwrap());
    let zone = zone(&api, ZONE);
    let keys = api.service().keys(Some(&[ZONE]));
    Stand { api, zone, keys }
}

fn settings(api: &FakeDnsApi<Porkbun>, keys: &Keys) -> Settings {
    let secret = |text: &str| serde_json::json!({ "literal": text });
    Settings::default()
        .with("api_key", secret(&keys.0))
        .with("secret_api_key", secret(&keys.1))
        .with("base_url", api.url())
}

/// The plugin, configured as `dns01.toml` would, and in a hurry.
fn provider(api: &FakeDnsApi<Porkbun>, keys: &Keys) -> Arc<dyn DnsProvider> {
    (PLUGIN.build)(settings(api, keys).with("pause", "0s")).unwrap()
}

impl Stand {
    fn provider(&self) -> Arc<dyn DnsProvider> {
        provider(&self.api, &self.keys)
    }

    fn values(&self, name: &Fqdn) -> Vec<String> {
        self.api.txt(self.zone.id.as_deref().unwrap(), name.as_str()).1
    }

    /// Requests since `before`, without the domain.
    fn since(&self, before: usize) -> Vec<String> {
        let short = |line: &String| line.replace(&format!("/{ZONE}"), "");
        self.api.requests()[before..].iter().map(short).collect()
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_porkbuns_fake() {
    let Stand { api, zone, .. } = stand();
    let sub_zone = super::fake::zone(&api, &format!("sub.{ZONE}"));
    api.add(zone.id.as_deref().unwrap(), ALIASED, "CNAME", 600, "elsewhere.test.");
    let keys = api.service().keys(Some(&[ZONE, sub_zone.name.as_str()]));
    let wrong = Porkbun::unknown_keys(0);

    let busy = stand();
    busy.api.limit(0, Duration::from_secs(300));

    // Other tools may write a value with its quotes.
    let memory = Memory {
        api: Arc::clone(&api),
        listing: "GET /domain/listAll",
        forms: &[TxtValue::to_string, TxtValue::presentation],
    };
    let subject = Subject::new("porkbun", provider(&api, &keys), zone)
        .with_peer("strict fake, proven by pkb_client 2.3.1 (PyPI)")
        .with_sub_zone(sub_zone)
        .with_observer(Arc::new(memory))
        .with_wrong_token(Ok(provider(&api, &wrong)))
        .with_rate_limited(Ok(provider(&busy.api, &busy.keys)))
        .with_forbidden(Fqdn::parse(ALIASED).unwrap())
        .with_secrets([keys.0, keys.1, wrong.0, wrong.1].map(secrecy::SecretString::from));
    let report = table::assert_kept(&subject).await;
    for promise in Promise::ALL.into_iter().filter(|promise| *promise != Promise::FullBatch) {
        assert_eq!(report.verdict(promise), &Verdict::Kept, "nothing is left out: {promise}");
    }
}

/// An independent client, whose keys are in the body, adds two values, lists them and removes
/// one; what it sees and what the fake holds agree. A request with keys in headers, as ours are,
/// is made beside it by `urllib`.
#[test]
fn an_independent_client_finds_porkbuns_fake_right() {
    const SCRIPT: &str = r#"
import json, sys, urllib.request
from pkb_client.client import PKBClient, PKBClientException
from pkb_client.client.dns import DNSRecordType
address, key, secret, zone, name = sys.argv[1:]
client = PKBClient(key, secret, api_endpoint=address + "/")
print(client.ping(), [domain.domain for domain in client.get_domains()])
one = client.create_dns_record(zone, DNSRecordType.TXT, "one", name, 600)
two = client.create_dns_record(zone, DNSRecordType.TXT, "two", name, 300)
listed = client.get_all_dns_records(zone, DNSRecordType.TXT, name)
print([(r.name, r.content, r.ttl) for r in listed], [r.id for r in listed] == [one, two])
print([r.content for r in client.get_dns_records(zone)], [r.content for r in client.get_dns_records(zone, two)])
print(client.delete_dns_record(zone, one))
request = urllib.request.Request(f"{address}/dns/retrieveByNameType/{zone}/TXT/{name}",
                                 headers={"X-API-Key": key, "X-Secret-API-Key": secret})
print([r["content"] for r in json.load(urllib.request.urlopen(request))["records"]])
for attempt in (lambda: client.create_dns_record(zone, DNSRecordType.TXT, "two", name, 600),
                lambda: client.create_dns_record(zone, DNSRecordType.TXT, "x", f"{name}.{zone}", 600),
                lambda: client.delete_dns_record(zone, one),
                lambda: client.get_dns_records("www." + zone),
                lambda: PKBClient(key, "sk1_wrong", api_endpoint=address + "/").ping()):
    try:
        attempt()
        print("done")
    except PKBClientException as error:
        print(error)
"#;
    let Some(python) = clients("the proof of Porkbun's fake by pkb_client") else { return };
    let stand = stand();
    let url = stand.api.url();
    let arguments = [url.as_str(), &stand.keys.0, &stand.keys.1, ZONE, "_acme-challenge.independent"];
    let lines = printed_by(&python, SCRIPT, &arguments, &[]);
    let at = "_acme-challenge.independent.example.test";
    assert_eq!(
        lines,
        [
            "127.0.0.1 ['example.test']",
            &format!("[('{at}', 'one', 600), ('{at}', 'two', 600)] True"),
            "['one', 'two'] ['two']",
            "True",
            "['two']",
            "ERROR: Create error: We were unable to create the DNS record.",
            "ERROR: the name has the domain behind it",
            "ERROR: Invalid record ID.",
            "ERROR: Invalid domain.",
            "ERROR: Invalid API key.",
        ]
    );
    assert_eq!(stand.values(&name("independent")), ["two"]);
}

#[tokio::test]
async fn a_value_costs_one_request_to_add_and_one_to_remove() {
    let stand = stand();
    let provider = stand.provider();
    let names: Vec<Fqdn> = (0..100).map(|number| name(&format!("host{number}"))).collect();
    for name in &names {
        provider.apply(&stand.zone, &[add(name, "v")]).await.unwrap();
    }
    assert!(names.iter().all(|name| stand.values(name) == ["v"]));
    assert_eq!(stand.api.requests().len(), 100);
    for name in &names {
        provider.apply(&stand.zone, &[remove(name, "v")]).await.unwrap();
    }
    assert!(names.iter().all(|name| stand.values(name).is_empty()));
    assert_eq!(stand.api.requests().len(), 200, "{:?}", stand.since(100));
}

#[tokio::test]
async fn what_another_process_created_is_looked_for_and_removed() {
    let stand = stand();
    let here = name("other-process");
    stand.provider().apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    let fresh = stand.provider();
    fresh.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert!(stand.values(&here).is_empty());
    assert_eq!(stand.since(1).len(), 2, "{:?}", stand.since(1));

    // A record that somebody else removed and made anew has another id.
    fresh.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    let id = stand.zone.id.clone().unwrap();
    stand.api.edit(|held| held.zone_mut(&id).unwrap().records.clear());
    stand.api.add(&id, here.as_str(), "TXT", 600, "v");
    fresh.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert!(stand.values(&here).is_empty());
}

#[tokio::test]
async fn a_list_by_name_that_is_about_other_names_is_not_believed() {
    let stand = stand();
    let (here, there) = (name("here"), name("there"));
    let id = stand.zone.id.clone().unwrap();
    stand.api.add(&id, there.as_str(), "TXT", 600, "v");
    stand.provider().apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    stand.api.service().odd_lists();
    let fresh = stand.provider();
    let Listing::Listed(values) = fresh.values(&stand.zone, &here).await.unwrap() else { panic!("listed") };
    assert_eq!(values, [TxtValue::parse("v").unwrap()]);
    fresh.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert!(stand.values(&here).is_empty());
    assert_eq!(stand.values(&there), ["v"]);
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated_and_leaves_nothing_behind() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("lost"));
    stand.api.fault(Fault::ReplyLost);
    let error = provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    assert_eq!(stand.values(&here), ["v"]);
    stand.api.fault(Fault::ReplyLost);
    provider.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap_err();
    provider.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert!(stand.values(&here).is_empty());
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_key() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let elsewhere = stand.api.service().keys(Some(&["other.test"]));
    let unknown = Porkbun::unknown_keys(0);
    for (keys, kind, words) in
        [(&unknown, Kind::Auth, "INVALID_API_KEYS_001"), (&elsewhere, Kind::Permission, "not allowed")]
    {
        let provider = provider(&stand.api, keys);
        let error = provider.apply(&stand.zone, &[add(&name("refused"), "v")]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, false), "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
        assert!(!format!("{error} {error:?}").contains(&keys.0[20..]), "{error}");
    }

    let below = Zone::named(name("x").parent().unwrap().as_str().parse().unwrap());
    let error = stand.provider().apply(&below, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert!(error.hint().unwrap().contains("registered domain"));

    let id = stand.zone.id.as_deref().unwrap();
    stand.api.add(id, ALIASED, "CNAME", 600, "elsewhere.test.");
    let change = add(&Fqdn::parse(ALIASED).unwrap(), "v");
    let error = stand.provider().apply(&stand.zone, &[change]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Conflict, false), "{error}");

    stand.api.service().opt_out(ZONE);
    let error = stand.provider().apply(&stand.zone, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permission, "{error}");
    assert!(error.hint().unwrap().contains("API access"), "{error}");

    let free = self::stand();
    troubles_are_clear_errors(&free.api, free.provider().as_ref(), &free.zone, &free.keys.1).await;
}

#[tokio::test]
async fn a_key_is_held_against_its_needs_and_nothing_is_created() {
    let stand = stand();
    let other = zone(&stand.api, "other.test");
    let need = ScopeNeed { zone: stand.zone.clone(), name: name("www") };
    let audit = async |keys: &Keys| {
        provider(&stand.api, keys).audit_scope(std::slice::from_ref(&need)).await.unwrap()
    };
    let ScopeReport::MoreThanNeeded { findings } = audit(&stand.keys).await else { panic!("never exact") };
    assert!(findings.len() == 1 && findings[0].contains("every record of `example.test`"), "{findings:?}");
    let all = stand.api.service().keys(None);
    let ScopeReport::MoreThanNeeded { findings } = audit(&all).await else { panic!("never exact") };
    assert!(findings.iter().any(|finding| finding.contains(other.name.as_str())), "{findings:?}");
    let strange = stand.api.service().keys(Some(&["other.test"]));
    let report = audit(&strange).await;
    assert!(matches!(report, ScopeReport::NotEnough { .. }), "{report:?}");
    assert!(stand.api.edit(|held| held.zones.iter().all(|zone| zone.records.is_empty())));

    let zones = provider(&stand.api, &all).zones().await.unwrap();
    let named = [&stand.zone, &other].map(|zone| Zone::named(zone.name.clone()));
    assert_eq!(zones, Listing::Listed(named.to_vec()));
}

/// Real time: one request a second, also of those that one call makes.
#[tokio::test]
async fn the_pace_that_the_service_asks_for_is_kept() {
    let stand = stand();
    stand.api.service().throttle();
    let here = name("paced");
    stand.api.add(stand.zone.id.as_deref().unwrap(), here.as_str(), "TXT", 600, "v");
    let provider = (PLUGIN.build)(settings(&stand.api, &stand.keys)).unwrap();
    let credential = Credential::new(CredentialName::parse("porkbun").unwrap(), provider);
    let begun = Instant::now();
    // Refused as identical, then looked for.
    credential.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    credential.apply(&stand.zone, &[add(&here, "w")]).await.unwrap();
    assert_eq!((credential.calls(), stand.api.requests().len()), (2, 3));
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}
