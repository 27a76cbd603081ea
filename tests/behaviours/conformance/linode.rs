//! Linode against its fake, which the vendor's own client has proven.

use super::fake::{Memory, ZONE, add, name, printed_by, remove, troubles_are_clear_errors, zone};
use super::table;
use dns01_provider::conformance::Subject;
use dns01_provider::{
    DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeNeed, ScopeReport, Settings, TxtValue, Zone,
};
use dns01_provider_linode::PLUGIN;
use dns01_tests::fake_dns_api::linode::Linode;
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::Duration;

/// A name in the zone where a CNAME stands.
const ALIASED: &str = "_acme-challenge.aliased.example.test";
/// What a token needs.
const SCOPE: &str = "domains:read_write";

struct Stand {
    api: Arc<FakeDnsApi<Linode>>,
    zone: Zone,
    token: String,
}

/// The fake with one domain and a token of a user who may edit it.
fn stand() -> Stand {
    let api = Arc::new(FakeDnsApi::start(Linode::new()).unwrap());
    let zone = zone(&api, ZONE);
    let token = api.service().token(SCOPE, Some(&[(zone.id.as_deref().unwrap(), true)]));
    Stand { api, zone, token }
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Linode>, token: &str) -> Arc<dyn DnsProvider> {
    let secret = serde_json::json!({ "literal": token });
    (PLUGIN.build)(Settings::default().with("token", secret).with("base_url", api.url())).unwrap()
}

impl Stand {
    fn provider(&self) -> Arc<dyn DnsProvider> {
        provider(&self.api, &self.token)
    }

    fn id(&self) -> &str {
        self.zone.id.as_deref().unwrap()
    }

    fn values(&self, name: &Fqdn) -> Vec<String> {
        self.api.txt(self.id(), name.as_str()).1
    }

    /// How many requests of this method there were below the domain.
    fn count(&self, method: &str) -> usize {
        let below = format!("{method} /domains/{}/records", self.id());
        self.api.requests().iter().filter(|line| line.starts_with(&below)).count()
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_linodes_fake() {
    let Stand { api, zone, .. } = stand();
    let sub_zone = super::fake::zone(&api, &format!("sub.{ZONE}"));
    let ids = [&zone, &sub_zone].map(|zone| zone.id.clone().unwrap());
    api.add(&ids[0], ALIASED, "CNAME", 300, "elsewhere.test.");
    let token = api.service().token(SCOPE, Some(&[(&ids[0], true), (&ids[1], true)]));
    let wrong = Linode::unknown_token(0);

    let busy = stand();
    busy.api.limit(0, Duration::from_secs(300));

    // Other tools may write a value with its quotes.
    let memory = Memory {
        api: Arc::clone(&api),
        listing: "GET /domains",
        forms: &[TxtValue::to_string, TxtValue::presentation],
    };
    let subject = Subject::new("linode", provider(&api, &token), zone)
        .with_peer("strict fake, proven by linode_api4 5.48.0 (PyPI)")
        .with_sub_zone(sub_zone)
        .with_observer(Arc::new(memory))
        .with_wrong_token(Ok(provider(&api, &wrong)))
        .with_rate_limited(Ok(provider(&busy.api, &busy.token)))
        .with_forbidden(Fqdn::parse(ALIASED).unwrap())
        .with_secrets([token.as_str().into(), wrong.as_str().into()]);
    table::assert_all_kept(&subject).await;
}

/// The vendor's Python client adds two values, lists them and removes one; what it sees and what
/// the fake holds agree.
#[test]
fn the_vendors_own_client_finds_linodes_fake_right() {
    const SCRIPT: &str = r#"
import sys
from linode_api4 import LinodeClient, Domain
from linode_api4.errors import ApiError
address, token, wrong, zone, name = sys.argv[1:]
client = LinodeClient(token, base_url=address, retry=False)
domain = client.domains(Domain.domain == zone)[0]
print(domain.domain, domain.type, domain.status, len(client.domains(Domain.domain == "strange.test")))
one = domain.record_create("TXT", name=name, target="one", ttl_sec=300)
two = domain.record_create("TXT", name=f"{name}.{zone}", target="two", ttl_sec=3600)
again = domain.record_create("TXT", name=name, target="two", ttl_sec=300)
print(sorted((r.name, r.target, r.ttl_sec) for r in domain.records if r.type == "TXT"))
two.ttl_sec = 300
client.put(f"/domains/{domain.id}/records/{two.id}", data={"ttl_sec": 300})
one.delete()
again.delete()
for attempt in (lambda: client.delete(f"/domains/{domain.id}/records/{one.id}"),
                lambda: domain.record_create("TXT", name=name, target="x", ttl_sec=60),
                lambda: domain.record_create("TXT", name=name, target="", ttl_sec=300),
                lambda: client.get("/domains/99999/records"),
                lambda: LinodeClient(wrong, base_url=address, retry=False).domains()):
    try:
        attempt()
        print("done")
    except ApiError as error:
        print(error.status, error.errors[0])
"#;
    let Some(python) = clients("the proof of Linode's fake by the vendor's client") else { return };
    let stand = stand();
    let (url, wrong) = (stand.api.url(), Linode::unknown_token(0));
    let arguments = [url.as_str(), &stand.token, &wrong, ZONE, "_acme-challenge.independent"];
    let lines = printed_by(&python, SCRIPT, &arguments, &[]);
    let at = "_acme-challenge.independent";
    assert_eq!(
        lines,
        [
            "example.test master active 0",
            &format!("[('{at}', 'one', 300), ('{at}', 'two', 300), ('{at}', 'two', 3600)]"),
            "404 Not found",
            "400 this TTL would be rounded",
            "400 target is required",
            "404 Not found",
            "401 Invalid Token",
        ]
    );
    assert_eq!(stand.api.txt(stand.id(), name("independent").as_str()), (300, vec!["two".to_owned()]));
}

#[tokio::test]
async fn a_hundred_names_cost_one_look_to_add_and_none_to_remove() {
    let stand = stand();
    let provider = stand.provider();
    let names: Vec<Fqdn> = (0..100).map(|number| name(&format!("host{number}"))).collect();
    let adds: Vec<_> = names.iter().map(|name| add(name, "v")).collect();
    provider.apply(&stand.zone, &adds).await.unwrap();
    assert!(names.iter().all(|name| stand.values(name) == ["v"]));
    assert_eq!((stand.count("GET"), stand.count("POST")), (1, 100));
    let removals: Vec<_> = names.iter().map(|name| remove(name, "v")).collect();
    provider.apply(&stand.zone, &removals).await.unwrap();
    assert!(names.iter().all(|name| stand.values(name).is_empty()));
    assert_eq!((stand.count("GET"), stand.count("DELETE")), (1, 100));
}

#[tokio::test]
async fn what_another_process_created_is_looked_for_on_every_page_and_removed() {
    let stand = stand();
    let names: Vec<Fqdn> = (0..100).map(|number| name(&format!("host{number}"))).collect();
    for number in 0..900 {
        let other = name(&format!("other{number}"));
        stand.api.add(stand.id(), other.as_str(), "TXT", 300, "theirs");
    }
    let adds: Vec<_> = names.iter().map(|name| add(name, "v")).collect();
    stand.provider().apply(&stand.zone, &adds).await.unwrap();
    let removals: Vec<_> = names.iter().map(|name| remove(name, "v")).collect();
    let fresh = stand.provider();
    fresh.apply(&stand.zone, &removals).await.unwrap();
    assert!(names.iter().all(|name| stand.values(name).is_empty()));
    assert_eq!(stand.values(&name("other899")), ["theirs"]);
    assert_eq!((stand.count("GET"), stand.count("DELETE")), (4, 100));

    // A record that somebody else removed and made anew has another id.
    let here = &names[0];
    fresh.apply(&stand.zone, &[add(here, "v")]).await.unwrap();
    stand.api.edit(|held| held.zone_mut(stand.id()).unwrap().records.retain(|one| one.name != here.as_str()));
    stand.api.add(stand.id(), here.as_str(), "TXT", 300, "v");
    fresh.apply(&stand.zone, &[remove(here, "v")]).await.unwrap();
    assert!(stand.values(here).is_empty());
}

#[tokio::test]
async fn a_ttl_that_was_dropped_is_set_again() {
    let stand = stand();
    stand.api.service().drop_ttls();
    stand.provider().apply(&stand.zone, &[add(&name("here"), "v")]).await.unwrap();
    assert_eq!(stand.api.txt(stand.id(), name("here").as_str()), (300, vec!["v".to_owned()]));
}

#[tokio::test]
async fn a_zone_without_an_id_is_looked_up_once_and_must_be_one_that_is_served() {
    let stand = stand();
    let provider = stand.provider();
    let zone = Zone::named(stand.zone.name.clone());
    for value in ["v", "w"] {
        provider.apply(&zone, &[add(&name("looked-up"), value)]).await.unwrap();
    }
    assert_eq!(stand.values(&name("looked-up")), ["v", "w"]);
    assert_eq!(stand.api.count("GET /domains"), 1);
    assert_eq!(provider.zones().await.unwrap(), Listing::Listed(vec![stand.zone.clone()]));

    let strange = Zone::named("other.test".parse().unwrap());
    let there = Fqdn::parse("_acme-challenge.other.test").unwrap();
    let error = provider.apply(&strange, &[add(&there, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
    for (kind, status, words) in [("slave", "active", "secondary"), ("master", "disabled", "`disabled`")] {
        stand.api.service().state(ZONE, kind, status);
        let error = stand.provider().apply(&zone, &[add(&name("x"), "v")]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Invalid, false), "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated_and_leaves_nothing_behind() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("lost"));
    // The look passes, the creation is carried out and not heard of.
    let empty = serde_json::json!({ "data": [], "page": 1, "pages": 1, "results": 0 });
    stand.api.fault(Fault::Instead(dns01_tests::fake_dns_api::Answer::json(200, &empty)));
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
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let service = stand.api.service();
    let reader = service.token(SCOPE, Some(&[(stand.id(), false)]));
    let other = service.token("linodes:read_write", None);
    let blind = service.token(SCOPE, Some(&[]));
    let unknown = Linode::unknown_token(0);
    for (token, kind, words) in [
        (&unknown, Kind::Auth, "Invalid Token"),
        (&other, Kind::Permission, "not authorized"),
        (&reader, Kind::Permission, "Unauthorized"),
        (&blind, Kind::NotFound, "Not found"),
    ] {
        let provider = provider(&stand.api, token);
        let error = provider.apply(&stand.zone, &[add(&name("refused"), "v")]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, false), "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
        assert!(!format!("{error} {error:?}").contains(token.as_str()), "{error}");
    }
    let wrong_id = Zone { id: Some("99999".to_owned()), ..stand.zone.clone() };
    let error = stand.provider().apply(&wrong_id, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");

    stand.api.add(stand.id(), ALIASED, "CNAME", 300, "elsewhere.test.");
    let change = add(&Fqdn::parse(ALIASED).unwrap(), "v");
    let error = stand.provider().apply(&stand.zone, &[change]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Conflict, false), "{error}");

    troubles_are_clear_errors(&stand.api, stand.provider().as_ref(), &stand.zone, &stand.token).await;
}

#[tokio::test]
async fn a_token_is_held_against_its_needs() {
    let stand = stand();
    let other = zone(&stand.api, "other.test");
    let other_id = other.id.as_deref().unwrap();
    let service = stand.api.service();
    let need = ScopeNeed { zone: stand.zone.clone(), name: name("www") };
    let audit = async |token: &str| {
        provider(&stand.api, token).audit_scope(std::slice::from_ref(&need)).await.unwrap()
    };
    let report = audit(&stand.token).await;
    assert!(matches!(report, ScopeReport::ExactlyEnough { .. }), "{report:?}");
    let only = [(stand.id(), true)];
    for (token, words) in [
        (service.token("*", Some(&only)), "scope `*`"),
        (service.token("domains:read_write linodes:read_only", Some(&only)), "`linodes:read_only`"),
        (service.token(SCOPE, Some(&[(stand.id(), true), (other_id, true)])), "`other.test`"),
        (service.token(SCOPE, None), "unrestricted"),
    ] {
        let report = audit(&token).await;
        let ScopeReport::MoreThanNeeded { findings } = report else { panic!("{report:?}") };
        assert!(findings.iter().any(|finding| finding.contains(words)), "{findings:?}");
    }
    for (token, words) in [
        (service.token("domains:read_only", Some(&only)), SCOPE),
        (service.token("linodes:read_only", Some(&only)), SCOPE),
        (service.token(SCOPE, Some(&[(stand.id(), false)])), "may not edit"),
        (service.token(SCOPE, Some(&[(other_id, true)])), "does not see"),
    ] {
        let report = audit(&token).await;
        let ScopeReport::NotEnough { findings } = report else { panic!("{report:?}") };
        assert!(findings.iter().any(|finding| finding.contains(words)), "{findings:?}");
    }
}
