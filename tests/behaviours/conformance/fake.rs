//! What the runs against fakes share: changes in few words, the fake's memory as the observer,
//! and the replies that every HTTP plugin must take well.

use async_trait::async_trait;
use dns01_provider::conformance::Observer;
use dns01_provider::{
    DnsProvider, Fqdn, ProviderError, ProviderErrorKind, TxtChange, TxtRecords, TxtValue, Zone, ZoneName,
};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, HeldRecord, Service};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// The zone that runs against fakes use.
pub(super) const ZONE: &str = "example.test";

/// A challenge name below `host` in [`ZONE`].
pub(super) fn name(host: &str) -> Fqdn {
    Fqdn::parse(&format!("_acme-challenge.{host}.{ZONE}")).unwrap()
}

pub(super) fn add(name: &Fqdn, value: &str) -> TxtChange {
    TxtChange::Add { name: name.clone(), value: TxtValue::parse(value).unwrap(), ttl: 120 }
}

pub(super) fn remove(name: &Fqdn, value: &str) -> TxtChange {
    TxtChange::Remove { name: name.clone(), value: TxtValue::parse(value).unwrap() }
}

/// Adds the zone `name` to the fake; known here by its id.
pub(super) fn zone<S: Service>(api: &FakeDnsApi<S>, name: &str) -> Zone {
    Zone { name: ZoneName::parse(name).unwrap(), id: Some(api.zone(name)) }
}

/// A fake's memory: what an observer sees who needs no API.
#[derive(Debug)]
pub(super) struct Memory<S: Service> {
    pub(super) api: Arc<FakeDnsApi<S>>,
    /// The request that lists zones, such as `GET /zones`.
    pub(super) listing: &'static str,
    /// The forms in which others write a value through the API; they are used in turn.
    pub(super) forms: &'static [fn(&TxtValue) -> String],
}

impl<S: Service> Memory<S> {
    /// The fake's own id of `zone`, whatever the provider knows it by.
    fn id(&self, zone: &Zone) -> String {
        self.api.edit(|held| {
            let named = held.zones.iter().find(|one| one.name == zone.name.as_str());
            named.expect("the run made the zone").id.clone()
        })
    }
}

#[async_trait]
impl<S: Service> Observer for Memory<S> {
    async fn records(&self, zone: &Zone, name: &Fqdn) -> Result<TxtRecords, String> {
        let (ttl, texts) = self.api.txt(&self.id(zone), name.as_str());
        let values = texts.iter().map(|text| TxtValue::parse(text)).collect::<Result<_, _>>();
        Ok(TxtRecords { ttl, values: values.map_err(|error| error.to_string())? })
    }

    async fn write(&self, zone: &Zone, name: &Fqdn, records: &TxtRecords) -> Result<(), String> {
        let id = self.id(zone);
        let identifier = |number| self.api.service().identifier(number);
        self.api.edit(|held| {
            let ids: Vec<String> = records.values.iter().map(|_| identifier(held.next_number())).collect();
            let zone = held.zone_mut(&id).ok_or("no zone")?;
            zone.records.retain(|record| record.name != name.as_str());
            for ((id, value), form) in ids.into_iter().zip(&records.values).zip(self.forms.iter().cycle()) {
                zone.records.push(HeldRecord {
                    id,
                    name: name.as_str().to_owned(),
                    kind: "TXT".to_owned(),
                    ttl: records.ttl,
                    data: value.as_str().to_owned(),
                    form: form(value),
                });
            }
            Ok(())
        })
    }

    async fn zone_listings(&self) -> Option<u64> {
        Some(self.api.count(self.listing) as u64)
    }
}

/// [`troubles`] of a look at what stands somewhere.
pub(super) async fn troubles_are_clear_errors<S: Service>(
    api: &FakeDnsApi<S>,
    provider: &dyn DnsProvider,
    zone: &Zone,
    secret: &str,
) {
    let here = name("trouble");
    troubles(api, secret, async || provider.values(zone, &here).await.expect_err("it must fail")).await;
}

/// Plays what a service in trouble answers, a page of its edge, half a reply, 10 MB, a way to
/// another host, on the next request that `attempt` makes, and insists on a clear error without
/// a secret. `secret` is in the page, as in debugging pages of some services.
pub(super) async fn troubles<S: Service>(
    api: &FakeDnsApi<S>,
    secret: &str,
    attempt: impl AsyncFn() -> ProviderError,
) {
    use ProviderErrorKind as Kind;
    let elsewhere = Fault::Redirect("http://127.0.0.2:1/elsewhere".to_owned());
    let page = Fault::Instead(Answer::page(502, &format!("bad gateway {secret}")));
    for (fault, kind, words) in [
        (page, Kind::Unavailable, "502"),
        (Fault::CutShort, Kind::Invalid, "not what is documented"),
        (Fault::Huge(10_000_000), Kind::Invalid, "longer than"),
        (elsewhere, Kind::Invalid, "redirects to"),
    ] {
        api.fault(fault);
        let error = attempt().await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {error:?}").contains(secret), "the secret is shown");
    }
}

/// A client that is not ours, run from the clients' Python: what it printed, line by line.
#[track_caller]
pub(super) fn printed_by(
    python: &Path,
    script: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Vec<String> {
    let mut command = Command::new("timeout");
    command.arg("60").arg(python).arg("-c").arg(script).args(arguments).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told.lines().map(str::to_owned).collect()
}
