//! deSEC against its fake, which an independent client has proven.

use super::fake::{
    ALIASED, Run, SUB_ZONE, ZONE, add, adds, assert_no_such_zone, assert_refused, exactly_enough, literal,
    name, named, names, printed_by, removals, too_little, too_much, zone,
};
use super::table;
use dns01_provider::{
    Credential, CredentialName, DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeReport, Settings,
    TxtValue,
};
use dns01_provider_desec::PLUGIN;
use dns01_tests::fake_dns_api::desec::{Desec, Policy};
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Stand = super::fake::Stand<Desec, str>;

/// The fake with one domain and a token that may write everything in it.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Desec::new()).unwrap();
    let id = api.zone(ZONE);
    let (token, _) = api.service().token(&[Policy::domain(ZONE)]);
    Stand::new(api, id, token, provider)
}

fn settings(api: &FakeDnsApi<Desec>, token: &str) -> Settings {
    Settings::default().with("token", literal(token)).with("base_url", api.url())
}

/// The plugin, configured as `dns01.toml` would.
fn provider(api: &FakeDnsApi<Desec>, token: &str) -> Arc<dyn DnsProvider> {
    (PLUGIN.build)(settings(api, token)).unwrap()
}

impl Stand {
    /// How many reads and writes there were.
    fn calls(&self) -> (usize, usize) {
        let of = |method: &str| self.api.count(&format!("{method} /domains/{ZONE}/rrsets/"));
        (of("GET"), of("PATCH"))
    }

    /// What the audit says of a token for the challenge of `www`, with the token's id or without.
    async fn audit_with_id(&self, token: &str, id: Option<&str>) -> ScopeReport {
        let mut settings = settings(&self.api, token);
        if let Some(id) = id {
            settings = settings.with("token_id", id);
        }
        (PLUGIN.build)(settings).unwrap().audit_scope(&[self.need("www")]).await.unwrap()
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_desecs_fake() {
    let (mut stand, busy) = (stand(), stand().refusing_all());
    (stand.key, _) = stand.api.service().token(&[ZONE, SUB_ZONE].map(Policy::domain));
    let run = Run {
        sub_zone: zone(&stand.api, SUB_ZONE),
        stand,
        wrong: Desec::unknown_token(0),
        busy,
        listing: "GET /domains/",
        forms: &[TxtValue::presentation],
    };
    let secrets = [run.stand.key.as_str(), &run.wrong];
    table::assert_all_kept(&run.proven_by("desec-dns 1.5.0", "desec", &secrets)).await;
}

/// An independent client adds two values, lists them and removes one; what it sees and what the
/// fake holds agree.
#[test]
fn an_independent_client_finds_desecs_fake_right() {
    const SCRIPT: &str = r#"
import sys
import desec.api, desec.exceptions
address, token, wrong, zone, name = sys.argv[1:]
desec.api.API_BASE_URL = address
client = desec.api.APIClient(token, retry_limit=0)
print([domain["name"] for domain in client.list_domains()])
print(client.add_record(zone, "TXT", name, ['"one"'], 3600)["records"])
print(client.update_record(zone, "TXT", name, ['"two"'], 3600)["records"])
print([r["records"] for r in client.get_records(zone, "TXT", name)])
client.delete_record(zone, "TXT", name, ['"one"'])
bulk = lambda *records, **more: client.update_bulk_record(zone, [
    {"subname": f"{name}.{n}", "type": "TXT", "ttl": 3600, "records": r, **more} for n, r in enumerate(records)])
print([r["subname"] for r in bulk(['"three"'], ['"four"'], ['"five"'])])
print([r["subname"] for r in bulk([], [])])
print(len(client.get_records(zone, "TXT")))
client.delete_record(zone, "TXT", f"{name}.2")
for attempt in (lambda: client.add_record(zone, "TXT", name, ['"x"'], 3600),
                lambda: client.add_record(zone, "TXT", "other", ['bare'], 3600),
                lambda: client.add_record(zone, "TXT", "other", ['"x"'], 60),
                lambda: bulk(['"x"'], ['"y"', '"y"']),
                lambda: bulk(['"x"'], unknown=1),
                lambda: client.get_records("strange.test"),
                lambda: client.list_tokens(),
                lambda: desec.api.APIClient(wrong, retry_limit=0).list_domains()):
    try:
        attempt()
        print("done")
    except desec.exceptions.APIError as error:
        print(type(error).__name__)
"#;
    let Some(python) = clients("the proof of deSEC's fake by desec-dns") else { return };
    let stand = stand();
    stand.api.service().pages_of(2);
    let url = stand.api.url();
    let wrong = Desec::unknown_token(0);
    let arguments = [url.as_str(), &stand.key, &wrong, ZONE, "_acme-challenge.independent"];
    let lines = printed_by(&python, SCRIPT, &arguments, &[]);
    assert_eq!(
        lines,
        [
            "['example.test']",
            r#"['"one"']"#,
            r#"['"two"', '"one"']"#,
            r#"[['"two"', '"one"']]"#,
            "['_acme-challenge.independent.0', '_acme-challenge.independent.1', '_acme-challenge.independent.2']",
            "[]",
            "2",
            "ParameterError",
            "ParameterError",
            "ParameterError",
            "ParameterError",
            "ParameterError",
            "NotFoundError",
            "TokenPermissionError",
            "AuthenticationError",
        ]
    );
    assert_eq!(stand.values(&name("independent")), ["two"]);
}

#[tokio::test]
async fn a_hundred_names_cost_one_write_each_way() {
    let stand = stand();
    let provider = stand.provider();
    let names = names(100);
    let adds = [adds(&names, "v"), adds(&names, "w")].concat();
    provider.apply(&stand.zone, &adds).await.unwrap();
    assert_eq!(stand.calls(), (2, 1));
    assert!(stand.all_hold(&names, &["v", "w"]));
    let removals = [removals(&names, "v"), removals(&names, "w")].concat();
    provider.apply(&stand.zone, &removals).await.unwrap();
    assert_eq!(stand.calls(), (4, 2));
    assert!(stand.all_hold(&names, &[]));
    provider.apply(&stand.zone, &removals).await.unwrap();
    assert_eq!(stand.calls(), (5, 2), "what is done already is only looked at");
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_whole() {
    let stand = stand();
    stand.api.service().pages_of(3);
    let names = names(7);
    for name in &names {
        stand.api.add(&stand.id, name.as_str(), "TXT", 3600, "theirs");
    }
    stand.provider().apply(&stand.zone, &adds(&names, "ours")).await.unwrap();
    assert!(stand.all_hold(&names, &["theirs", "ours"]));
    assert_eq!(stand.calls(), (6, 1));
}

#[tokio::test]
async fn what_another_program_overwrites_is_written_again_and_at_last_given_up() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("contested"));
    stand.api.service().overwrite(here.as_str(), &["theirs"]);
    provider.apply(&stand.zone, &[add(&here, "ours")]).await.unwrap();
    assert_eq!(stand.values(&here), ["theirs", "ours"]);

    for _ in 0..3 {
        stand.api.service().overwrite(here.as_str(), &["theirs"]);
    }
    let error = provider.apply(&stand.zone, &[add(&here, "second")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, true), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("lost"));
    for value in ["v", "w"] {
        stand.api.fault(Fault::ReplyLost);
        let error = provider.apply(&stand.zone, &[add(&here, value)]).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        provider.apply(&stand.zone, &[add(&here, value)]).await.unwrap();
    }
    assert_eq!(stand.values(&here), ["v", "w"]);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_token() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let (narrow, _) = stand.api.service().token(&[Policy::txt(ZONE, "_acme-challenge.www")]);
    let unknown = Desec::unknown_token(0);
    for (token, kind, words) in [
        (&unknown, Kind::Auth, "Invalid token"),
        (&narrow, Kind::Permission, "Insufficient token permissions"),
    ] {
        let changes = [add(&name("www"), "v"), add(&name("refused"), "v")];
        let error = stand.with(token).apply(&stand.zone, &changes).await.unwrap_err();
        assert_refused(&error, kind, words, token);
    }
    assert!(stand.values(&name("www")).is_empty(), "all or nothing");
    stand.with(&narrow).apply(&stand.zone, &[add(&name("www"), "v")]).await.unwrap();

    let there = Fqdn::parse("_acme-challenge.strange.test").unwrap();
    assert_no_such_zone(stand.provider().as_ref(), &named("strange.test"), &there).await;

    stand.alias();
    let changes = [add(&name("free"), "v"), add(&Fqdn::parse(ALIASED).unwrap(), "v")];
    let error = stand.provider().apply(&stand.zone, &changes).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    assert!(error.to_string().contains("`_acme-challenge.aliased`"), "the culprit is named: {error}");

    stand.troubles_are_clear_errors(stand.provider().as_ref(), &stand.key).await;
}

#[tokio::test]
async fn a_token_is_held_against_its_needs() {
    let stand = stand();
    let service = stand.api.service();
    let other = zone(&stand.api, "other.test");
    let challenge = Policy::txt(ZONE, "_acme-challenge.www");
    let exact = service.token(std::slice::from_ref(&challenge));
    let unrestricted = service.token(&[]);
    let foreign = service.token(&[challenge.clone(), Policy::domain(other.name.as_str())]);
    let too_narrow = service.token(&[Policy::txt(ZONE, "_acme-challenge.mail")]);
    let managing = service.managing_token(&[challenge]);
    for with_id in [true, false] {
        let audit = async |(token, id): &(String, String)| {
            stand.audit_with_id(token, with_id.then_some(id.as_str())).await
        };
        exactly_enough(audit(&exact).await);
        for (token, words) in [
            (&unrestricted, if with_id { "no policies" } else { "other names of `example.test`" }),
            (&foreign, "`other.test`"),
            (&managing, "manage the account's tokens"),
        ] {
            let findings = too_much(audit(token).await);
            assert!(findings.iter().any(|finding| finding.contains(words)), "{findings:?}");
        }
        let findings = too_little(audit(&too_narrow).await);
        assert!(findings[0].contains(name("www").as_str()), "{findings:?}");
    }
    let report = stand.audit_with_id(&exact.0, Some(&unrestricted.1)).await;
    assert!(matches!(report, ScopeReport::CannotTell { .. }), "{report:?}");
    assert!(
        stand.api.edit(|held| held.zones.iter().all(|zone| zone.records.is_empty())),
        "nothing was written"
    );

    let Listing::Listed(zones) = stand.provider().zones().await.unwrap() else { panic!("listed") };
    assert_eq!(zones.len(), 2, "{zones:?}");
}

/// Real time: two writes a second are allowed, and six are made.
#[tokio::test]
async fn the_services_own_rates_are_kept() {
    let stand = stand();
    stand.api.service().throttle();
    let credential = Credential::new(CredentialName::parse("desec").unwrap(), stand.provider());
    let begun = Instant::now();
    let names = names(6);
    let applies = names.iter().map(|name| {
        let (credential, zone) = (credential.clone(), &stand.zone);
        async move { credential.apply(zone, &[add(name, "v")]).await }
    });
    for applied in futures_util::future::join_all(applies).await {
        applied.unwrap();
    }
    assert_eq!(credential.calls(), 6, "none was refused");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_write_too_many_is_about_its_domain_and_a_read_too_many_about_the_account() {
    let stand = stand();
    stand.api.service().throttle();
    let (provider, here) = (stand.provider(), name("busy"));
    for value in ["v", "w"] {
        provider.apply(&stand.zone, &[add(&here, value)]).await.unwrap();
    }
    let write = provider.apply(&stand.zone, &[add(&here, "x")]).await.unwrap_err();
    let mut reads = Vec::new();
    for _ in 0..10 {
        reads.push(provider.values(&stand.zone, &here).await);
    }
    let read = reads.into_iter().find_map(Result::err).expect("ten reads a second are allowed");
    for (error, zone_only) in [(write, true), (read, false)] {
        assert_eq!(
            (error.kind(), error.is_zone_only()),
            (ProviderErrorKind::RateLimited, zone_only),
            "{error}"
        );
        assert!(error.retry_after().is_some(), "{error}");
    }
}
