//! PowerDNS: a primary of another make, by UPDATE and by its HTTP API.

use super::Key;
use super::address::{POWERDNS, POWERDNS_API_PORT};
use super::process::{Service, run, server};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Debian's package puts the schema here.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// Writes the configuration and starts it.
pub(super) fn start(directory: &Path, api_key: &str) -> Service {
    let home = directory.join("powerdns");
    std::fs::create_dir_all(&home).expect("the rig's directory is writable");
    let path = home.display();
    sql(directory, &format!("PRAGMA journal_mode = WAL;\n.read {SCHEMA}\n"));
    let configuration = format!(
        r#"launch=gsqlite3
gsqlite3-database={path}/pdns.sqlite3
gsqlite3-pragma-synchronous=0
local-address={POWERDNS}
local-port=53
socket-dir={path}
setuid=
setgid=
daemon=no
guardian=no
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
allow-axfr-ips=127.0.0.0/8
api=yes
api-key={api_key}
webserver=yes
webserver-address={POWERDNS}
webserver-port={POWERDNS_API_PORT}
webserver-allow-from=127.0.0.0/8
receiver-threads=1
distributor-threads=2
# Nothing is cached: what is written is what is answered.
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
domain-metadata-cache-ttl=0
zone-cache-refresh-interval=0
zone-metadata-cache-ttl=0
loglevel=5
"#
    );
    std::fs::write(home.join("pdns.conf"), configuration).expect("the rig's directory is writable");
    let mut command = server("pdns_server");
    command.arg(format!("--config-dir={path}"));
    Service::start("pdns_server", directory, &mut command)
}

/// Whether it answers.
pub(super) fn ready() -> bool {
    super::query::ask(super::address::dns(POWERDNS), "ready.test.", hickory_proto::rr::RecordType::SOA)
        .is_ok()
}

/// Adds `zone` with the records in `text`, updated with any of `keys`.
pub(super) fn add_zone(directory: &Path, zone: &str, text: &str, keys: [&Key; 2]) {
    use std::fmt::Write as _;
    let home = directory.join("powerdns");
    let file = home.join(format!("{zone}.zone"));
    std::fs::write(&file, text).expect("the rig's directory is writable");
    let mut load = Command::new("pdnsutil");
    load.arg(format!("--config-dir={}", home.display())).args(["load-zone", zone]).arg(&file);
    run(&mut load, "");
    let mut script = "BEGIN;\n".to_owned();
    for key in keys {
        let (name, algorithm, secret) = (&key.name, key.algorithm.name(), &key.secret);
        let _ = writeln!(
            script,
            "INSERT OR IGNORE INTO tsigkeys (name, algorithm, secret) VALUES ('{name}', '{algorithm}', '{secret}');\n\
             INSERT INTO domainmetadata (domain_id, kind, content) \
             SELECT id, 'TSIG-ALLOW-DNSUPDATE', '{name}' FROM domains WHERE name = '{zone}';"
        );
    }
    sql(directory, &format!("{script}COMMIT;\n"));
}

fn sql(directory: &Path, script: &str) {
    let mut sqlite = Command::new("sqlite3");
    let patience = Duration::from_secs(10).as_millis();
    sqlite.arg("-bail").arg("-cmd").arg(format!(".timeout {patience}"));
    sqlite.arg(directory.join("powerdns/pdns.sqlite3"));
    run(&mut sqlite, script);
}
