//! Settings: raw as written, then checked once.

use dns01_provider::{Environment, SecretRef, Settings, SettingsError, plugin};
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::time::Duration;

/// The time one exchange with the server may take unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The port that DNS servers listen on.
const DNS_PORT: u16 = 53;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server that takes updates: the zone's primary, or a secondary that forwards them.
    pub server: ServerAddress,
    /// The key that signs them; without one the server decides by address alone.
    pub tsig: Option<TsigKey>,
    /// The time that one call (connecting, update and read-back) may take.
    pub timeout: Duration,
}

/// Host or address, and port. A host name is resolved at each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// A host name or an address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A TSIG key (RFC 8945): its secret is only referred to.
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// The name that the server knows it by.
    pub name: Name,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Where its base64 text is kept.
    pub secret: SecretRef,
}

/// How a TSIG key signs. HMAC-MD5 and HMAC-SHA1 are not offered (RFC 8945 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[default]
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// [`SettingsError`] names the key at fault.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = settings.parse()?;
        Ok(Self {
            server: ServerAddress::parse(&raw.server)?,
            tsig: raw.tsig.map(TsigKey::new).transpose()?,
            timeout: plugin::timeout(raw.timeout, DEFAULT_TIMEOUT)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    server: String,
    tsig: Option<RawTsig>,
    timeout: Option<jiff::SignedDuration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTsig {
    name: String,
    algorithm: Option<String>,
    secret: SecretRef,
}

impl ServerAddress {
    /// Checks `192.0.2.53`, `192.0.2.53:53`, `[2001:db8::53]:53`, `2001:db8::53`,
    /// `ns.example.net` or `ns.example.net:53`.
    ///
    /// # Errors
    /// [`SettingsError`] for the key `server`.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let wrong = |what: &str| {
            SettingsError::new(Some("server"), format!("`{text}` is not a server address: {what}"))
                .with_hint("write `192.0.2.53:53`, `[2001:db8::53]:53` or `ns.example.net:53`")
        };
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Ok(Self { host: address.to_string(), port: DNS_PORT });
        }
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, port))) => {
                (host, Some(port.strip_prefix(':').ok_or_else(|| wrong("no port after `]`"))?))
            }
            Some(None) => return Err(wrong("`]` is missing")),
            None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let bracketed = text.starts_with('[');
        if bracketed && host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(wrong("no IPv6 address stands in the brackets"));
        }
        if !bracketed
            && dns01_provider::Fqdn::parse(host).is_err()
            && host.parse::<std::net::IpAddr>().is_err()
        {
            return Err(wrong("the host is not a name"));
        }
        let port = port.map_or(Ok(DNS_PORT), str::parse).ok().filter(|port| *port != 0);
        Ok(Self { host: host.to_owned(), port: port.ok_or_else(|| wrong("the port is not 1 to 65535"))? })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TsigKey {
    fn new(raw: RawTsig) -> Result<Self, SettingsError> {
        let mut name = key_name(&raw.name, "tsig.name").map_err(|error| error.at("tsig.name"))?;
        name.set_fqdn(true);
        let algorithm = raw.algorithm.as_deref().map_or(Ok(Algorithm::default()), Algorithm::parse)?;
        Ok(Self { name: name.to_lowercase(), algorithm, secret: raw.secret })
    }
}

/// The name of a key, which stands at `place`. What is none is not shown: it may be the secret.
fn key_name(text: &str, place: &str) -> Result<Name, SettingsError> {
    let name = Name::from_ascii(text).ok().filter(|_| !text.contains(['=', '+', '/']));
    name.ok_or_else(|| {
        SettingsError::new(None, format!("what stands at `{place}` is not a key name")).with_hint(
            "a key name is a domain name, as the server's configuration has it; the secret stands elsewhere",
        )
    })
}

impl Algorithm {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        match text.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Ok(Self::HmacSha256),
            "hmac-sha384" => Ok(Self::HmacSha384),
            "hmac-sha512" => Ok(Self::HmacSha512),
            _ => Err(SettingsError::new(
                Some("tsig.algorithm"),
                format!("`{text}` is not a TSIG algorithm that dns01 uses"),
            )
            .with_hint(
                "use `hmac-sha256`, `hmac-sha384` or `hmac-sha512`; make a new key with `tsig-keygen`",
            )),
        }
    }

    pub(crate) fn on_the_wire(self) -> TsigAlgorithm {
        match self {
            Self::HmacSha256 => TsigAlgorithm::HmacSha256,
            Self::HmacSha384 => TsigAlgorithm::HmacSha384,
            Self::HmacSha512 => TsigAlgorithm::HmacSha512,
        }
    }
}

const SERVER: [&str; 2] = ["RFC2136_NAMESERVER", "DNSUPDATE_NAMESERVER"];
const KEY: [&str; 2] = ["RFC2136_TSIG_KEY", "DNSUPDATE_TSIG_KEY"];
const SECRET: [&str; 2] = ["RFC2136_TSIG_SECRET", "DNSUPDATE_TSIG_SECRET"];
const ALGORITHM: [&str; 2] = ["RFC2136_TSIG_ALGORITHM", "DNSUPDATE_TSIG_ALGORITHM"];

/// The settings that the environment names of lego and others stand for.
pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Settings, SettingsError> {
    let missing = |what, name| SettingsError::not_in_environment("rfc2136", what, name);
    let server = environment.first(&SERVER).ok_or_else(|| missing("server", SERVER[0]))?;
    let settings = Settings::default().with("server", server);
    let secret = environment.secret(&SECRET);
    let Some(name) = environment.first(&KEY) else {
        return if secret.is_some() { Err(missing("key name", KEY[0])) } else { Ok(settings) };
    };
    let secret = secret.ok_or_else(|| missing("key secret", SECRET[0]))?;
    let variable = KEY.iter().find(|variable| environment.first(&[variable]).is_some());
    key_name(&name, variable.unwrap_or(&KEY[0]))?;
    let mut tsig = json!({ "name": name, "secret": secret });
    if let Some(algorithm) = environment.first(&ALGORITHM) {
        tsig["algorithm"] = algorithm.into();
    }
    Ok(settings.with("tsig", tsig))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn config(table: Value) -> Result<Config, SettingsError> {
        Config::new(table.try_into()?)
    }

    #[test]
    fn a_server_is_an_address_or_a_name_with_or_without_a_port() {
        for (text, shown) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
            ("[2001:db8::53]", "[2001:db8::53]:53"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("ns1.example.net", "ns1.example.net:53"),
            ("ns1.example.net:5353", "ns1.example.net:5353"),
        ] {
            assert_eq!(ServerAddress::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "",
            ":53",
            "192.0.2.53:0",
            "192.0.2.53:x",
            "192.0.2.53:99999",
            "[2001:db8::53",
            "[ns1]:53",
            "a b",
        ] {
            let error = ServerAddress::parse(text).unwrap_err();
            assert_eq!(error.key.as_deref(), Some("server"), "{text}");
            assert!(error.hint.is_some(), "{text}");
        }
    }

    #[test]
    fn the_design_pages_table_is_understood() {
        let config = config(json!({
            "server": "192.0.2.53:53",
            "tsig": { "name": "DNS01", "algorithm": "hmac-sha384", "secret": { "env": "LAB_TSIG" } },
            "timeout": "1m 30s",
        }))
        .unwrap();
        let key = config.tsig.unwrap();
        assert_eq!(key.name.to_string(), "dns01.");
        assert_eq!(key.algorithm, Algorithm::HmacSha384);
        assert_eq!(config.timeout, Duration::from_secs(90));
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |table| config(table).unwrap_err().key;
        let tsig = |algorithm: &str| json!({ "name": "k", "algorithm": algorithm, "secret": { "env": "X" } });
        assert_eq!(key(json!({ "server": "a b" })).as_deref(), Some("server"));
        let md5 = json!({ "server": "192.0.2.53", "tsig": tsig("hmac-md5") });
        assert_eq!(key(md5).as_deref(), Some("tsig.algorithm"));
        assert_eq!(key(json!({ "server": "192.0.2.53", "timeout": "0s" })).as_deref(), Some("timeout"));
        let unknown = config(json!({ "server": "192.0.2.53", "sever": 1 })).unwrap_err();
        assert!(unknown.message.contains("sever"), "{unknown}");
    }

    #[test]
    fn a_secret_that_stands_where_the_key_name_should_is_not_shown() {
        for text in ["AmhWES4nx0pN/0bXzK1vB3hPq0l7==", "c2VjcmV0+A", &"a".repeat(64)] {
            let tsig = json!({ "name": text, "secret": { "env": "X" } });
            let in_table = config(json!({ "server": "192.0.2.53", "tsig": tsig })).unwrap_err();
            assert_eq!(in_table.key.as_deref(), Some("tsig.name"));
            let set =
                [("RFC2136_NAMESERVER", "ns"), ("DNSUPDATE_TSIG_KEY", text), ("RFC2136_TSIG_SECRET", "x")];
            let in_environment = from_environment(&Environment::of(&set)).unwrap_err();
            assert!(in_environment.message.contains("`DNSUPDATE_TSIG_KEY`"), "{in_environment}");
            assert!(!format!("{in_table:?}{in_environment:?}").contains(text), "{in_environment}");
        }
    }

    #[test]
    fn no_debug_shows_a_secret() {
        let config = config(json!({
            "server": "192.0.2.53",
            "tsig": { "name": "k", "secret": { "literal": "c2VjcmV0" } },
        }));
        assert!(!format!("{:?}", config.unwrap()).contains("c2VjcmV0"));
    }

    #[test]
    fn the_environment_names_of_other_tools_work_and_secrets_stay_references() {
        let from = |set: &[(&str, &str)]| from_environment(&Environment::of(set)).and_then(Config::new);
        let config = from(&[
            ("RFC2136_NAMESERVER", "192.0.2.53"),
            ("RFC2136_TSIG_KEY", "lego."),
            ("RFC2136_TSIG_ALGORITHM", "hmac-sha512."),
            ("RFC2136_TSIG_SECRET", "c2VjcmV0"),
        ])
        .unwrap();
        let key = config.tsig.unwrap();
        assert_eq!(key.algorithm, Algorithm::HmacSha512);
        assert_eq!(key.secret.to_string(), "environment variable `RFC2136_TSIG_SECRET`");
        let twin = [
            ("DNSUPDATE_NAMESERVER", "ns"),
            ("DNSUPDATE_TSIG_KEY", "k"),
            ("DNSUPDATE_TSIG_SECRET_FILE", "/run/k"),
        ];
        assert_eq!(from(&twin).unwrap().tsig.unwrap().secret.to_string(), "file `/run/k`");
        assert!(from(&[("RFC2136_NAMESERVER", "ns")]).unwrap().tsig.is_none());
        for incomplete in [
            &[("RFC2136_TSIG_KEY", "k")][..],
            &[("RFC2136_NAMESERVER", "ns"), ("RFC2136_TSIG_KEY", "k")][..],
            &[("RFC2136_NAMESERVER", "ns"), ("RFC2136_TSIG_SECRET", "x")][..],
        ] {
            assert!(from(incomplete).unwrap_err().hint.is_some(), "{incomplete:?}");
        }
    }
}
