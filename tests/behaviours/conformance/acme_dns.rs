//! acme-dns against its fake, which the author's own client has proven.

use super::fake::{printed_by, troubles};
use super::table;
use async_trait::async_trait;
use dns01_provider::conformance::{Observer, Subject};
use dns01_provider::{
    DnsProvider, Fqdn, Listing, ProviderErrorKind, ScopeNeed, ScopeReport, Settings, TxtChange, TxtRecords,
    TxtValue, Zone, ZoneName,
};
use dns01_provider_acme_dns::PLUGIN;
use dns01_tests::fake_dns_api::acme_dns::{AcmeDns, PASSWORD_PREFIX};
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault, clients};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// acme-dns's own zone.
const ZONE: &str = "auth.example.test";
/// A challenge name, whose account is registered on demand.
const CHALLENGE: &str = "_acme-challenge.www.example.test";

#[derive(Debug)]
struct Stand {
    api: FakeDnsApi<AcmeDns>,
    id: String,
    folder: tempfile::TempDir,
}

fn stand() -> Stand {
    standing(AcmeDns::new())
}

fn standing(service: AcmeDns) -> Stand {
    let api = FakeDnsApi::start(service).unwrap();
    let id = api.zone(ZONE);
    Stand { api, id, folder: tempfile::tempdir().unwrap() }
}

/// A value as challenges have them.
fn value(letter: char) -> TxtValue {
    TxtValue::parse(&letter.to_string().repeat(43)).unwrap()
}

fn add(name: &Fqdn, letter: char) -> TxtChange {
    TxtChange::Add { name: name.clone(), value: value(letter), ttl: 1 }
}

fn zone() -> Zone {
    Zone::named(ZoneName::parse(ZONE).unwrap())
}

fn challenge() -> Fqdn {
    Fqdn::parse(CHALLENGE).unwrap()
}

impl Stand {
    fn storage(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The plugin, configured as `dns01.toml` would.
    fn provider(&self, file: &str, register: bool) -> Arc<dyn DnsProvider> {
        let settings = Settings::default()
            .with("url", self.api.url())
            .with("storage", self.storage(file).to_str().unwrap())
            .with("register", register);
        (PLUGIN.build)(settings).unwrap()
    }

    /// An account in the storage, under a key of its own; its name.
    fn account(&self, allow_from: &[&str]) -> Fqdn {
        let networks = allow_from.iter().map(|&network| network.to_owned()).collect();
        let told = self.api.edit(|held| self.api.service().register(held, networks));
        let name = Fqdn::parse(told["fulldomain"].as_str().unwrap()).unwrap();
        let mut wrong = told.clone();
        wrong["password"] = Value::from("0".repeat(40));
        keep(&self.storage("right.json"), name.as_str(), told);
        keep(&self.storage("wrong.json"), name.as_str(), wrong);
        name
    }

    fn values(&self, name: &Fqdn) -> Vec<String> {
        self.api.txt(&self.id, name.as_str()).1
    }
}

fn read(path: &Path) -> Map<String, Value> {
    std::fs::read(path).map(|octets| serde_json::from_slice(&octets).unwrap()).unwrap_or_default()
}

fn keep(path: &Path, key: &str, account: Value) {
    let mut accounts = read(path);
    accounts.insert(key.to_owned(), account);
    std::fs::write(path, serde_json::to_vec(&accounts).unwrap()).unwrap();
}

#[async_trait]
impl Observer for Stand {
    async fn records(&self, _: &Zone, name: &Fqdn) -> Result<TxtRecords, String> {
        let (ttl, texts) = self.api.txt(&self.id, name.as_str());
        let values = texts.iter().map(|text| TxtValue::parse(text)).collect::<Result<_, _>>();
        Ok(TxtRecords { ttl, values: values.map_err(|error| error.to_string())? })
    }

    async fn write(&self, _: &Zone, _: &Fqdn, _: &TxtRecords) -> Result<(), String> {
        Err("nobody else writes at an account's name".to_owned())
    }

    fn fresh_name(&self, _: &Zone) -> Option<Fqdn> {
        Some(self.account(&[]))
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_acme_dnss_fake() {
    let stand = Arc::new(stand());
    let busy = self::stand();
    busy.api.limit(0, Duration::from_secs(300));
    std::fs::create_dir(stand.storage("busy")).unwrap();
    let settings = Settings::default()
        .with("url", busy.api.url())
        .with("storage", stand.storage("right.json").to_str().unwrap());
    let subject = Subject::new("acme-dns", stand.provider("right.json", false), zone())
        .with_peer("strict fake, proven by pyacmedns 0.4 (PyPI)")
        .with_observer(Arc::clone(&stand) as Arc<dyn Observer>)
        .with_wrong_token(Ok(stand.provider("wrong.json", false)))
        .with_rate_limited(Ok((PLUGIN.build)(settings).unwrap()))
        .with_forbidden(Fqdn::parse(&format!("somebody-else.{ZONE}")).unwrap())
        .with_secrets([PASSWORD_PREFIX.into(), "0".repeat(40).into()]);
    table::assert_kept(&subject).await;
}

/// The author's Python client registers, writes three values, and is refused.
#[test]
fn the_authors_own_client_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import re, sys, pyacmedns
url, zone = sys.argv[1:]
client = pyacmedns.Client(url)
account = client.register_account(["127.0.0.0/8"])
assert account["fulldomain"] == account["subdomain"] + "." + zone
for letter in "abc":
    client.update_txt_record(account, letter * 43)
print(account["fulldomain"])
elsewhere = client.register_account(["192.0.2.0/24"])
for attempt in (lambda: client.update_txt_record(account, "short"),
                lambda: client.update_txt_record(dict(account, password="0" * 40), "d" * 43),
                lambda: client.update_txt_record(dict(account, subdomain=elsewhere["subdomain"]), "d" * 43),
                lambda: client.update_txt_record(elsewhere, "d" * 43),
                lambda: client.register_account(["192.0.2.0"])):
    try:
        attempt()
        print("done")
    except Exception as error:
        print(re.findall(r"status:? (\d+)", str(error))[-1], re.findall(r'"error": ?"(\w+)"', str(error))[-1])
"#;
    let Some(python) = clients("the proof of acme-dns's fake by its author's client") else { return };
    let stand = stand();
    let lines = printed_by(&python, SCRIPT, &[&stand.api.url(), ZONE], &[]);
    let name = Fqdn::parse(&lines[0]).unwrap();
    assert_eq!(stand.values(&name), [value('b').as_str(), value('c').as_str()], "the oldest went");
    assert_eq!(
        lines[1..],
        ["400 bad_txt", "401 forbidden", "401 forbidden", "401 forbidden", "400 invalid_allowfrom_cidr"]
    );
}

#[tokio::test]
async fn a_name_without_an_account_gets_one_and_the_record_to_create_is_told_until_it_stands() {
    let stand = stand();
    let provider = stand.provider("new.json", true);
    let mut hints = Vec::new();
    for _ in 0..2 {
        let error = provider.apply(&zone(), &[add(&challenge(), 'a')]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::NotFound, false), "{error}");
        assert!(!format!("{error} {error:?}").contains(PASSWORD_PREFIX), "{error}");
        hints.push(error.hint().unwrap().to_owned());
    }
    assert_eq!(stand.api.service().accounts(), 1, "the second try finds the account");
    let account = &read(&stand.storage("new.json"))["www.example.test"];
    let fulldomain = account["fulldomain"].as_str().unwrap();
    let record = format!("`{CHALLENGE}. CNAME {fulldomain}.`");
    assert!(hints.iter().all(|hint| hint.contains(&record)), "{hints:?}");

    // As the CNAME leads.
    let name = Fqdn::parse(fulldomain).unwrap();
    provider.apply(&zone(), &[add(&name, 'a')]).await.unwrap();
    assert_eq!(stand.values(&name), [value('a').as_str()]);
    assert_eq!(provider.zones().await.unwrap(), Listing::Listed(vec![zone()]));
}

#[tokio::test]
async fn nobody_is_registered_without_leave_nor_where_the_account_could_not_be_kept() {
    let stand = stand();
    let error =
        stand.provider("none.json", false).apply(&zone(), &[add(&challenge(), 'a')]).await.unwrap_err();
    assert!(error.hint().unwrap().contains("register"), "{error}");
    let lost = stand.provider("nowhere/at/all.json", true);
    let error = lost.apply(&zone(), &[add(&challenge(), 'a')]).await.unwrap_err();
    assert!(error.to_string().contains("cannot be kept"), "{error}");
    let strange = Fqdn::parse(&format!("somebody-else.{ZONE}")).unwrap();
    let error = stand.provider("none.json", true).apply(&zone(), &[add(&strange, 'a')]).await.unwrap_err();
    assert!(error.hint().unwrap().contains("CNAME"), "{error}");
    assert_eq!((stand.api.service().accounts(), stand.api.requests()), (0, Vec::new()));
}

#[tokio::test]
async fn names_registered_at_the_same_time_by_two_programs_are_all_kept() {
    let stand = stand();
    let providers = [stand.provider("shared.json", true), stand.provider("shared.json", true)];
    let names: Vec<Fqdn> =
        (0..20).map(|n| Fqdn::parse(&format!("_acme-challenge.n{n}.example.test")).unwrap()).collect();
    let zone = zone();
    let tries = providers
        .iter()
        .flat_map(|provider| names.iter().map(move |name| (provider, [add(name, 'a')])))
        .map(async |(provider, change)| provider.apply(&zone, &change).await.unwrap_err());
    let errors = futures_util::future::join_all(tries).await;
    assert!(errors.iter().all(|error| error.hint().unwrap().contains("CNAME")), "{errors:?}");
    assert_eq!(read(&stand.storage("shared.json")).len(), 20);
    assert_eq!(stand.api.service().accounts(), 20, "none was made twice");
}

#[tokio::test]
async fn a_lost_reply_that_is_repeated_pushes_nobody_out() {
    let stand = stand();
    let name = stand.account(&[]);
    let provider = stand.provider("right.json", false);
    for letter in ['a', 'b'] {
        provider.apply(&zone(), &[add(&name, letter)]).await.unwrap();
    }
    stand.api.fault(Fault::ReplyLost);
    let error = provider.apply(&zone(), &[add(&name, 'c')]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    provider.apply(&zone(), &[add(&name, 'c')]).await.unwrap();
    let mut values = stand.values(&name);
    values.sort();
    assert_eq!(values, [value('b').as_str(), value('c').as_str()]);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_password() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let name = stand.account(&[]);
    let elsewhere = stand.account(&["192.0.2.0/24"]);
    for (file, name) in [("wrong.json", &name), ("right.json", &elsewhere)] {
        let error = stand.provider(file, false).apply(&zone(), &[add(name, 'a')]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (Kind::Auth, false), "{error}");
        assert!(error.hint().unwrap().contains("allowfrom"), "{error}");
        assert!(!format!("{error} {error:?}").contains(PASSWORD_PREFIX), "{error}");
    }
    let provider = stand.provider("right.json", false);
    let before = stand.api.requests().len();
    let long = TxtChange::Add { name: name.clone(), value: TxtValue::parse("ca.test; x").unwrap(), ttl: 1 };
    let removal = TxtChange::Remove { name: name.clone(), value: value('a') };
    for change in [long, removal] {
        let error = provider.apply(&zone(), &[change]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (Kind::Invalid, false), "{error}");
    }
    assert_eq!(stand.api.requests().len(), before, "what it cannot do is not sent");
    let change = [add(&name, 'a')];
    let account = &read(&stand.storage("right.json"))[name.as_str()];
    let password = account["password"].as_str().unwrap();
    troubles(&stand.api, password, async || provider.apply(&zone(), &change).await.unwrap_err()).await;

    let closed = standing(AcmeDns::registering_nobody());
    let error = closed.provider("a.json", true).apply(&zone(), &[add(&challenge(), 'a')]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permission, "{error}");
    assert!(error.hint().unwrap().contains("disable_registration"), "{error}");
    let settings = Settings::default()
        .with("url", stand.api.url())
        .with("storage", stand.storage("networks.json").to_str().unwrap())
        .with("register", true)
        .with("allow_from", vec!["192.0.2.0/77"]);
    let odd = (PLUGIN.build)(settings).unwrap();
    let error = odd.apply(&zone(), &[add(&challenge(), 'a')]).await.unwrap_err();
    assert!(error.to_string().contains("`allow_from`"), "{error}");
}

#[tokio::test]
async fn the_audit_tells_missing_needed_and_superfluous_accounts_apart_and_changes_nothing() {
    let stand = stand();
    let (name, other) = (stand.account(&[]), stand.account(&[]));
    let need = |name: &Fqdn| ScopeNeed { zone: zone(), name: name.clone() };
    let audit =
        async |file: &str, needs: &[ScopeNeed]| stand.provider(file, false).audit_scope(needs).await.unwrap();
    let exact = audit("right.json", &[need(&name), need(&other)]).await;
    assert!(matches!(exact, ScopeReport::ExactlyEnough { .. }), "{exact:?}");
    let more = audit("right.json", &[need(&name)]).await;
    assert!(matches!(more, ScopeReport::MoreThanNeeded { .. }), "{more:?}");
    for (file, needs) in [("right.json", need(&challenge())), ("wrong.json", need(&name))] {
        let too_little = audit(file, &[needs]).await;
        assert!(matches!(too_little, ScopeReport::NotEnough { .. }), "{too_little:?}");
    }
    assert!(stand.values(&name).is_empty());
}

#[tokio::test]
async fn a_hundred_names_cost_a_hundred_requests() {
    let stand = stand();
    let names: Vec<Fqdn> = (0..100).map(|_| stand.account(&[])).collect();
    let provider = stand.provider("right.json", false);
    for name in &names {
        for letter in ['a', 'b'] {
            provider.apply(&zone(), &[add(name, letter)]).await.unwrap();
        }
    }
    assert_eq!(stand.api.count("POST /update"), 200);
    assert!(names.iter().all(|name| stand.values(name).len() == 2));
}
