//! Each fault on the wire, seen by a plain HTTP client at the directory.

use super::fault_ca;
use super::pebble::Pebble;
use super::signing_client::{SigningClient, dns, request_for};
use dns01_tests::fault_ca::{ClosedPort, ConnectProxy, Endpoint, Fault, FaultCa, Nth, RetryAfter, Setup};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

fn client(ca: &FaultCa) -> reqwest::ClientBuilder {
    let root = reqwest::Certificate::from_pem(ca.root_pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([root])
        .user_agent("a plain client")
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(5))
        .no_proxy()
}

/// The reply to one `GET` of the directory with `fault` on it.
async fn directory(ca: &FaultCa, fault: Fault) -> reqwest::Result<Response> {
    ca.fault(Endpoint::Directory, Nth::First, fault);
    client(ca).build().unwrap().get(ca.directory()).send().await
}

/// Whether the connection was reset, rather than closed.
fn was_reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::ConnectionReset) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[tokio::test]
async fn lost_replies_close_resets_reset_and_only_those_after_reach_the_ca() {
    let (ca, _pebble) = fault_ca();
    for (fault, reset, forwarded) in
        [(Fault::ReplyLost, false, true), (Fault::ResetBefore, true, false), (Fault::ResetAfter, true, true)]
    {
        let error = directory(&ca, fault.clone()).await.unwrap_err();
        assert_eq!(was_reset(&error), reset, "{fault:?}: {error:?}");
        let request = ca.requests().pop().unwrap();
        assert_eq!(request.upstream.is_some(), forwarded, "{fault:?}");
        assert_eq!((request.replied, request.fault), (None, Some(fault)));
    }
}

#[tokio::test]
async fn refusals_carry_their_status_and_retry_after() {
    let (ca, _pebble) = fault_ca();
    let header =
        |reply: &Response| reply.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let reply = directory(&ca, Fault::StatusBefore(429, RetryAfter::Seconds(7))).await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply).as_deref()), (429, Some("7")));
    let problem: serde_json::Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "urn:ietf:params:acme:error:rateLimited");
    assert_eq!(ca.requests()[0].upstream, None);

    let reply = directory(&ca, Fault::StatusAfter(503, RetryAfter::Absent)).await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply)), (503, None));
    assert_eq!(ca.requests()[1].upstream, Some(200));

    let ahead = Duration::from_secs(100);
    let reply = directory(&ca, Fault::StatusBefore(503, RetryAfter::Date(ahead))).await.unwrap();
    let date = httpdate::parse_http_date(&header(&reply).unwrap()).unwrap();
    let left = date.duration_since(SystemTime::now()).unwrap();
    assert!(left > ahead - Duration::from_secs(3) && left <= ahead, "{left:?}");
}

#[tokio::test]
async fn spoilt_bodies_are_spoilt_in_their_own_way() {
    let (ca, _pebble) = fault_ca();
    let whole = client(&ca).build().unwrap().get(ca.directory()).send().await.unwrap();
    let whole = whole.text().await.unwrap();

    let text = directory(&ca, Fault::TruncatedJson).await.unwrap().text().await.unwrap();
    assert_eq!(text, whole[..whole.len() / 2]);

    let mut cut = directory(&ca, Fault::CutShort).await.unwrap();
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    assert_eq!(cut.chunk().await.unwrap().unwrap().len(), whole.len() / 2);
    assert!(cut.chunk().await.is_err());

    let page = directory(&ca, Fault::HtmlPage(502)).await.unwrap();
    assert_eq!((page.status().as_u16(), &page.headers()["content-type"] == "text/html"), (502, true));

    let plain = directory(&ca, Fault::WrongContentType).await.unwrap();
    assert_eq!(plain.headers()["content-type"], "text/plain");
    assert_eq!(plain.text().await.unwrap(), whole);

    let mut endless = directory(&ca, Fault::EndlessBody).await.unwrap();
    let mut octets = 0;
    while octets < 2 << 20 {
        octets += endless.chunk().await.unwrap().expect("it never ends").len();
    }
}

#[tokio::test]
async fn slow_replies_are_slow() {
    let (ca, _pebble) = fault_ca();
    let started = Instant::now();
    let mut slow = directory(&ca, Fault::OneByteASecond).await.unwrap();
    for _ in 0..2 {
        assert_eq!(slow.chunk().await.unwrap().unwrap().len(), 1);
    }
    assert!(started.elapsed() >= Duration::from_secs(2));

    let mut silent = directory(&ca, Fault::SilentBody).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), silent.chunk()).await.is_err());

    let hang = directory(&ca, Fault::Hang);
    assert!(tokio::time::timeout(Duration::from_millis(300), hang).await.is_err());
    assert_eq!(ca.requests()[2].upstream, Some(200));
}

#[tokio::test]
async fn a_redirect_names_where_to() {
    let (ca, _pebble) = fault_ca();
    let reply = directory(&ca, Fault::Redirect(307, "https://elsewhere.invalid/dir".into())).await.unwrap();
    assert_eq!(reply.status().as_u16(), 307);
    assert_eq!(reply.headers()["location"], "https://elsewhere.invalid/dir");
    assert_eq!(ca.requests()[0].upstream, None);
}

#[tokio::test]
async fn an_order_can_stay_in_processing_for_ever_though_the_ca_is_done() {
    let (ca, _pebble) = fault_ca();
    ca.fault(Endpoint::Finalize, Nth::Every, Fault::EndlessProcessing);
    ca.fault(Endpoint::Order, Nth::Every, Fault::EndlessProcessing);
    let client = SigningClient::register(&ca).await;
    let order = client.post(&client.url("newOrder"), json!({ "identifiers": [dns("slow.test")] })).await;
    client.prove(&order.json()).await;
    client.until(&order.location, "ready").await;
    client.post(order.json()["finalize"].as_str().unwrap(), request_for(&["slow.test"])).await;
    client.until(&order.location, "processing").await;
    ca.heal();
    client.until(&order.location, "valid").await;
    ca.fault(Endpoint::Order, Nth::First, Fault::EndlessProcessing);
    let told = client.post(&order.location, Value::Null).await.json();
    assert_eq!((&told["status"], told.get("certificate")), (&json!("processing"), None));
}

#[tokio::test]
async fn challenges_that_nobody_knows_come_before_those_of_the_ca() {
    let (ca, _pebble) = fault_ca();
    ca.fault(Endpoint::Authz, Nth::Every, Fault::UnknownChallengesFirst);
    let client = SigningClient::register(&ca).await;
    let order = client.post(&client.url("newOrder"), json!({ "identifiers": [dns("odd.test")] })).await;
    let authorization = order.json()["authorizations"][0].as_str().unwrap().to_owned();
    let authorization = client.post(&authorization, Value::Null).await.json();
    let challenges = authorization["challenges"].as_array().unwrap();
    assert!(challenges[..2].iter().all(|c| c["type"].as_str().unwrap().starts_with("carrier-pigeon-")));
    assert!(challenges[1..3].iter().all(|challenge| challenge["token"].is_null()));
    assert!(challenges[3..].iter().any(|challenge| challenge["type"] == "dns-01"));
}

#[tokio::test]
async fn a_name_given_to_the_proxy_stands_in_its_certificate_and_in_every_url() {
    let pebble = Pebble::start();
    let ca = FaultCa::start(&Setup::before(pebble.address).name("ca.test")).unwrap();
    let client = client(&ca).resolve("ca.test", ca.address()).build().unwrap();
    let directory = client.get(ca.directory()).send().await.unwrap().bytes().await.unwrap();
    let directory: Value = serde_json::from_slice(&directory).unwrap();
    let base = format!("https://ca.test:{}/", ca.address().port());
    assert!(directory["newOrder"].as_str().unwrap().starts_with(&base), "{directory}");
}

#[tokio::test]
async fn the_connect_proxy_remembers_where_clients_went() {
    let (ca, _pebble) = fault_ca();
    let proxy = ConnectProxy::start().unwrap();
    let through = client(&ca).proxy(reqwest::Proxy::all(proxy.url()).unwrap()).build().unwrap();
    assert_eq!(through.get(ca.directory()).send().await.unwrap().status().as_u16(), 200);
    assert_eq!(proxy.targets(), [ca.address().to_string()]);
}

#[tokio::test]
async fn a_closed_port_refuses_connections() {
    let closed = ClosedPort::take().unwrap();
    let error = tokio::net::TcpStream::connect(closed.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}
