//! moto, an emulator of AWS that others have written: another opinion on the wire form.

use crate::conformance::fake::ZONE;
use crate::conformance::table;
use crate::fake_zone::delegated;
use async_trait::async_trait;
use dns01_provider::conformance::{Observer, Promise, Subject, Verdict};
use dns01_provider::{Fqdn, Settings, TxtRecords, TxtValue, Zone, ZoneName};
use dns01_provider_route53::PLUGIN;
use dns01_tests::fake_dns_api::clients;
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use hickory_proto::rr::RecordType;
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// What moto routes by; it checks no signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIA/20261126/us-east-1/route53/aws4_request, \
                             SignedHeaders=host;x-amz-date, Signature=00";

/// A server of its own; dropping it kills it.
#[derive(Debug)]
struct Moto {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    async fn start(python: &Path) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(python.with_file_name("moto_server"));
        command
            .args(["-H", "127.0.0.1", "-p", &free.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("it is installed beside the clients");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let moto = Self { child, url: format!("http://127.0.0.1:{free}"), http };
        let start = Instant::now();
        while moto.http.get(format!("{}/moto-api/", moto.url)).send().await.is_err() {
            assert!(start.elapsed() < PATIENCE, "moto does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        moto
    }

    /// One request of our own making.
    async fn ask(&self, method: reqwest::Method, path: &str, body: String) -> Result<String, String> {
        let url = format!("{}/2013-04-01/{path}", self.url);
        let request = self.http.request(method, url).header("authorization", AUTHORIZATION).body(body);
        let reply = request.send().await.map_err(|error| error.to_string())?;
        let status = reply.status();
        let text = reply.text().await.map_err(|error| error.to_string())?;
        if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
    }

    async fn zone(&self, name: &str) -> Zone {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{name}.</Name>\
             <CallerReference>{name}</CallerReference></CreateHostedZoneRequest>"
        );
        let reply = self.ask(reqwest::Method::POST, "hostedzone", body).await.unwrap();
        let id = texts(&reply, "Id").remove(0).trim_start_matches("/hostedzone/").to_owned();
        Zone { name: ZoneName::parse(name).unwrap(), id: Some(id) }
    }

    async fn set(&self, zone: &Zone, name: &Fqdn) -> Result<Option<String>, String> {
        let (id, name) = (zone.id.as_deref().unwrap(), name.absolute());
        let path = format!("hostedzone/{id}/rrset?name={name}&type=TXT&maxitems=1");
        let reply = self.ask(reqwest::Method::GET, &path, String::new()).await?;
        let set = texts(&reply, "ResourceRecordSet").into_iter().next();
        Ok(set.filter(|set| texts(set, "Name") == [name] && texts(set, "Type") == ["TXT"]))
    }
}

/// What all elements called `name` hold.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&start).skip(1);
    parts.map(|part| part.split(&end).next().unwrap_or_default().to_owned()).collect()
}

#[async_trait]
impl Observer for Moto {
    async fn records(&self, zone: &Zone, name: &Fqdn) -> Result<TxtRecords, String> {
        let Some(set) = self.set(zone, name).await? else { return Ok(TxtRecords::default()) };
        let ttl = texts(&set, "TTL").first().and_then(|text| text.parse().ok()).ok_or("no TTL")?;
        let text = |value: &String| {
            let value = value.replace("&quot;", "\"").replace("&#34;", "\"").replace("&amp;", "&");
            TxtValue::from_presentation(&value).ok_or_else(|| format!("{value} is no text"))
        };
        Ok(TxtRecords { ttl, values: texts(&set, "Value").iter().map(text).collect::<Result<_, _>>()? })
    }

    async fn write(&self, zone: &Zone, name: &Fqdn, records: &TxtRecords) -> Result<(), String> {
        let (action, set) = match (self.set(zone, name).await?, records.values.is_empty()) {
            (None, true) => return Ok(()),
            (Some(set), true) => ("DELETE", set),
            (_, false) => {
                let one = |value: &TxtValue| {
                    format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", value.presentation())
                };
                let values: String = records.values.iter().map(one).collect();
                let (name, ttl) = (name.absolute(), records.ttl);
                let set = format!(
                    "<Name>{name}</Name><Type>TXT</Type><TTL>{ttl}</TTL><ResourceRecords>{values}</ResourceRecords>"
                );
                ("UPSERT", set)
            }
        };
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
             <Changes><Change><Action>{action}</Action><ResourceRecordSet>{set}</ResourceRecordSet></Change></Changes>\
             </ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        let path = format!("hostedzone/{}/rrset/", zone.id.as_deref().unwrap());
        self.ask(reqwest::Method::POST, &path, body).await.map(drop)
    }
}

#[tokio::test]
async fn the_promises_are_kept_at_moto_as_far_as_it_can_carry_them() {
    let Some(python) = clients("Route 53's conformance at moto") else { return };
    let moto = Arc::new(Moto::start(&python).await);
    let (zone, sub_zone) = (moto.zone(ZONE).await, moto.zone(&format!("sub.{ZONE}")).await);
    let (id, secret) = ("AKIAMOTO", "the/secret+at+moto");
    let settings = Settings::default()
        .with("endpoint_url", moto.url.as_str())
        .with("access_key_id", json!({ "literal": id }))
        .with("secret_access_key", json!({ "literal": secret }));
    let not_carried = [
        (
            Promise::Concurrent,
            "moto takes a CREATE beside an existing set, and a DELETE of what stood there once",
        ),
        (Promise::RefusedBatch, "moto keeps the changes before the one that it refuses"),
        (Promise::WrongToken, "moto checks no signature"),
        (Promise::RetryAfter, "moto refuses nothing for rate"),
        (Promise::ZoneId, "moto counts no requests"),
    ];
    let subject = Subject::new("route53", (PLUGIN.build)(settings).unwrap(), zone)
        .with_peer("emulator, moto_server 5.2.5")
        .with_sub_zone(sub_zone)
        .with_observer(Arc::<Moto>::clone(&moto))
        .with_secrets([secret.into()]);
    let subject =
        not_carried.iter().fold(subject, |subject, (promise, why)| subject.leaving_out(*promise, *why));
    let report = table::assert_kept(&subject).await;
    for promise in Promise::ALL {
        let carried = !not_carried.iter().any(|(left_out, _)| *left_out == promise);
        assert_eq!(report.verdict(promise) == &Verdict::Kept, carried, "{promise}");
    }
}

/// What moto holds at the challenge name is shown by a name server, as often as it changes.
#[tokio::test]
async fn a_wildcard_is_issued_through_moto() {
    let Some(python) = clients("a wildcard from Pebble through moto") else { return };
    let moto = Moto::start(&python).await;
    let (zone, names) = delegated();
    let held = moto.zone(zone.name()).await;
    let challenge = Fqdn::parse(&zone.challenge()).unwrap();
    let mirror = async {
        let mut shown = Vec::new();
        loop {
            let values = moto.records(&held, &challenge).await.unwrap().values;
            if values != shown {
                names.remove(challenge.as_str(), RecordType::TXT);
                values
                    .iter()
                    .for_each(|value| names.add(challenge.as_str(), RecordType::TXT, &value.presentation()));
                shown = values;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (url, name) = (moto.url.clone(), zone.name().to_owned());
    let issue = tokio::task::spawn_blocking(move || {
        let rig = Rig::get();
        let program = dns01(rig)
            .ca(rig, rig.ca_directory())
            .env("AWS_ENDPOINT_URL_ROUTE_53", &url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAMOTO")
            .env("AWS_SECRET_ACCESS_KEY", "the/secret+at+moto");
        program.run(["issue", "-d", &name, "-d", &format!("*.{name}"), "--dns", "route53"]).succeeded()
    });
    let outcome = tokio::select! {
        outcome = issue => outcome.unwrap(),
        () = mirror => unreachable!("it mirrors for ever"),
    };
    assert!(!format!("{outcome}").contains("the/secret+at+moto"), "the secret is shown");
    assert_eq!(moto.records(&held, &challenge).await.unwrap(), TxtRecords::default(), "nothing is left");
}
