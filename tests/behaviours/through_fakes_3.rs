//! A wildcard from Pebble, for zones whose records are written through the APIs of deSEC,
//! Porkbun and Linode.

use dns01_tests::fake_dns_api::desec::{Desec, Policy};
use dns01_tests::fake_dns_api::linode::Linode;
use dns01_tests::fake_dns_api::porkbun::Porkbun;
use dns01_tests::fake_dns_api::{FakeDnsApi, Service};
use dns01_tests::fault_names::{Behaviour, FaultServer};
use dns01_tests::program::dns01;
use dns01_tests::rig::{Rig, Zone};
use hickory_proto::rr::RecordType;

/// A fake that holds one zone with somebody else's value at the challenge, and its own name
/// server.
struct Through<S: Service> {
    api: FakeDnsApi<S>,
    zone: Zone,
    id: String,
}

impl<S: Service> Through<S> {
    fn new(service: S) -> Self {
        let rig = Rig::get();
        let address = rig.network().address(53);
        let zone = rig.zone().secondaries(&[]).server("ns", [address]).create();
        let names = FaultServer::start((address, 53).into(), Behaviour::good()).unwrap();
        names.zone(zone.name());
        names.add(zone.name(), RecordType::NS, &format!("{}.", zone.host("ns")));
        names.add(&zone.host("ns"), RecordType::A, &address.to_string());
        let api = FakeDnsApi::start(service).unwrap();
        let id = api.zone(zone.name());
        api.add(&id, &zone.challenge(), "TXT", 3600, "somebody else's");
        api.serve(names);
        Self { api, zone, id }
    }

    /// Issues a certificate for the zone and its wildcard with `provider` and what `environment`
    /// holds; nothing of ours is left, and no secret of `environment` shown.
    fn issue(&self, provider: &str, environment: &[(&str, &str)]) {
        let rig = Rig::get();
        let mut program = dns01(rig).ca(rig, rig.ca_directory());
        for (name, value) in environment {
            program = program.env(name, value);
        }
        let wildcard = format!("*.{}", self.zone.name());
        let arguments = ["issue", "-d", self.zone.name(), "-d", &wildcard, "--dns", provider, "--json"];
        let outcome = program.run(arguments).succeeded();
        let document = outcome.document();
        assert_eq!(document["certificates"][0]["outcome"], "issued", "{outcome}");
        assert!(program.live(self.zone.name(), "fullchain.pem").exists());
        let shown = format!("{outcome}");
        for (name, secret) in environment.iter().filter(|(name, _)| !name.ends_with("_URL")) {
            assert!(!shown.contains(secret), "what {name} holds is shown");
        }
        assert_eq!(self.api.txt(&self.id, &self.zone.challenge()).1, ["somebody else's"]);
    }
}

#[test]
fn a_wildcard_is_issued_with_a_desec_token_for_one_name() {
    let through = Through::new(Desec::new());
    let (token, _) = through.api.service().token(&[Policy::txt(through.zone.name(), "_acme-challenge")]);
    through.issue("desec", &[("DESEC_TOKEN", &token), ("DESEC_BASE_URL", &through.api.url())]);
    let writes = through.api.count(&format!("PATCH /domains/{}/rrsets/", through.zone.name()));
    assert_eq!(writes, 2, "both values at once, each way: {:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_porkbun_keys_for_one_domain() {
    let through = Through::new(Porkbun::new());
    let (key, secret) = through.api.service().keys(Some(&[through.zone.name()]));
    let environment = [
        ("PORKBUN_API_KEY", key.as_str()),
        ("PORKBUN_SECRET_API_KEY", &secret),
        ("PORKBUN_BASE_URL", &through.api.url()),
    ];
    through.issue("porkbun", &environment);
    assert_eq!(through.api.requests().len(), 4, "one for each value, each way: {:?}", through.api.requests());
}

#[test]
fn a_wildcard_is_issued_with_a_linode_token_for_one_domain() {
    let through = Through::new(Linode::new());
    let token = through.api.service().token("domains:read_write", Some(&[(&through.id, true)]));
    let root = through.api.url().trim_end_matches("/v4").to_owned();
    through.issue("linode", &[("LINODE_TOKEN", &token), ("LINODE_URL", &root)]);
    let lists = through.api.count(&format!("GET /domains/{}/records", through.id));
    assert_eq!(lists, 1, "what was created is removed by its id: {:?}", through.api.requests());
}
