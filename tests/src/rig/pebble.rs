//! Pebble: the CA.

use super::address::{RESOLVER, dns};
use super::process::{Service, server, wait_until};
use super::{Rig, network, tls};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The ACME port of every Pebble.
const PORT: u16 = 14000;
/// The management port of every Pebble.
const MANAGEMENT_PORT: u16 = 15000;

/// A Pebble about to be started. Unless told otherwise it rejects no nonce, reuses no
/// authorization, does not sleep, and asks the rig's resolver.
#[derive(Clone, Debug)]
pub struct PebbleBuilder<'a> {
    directory: &'a Path,
    address: Option<Ipv4Addr>,
    strict: bool,
    external_accounts: BTreeMap<String, String>,
    profiles: Option<Value>,
    retry_after: (u64, u64),
    caa_identities: Vec<String>,
    resolver: SocketAddr,
    environment: BTreeMap<&'static str, String>,
}

impl<'a> PebbleBuilder<'a> {
    pub(super) fn new(rig: &'a Rig) -> Self {
        Self::at(&rig.directory)
    }

    pub(super) fn at(directory: &'a Path) -> Self {
        let environment =
            [("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0"), ("PEBBLE_AUTHZREUSE", "0")];
        Self {
            directory,
            address: None,
            strict: false,
            external_accounts: BTreeMap::new(),
            profiles: None,
            retry_after: (0, 0),
            caa_identities: vec!["ca.test".to_owned()],
            resolver: dns(RESOLVER),
            environment: environment.map(|(name, value)| (name, value.to_owned())).into(),
        }
    }

    pub(super) fn address(mut self, address: Ipv4Addr) -> Self {
        self.address = Some(address);
        self
    }

    /// Pebble's `-strict`: what RFC 8555 deprecates is refused.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The share of good nonces that are rejected, in percent.
    #[must_use]
    pub fn reject_nonces(self, percent: u8) -> Self {
        self.set("PEBBLE_WFE_NONCEREJECT", percent)
    }

    /// The share of valid authorizations that a new order gets again, in percent. Pebble
    /// reuses one more in a hundred than it is told, also with 0.
    #[must_use]
    pub fn reuse_authorizations(self, percent: u8) -> Self {
        self.set("PEBBLE_AUTHZREUSE", percent)
    }

    /// Roots beside the first, each with a chain offered as an alternate.
    #[must_use]
    pub fn alternate_roots(self, count: u8) -> Self {
        self.set("PEBBLE_ALTERNATE_ROOTS", count)
    }

    /// Certificates between root and leaf.
    #[must_use]
    pub fn chain_length(self, count: u8) -> Self {
        self.set("PEBBLE_CHAIN_LENGTH", count)
    }

    /// Orders on one page of the orders list.
    #[must_use]
    pub fn orders_per_page(self, count: u8) -> Self {
        self.set("PEBBLE_WFE_ORDERS_PER_PAGE", count)
    }

    /// Validation sleeps up to `seconds` at random, as Pebble does by default.
    #[must_use]
    pub fn sleep(mut self, seconds: u8) -> Self {
        self.environment.remove("PEBBLE_VA_NOSLEEP");
        self.set("PEBBLE_VA_SLEEPTIME", seconds)
    }

    /// The Retry-After of authorizations and of orders, in seconds.
    #[must_use]
    pub fn retry_after(mut self, authorization: u64, order: u64) -> Self {
        self.retry_after = (authorization, order);
        self
    }

    /// Accounts are bound to `kid`, whose MAC key is `key` (base64url); others are refused.
    #[must_use]
    pub fn external_account(mut self, kid: &str, key: &str) -> Self {
        self.external_accounts.insert(kid.to_owned(), key.to_owned());
        self
    }

    /// Offers the profile `name`, its certificates valid for `validity`.
    #[must_use]
    pub fn profile(mut self, name: &str, validity: Duration) -> Self {
        let profiles = self.profiles.get_or_insert_with(|| json!({}));
        profiles[name] =
            json!({ "description": format!("the {name} profile"), "validityPeriod": validity.as_secs() });
        self
    }

    /// The names this CA answers to in CAA records (default `ca.test`).
    #[must_use]
    pub fn caa_identities(mut self, identities: &[&str]) -> Self {
        self.caa_identities = identities.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// The DNS server it validates through.
    #[must_use]
    pub fn resolver(mut self, server: SocketAddr) -> Self {
        self.resolver = server;
        self
    }

    fn set(mut self, name: &'static str, value: u8) -> Self {
        self.environment.insert(name, value.to_string());
        self
    }

    /// Starts it and waits until it answers.
    #[must_use]
    pub fn start(self) -> Pebble {
        let mut pebble = self.spawn();
        pebble.wait_ready();
        pebble
    }

    pub(super) fn spawn(self) -> Pebble {
        let number = network::number(self.directory, "pebble");
        let address = self.address.unwrap_or_else(|| network::Network::allocate(self.directory).address(80));
        let certificate = tls::issue(self.directory, &[&address.to_string()]);
        let configuration = self.directory.join(format!("pebble.{number}.json"));
        let mut settings = json!({
            "listenAddress": format!("{address}:{PORT}"),
            "managementListenAddress": format!("{address}:{MANAGEMENT_PORT}"),
            "certificate": certificate.certificate,
            "privateKey": certificate.key,
            "httpPort": 5002,
            "tlsPort": 5001,
            "keyAlgorithm": "ecdsa",
            "externalAccountBindingRequired": !self.external_accounts.is_empty(),
            "externalAccountMACKeys": self.external_accounts,
            "caaIdentities": self.caa_identities,
            "retryAfter": { "authz": self.retry_after.0, "order": self.retry_after.1 },
        });
        if let Some(profiles) = self.profiles {
            settings["profiles"] = profiles;
        }
        std::fs::write(&configuration, json!({ "pebble": settings }).to_string())
            .expect("the rig's directory is writable");
        let mut command = server(pebble_program());
        command.arg("-config").arg(&configuration).arg("-dnsserver").arg(self.resolver.to_string());
        if self.strict {
            command.arg("-strict");
        }
        command.envs(&self.environment);
        let name = if number == 0 { "pebble".to_owned() } else { format!("pebble.{number}") };
        let service = Service::start(&name, self.directory, &mut command);
        Pebble { service, address, bundle: tls::bundle(self.directory) }
    }
}

/// Where Pebble is: `$PEBBLE`, else the one `go install` made, else the one on the path.
#[must_use]
pub fn pebble_program() -> PathBuf {
    if let Some(path) = std::env::var_os("PEBBLE") {
        return path.into();
    }
    let built = std::env::home_dir().map(|home| home.join("go/bin/pebble"));
    built.filter(|path| path.exists()).unwrap_or_else(|| "pebble".into())
}

/// A running Pebble. Dropping it stops it.
pub struct Pebble {
    service: Service,
    address: Ipv4Addr,
    bundle: PathBuf,
}

impl Pebble {
    pub(super) fn wait_ready(&mut self) {
        let address = self.address;
        let open = |port| TcpStream::connect((address, port)).is_ok();
        self.service.wait_ready(|| open(PORT) && open(MANAGEMENT_PORT));
    }

    /// How long it has logged nothing. This Pebble can lock itself up when orders are opened
    /// while authorizations are read (docs/testing.md): then it never logs again.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.service.quiet_for()
    }

    /// Where it listens, for a proxy before it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.address, PORT))
    }

    /// The address of its ACME directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://{}:{PORT}/dir", self.address)
    }

    /// Its directory object.
    #[must_use]
    pub fn offers(&self) -> Value {
        serde_json::from_str(&self.fetch(&self.directory(), None)).expect("the directory is JSON")
    }

    /// Root `number` as PEM; 0 is the one of the default chain. New at every start.
    #[must_use]
    pub fn root(&self, number: u8) -> String {
        self.manage(&format!("roots/{number}"), None)
    }

    /// Intermediate `number` as PEM.
    #[must_use]
    pub fn intermediate(&self, number: u8) -> String {
        self.manage(&format!("intermediates/{number}"), None)
    }

    /// What it knows of the certificate with this serial (hexadecimal): `Status`, …
    #[must_use]
    pub fn certificate_status(&self, serial: &str) -> Value {
        let text = self.manage(&format!("cert-status-by-serial/{serial}"), None);
        serde_json::from_str(&text).expect("the status is JSON")
    }

    /// Makes renewalInfo answer `response`, literally, for the certificate `pem` (RFC 9773).
    pub fn set_renewal_info(&self, pem: &str, response: &str) {
        let body = json!({ "Certificate": pem, "ARIResponse": response }).to_string();
        self.manage("set-renewal-info/", Some(body));
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Every ACME request so far: method and kind (`/dir`, `/nonce-plz`, `/sign-me-up`,
    /// `/order-plz`, `/authZ/`, `/chalZ/`, `/my-order/`, `/finalize-order/`, `/certZ/`,
    /// `/draft-ietf-acme-ari-03/renewalInfo/` …), in the order of the log.
    #[must_use]
    pub fn requests(&self) -> Vec<(String, String)> {
        requests(&self.log())
    }

    /// Stops the process where it is: a CA that accepts connections and never answers.
    pub fn freeze(&self) {
        self.service.freeze();
    }

    /// Lets a frozen CA go on.
    pub fn thaw(&self) {
        self.service.thaw();
    }

    /// Waits until the log has `needle`.
    #[track_caller]
    pub fn wait_log(&self, needle: &str, limit: Duration) {
        wait_until(&format!("`{needle}` in Pebble's log"), limit, || self.log().contains(needle));
    }

    fn manage(&self, path: &str, body: Option<String>) -> String {
        self.fetch(&format!("https://{}:{MANAGEMENT_PORT}/{path}", self.address), body)
    }

    fn fetch(&self, url: &str, body: Option<String>) -> String {
        fetch(&self.bundle, url, body)
    }
}

/// Requests in a Pebble log: method and kind.
pub(super) fn requests(log: &str) -> Vec<(String, String)> {
    let request = |line: &str| {
        let (front, _) = line.split_once(" -> calling handler()")?;
        let mut words = front.split_whitespace().rev();
        let path = words.next()?.to_owned();
        Some((words.next()?.to_owned(), path))
    };
    log.lines().filter_map(request).collect()
}

/// One HTTPS request to a server of the rig, on a thread of its own so that callers inside an
/// async runtime may use it too.
pub(super) fn fetch(bundle: &Path, url: &str, body: Option<String>) -> String {
    let pem = std::fs::read(bundle).expect("the rig's bundle can be read");
    let exchange = async move {
        let authority = reqwest::Certificate::from_pem(&pem)?;
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .user_agent("dns01-tests")
            .build()?;
        let request = match body {
            Some(body) => client.post(url).body(body),
            None => client.get(url),
        };
        request.send().await?.error_for_status()?.text().await
    };
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(exchange)
    };
    std::thread::scope(|scope| scope.spawn(run).join())
        .expect("the exchange does not panic")
        .unwrap_or_else(|error: reqwest::Error| panic!("{url}: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_the_log_in_order() {
        let log = "Pebble 2026/11/22 01:47:51 GET /dir -> calling handler()\n\
                   Pebble 2026/11/22 01:47:51 order x set INVALID\n\
                   Pebble 2026/11/22 01:47:52 POST /order-plz -> calling handler()\n";
        let seen = requests(log);
        let seen: Vec<_> = seen.iter().map(|(method, kind)| (method.as_str(), kind.as_str())).collect();
        assert_eq!(seen, [("GET", "/dir"), ("POST", "/order-plz")]);
    }
}
