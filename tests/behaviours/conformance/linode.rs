//! Linode against its fake, which the vendor's own client has proven.

use super::fake::{
    Run, SUB_ZONE, ZONE, add, adds, assert_refused, exactly_enough, literal, name, named, names, printed_by,
    removals, remove, too_little, too_much, zone,
};
use super::table;
use dns01_provider::{DnsProvider, Fqdn, Listing, ProviderErrorKind, Settings, TxtValue, Zone};
use dns01_provider_linode::PLUGIN;
use dns01_tests::fake_dns_api::linode::Linode;
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, clients};
use std::sync::Arc;

/// What a token needs.
const SCOPE: &str = "domains:read_write";

type Stand = super::fake::Stand<Linode, str>;

/// The fake with one domain and a token of a user who may edit it.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Linode::new()).unwrap();
    let id = api.zone(ZONE);
    let token = api.service().token(SCOPE, Some(&[(&id, true)]));
    Stand::new(api, id, token, provider)
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Linode>, token: &str) -> Arc<dyn DnsProvider> {
    let settings = Settings::default().with("token", literal(token)).with("base_url", api.url());
    (PLUGIN.build)(settings).unwrap()
}

impl Stand {
    /// How many requests of this method there were below the domain.
    fn count(&self, method: &str) -> usize {
        let below = format!("{method} /domains/{}/records", self.id);
        self.api.requests().iter().filter(|line| line.starts_with(&below)).count()
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_linodes_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    let sub_zone = zone(&stand.api, SUB_ZONE);
    let both = [(stand.id.as_str(), true), (sub_zone.id.as_deref().unwrap(), true)];
    stand.key = stand.api.service().token(SCOPE, Some(&both));
    let run = Run {
        stand,
        sub_zone,
        wrong: Linode::unknown_token(0),
        busy,
        listing: "GET /domains",
        // Other tools may write a value with its quotes.
        forms: &[TxtValue::to_string, TxtValue::presentation],
    };
    let secrets = [run.stand.key.as_str(), &run.wrong];
    table::assert_all_kept(&run.proven_by("linode_api4 5.48.0", "linode", &secrets)).await;
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
    let arguments = [url.as_str(), &stand.key, &wrong, ZONE, "_acme-challenge.independent"];
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
    assert_eq!(stand.set(&name("independent")), (300, vec!["two".to_owned()]));
}

#[tokio::test]
async fn a_hundred_names_cost_one_look_to_add_and_none_to_remove() {
    let stand = stand();
    assert_eq!(stand.each_way(100).await, (1 + 100, 100), "{:?}", stand.api.requests());
    assert_eq!((stand.count("GET"), stand.count("POST"), stand.count("DELETE")), (1, 100, 100));
}

#[tokio::test]
async fn what_another_process_created_is_looked_for_on_every_page_and_removed() {
    let stand = stand();
    let names = names(100);
    for number in 0..900 {
        let other = name(&format!("other{number}"));
        stand.api.add(&stand.id, other.as_str(), "TXT", 300, "theirs");
    }
    stand.provider().apply(&stand.zone, &adds(&names, "v")).await.unwrap();
    let fresh = stand.provider();
    fresh.apply(&stand.zone, &removals(&names, "v")).await.unwrap();
    assert!(stand.all_hold(&names, &[]));
    assert_eq!(stand.values(&name("other899")), ["theirs"]);
    assert_eq!((stand.count("GET"), stand.count("DELETE")), (4, 100));

    // A record that somebody else removed and made anew has another id.
    let here = &names[0];
    fresh.apply(&stand.zone, &[add(here, "v")]).await.unwrap();
    stand.api.edit(|held| held.zone_mut(&stand.id).unwrap().records.retain(|one| one.name != here.as_str()));
    stand.api.add(&stand.id, here.as_str(), "TXT", 300, "v");
    fresh.apply(&stand.zone, &[remove(here, "v")]).await.unwrap();
    assert!(stand.values(here).is_empty());
}

#[tokio::test]
async fn a_ttl_that_was_dropped_is_set_again() {
    let stand = stand();
    stand.api.service().drop_ttls();
    stand.provider().apply(&stand.zone, &[add(&name("here"), "v")]).await.unwrap();
    assert_eq!(stand.set(&name("here")), (300, vec!["v".to_owned()]));
}

#[tokio::test]
async fn a_zone_without_an_id_is_looked_up_once_and_must_be_one_that_is_served() {
    let stand = stand();
    let provider = stand.provider();
    stand.write_by_name(provider.as_ref()).await;
    assert_eq!(stand.api.count("GET /domains"), 1);
    assert_eq!(provider.zones().await.unwrap(), Listing::Listed(vec![stand.zone.clone()]));

    let there = Fqdn::parse("_acme-challenge.other.test").unwrap();
    let error = provider.apply(&named("other.test"), &[add(&there, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");
    for (kind, status, words) in [("slave", "active", "secondary"), ("master", "disabled", "`disabled`")] {
        stand.api.service().state(ZONE, kind, status);
        let error = stand.provider().apply(&named(ZONE), &[add(&name("x"), "v")]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Invalid, false), "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated_and_leaves_nothing_behind() {
    let stand = stand();
    let provider = stand.provider();
    let empty = serde_json::json!({ "data": [], "page": 1, "pages": 1, "results": 0 });
    stand.lose_the_reply_to_an_add(provider.as_ref(), Some(Answer::json(200, &empty))).await;
    stand.repeat_the_add(provider.as_ref()).await;
    stand.remove_over_a_lost_reply(provider.as_ref()).await;
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let service = stand.api.service();
    let reader = service.token(SCOPE, Some(&[(&stand.id, false)]));
    let other = service.token("linodes:read_write", None);
    let blind = service.token(SCOPE, Some(&[]));
    let unknown = Linode::unknown_token(0);
    for (token, kind, words) in [
        (&unknown, Kind::Auth, "Invalid Token"),
        (&other, Kind::Permission, "not authorized"),
        (&reader, Kind::Permission, "Unauthorized"),
        (&blind, Kind::NotFound, "Not found"),
    ] {
        assert_refused(&stand.refusal(stand.with(token).as_ref()).await, kind, words, token);
    }
    let wrong_id = Zone { id: Some("99999".to_owned()), ..stand.zone.clone() };
    let error = stand.provider().apply(&wrong_id, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");

    stand.refusal_beside_a_cname().await;
    stand.troubles_are_clear_errors(stand.provider().as_ref(), &stand.key).await;
}

#[tokio::test]
async fn a_token_is_held_against_its_needs() {
    let stand = stand();
    let other = zone(&stand.api, "other.test");
    let other_id = other.id.as_deref().unwrap();
    let service = stand.api.service();
    let audit = async |token: &str| stand.audit(token, &[stand.need("www")]).await;
    exactly_enough(audit(&stand.key).await);
    let only = [(stand.id.as_str(), true)];
    for (token, words) in [
        (service.token("*", Some(&only)), "scope `*`"),
        (service.token("domains:read_write linodes:read_only", Some(&only)), "`linodes:read_only`"),
        (service.token(SCOPE, Some(&[(&stand.id, true), (other_id, true)])), "`other.test`"),
        (service.token(SCOPE, None), "unrestricted"),
    ] {
        let findings = too_much(audit(&token).await);
        assert!(findings.iter().any(|finding| finding.contains(words)), "{findings:?}");
    }
    for (token, words) in [
        (service.token("domains:read_only", Some(&only)), SCOPE),
        (service.token("linodes:read_only", Some(&only)), SCOPE),
        (service.token(SCOPE, Some(&[(&stand.id, false)])), "may not edit"),
        (service.token(SCOPE, Some(&[(other_id, true)])), "does not see"),
    ] {
        let findings = too_little(audit(&token).await);
        assert!(findings.iter().any(|finding| finding.contains(words)), "{findings:?}");
    }
}
