//! The fake pre-authorization, from newAuthz to the certificate.

use super::pebble::Pebble;
use super::signing_client::{SigningClient, dns, request_for};
use dns01_tests::fault_ca::{Endpoint, FaultCa, Proof, Setup};
use dns01_tests::fault_names::{Behaviour, FaultServer};
use serde_json::{Value, json};

const NAME: &str = "pre.test";

fn start(proof: Proof) -> (FaultCa, Pebble) {
    let pebble = Pebble::start();
    let ca = FaultCa::start(&Setup::before(pebble.address).preauthorization(proof)).unwrap();
    (ca, pebble)
}

#[tokio::test]
async fn a_name_proven_beforehand_makes_an_order_that_is_ready_at_once() {
    let (ca, _pebble) = start(Proof::Taken);
    let client = SigningClient::register(&ca).await;
    let made = client.post(&client.url("newAuthz"), json!({ "identifier": dns(NAME) })).await;
    assert_eq!((made.status, &made.json()["status"]), (201, &json!("pending")));
    let challenge = made.json()["challenges"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(client.post(&challenge, json!({})).await.json()["status"], "valid");
    assert_eq!(client.post(&made.location, Value::Null).await.json()["status"], "valid");

    let order = client.post(&client.url("newOrder"), json!({ "identifiers": [dns(NAME)] })).await;
    assert_eq!((order.status, &order.json()["status"]), (201, &json!("ready")));
    let finalize = order.json()["finalize"].as_str().unwrap().to_owned();
    let done = client.post(&finalize, request_for(&[NAME])).await;
    assert_eq!(done.json()["status"], "valid");
    let chain = client.post(done.json()["certificate"].as_str().unwrap(), Value::Null).await.text;
    let (_, pem) = x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names[0].to_string(), format!("DNSName({NAME})"));
    assert_eq!(ca.count(Endpoint::NewAuthz), 1);
}

#[tokio::test]
async fn names_that_were_not_proven_and_wildcards_go_the_ordinary_way() {
    let (ca, _pebble) = start(Proof::Taken);
    let client = SigningClient::register(&ca).await;
    let refused = client.post(&client.url("newAuthz"), json!({ "identifier": dns("*.pre.test") })).await;
    assert_eq!(refused.status, 400);
    let order = client.post(&client.url("newOrder"), json!({ "identifiers": [dns(NAME)] })).await;
    assert_eq!((order.status, &order.json()["status"]), (201, &json!("pending")));
}

#[tokio::test]
async fn the_text_record_is_looked_up_where_a_server_is_named() {
    for right in [true, false] {
        let names = FaultServer::start("127.0.0.1:0".parse().unwrap(), Behaviour::good()).unwrap();
        let (ca, _pebble) = start(Proof::LookedUp(names.address()));
        let client = SigningClient::register(&ca).await;
        let made = client.post(&client.url("newAuthz"), json!({ "identifier": dns(NAME) })).await;
        let challenge = made.json()["challenges"][0].clone();
        let value = client.text_value(challenge["token"].as_str().unwrap());
        names.zone(NAME);
        names.add_text("_acme-challenge.pre.test", if right { &value } else { "wrong" });
        let told = client.post(challenge["url"].as_str().unwrap(), json!({})).await.json();
        assert_eq!(told["status"], if right { "valid" } else { "invalid" });
    }
}
