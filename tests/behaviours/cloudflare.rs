//! A wildcard from Pebble, for a zone whose records are written through Cloudflare's API.

use crate::fake_zone::served;
use dns01_tests::fake_dns_api::FakeDnsApi;
use dns01_tests::fake_dns_api::cloudflare::{Access, Cloudflare};
use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;

#[test]
fn a_wildcard_is_issued_with_a_cloudflare_token_alone() {
    let rig = Rig::get();
    let api = FakeDnsApi::start(Cloudflare::new()).unwrap();
    let (zone, id) = served(&api);
    api.add(&id, &zone.challenge(), "TXT", 300, "somebody else's");
    let token = api.service().token(&[Access::Edit(id.clone()), Access::Read(id.clone())]);

    let program = dns01(rig)
        .ca(rig, rig.ca_directory())
        .env("CF_DNS_API_TOKEN", &token)
        .env("CLOUDFLARE_BASE_URL", api.url());
    let wildcard = format!("*.{}", zone.name());
    let outcome = program
        .run(["issue", "-d", zone.name(), "-d", &wildcard, "--dns", "cloudflare", "--json"])
        .succeeded();
    let document = outcome.document();
    assert_eq!(document["certificates"][0]["outcome"], "issued", "{outcome}");
    assert!(program.live(zone.name(), "fullchain.pem").exists());
    assert!(!format!("{outcome}").contains(&token), "the token is shown");

    assert_eq!(api.txt(&id, &zone.challenge()).1, ["somebody else's"]);
    assert_eq!(api.count("GET /zones"), 1);
    let batches = api.count(&format!("POST /zones/{id}/dns_records/batch"));
    assert_eq!(batches, 2, "both values at once, each way: {:?}", api.requests());
}
