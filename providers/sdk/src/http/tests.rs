use super::request::REDIRECTS;
use super::*;
use crate::secret::SecretRef;
use secrecy::SecretString;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A service on a loopback port that gives one answer to each connection, in turn, and keeps
/// what it was asked.
struct Service {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let count = stream.read_buf(&mut request).await.unwrap();
                    assert!(count > 0, "the client went away");
                }
                notes.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn client(&self) -> HttpClient {
        let token = SecretRef::Literal(SecretString::from("t0ken"));
        HttpClient::builder(&self.address).unwrap().credentials(Credentials::bearer(token)).build()
    }
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_rotated_secret_is_used_by_the_next_request() {
    let service = Service::answering(vec![answer("200 OK", "[]"), answer("200 OK", "[]")]).await;
    let file =
        std::env::temp_dir().join(format!("dns01-http-{}-{:08x}", std::process::id(), rand::random::<u32>()));
    let secret = SecretRef::File(file.clone());
    let client =
        HttpClient::builder(&service.address).unwrap().credentials(Credentials::header("x-api-key", secret));
    let client = client.build();
    for key in ["first-key", "second-key"] {
        std::fs::write(&file, format!("{key}\n")).unwrap();
        client.get("zones").query("name", "a b").send().await.unwrap().success().unwrap();
    }
    std::fs::remove_file(&file).unwrap();
    let asked = service.asked();
    assert!(asked[0].starts_with("GET /zones?name=a+b HTTP/1.1"), "{}", asked[0]);
    assert!(asked[0].contains("x-api-key: first-key\r\n") && asked[1].contains("x-api-key: second-key\r\n"));
    let error = client.get("zones").send().await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Auth, "{error}");
}

#[tokio::test]
async fn a_scheme_of_the_services_own_is_sent_before_the_secret() {
    let service = Service::answering(vec![answer("401 Unauthorized", "bad Apikey t0ken")]).await;
    let token = SecretRef::Literal(SecretString::from("t0ken"));
    let credentials = Credentials::authorization("Apikey ", token);
    let client = HttpClient::builder(&service.address).unwrap().credentials(credentials).build();
    let error = client.get("domains").send().await.unwrap().error();
    assert!(service.asked()[0].contains("authorization: Apikey t0ken\r\n"));
    assert!(!error.to_string().contains("t0ken"), "{error}");
}

#[tokio::test]
async fn a_name_and_a_password_are_sent_as_basic_authentication() {
    let service = Service::answering(vec![answer("200 OK", "")]).await;
    let password = SecretRef::Literal(SecretString::from("open sesame"));
    let client =
        HttpClient::builder(&service.address).unwrap().credentials(Credentials::basic("Aladdin", password));
    client.build().post("present").send().await.unwrap();
    // The pair and its encoding are the example of RFC 7617 §2.
    assert!(service.asked()[0].contains("authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
}

#[tokio::test]
async fn a_token_is_sent_under_the_scheme_that_the_service_wants() {
    let service = Service::answering(vec![answer("200 OK", "")]).await;
    let token = SecretRef::Literal(SecretString::from("t0ken"));
    let client = HttpClient::builder(&service.address).unwrap().credentials(Credentials::token(token));
    client.build().get("zones").send().await.unwrap();
    assert!(service.asked()[0].contains("authorization: Token t0ken\r\n"), "{}", service.asked()[0]);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_refused_and_the_token_stays_at_home() {
    let other = Service::answering(vec![answer("200 OK", "[]")]).await;
    let away = format!("302 Found\r\nLocation: {}/zones?token=1", other.address);
    let service = Service::answering(vec![answer(&away, "")]).await;
    let error = service.client().get("zones").send().await.unwrap_err();
    assert!(error.to_string().contains("redirects to another host"), "{error}");
    assert!(!error.to_string().contains("token=1"), "{error}");
    assert!(!error.is_retryable());
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_for_a_get_and_refused_for_a_post() {
    let moved = answer("301 Moved Permanently\r\nLocation: /v2/zones", "");
    let service = Service::answering(vec![moved.clone(), answer("200 OK", "[]"), moved]).await;
    assert_eq!(service.client().get("zones").send().await.unwrap().status(), 200);
    assert!(service.asked()[1].starts_with("GET /v2/zones "));
    let refused = service.client().post("zones").send().await.unwrap_err();
    assert!(refused.to_string().contains("it redirects to"), "{refused}");
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn endless_redirects_and_bodies_over_the_cap_end_in_an_error() {
    let around = answer("302 Found\r\nLocation: /zones", "");
    let service = Service::answering(vec![around; 9]).await;
    assert!(service.client().get("zones").send().await.is_err());
    assert_eq!(service.asked().len(), REDIRECTS + 1);
    let service =
        Service::answering(vec![answer("200 OK", &"x".repeat(1001)), answer("200 OK", &"x".repeat(1000))]);
    let service = service.await;
    let client = HttpClient::builder(&service.address).unwrap().body_cap(1000).build();
    let error = client.get("zones").send().await.unwrap_err();
    assert!(error.to_string().contains("longer than 1000 octets"), "{error}");
    assert_eq!(client.get("zones").send().await.unwrap().body().len(), 1000);
}

#[tokio::test]
async fn a_refusal_for_rate_carries_its_retry_after() {
    let service =
        Service::answering(vec![answer("429 Too Many Requests\r\nRetry-After: 7", "slow down, t0ken")]).await;
    let error = service.client().get("zones").send().await.unwrap().success().unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.to_string().contains("slow down, [secret]"), "{error}");
}

#[tokio::test]
async fn silence_ends_at_the_time_limit() {
    let service = Service::answering(vec!["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[".to_owned()]).await;
    let client = HttpClient::builder(&service.address).unwrap().timeout(Duration::from_millis(50)).build();
    let error = client.get("zones").send().await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Unavailable);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn neither_errors_nor_debug_show_query_strings_or_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let token = SecretRef::Literal(SecretString::from("t0ken"));
    let client =
        HttpClient::builder(&address).unwrap().credentials(Credentials::bearer(token.clone())).build();
    let request = client.get("zones").query("apikey", "hush");
    let mut text = format!("{request:?} {client:?} {:?}", Credentials::basic("user", token));
    let error = request.send().await.unwrap_err();
    text += &format!("{error} {error:?}");
    assert!(text.contains("/zones"), "{text}");
    for secret in ["hush", "t0ken", "Bearer"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn a_ca_bundle_without_certificates_is_named() {
    let bundle =
        |path: &str| HttpClient::builder("https://127.0.0.1:1").unwrap().ca_bundle(path.into()).build();
    for path in ["/nonexistent/ca.pem", "/dev/null"] {
        let error = bundle(path).get("zones").send().await.unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn making_a_client_sets_nothing_up() {
    let client = HttpClient::builder("https://api.example.net/v1").unwrap().build();
    assert!(!client.0.client.initialized());
}

#[test]
fn an_address_that_holds_a_secret_or_is_not_http_is_refused() {
    for address in [
        "https://user:pw@api.example.net",
        "ftp://api.example.net",
        "https://api.example.net/?token=x",
        "api",
    ] {
        let error = HttpClient::builder(address).unwrap_err();
        assert!(!error.to_string().contains("pw") && !error.to_string().contains("token"), "{error}");
    }
}

#[test]
fn a_path_never_leaves_the_host() {
    let client = HttpClient::builder("https://api.example.net/v1").unwrap().build();
    for path in ["zones/a:b", "/zones", "//evil.example/x", "https://evil.example/x", "zones/a?b#c"] {
        let url = Url::parse(client.get(path).address()).unwrap();
        assert_eq!(url.host_str(), Some("api.example.net"), "{path}");
        assert!(url.path().starts_with("/v1/") && url.query().is_none(), "{url}");
    }
}

#[test]
fn what_is_signed_is_what_will_be_sent() {
    let client = HttpClient::builder("https://api.example.net/1.0").unwrap().build();
    let get = client.get("zones").query("name", "_a b");
    assert_eq!((get.method(), get.body()), ("GET", &b""[..]));
    assert_eq!(get.address(), "https://api.example.net/1.0/zones?name=_a+b");
    let post = client.post("zones").json(&serde_json::json!({ "a": 1 })).unwrap();
    assert_eq!((post.method(), post.body()), ("POST", &br#"{"a":1}"#[..]));
}
