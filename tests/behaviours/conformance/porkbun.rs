//! Porkbun against its fake, which an independent client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, add, assert_refused, literal, name, named, names, printed_by, remove, too_little,
    too_much, zone,
};
use super::table;
use dns01_provider::conformance::{Promise, Verdict};
use dns01_provider::{
    Credential, CredentialName, DnsProvider, Listing, ProviderErrorKind, Settings, TxtValue,
};
use dns01_provider_porkbun::PLUGIN;
use dns01_tests::fake_dns_api::porkbun::Porkbun;
use dns01_tests::fake_dns_api::{FakeDnsApi, clients};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Keys = (String, String);

type Stand = super::fake::Stand<Porkbun, Keys>;

/// The fake with one domain and keys for it.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Porkbun::new()).unwrap();
    let id = api.zone(ZONE);
    let keys = api.service().keys(Some(&[ZONE]));
    Stand::new(api, id, keys, provider)
}

fn settings(api: &FakeDnsApi<Porkbun>, keys: &Keys) -> Settings {
    Settings::default()
        .with("api_key", literal(&keys.0))
        .with("secret_api_key", literal(&keys.1))
        .with("base_url", api.url())
}

/// The plugin, configured as `dns01.toml` would, and in a hurry.
fn provider(api: &FakeDnsApi<Porkbun>, keys: &Keys) -> Arc<dyn DnsProvider> {
    (PLUGIN.build)(settings(api, keys).with("pause", "0s")).unwrap()
}

impl Stand {
    /// Requests since `before`, without the domain.
    fn since(&self, before: usize) -> Vec<String> {
        let short = |line: &String| line.replace(&format!("/{ZONE}"), "");
        self.api.requests()[before..].iter().map(short).collect()
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_porkbuns_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    stand.key = stand.api.service().keys(Some(&[ZONE, SUB_ZONE]));
    let run = Run {
        sub_zone: zone(&stand.api, SUB_ZONE),
        stand,
        wrong: Porkbun::unknown_keys(0),
        busy,
        listing: "GET /domain/listAll",
        // Other tools may write a value with its quotes.
        forms: &[TxtValue::to_string, TxtValue::presentation],
    };
    let (keys, wrong) = (&run.stand.key, &run.wrong);
    let secrets = [keys.0.as_str(), &keys.1, &wrong.0, &wrong.1];
    let report = table::assert_kept(&run.proven_by("pkb_client 2.3.1", "porkbun", &secrets)).await;
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
    let arguments = [url.as_str(), &stand.key.0, &stand.key.1, ZONE, "_acme-challenge.independent"];
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
    let names = names(100);
    for name in &names {
        provider.apply(&stand.zone, &[add(name, "v")]).await.unwrap();
    }
    assert!(stand.all_hold(&names, &["v"]));
    assert_eq!(stand.api.requests().len(), 100);
    for name in &names {
        provider.apply(&stand.zone, &[remove(name, "v")]).await.unwrap();
    }
    assert!(stand.all_hold(&names, &[]));
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
    stand.api.edit(|held| held.zone_mut(&stand.id).unwrap().records.clear());
    stand.api.add(&stand.id, here.as_str(), "TXT", 600, "v");
    fresh.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    assert!(stand.values(&here).is_empty());
}

#[tokio::test]
async fn a_list_by_name_that_is_about_other_names_is_not_believed() {
    let stand = stand();
    let (here, there) = (name("here"), name("there"));
    stand.api.add(&stand.id, there.as_str(), "TXT", 600, "v");
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
    let provider = stand.provider();
    stand.lose_the_reply_to_an_add(provider.as_ref(), None).await;
    stand.repeat_the_add(provider.as_ref()).await;
    stand.remove_over_a_lost_reply(provider.as_ref()).await;
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
        let error = stand.refusal(stand.with(keys).as_ref()).await;
        assert_refused(&error, kind, words, &keys.0[20..]);
    }

    let below = named(name("x").parent().unwrap().as_str());
    let error = stand.provider().apply(&below, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert!(error.hint().unwrap().contains("registered domain"));

    stand.refusal_beside_a_cname().await;

    stand.api.service().opt_out(ZONE);
    let error = stand.provider().apply(&stand.zone, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permission, "{error}");
    assert!(error.hint().unwrap().contains("API access"), "{error}");

    let free = self::stand();
    free.troubles_are_clear_errors(free.provider().as_ref(), &free.key.1).await;
}

#[tokio::test]
async fn a_key_is_held_against_its_needs_and_nothing_is_created() {
    let stand = stand();
    let other = zone(&stand.api, "other.test");
    let audit = async |keys: &Keys| stand.audit(keys, &[stand.need("www")]).await;
    let findings = too_much(audit(&stand.key).await);
    assert!(findings.len() == 1 && findings[0].contains("every record of `example.test`"), "{findings:?}");
    let all = stand.api.service().keys(None);
    let findings = too_much(audit(&all).await);
    assert!(findings.iter().any(|finding| finding.contains(other.name.as_str())), "{findings:?}");
    let strange = stand.api.service().keys(Some(&["other.test"]));
    too_little(audit(&strange).await);
    assert!(stand.api.edit(|held| held.zones.iter().all(|zone| zone.records.is_empty())));

    let zones = stand.with(&all).zones().await.unwrap();
    assert_eq!(zones, Listing::Listed([ZONE, "other.test"].map(named).to_vec()));
}

/// Real time: one request a second, also of those that one call makes.
#[tokio::test]
async fn the_pace_that_the_service_asks_for_is_kept() {
    let stand = stand();
    stand.api.service().throttle();
    let here = name("paced");
    stand.api.add(&stand.id, here.as_str(), "TXT", 600, "v");
    let provider = (PLUGIN.build)(settings(&stand.api, &stand.key)).unwrap();
    let credential = Credential::new(CredentialName::parse("porkbun").unwrap(), provider);
    let begun = Instant::now();
    // Refused as identical, then looked for.
    credential.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    credential.apply(&stand.zone, &[add(&here, "w")]).await.unwrap();
    assert_eq!((credential.calls(), stand.api.requests().len()), (2, 3));
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}
