//! A CA whose terms of service have changed refuses orders until they are agreed to.

use super::bench::Bench;
use dns01_tests::fault_ca::{Endpoint, Fault, Nth};
use serde_json::json;

/// The CA was told so many times that its terms are agreed to.
fn agreements(bench: &Bench) -> usize {
    let agreement = json!({ "termsOfServiceAgreed": true, "contact": ["mailto:ops@example.test"] });
    let told = |payload: &serde_json::Value| *payload == agreement;
    let requests = bench.ca.requests();
    let accounts = requests.iter().filter(|asked| asked.endpoint == Endpoint::Account);
    accounts.filter(|asked| asked.jws.as_ref().is_some_and(|jws| told(&jws.payload))).count()
}

#[test]
fn a_renewal_agrees_to_changed_terms_where_the_user_has_said_so() {
    let bench = Bench::with_certificate();
    bench.ca.fault(Endpoint::NewOrder, Nth::First, Fault::NewTerms);
    let _ = bench.program.run(["renew", bench.zone.name(), "--force"]).succeeded();
    assert_eq!((agreements(&bench), bench.ca.orders()), (1, 2));
}

#[test]
fn changed_terms_that_nobody_agreed_to_are_shown_and_can_be_agreed_to() {
    let bench = Bench::with_certificate();
    bench.ca.fault(Endpoint::NewOrder, Nth::First, Fault::NewTerms);
    let mut arguments = bench.arguments(&["--force"]);
    arguments.retain(|argument| *argument != "--agree-tos");
    let refused = bench.program.run(&arguments).failed_with(2).says("id=terms-not-agreed");
    let _ = refused.says("https://fault-ca.invalid/terms/2").says("`dns01 account update`");
    assert_eq!(agreements(&bench), 0);

    let root = bench.ca.root_file().to_str().unwrap();
    let update = ["account", "update", "--agree-tos", "--server", bench.ca.directory(), "--ca-bundle", root];
    let _ = bench.program.run(update).succeeded();
    assert_eq!(agreements(&bench), 1);
    let _ = bench.program.run(&arguments).succeeded();
}

#[test]
fn a_ca_that_wants_its_page_visited_is_asked_twice_and_the_page_is_shown() {
    let bench = Bench::with_certificate();
    bench.ca.fault(Endpoint::NewOrder, Nth::Every, Fault::NewTerms);
    let before = bench.ca.count(Endpoint::NewOrder);
    let refused = bench.issue(&["--force"]).failed_with(1).says("id=ca-refused");
    let _ = refused.says("agreed to at https://fault-ca.invalid/agree").says("in a browser");
    assert_eq!((agreements(&bench), bench.ca.count(Endpoint::NewOrder) - before), (1, 2));
    bench.nothing_left();
}
