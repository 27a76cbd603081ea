//! One certificate whose names live at three providers, one of them by an alias.

use crate::fake_zone::served;
use dns01_tests::authority::Authority;
use dns01_tests::fake_dns_api::FakeDnsApi;
use dns01_tests::fake_dns_api::route53::{Route53, Statement};
use dns01_tests::live::Live;
use dns01_tests::program::dns01;
use dns01_tests::rig::{Primary, Rig};

#[test]
fn one_certificate_is_proved_at_bind_powerdns_and_route_53() {
    let rig = Rig::get();
    let api = FakeDnsApi::start(Route53::new()).unwrap();
    let (aws, id) = served(&api);
    let target = aws.host("shop.proofs");
    let bind = rig.zone().record(&format!("_acme-challenge.shop CNAME {target}.")).create();
    let powerdns = rig.zone().primary(Primary::PowerDns).create();

    let key = api.service().key(&Statement::smallest(&id, &[&target]));
    let (url, api_key) = rig.powerdns_api();
    let endpoint = api.url();
    let endpoint = endpoint.trim_end_matches("/2013-04-01");
    let names = [bind.host("www"), powerdns.host("*.lab"), bind.host("shop")];
    let names = names.each_ref().map(String::as_str);
    let program = dns01(rig);
    let file = format!(
        "{}{}\n\
         [dns.pdns]\nprovider = \"powerdns\"\nzones = [{:?}]\nurl = {url:?}\napi_key = {{ literal = {api_key:?} }}\n\n\
         [dns.aws]\nprovider = \"route53\"\nzones = [{{ name = {:?}, id = {id:?} }}]\nendpoint_url = {endpoint:?}\n\
         access_key_id = {{ literal = {:?} }}\nsecret_access_key = {{ literal = {:?} }}\n\n\
         [[certificate]]\nname = \"three\"\nca = \"rig\"\ndomains = {names:?}\n",
        Authority::shared(rig).table("rig"),
        bind.table("bind", &[&bind]),
        powerdns.name(),
        aws.name(),
        key.id,
        key.secret,
    );
    let path = program.state().join("dns01.toml");
    std::fs::write(&path, file).unwrap();
    let outcome = program.run(["issue".as_ref(), "--all".as_ref(), "--config".as_ref(), path.as_os_str()]);
    let outcome = outcome.succeeded();
    Live::of(&program, "three").verified(&names, &rig.ca_root());
    let shown = format!("{outcome}");
    assert!(!shown.contains(&key.secret) && !shown.contains(api_key), "a secret is shown");

    assert_eq!(bind.updates(), 2, "one name is proved there, the other by its alias");
    let changes = api.count(&format!("POST /hostedzone/{id}/rrset"));
    assert_eq!((changes, api.requests().len()), (2, 4), "{:?}", api.requests());
    assert_eq!(api.txt(&id, &target).1, [""; 0]);
    assert_eq!((bind.all_txt(), powerdns.all_txt()), (vec![], vec![]));
}
