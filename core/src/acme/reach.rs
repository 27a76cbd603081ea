//! The way to a CA: connections, and in words why there is none.

use super::error::Unreachable;
use super::limits::Limits;
use reqwest::redirect::Policy;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;
use url::{Host, Url};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Where a CA is, and the way to it. `Debug` leaves out the proxy's password.
#[derive(Clone)]
pub struct CaEndpoint {
    /// The directory; `https`, or `http` on this very machine.
    pub directory: Url,
    /// The roots to trust in place of the system's, PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// The proxy to go through; without one, what the environment says (`HTTPS_PROXY`).
    pub proxy: Option<Url>,
    /// How the client introduces itself (RFC 8555 §6.1 wants it to).
    pub user_agent: String,
}

/// The HTTP client for `endpoint`; an error says which setting is wrong.
pub(super) fn http_client(endpoint: &CaEndpoint, limits: &Limits) -> Result<reqwest::Client, String> {
    let mut builder = builder(endpoint, limits)?;
    if let Some(bundle) = &endpoint.ca_bundle {
        let roots = reqwest::Certificate::from_pem_bundle(bundle)
            .map_err(|_| "the CA bundle is not PEM".to_owned())?;
        if roots.is_empty() {
            return Err("the CA bundle holds no certificate".to_owned());
        }
        // Only these: it is also what spares reading the system's roots at every start.
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(|error| format!("no HTTP client can be made: {}", innermost(&error)))
}

fn builder(endpoint: &CaEndpoint, limits: &Limits) -> Result<reqwest::ClientBuilder, String> {
    let builder = reqwest::Client::builder()
        .user_agent(&endpoint.user_agent)
        .connect_timeout(limits.connect)
        // A signed request must go where it was signed for; GETs are followed by hand.
        .redirect(Policy::none())
        .referer(false);
    let Some(proxy) = &endpoint.proxy else { return Ok(builder) };
    let proxy =
        reqwest::Proxy::all(proxy.as_str()).map_err(|_| "the proxy's address is not usable".to_owned())?;
    Ok(builder.proxy(proxy))
}

/// HTTPS, or a server on this very machine, which nobody on the way can read or change.
pub(super) fn is_secure(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// Host and, where it is not the usual one, port.
pub(super) fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

/// Why no connection stands, and whose fault it looks like.
pub(super) async fn diagnose(error: &reqwest::Error, url: &Url, endpoint: &CaEndpoint) -> Unreachable {
    let cause = no_connection(error, url, endpoint).await;
    // Through a proxy it is the proxy that was not reached, not the CA.
    match (&cause, proxy(endpoint)) {
        (
            Unreachable::Name(_) | Unreachable::Refused | Unreachable::NoRoute | Unreachable::Timeout(_),
            Some(proxy),
        ) => Unreachable::Proxy(format!("`{proxy}`: {cause}")),
        _ => cause,
    }
}

/// The proxy in use, without its password: the one set, or the environment's where that
/// makes no exceptions.
fn proxy(endpoint: &CaEndpoint) -> Option<String> {
    let variable =
        |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok()).filter(|v| !v.is_empty());
    let environment = || match variable(&["NO_PROXY", "no_proxy"]) {
        Some(_) => None,
        None => Url::parse(&variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?).ok(),
    };
    endpoint.proxy.clone().or_else(environment).as_ref().map(host)
}

async fn no_connection(error: &reqwest::Error, url: &Url, endpoint: &CaEndpoint) -> Unreachable {
    if error.is_timeout() {
        return Unreachable::Timeout("no connection stood in time");
    }
    if error.is_dns() || chain(error).any(|cause| cause.to_string().starts_with("dns error")) {
        return Unreachable::Name(innermost(error));
    }
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => return Unreachable::Refused,
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            return Unreachable::NoRoute;
        }
        _ => {}
    }
    let words = chain(error).map(|cause| cause.to_string()).collect::<Vec<_>>();
    let has = |text: &str| words.iter().any(|word| word.contains(text));
    if has("UnknownIssuer") || has("CaUsedAsEndEntity") || has("BadSignature") {
        return Unreachable::Untrusted { issuer: issuer(url, endpoint).await };
    }
    if has("invalid peer certificate") || has("received fatal alert") || has("received corrupt message") {
        return Unreachable::Tls(innermost(error));
    }
    if has("tunnel") || has("proxy") {
        return Unreachable::Proxy(innermost(error));
    }
    Unreachable::Broken(innermost(error))
}

/// Why a connection that stood brought no reply.
pub(super) fn broken(error: &reqwest::Error) -> Unreachable {
    if error.is_timeout() {
        return Unreachable::Timeout("it was not complete in time");
    }
    Unreachable::Broken(match io_kind(error) {
        Some(io::ErrorKind::ConnectionReset) => "it was reset".to_owned(),
        Some(io::ErrorKind::UnexpectedEof) => "it was closed before the reply was complete".to_owned(),
        _ => innermost(error),
    })
}

/// Who signed the certificate of a server that is not trusted. This connection trusts it for
/// the moment, but only to read that name for the error message: nothing is signed or sent
/// over it but a HEAD.
async fn issuer(url: &Url, endpoint: &CaEndpoint) -> Option<String> {
    let short = Duration::from_secs(3);
    let limits = Limits { connect: short, request: short, ..Limits::default() };
    let client = builder(endpoint, &limits).ok()?.tls_danger_accept_invalid_certs(true).tls_info(true);
    let mut root = url.clone();
    root.set_path("/");
    root.set_query(None);
    let response = client.build().ok()?.head(root).timeout(short).send().await.ok()?;
    let info = response.extensions().get::<reqwest::tls::TlsInfo>()?;
    let (_, certificate) = X509Certificate::from_der(info.peer_certificate()?).ok()?;
    Some(super::certificate::short_name(certificate.issuer()))
}

fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// The cause at the bottom. The layers above repeat the address, which may hold a proxy's
/// password, and say nothing else.
fn innermost(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).last()
}

impl fmt::Debug for CaEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaEndpoint")
            .field("directory", &self.directory.as_str())
            .field("ca_bundle", &self.ca_bundle.is_some())
            .field("proxy", &self.proxy.as_ref().map(host))
            .field("user_agent", &self.user_agent)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Client;
    use super::super::error::AcmeError;
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let secure = |text: &str| is_secure(&Url::parse(text).unwrap());
        assert!(secure("https://ca.test/dir"));
        assert!(
            secure("http://127.9.9.9:14000/dir")
                && secure("http://[::1]/dir")
                && secure("http://localhost/dir")
        );
        assert!(
            !secure("http://ca.test/dir") && !secure("http://10.0.0.1/dir") && !secure("ftp://localhost/dir")
        );
    }

    #[tokio::test]
    async fn nothing_listens_there() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = CaEndpoint {
            directory: format!("https://127.0.0.1:{port}/").parse().unwrap(),
            ca_bundle: None,
            proxy: None,
            user_agent: "dns01-test".to_owned(),
        };
        let client = Client::new(endpoint, Limits::default(), Clock::system()).unwrap();
        let error = client.directory().await.unwrap_err();
        assert!(matches!(error, AcmeError::Unreachable { cause: Unreachable::Refused, .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("firewall"));
    }

    #[test]
    fn the_password_of_a_proxy_is_never_shown() {
        let endpoint = CaEndpoint {
            directory: "https://ca.example/directory".parse().unwrap(),
            ca_bundle: None,
            proxy: Some("http://user:hunter2@proxy.example:3128".parse().unwrap()),
            user_agent: "dns01-test".to_owned(),
        };
        let shown = format!("{endpoint:?}");
        assert!(shown.contains("proxy.example:3128") && !shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn a_dead_proxy_is_named_in_place_of_the_ca() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = CaEndpoint {
            directory: "https://ca.example/directory".parse().unwrap(),
            ca_bundle: None,
            proxy: Some(format!("http://user:hunter2@127.0.0.1:{port}").parse().unwrap()),
            user_agent: "dns01-test".to_owned(),
        };
        let client = Client::new(endpoint, Limits::default(), Clock::system()).unwrap();
        let error = client.directory().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "no reply from `ca.example` to the request for its directory: the proxy failed \
                 (`127.0.0.1:{port}`: the connection was refused)"
            )
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
