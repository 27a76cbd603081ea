//! DNS UPDATE against a real server: the subject of a conformance run, made from the server's
//! address, one zone and one key, and observed with `dig` and `nsupdate`.

use async_trait::async_trait;
use dns01_provider::conformance::{Observer, Subject};
use dns01_provider::{DnsProvider, Fqdn, Settings, TxtRecords, TxtValue, Zone, ZoneName};
use dns01_provider_rfc2136::PLUGIN;
use dns01_tests::rig::{Grant, Primary, Rig};
use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A base64 secret that no server of the rig knows.
const WRONG_SECRET: &str = "d3JvbmctYnV0LXdlbGwtZm9ybWVkLXNlY3JldC1vZi0zMi1vY3RldHM=";
/// A label in the zone that the key may not write.
const FORBIDDEN: &str = "kept";
/// One run of `dig` or `nsupdate` has this long.
const TOOL_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that takes updates, and what may be tried at it.
#[derive(Clone)]
pub(crate) struct Target {
    /// What the report calls it: the server software.
    pub(crate) name: &'static str,
    pub(crate) server: SocketAddr,
    /// A zone whose TXT records the key may write.
    pub(crate) zone: ZoneName,
    /// A zone below it on the same server, writable by the same key.
    pub(crate) sub_zone: Option<ZoneName>,
    /// A name in the zone that the key may not write.
    pub(crate) forbidden: Option<Fqdn>,
    pub(crate) key: Key,
}

/// A TSIG key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// `hmac-sha256` and so on.
    pub(crate) algorithm: String,
    /// base64.
    pub(crate) secret: String,
}

/// Everything that the suite needs to try the plugin at `target`.
pub(crate) fn subject(target: &Target) -> Subject {
    let wrong = Key { secret: WRONG_SECRET.to_owned(), ..target.key.clone() };
    let secrets = [target.key.secret.as_str(), WRONG_SECRET].map(secrecy::SecretString::from);
    let mut subject =
        Subject::new("rfc2136", provider(target.server, &target.key), Zone::named(target.zone.clone()))
            .with_peer(format!("real server, {}", target.name))
            .with_observer(Arc::new(Tools::new(target)))
            .with_wrong_token(Ok(provider(target.server, &wrong)))
            .with_rate_limited(Err("a DNS server refuses no update for rate"))
            .with_secrets(secrets);
    if let Some(zone) = &target.sub_zone {
        subject = subject.with_sub_zone(Zone::named(zone.clone()));
    }
    match &target.forbidden {
        Some(name) => subject.with_forbidden(name.clone()),
        None => subject,
    }
}

/// The plugin, configured as `dns01.toml` would.
pub(crate) fn provider(server: SocketAddr, key: &Key) -> Arc<dyn DnsProvider> {
    let tsig = serde_json::json!({
        "name": key.name,
        "algorithm": key.algorithm,
        "secret": { "literal": key.secret },
    });
    let settings = Settings::default().with("server", server.to_string()).with("tsig", tsig);
    (PLUGIN.build)(settings).expect("the settings are right")
}

/// `dig` and `nsupdate`, which share nothing with the plugin.
pub(crate) struct Tools {
    server: SocketAddr,
    key_file: tempfile::NamedTempFile,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tools({})", self.server)
    }
}

impl Tools {
    pub(crate) fn new(target: &Target) -> Self {
        let Key { name, algorithm, secret } = &target.key;
        let mut key_file = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(key_file, "key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};")
            .expect("the key file is written");
        Self { server: target.server, key_file }
    }

    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program} does not start: {error}"))?;
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin
            .write_all(input.as_bytes())
            .await
            .map_err(|error| format!("{program} reads nothing: {error}"))?;
        drop(stdin);
        let output = tokio::time::timeout(TOOL_TIMEOUT, child.wait_with_output())
            .await
            .map_err(|_| format!("{program} does not end"))?
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[async_trait]
impl Observer for Tools {
    /// Asks for TXT and SOA: the SOA that comes with "no such type" names the zone that the
    /// answer is from, so that a value in a child zone is not taken for one in its parent.
    async fn records(&self, zone: &Zone, name: &Fqdn) -> Result<TxtRecords, String> {
        let (server, port) = (format!("@{}", self.server.ip()), self.server.port().to_string());
        let name = name.absolute();
        let flags = ["+tcp", "+norecurse", "+noall", "+answer", "+authority"];
        let mut arguments = vec![server.as_str(), "-p", &port];
        arguments.extend(flags);
        arguments.extend(["-q", &name, "-t", "TXT"]);
        arguments.extend(["-q", &name, "-t", "SOA", "+tcp", "+norecurse"]);
        let text = self.run("dig", &arguments, "").await?;
        let mut records = TxtRecords::default();
        let mut apex = None;
        for line in text.lines() {
            let [owner, ttl, _class, kind, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                continue;
            };
            match kind {
                "SOA" => apex = Some(owner.to_owned()),
                "TXT" if owner == name => {
                    records.ttl = ttl.parse().map_err(|_| format!("dig printed `{line}`"))?;
                    let data = line.find('"').map_or("", |start| &line[start..]);
                    records.values.push(TxtValue::parse(&unquoted(data)).map_err(|error| error.to_string())?);
                }
                _ => {}
            }
        }
        let here = apex.is_some_and(|apex| apex.eq_ignore_ascii_case(&zone.name.apex().absolute()));
        Ok(if here { records } else { TxtRecords::default() })
    }

    async fn write(&self, zone: &Zone, name: &Fqdn, records: &TxtRecords) -> Result<(), String> {
        let mut script = format!("server {} {}\nzone {}.\n", self.server.ip(), self.server.port(), zone.name);
        script += &format!("update delete {name}. TXT\n");
        for value in &records.values {
            let text = value.as_str().replace('\\', "\\\\").replace('"', "\\\"");
            script += &format!("update add {name}. {} TXT \"{text}\"\n", records.ttl);
        }
        script += "send\n";
        let key_file = self.key_file.path().to_string_lossy().into_owned();
        self.run("nsupdate", &["-v", "-k", &key_file], &script).await.map(drop)
    }
}

/// The character-strings of a TXT record as `dig` prints them, joined: `"ab" "c\"d"`.
fn unquoted(data: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    let mut characters = data.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => inside = !inside,
            '\\' if inside => text.extend(characters.next()),
            other if inside => text.push(other),
            _ => {}
        }
    }
    text
}

/// Zones at `primary`: one, and one below it that the same key may write.
fn zones(primary: Primary) -> (dns01_tests::rig::Zone, dns01_tests::rig::Zone) {
    let rig = Rig::get();
    let grant = Grant::AnyTxtBut(vec![FORBIDDEN.to_owned()]);
    let zone = rig.zone().primary(primary).grant(grant).create();
    let sub_zone = rig.zone().primary(primary).below(&zone).same_key(&zone).create();
    (zone, sub_zone)
}

fn zone_name(zone: &dns01_tests::rig::Zone) -> ZoneName {
    ZoneName::parse(zone.name()).unwrap()
}

async fn run(name: &'static str, primary: Primary) {
    let (zone, sub_zone) = zones(primary);
    // Only BIND was told to keep the key from a name.
    let forbidden = (primary == Primary::Bind).then(|| Fqdn::parse(&zone.host(FORBIDDEN)).unwrap());
    let key = zone.key();
    let target = Target {
        name,
        server: zone.primary(),
        zone: zone_name(&zone),
        sub_zone: Some(zone_name(&sub_zone)),
        forbidden,
        key: Key {
            name: key.name.clone(),
            algorithm: key.algorithm.name().to_owned(),
            secret: key.secret.clone(),
        },
    };
    super::table::assert_kept(&subject(&target)).await;
}

#[tokio::test]
async fn the_promises_are_kept_at_bind() {
    run("BIND", Primary::Bind).await;
}

#[tokio::test]
async fn the_promises_are_kept_at_knot() {
    run("Knot", Primary::Knot).await;
}

#[tokio::test]
async fn the_promises_are_kept_at_powerdns() {
    run("PowerDNS", Primary::PowerDns).await;
}
