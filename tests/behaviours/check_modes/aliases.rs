//! Aliases where the zone's own servers are not asked.

use super::program;
use dns01_tests::rig::Rig;
use dns01_tests::rig::address::RESOLVER;

#[test]
fn an_alias_that_the_configuration_names_is_followed_and_seen_through_by_the_resolver() {
    let rig = Rig::get();
    let written = rig.zone().create();
    let target = written.host("far");
    let named = rig.zone().record(&format!("_acme-challenge CNAME {target}.")).create();
    let resolver = RESOLVER.to_string();
    let alias = format!("{}={target}", named.challenge());
    let flags = ["--propagation-check", "recursive", "--propagation-wait", "1s", "--propagation-resolver"];
    let arguments =
        ["issue", "-d", named.name(), "--dns", "rfc2136", "--zone", written.name(), "--alias", &alias];
    let program = program(&written);
    let outcome = program.run(arguments.iter().chain(&flags).chain(&[resolver.as_str()])).succeeded();
    let _ = outcome.says("resolvers=1");
    assert_eq!((written.updates(), named.updates()), (2, 0));
    assert_eq!(written.all_txt(), []);
    let _ = program.run(["renew", named.name(), "--force"]).succeeded().says("resolvers=1");
}
