//! acme-dns's HTTP API.

use super::{Answer, Asked, Held, HeldRecord, Service, lock};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

/// What every password begins with, so that a test can look for it anywhere.
pub const PASSWORD_PREFIX: &str = "pa55w0rdOfAnAccount";
/// Characters of a password.
const PASSWORD_LENGTH: usize = 40;
/// Characters of a value: those of a dns-01 challenge.
const VALUE_LENGTH: usize = 43;
/// The TTL in seconds of everything.
const TTL: u32 = 1;

/// acme-dns, whose zone is the first that the fake holds.
#[derive(Debug, Default)]
pub struct AcmeDns {
    /// By subdomain.
    accounts: Mutex<BTreeMap<String, Account>>,
    registers_nobody: bool,
}

/// An account, as it is told once.
#[derive(Debug, Clone)]
struct Account {
    username: String,
    password: String,
    allow_from: Vec<String>,
    /// The older value first.
    values: [Option<String>; 2],
}

impl AcmeDns {
    /// A server without accounts, which registers whoever asks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One with `disable_registration`.
    #[must_use]
    pub fn registering_nobody() -> Self {
        Self { registers_nobody: true, ..Self::default() }
    }

    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> usize {
        lock(&self.accounts).len()
    }

    /// Makes an account, and returns what the server tells of it.
    ///
    /// # Panics
    /// The fake holds no zone.
    pub fn register(&self, held: &mut Held, allow_from: Vec<String>) -> Value {
        let zone = held.zones.first().expect("the test made the zone").name.clone();
        let (subdomain, username) =
            (self.identifier(held.next_number()), self.identifier(held.next_number()));
        let password = format!("{PASSWORD_PREFIX}{:0>21}", held.next_number());
        assert_eq!(password.len(), PASSWORD_LENGTH);
        let told = json!({
            "username": username, "password": password, "fulldomain": format!("{subdomain}.{zone}"),
            "subdomain": subdomain, "allowfrom": allow_from,
        });
        let account = Account { username, password, allow_from, values: [None, None] };
        lock(&self.accounts).insert(subdomain, account);
        told
    }

    fn registration(&self, asked: &Asked, held: &mut Held) -> Answer {
        if self.registers_nobody {
            return Answer::text(404, "text/plain", "404 page not found\n");
        }
        let networks = if asked.body.is_empty() {
            Some(Vec::new())
        } else {
            object(asked).filter(|body| only(body, &["allowfrom"])).and_then(|body| texts(&body))
        };
        match networks {
            None => refusal(400, "malformed_json_payload"),
            Some(networks) if !networks.iter().all(|network| is_network(network)) => {
                refusal(400, "invalid_allowfrom_cidr")
            }
            Some(networks) => Answer::json(201, &self.register(held, networks)),
        }
    }

    /// Everything about who asks comes before the value is looked at.
    fn update(&self, asked: &Asked, held: &mut Held) -> Answer {
        let body = object(asked).filter(|body| only(body, &["subdomain", "txt"]));
        let text = |key: &str| body.as_ref().and_then(|body| body.get(key)?.as_str()).unwrap_or_default();
        let (subdomain, value) = (text("subdomain"), text("txt"));
        let mut accounts = lock(&self.accounts);
        let Some(account) = accounts.get_mut(subdomain).filter(|account| account.is_of(asked)) else {
            return refusal(401, "forbidden");
        };
        let base64url = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        if value.len() != VALUE_LENGTH || !value.bytes().all(base64url) {
            return refusal(400, "bad_txt");
        }
        account.values.rotate_left(1);
        account.values[1] = Some(value.to_owned());
        let mut values: Vec<String> = account.values.iter().flatten().cloned().collect();
        // The same record twice is one (RFC 2181 §5).
        values.dedup();
        let zone = held.zones.first_mut().expect("it has accounts, so it has a zone");
        let name = format!("{subdomain}.{}", zone.name);
        let records = values.into_iter().enumerate().map(|(slot, value)| HeldRecord {
            id: format!("{subdomain}/{slot}"),
            name: name.clone(),
            kind: "TXT".to_owned(),
            ttl: TTL,
            form: value.clone(),
            data: value,
        });
        let records = records.collect();
        zone.replace_set(&name, "TXT", records);
        Answer::json(200, &json!({ "txt": value }))
    }
}

impl Account {
    /// Everybody who asks here asks from loopback.
    fn is_of(&self, asked: &Asked) -> bool {
        let here = |network: &String| network.starts_with("127.") || network.ends_with("/0");
        asked.header("x-api-user") == Some(&self.username)
            && asked.header("x-api-key") == Some(&self.password)
            && (self.allow_from.is_empty() || self.allow_from.iter().any(here))
    }
}

impl Service for AcmeDns {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        format!("8e5700ea-a4bf-41c7-8a77-{number:012x}")
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        match (asked.method.as_str(), asked.path().as_slice()) {
            ("POST", ["register"]) => self.registration(asked, held),
            ("POST", ["update"]) => self.update(asked, held),
            ("GET", ["health"]) => Answer::text(200, "text/plain", ""),
            (_, ["register" | "update" | "health"]) => {
                Answer::text(405, "text/plain", "Method Not Allowed\n")
            }
            _ => Answer::text(404, "text/plain", "404 page not found\n"),
        }
    }

    /// It has no limit of its own; proxies before it have.
    fn throttled(&self) -> Answer {
        Answer::page(429, "Too Many Requests")
    }
}

fn refusal(status: u16, code: &str) -> Answer {
    Answer::json(status, &json!({ "error": code }))
}

/// The server reads JSON whatever the type that is told.
fn object(asked: &Asked) -> Option<Map<String, Value>> {
    serde_json::from_slice(&asked.body).ok()
}

fn only(body: &Map<String, Value>, known: &[&str]) -> bool {
    body.keys().all(|key| known.contains(&key.as_str()))
}

/// The networks of a registration; none if they are left out.
fn texts(body: &Map<String, Value>) -> Option<Vec<String>> {
    let Some(networks) = body.get("allowfrom") else { return Some(Vec::new()) };
    networks.as_array()?.iter().map(|network| network.as_str().map(str::to_owned)).collect()
}

fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        let most = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}
