//! Azure DNS against its fake, which the vendor's own client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, add, assert_refused, exactly_enough, literal, name, named, names, printed_by,
    remove, too_little, too_much,
};
use super::table;
use dns01_provider::{
    DnsProvider, Fqdn, Listing, ProviderError, ProviderErrorKind, ScopeReport, Settings, TxtValue, Zone,
};
use dns01_provider_azure::PLUGIN;
use dns01_tests::fake_dns_api::azure::{
    Azure, CHALLENGES, CONTRIBUTOR, DNS_ZONE_CONTRIBUTOR, GROUP, Principal, READER, Role, SUBSCRIPTION,
    TENANT, zone_path,
};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, clients};
use std::sync::Arc;

/// The request that lists zones.
const LISTING: &str = "GET /subscriptions/sub-1/providers/Microsoft.Network/dnszones";

/// A record of one character-string, as the fake keeps it.
fn whole(value: &TxtValue) -> String {
    serde_json::json!([value.as_str()]).to_string()
}

/// The same cut in two, as anybody may.
fn cut(value: &TxtValue) -> String {
    let (front, rest) = value.as_str().split_at(value.as_str().len() / 2);
    serde_json::json!([front, rest]).to_string()
}

type Stand = super::fake::Stand<Azure, Principal>;

/// The fake with one zone and an application that may write TXT in it and see no zone.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Azure::new()).unwrap();
    let id = api.zone(ZONE);
    let who = api.service().principal(&[(&zone_path(ZONE), CHALLENGES)]);
    Stand::new(api, id, who, provider).known_as(&zone_path(ZONE))
}

/// A zone as it is configured: by its resource id.
fn zone(name: &str) -> Zone {
    Zone { id: Some(zone_path(name)), ..named(name) }
}

fn settings(api: &FakeDnsApi<Azure>, client: &str) -> Settings {
    Settings::default()
        .with("base_url", api.url())
        .with("login_url", api.url())
        .with("tenant_id", TENANT)
        .with("client_id", client)
}

fn settings_with_secret(api: &FakeDnsApi<Azure>, who: &Principal) -> Settings {
    settings(api, &who.client_id).with("client_secret", literal(&who.secret))
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Azure>, who: &Principal) -> Arc<dyn DnsProvider> {
    (PLUGIN.build)(settings_with_secret(api, who)).unwrap()
}

impl Stand {
    fn path(&self, name: &Fqdn) -> String {
        format!("{}/TXT/{}", zone_path(ZONE), name.relative_to(&self.zone.name).unwrap())
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_azures_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    let sub_zone = zone(SUB_ZONE);
    let _held = stand.api.zone(SUB_ZONE);
    let wrong = Principal { secret: "wrong~secret".to_owned(), ..stand.key.clone() };
    let both = [(&*zone_path(ZONE), CHALLENGES), (&zone_path(SUB_ZONE), CHALLENGES)];
    stand.key = stand.api.service().principal(&both);
    let run = Run { stand, sub_zone, wrong, busy, listing: LISTING, forms: &[whole, cut] };
    // The fake's tokens are numbered, so that those to come are known.
    let secrets = [run.stand.key.secret.as_str(), &run.wrong.secret, "eyJ0eXAi.fake"];
    table::assert_all_kept(&run.proven_by("azure-mgmt-dns 9.0.0", "azure", &secrets)).await;
}

/// The vendor's Python client adds two values, lists them and removes one, as an application with
/// a secret, by a workload identity, and as two kinds of machine. It insists on TLS, which is
/// taken off where its requests leave it.
#[test]
fn the_vendors_own_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import os, sys, tempfile
from azure.core.pipeline.transport import RequestsTransport
from azure.core.exceptions import HttpResponseError, ClientAuthenticationError
from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.mgmt.dns import DnsManagementClient
host, client, secret, assertion, zone = sys.argv[1:]
class Plain(RequestsTransport):
    def send(self, request, **options):
        request.url = request.url.replace("https://" + host, "http://" + host)
        return super().send(request, **options)
login = dict(authority=host, disable_instance_discovery=True, transport=Plain(), retry_total=0)
file = tempfile.NamedTemporaryFile("w"); file.write(assertion); file.flush()
os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = "http://" + host
metadata = ManagedIdentityCredential(retry_total=0)
os.environ.update(IDENTITY_ENDPOINT=f"http://{host}/msi/token", IDENTITY_HEADER="identity-header-1")
service = ManagedIdentityCredential(client_id=client, retry_total=0)
def sets(credential):
    manager = DnsManagementClient(credential, "sub-1", base_url="https://" + host, transport=Plain(), retry_total=0,
                                  credential_scopes=["https://management.azure.com/.default"])
    return manager, manager.record_sets
def body(*values, **more):
    return {"properties": {"TTL": 60, "TXTRecords": [{"value": v if isinstance(v, list) else [v]} for v in values], **more}}
where, name = ("dns-group", zone), "_acme-challenge.independent"
manager, one = sets(ClientSecretCredential("tenant-1", client, secret, **login))
_, two = sets(WorkloadIdentityCredential(tenant_id="tenant-1", client_id=client, token_file_path=file.name, **login))
first = one.create_or_update(*where, name, "TXT", body("one", metadata={"by": "me"}), if_none_match="*")
two.create_or_update(*where, name, "TXT", body("one", ["tw", "o"]), if_match=first.etag)
listed = [(s.name, s.ttl, [r.value for r in s.txt_records]) for s in sets(metadata)[1].list_by_type(*where, "TXT")]
print(listed)
last = sets(service)[1].create_or_update(*where, name, "TXT", body("two"))
print(last.metadata, first.metadata)
for attempt in (lambda: one.create_or_update(*where, name, "TXT", body("x"), if_none_match="*"),
                lambda: one.create_or_update(*where, name, "TXT", body("x"), if_match=first.etag),
                lambda: one.delete(*where, name, "TXT", if_match=first.etag),
                lambda: one.delete(*where, "_acme-challenge.absent", "TXT"),
                lambda: one.get(*where, "_acme-challenge.absent", "TXT"),
                lambda: one.get("dns-group", "absent.test", "x", "TXT"),
                lambda: one.create_or_update(*where, "long", "TXT", body("x" * 256)),
                lambda: one.create_or_update(*where, "many", "TXT", body(*[f"{i:043}" for i in range(96)])),
                lambda: print(len(list(manager.zones.list())), "zones"),
                lambda: sets(ClientSecretCredential("tenant-1", client, "wrong", **login))[1].get(*where, name, "TXT")):
    try:
        attempt()
        print("done")
    except ClientAuthenticationError as error:
        print("login", "AADSTS7000215" in str(error))
    except HttpResponseError as error:
        print(error.status_code, error.error.code)
"#;
    let Some(python) = clients("the proof of Azure's fake by the vendor's client") else { return };
    let stand = stand();
    for more in ["second.test", "third.test"] {
        let _held = stand.api.zone(more);
    }
    let all = stand.api.service().principal(&[(&format!("/subscriptions/{SUBSCRIPTION}"), CONTRIBUTOR)]);
    stand.api.service().runs_as(&all);
    let host = stand.api.url().trim_start_matches("http://").to_owned();
    let arguments = [&*host, &all.client_id, &all.secret, &all.assertion, ZONE];
    let lines = printed_by(&python, SCRIPT, &arguments, &[("NO_PROXY", "127.0.0.1")]);
    assert_eq!(
        lines,
        [
            "[('_acme-challenge.independent', 60, [['one'], ['tw', 'o']])]",
            "None {'by': 'me'}",
            "412 PreconditionFailed",
            "412 PreconditionFailed",
            "412 PreconditionFailed",
            "done",
            "404 NotFound",
            "404 ParentResourceNotFound",
            "400 BadRequest",
            "400 BadRequest",
            "3 zones",
            "done",
            "login True",
        ]
    );
    assert_eq!(stand.values(&name("independent")), ["two"]);
}

#[tokio::test]
async fn a_hundred_names_cost_two_calls_each_and_one_token() {
    let stand = stand();
    let provider = stand.provider();
    let names = names(100);
    for name in &names {
        provider.apply(&stand.zone, &[add(name, "v"), add(name, "w")]).await.unwrap();
    }
    assert_eq!(stand.api.requests().len(), 1 + 200);
    assert!(stand.all_hold(&names, &["v", "w"]));
    for name in &names {
        provider.apply(&stand.zone, &[remove(name, "v"), remove(name, "w")]).await.unwrap();
    }
    assert_eq!(stand.api.requests().len(), 1 + 400);
    assert!(stand.all_hold(&names, &[]));
}

#[tokio::test]
async fn what_another_writer_did_in_between_is_kept() {
    for conflict in [false, true] {
        let stand = stand();
        if conflict {
            stand.api.service().answer_conflict();
        }
        let provider = stand.provider();
        stand.keep_what_others_write(provider.as_ref(), |value| stand.api.service().intrude(value)).await;
        let last = name("last");
        provider.apply(&stand.zone, &[add(&last, "v")]).await.unwrap();
        stand.api.service().intrude("d");
        provider.apply(&stand.zone, &[remove(&last, "v")]).await.unwrap();
        assert_eq!(stand.values(&last), ["d"]);
    }
}

#[tokio::test]
async fn notes_and_character_strings_of_others_stay_as_they_are() {
    let stand = stand();
    let here = name("notes");
    let provider = stand.provider();
    let admin = stand.api.service().principal(&[(&zone_path(ZONE), CONTRIBUTOR)]);
    let token = {
        stand.with(&admin).values(&stand.zone, &here).await.unwrap();
        stand.api.service().tokens().pop().unwrap()
    };
    let body = serde_json::json!({ "properties": {
        "TTL": 3607, "TXTRecords": [{ "value": ["ab", "", "c"] }], "metadata": { "owner": "somebody" },
    } });
    let url = format!("{}{}?api-version=2018-05-01", stand.api.url(), stand.path(&here));
    let request =
        reqwest::Client::new().put(url).bearer_auth(token).header("content-type", "application/json");
    assert_eq!(request.body(body.to_string()).send().await.unwrap().status(), 201);

    provider.apply(&stand.zone, &[add(&here, "v")]).await.unwrap();
    let (ttl, values) = stand.set(&here);
    assert_eq!((ttl, values), (3607, vec!["abc".to_owned(), "v".to_owned()]));
    let form = stand.api.edit(|held| held.zones[0].records[0].form.clone());
    assert_eq!(form, r#"["ab","","c"]"#);
    let notes = stand.api.service().notes(ZONE, "_acme-challenge.notes").unwrap();
    assert_eq!(notes, serde_json::json!({ "owner": "somebody" }));
}

#[tokio::test]
async fn a_role_on_a_record_set_lasts_only_where_the_set_is_kept() {
    let stand = stand();
    let here = name("kept");
    let build = |keep: bool| {
        let who = stand.api.service().principal(&[(&stand.path(&here), CHALLENGES)]);
        (PLUGIN.build)(settings_with_secret(&stand.api, &who).with("keep_record_sets", keep)).unwrap()
    };
    let keeping = build(true);
    for value in ["v", "w"] {
        keeping.apply(&stand.zone, &[add(&here, value)]).await.unwrap();
        assert_eq!(stand.values(&here), [value]);
        keeping.apply(&stand.zone, &[remove(&here, value)]).await.unwrap();
        assert_eq!(stand.values(&here), ["-"]);
        assert_eq!(keeping.values(&stand.zone, &here).await.unwrap(), Listing::Listed(Vec::new()));
    }
    let deleting = build(false);
    deleting.apply(&stand.zone, &[add(&here, "v"), remove(&here, "-")]).await.unwrap();
    deleting.apply(&stand.zone, &[remove(&here, "v")]).await.unwrap();
    let error = deleting.apply(&stand.zone, &[add(&here, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Permission, "{error}");
    assert!(error.hint().unwrap().contains("deleted"), "{error}");
}

#[tokio::test]
async fn a_zone_is_looked_up_once_and_not_at_all_where_its_group_is_known() {
    let stand = stand();
    for more in ["second.test", "third.test"] {
        let _held = stand.api.zone(more);
    }
    let reader =
        stand.api.service().principal(&[(&format!("/subscriptions/{SUBSCRIPTION}"), DNS_ZONE_CONTRIBUTOR)]);
    let settings = settings_with_secret(&stand.api, &reader).with("subscription_id", SUBSCRIPTION);
    let zone = named(ZONE);

    let grouped = (PLUGIN.build)(settings.clone().with("resource_group", GROUP)).unwrap();
    grouped.apply(&zone, &[add(&name("grouped"), "v")]).await.unwrap();
    assert_eq!(stand.api.count(LISTING), 0);

    let provider = (PLUGIN.build)(settings).unwrap();
    stand.write_by_name(provider.as_ref()).await;
    assert_eq!(stand.api.count(LISTING), 2, "both pages, once");
    let Listing::Listed(zones) = provider.zones().await.unwrap() else { panic!("a list") };
    let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, [ZONE, "second.test", "third.test"]);

    let error = provider.apply(&named("other.test"), &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!((error.kind(), error.hint().is_some()), (ProviderErrorKind::NotFound, true), "{error}");
    let error = stand.provider().apply(&zone, &[add(&name("x"), "v")]).await.unwrap_err();
    assert!(error.hint().unwrap().contains("resource id"), "{error}");
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let provider = stand.provider();
    provider.values(&stand.zone, &name("lost")).await.unwrap();
    let absent = serde_json::json!({ "error": { "code": "NotFound", "message": "not here" } });
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(Answer::json(404, &absent))).await;
    stand.repeat_the_add(provider.as_ref()).await;
}

#[tokio::test]
async fn workloads_machines_and_tokens_made_elsewhere_do_as_well() {
    let stand = stand();
    let assertion = literal(&stand.key.assertion);
    let workload = settings(&stand.api, &stand.key.client_id).with("client_assertion", assertion);
    let plain = Settings::default().with("base_url", stand.api.url());
    let metadata = plain.clone().with("identity_endpoint", stand.api.url());
    let service = plain
        .clone()
        .with("identity_endpoint", format!("{}/msi/token", stand.api.url()))
        .with("identity_header", literal(Azure::HEADER))
        .with("client_id", stand.key.client_id.as_str());
    let nobody = (PLUGIN.build)(metadata.clone()).unwrap();
    let error = nobody.apply(&stand.zone, &[add(&name("machine"), "v")]).await.unwrap_err();
    assert_eq!((error.kind(), error.hint().is_some()), (ProviderErrorKind::Auth, true), "{error}");
    stand.api.service().runs_as(&stand.key);
    for (settings, value) in [(workload, "a"), (metadata, "b"), (service, "c")] {
        let provider = (PLUGIN.build)(settings).unwrap();
        for _ in 0..2 {
            provider.apply(&stand.zone, &[add(&name("identities"), value)]).await.unwrap();
        }
    }
    assert_eq!(stand.api.service().tokens().len(), 3, "each has one token");
    let token = literal(&stand.api.service().tokens()[0]);
    let made = (PLUGIN.build)(plain.with("access_token", token)).unwrap();
    made.apply(&stand.zone, &[add(&name("identities"), "d")]).await.unwrap();
    assert_eq!(stand.values(&name("identities")), ["a", "b", "c", "d"]);

    let provider = stand.provider();
    provider.values(&stand.zone, &name("x")).await.unwrap();
    stand.api.service().end_tokens();
    provider.apply(&stand.zone, &[add(&name("identities"), "e")]).await.unwrap();
    assert_eq!(stand.values(&name("identities")).len(), 5);
    assert_eq!(stand.api.service().tokens().len(), 1, "a token that ended is fetched anew");
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_secret() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let _held = stand.api.zone("strange.test");
    let elsewhere = stand.api.service().principal(&[(&zone_path("strange.test"), CHALLENGES)]);
    let reader = stand.api.service().principal(&[(&zone_path(ZONE), READER)]);
    let refusal = async |who: &Principal, zone: &Zone| -> ProviderError {
        stand.with(who).apply(zone, &[add(&name("refused"), "v")]).await.unwrap_err()
    };
    let with = |client_id: &str, secret: &str| Principal {
        client_id: client_id.to_owned(),
        secret: secret.to_owned(),
        ..stand.key.clone()
    };
    for (who, kind, words) in [
        (with(&stand.key.client_id, "hunter2-secret"), Kind::Auth, "AADSTS7000215"),
        (with("nobody", "hunter2-secret"), Kind::Auth, "AADSTS700016"),
        (elsewhere, Kind::Permission, "AuthorizationFailed"),
        (reader, Kind::Permission, "TXT/write"),
    ] {
        assert_refused(&refusal(&who, &stand.zone).await, kind, words, &who.secret);
    }
    let all = stand.api.service().principal(&[("/subscriptions", CONTRIBUTOR)]);
    for wrong in [
        zone_path(ZONE).replace(GROUP, "other-group"),
        zone_path(ZONE).replace(SUBSCRIPTION, "sub-2"),
        zone_path("strange.test"),
        "example.test".to_owned(),
    ] {
        let wrong_id = Zone { id: Some(wrong), ..stand.zone.clone() };
        let error = refusal(&all, &wrong_id).await;
        assert_eq!((error.kind(), error.hint().is_some()), (Kind::NotFound, true), "{error}");
    }
    let there = Fqdn::parse("_acme-challenge.absent.test").unwrap();
    let error = stand.with(&all).values(&zone("absent.test"), &there).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "a missing zone is not an empty one: {error}");

    let provider = stand.provider();
    // Half of a refusal would be one all the same.
    provider.apply(&stand.zone, &[add(&name("trouble"), "v")]).await.unwrap();
    let token = stand.api.service().tokens().pop().unwrap();
    stand.troubles_are_clear_errors(provider.as_ref(), &token).await;
}

#[tokio::test]
async fn an_audit_tells_exact_wide_and_narrow_credentials_apart() {
    let stand = stand();
    let _held = stand.api.zone("other.test");
    let needs = ["a", "b"].map(|host| stand.need(host));
    let paths = [stand.path(&name("a")), stand.path(&name("b"))];
    let group = zone_path(ZONE).split("/providers").next().unwrap().to_owned();
    let audit = async |assignments: &[(&str, Role)]| {
        let who = stand.api.service().principal(assignments);
        stand.audit(&who, &needs).await
    };
    let more = async |assignments: &[(&str, Role)]| too_much(audit(assignments).await).join("; ");
    let exact = [(paths[0].as_str(), DNS_ZONE_CONTRIBUTOR), (paths[1].as_str(), DNS_ZONE_CONTRIBUTOR)];

    let probed = exactly_enough(audit(&exact).await);
    assert_eq!(probed.len(), 2 + 3 + 1, "{probed:?}");
    let findings = too_little(audit(&[exact[0], (&paths[1], READER)]).await);
    assert!(findings.iter().all(|finding| finding.contains(name("b").as_str())), "{findings:?}");

    let zone = more(&[(&zone_path(ZONE), DNS_ZONE_CONTRIBUTOR)]).await;
    assert!(zone.contains("TXT at any name") && zone.contains("delete zones"), "{zone}");
    let group = more(&[(&group, CONTRIBUTOR)]).await;
    assert!(group.contains(&format!("resourceGroups/{GROUP}` (")) && group.contains("other.test"), "{group}");
    assert!(!group.contains("give others rights"), "{group}");

    let silent = [(paths[0].as_str(), CHALLENGES), (paths[1].as_str(), CHALLENGES)];
    assert!(matches!(audit(&silent).await, ScopeReport::CannotTell { .. }));
    assert!(more(&[(&zone_path(ZONE), CHALLENGES)]).await.contains("any name of the zone"));
    let writes = stand.api.requests().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(writes, 0, "an audit writes nothing");
}
