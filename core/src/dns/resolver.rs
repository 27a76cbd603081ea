//! A recursive resolver, and the way to it.

use super::progress::shown_address;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use url::Url;

/// The port of DNS over TLS (RFC 7858 §3.1).
const TLS_PORT: u16 = 853;

/// A recursive resolver. It is written as an address (`192.0.2.1`, with a port where that is not
/// 53), as `tls://dns.example.net@192.0.2.1` (DNS over TLS, RFC 7858) or as
/// `https://dns.example.net/dns-query` (DNS over HTTPS, RFC 8484), in which an address may be
/// given in the same way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Resolver {
    way: Way,
    ca_bundle: Option<PathBuf>,
    proxy: Option<Url>,
}

/// How a resolver is reached.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// Over UDP and TCP.
    Plain(SocketAddr),
    /// Over TLS; without an address its name is looked up as this machine does.
    Tls { name: String, port: u16, address: Option<IpAddr> },
    /// Over HTTPS; without an address its name is looked up as this machine does.
    Https { url: Url, address: Option<IpAddr> },
}

impl Resolver {
    /// Reads one as people write it.
    ///
    /// # Errors
    /// In words, what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let way = match text.split_once("://") {
            Some(("tls", _)) => tls(text),
            Some(("https", _)) => https(text),
            Some(_) => None,
            None => server_address(text).map(Way::Plain),
        };
        let way = way.ok_or_else(|| {
            format!("`{text}` is neither an IP address nor like `tls://dns.example.net@192.0.2.1` or `https://dns.example.net/dns-query`")
        })?;
        Ok(Self { way, ca_bundle: None, proxy: None })
    }

    /// Trusts only the roots in this PEM file (TLS and HTTPS).
    #[must_use]
    pub fn with_ca_bundle(self, ca_bundle: Option<PathBuf>) -> Self {
        Self { ca_bundle, ..self }
    }

    /// Goes through this HTTP proxy (HTTPS), instead of the environment's.
    #[must_use]
    pub fn with_proxy(self, proxy: Option<Url>) -> Self {
        Self { proxy, ..self }
    }

    /// The PEM file with the only roots to trust.
    #[must_use]
    pub fn ca_bundle(&self) -> Option<&Path> {
        self.ca_bundle.as_deref()
    }

    /// True where a certificate proves who answers.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        !matches!(self.way, Way::Plain(_))
    }

    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    pub(super) fn proxy(&self) -> Option<&Url> {
        self.proxy.as_ref()
    }

    /// The address, where it is asked in plain.
    pub(super) fn plain(&self) -> Option<SocketAddr> {
        match self.way {
            Way::Plain(address) => Some(address),
            _ => None,
        }
    }

    /// The address it is asked at, as far as that is known beforehand.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match &self.way {
            Way::Plain(address) => Some(*address),
            Way::Tls { port, address, .. } => address.map(|address| SocketAddr::new(address, *port)),
            Way::Https { url, address } => {
                address.map(|address| SocketAddr::new(address, url.port_or_known_default().unwrap_or(443)))
            }
        }
    }
}

impl std::str::FromStr for Resolver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl From<SocketAddr> for Resolver {
    fn from(address: SocketAddr) -> Self {
        Self { way: Way::Plain(address), ca_bundle: None, proxy: None }
    }
}

/// As [`Resolver::parse`] reads it.
impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Plain(address) => f.write_str(&shown_address(*address)),
            Way::Tls { name, port, address } => {
                write!(f, "tls://{}", bracketed(name))?;
                if let Some(address) = address.filter(|address| address.to_string() != *name) {
                    write!(f, "@{}", bracketed(&address.to_string()))?;
                }
                if *port == TLS_PORT { Ok(()) } else { write!(f, ":{port}") }
            }
            Way::Https { url, address: None } => write!(f, "{url}"),
            Way::Https { url, address: Some(address) } => {
                let rest = url.as_str().strip_prefix("https://").unwrap_or_default();
                let host = url.host_str().unwrap_or_default();
                let rest = rest.strip_prefix(host).unwrap_or_default();
                write!(f, "https://{host}@{}{rest}", bracketed(&address.to_string()))
            }
        }
    }
}

/// The proxy's address may hold a password.
impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolver({self})")
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The address of a DNS server, with its port where that is not 53.
pub(crate) fn server_address(text: &str) -> Option<SocketAddr> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = text.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(unbracketed.parse().ok()?, 53)))
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// `tls://NAME@ADDRESS`, `tls://ADDRESS` or `tls://NAME`, each with a port where it is not 853.
fn tls(text: &str) -> Option<Way> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || url.password().is_some() {
        return None;
    }
    let (address, port) = (ip(host), url.port().unwrap_or(TLS_PORT));
    let name = match (url.username(), address) {
        ("", Some(address)) => address.to_string(),
        ("", None) => host.to_owned(),
        (_, None) => return None,
        (name, Some(_)) => name.to_owned(),
    };
    Some(Way::Tls { name, port, address })
}

/// `https://NAME/PATH`, or `https://NAME@ADDRESS/PATH`.
fn https(text: &str) -> Option<Way> {
    let mut url = Url::parse(text).ok()?;
    if url.path() == "/" || url.password().is_some() || url.fragment().is_some() {
        return None;
    }
    let name = url.username().to_owned();
    if name.is_empty() {
        return url.has_host().then_some(Way::Https { url, address: None });
    }
    let address = ip(url.host_str()?)?;
    url.set_username("").ok()?;
    url.set_host(Some(&name)).ok()?;
    Some(Way::Https { url, address: Some(address) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Resolver::parse(text).unwrap().to_string()
    }

    #[test]
    fn every_way_of_writing_one_is_read_and_shown_again() {
        for text in [
            "192.0.2.1",
            "192.0.2.1:5353",
            "2001:db8::1",
            "[2001:db8::1]:5353",
            "tls://dns.example.net@192.0.2.1",
            "tls://dns.example.net@[2001:db8::1]:8853",
            "tls://192.0.2.1",
            "tls://dns.example.net",
            "https://dns.example.net/dns-query",
            "https://dns.example.net:8443/dns-query",
            "https://dns.example.net@192.0.2.1/dns-query",
            "https://192.0.2.1/dns-query",
        ] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("tls://192.0.2.1:853"), "tls://192.0.2.1");
    }

    #[test]
    fn an_address_is_known_where_it_is_given() {
        let address = |text| Resolver::parse(text).unwrap().address().map(|address| address.to_string());
        assert_eq!(address("tls://dns.example.net@192.0.2.1").as_deref(), Some("192.0.2.1:853"));
        assert_eq!(address("https://dns.example.net@192.0.2.1/q").as_deref(), Some("192.0.2.1:443"));
        assert_eq!(address("https://dns.example.net/q"), None);
    }

    #[test]
    fn what_is_no_resolver_is_refused() {
        for text in [
            "",
            "dns.example.net",
            "http://dns.example.net/dns-query",
            "https://dns.example.net",
            "https://dns.example.net@other.example.net/q",
            "https://user:hunter2@192.0.2.1/q",
            "tls://dns.example.net/path",
            "tls://a@b",
            "quic://192.0.2.1",
        ] {
            assert!(Resolver::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let proxy = Url::parse("http://user:hunter2@proxy.example.net:3128").unwrap();
        let resolver = Resolver::parse("https://dns.example.net/q").unwrap().with_proxy(Some(proxy));
        assert!(!format!("{resolver:?} {resolver}").contains("hunter2"));
    }
}
