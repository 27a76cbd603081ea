//! BIND: root, `test.` and the hidden primary, three views of one process told apart by the
//! address asked, so that each answers as if it stood alone.

use super::address::{PRIMARY, ROOT, TLD, dns};
use super::process::{Service, run, server};
use super::{Key, query};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes the configuration and starts it.
pub(super) fn start(directory: &Path, admin: &Key, keys: &[Key]) -> Service {
    let home = directory.join("bind");
    std::fs::create_dir_all(&home).expect("the rig's directory is writable");
    let write = |name: &str, text: String| {
        std::fs::write(home.join(name), text).expect("the rig's directory is writable")
    };
    write("root.zone", root_zone());
    write("test.zone", tld_zone());
    write("named.conf", configuration(&home, admin, keys));
    let control = Key::generate("rndc", super::Algorithm::Sha256);
    write("rndc.key", control.statement());
    write(
        "rndc.conf",
        format!(
            "{}options {{ default-key rndc; default-server {PRIMARY}; default-port 953; }};\n",
            control.statement()
        ),
    );
    admin.file(&home);
    let mut command = server("named");
    command.args(["-4", "-f", "-n", "2", "-c"]).arg(home.join("named.conf"));
    Service::start("named", directory, &mut command)
}

/// Whether all three views answer.
pub(super) fn ready() -> bool {
    query::serial(dns(ROOT), ".").is_some() && query::serial(dns(TLD), "test.").is_some()
}

/// Adds `zone` to the hidden primary, its records in `text`, its policy (the whole statement) in
/// `policy`.
pub(super) fn add_zone(directory: &Path, zone: &str, text: &str, policy: &str, notify: &[SocketAddr]) {
    std::fs::write(zone_file(directory, zone), text).expect("the rig's directory is writable");
    configure_zone(directory, "addzone", zone, policy, notify);
}

/// Gives `zone`, which is there, another policy.
pub(super) fn set_policy(directory: &Path, zone: &str, policy: &str, notify: &[SocketAddr]) {
    configure_zone(directory, "modzone", zone, policy, notify);
}

fn configure_zone(directory: &Path, verb: &str, zone: &str, policy: &str, notify: &[SocketAddr]) {
    let file = zone_file(directory, zone);
    let notify: String = notify.iter().map(|server| format!("{}; ", server.ip())).collect();
    let options =
        format!("{{ type primary; file \"{}\"; also-notify {{ {notify}}}; {policy} }};", file.display());
    let mut rndc = Command::new("rndc");
    rndc.arg("-c").arg(directory.join("bind/rndc.conf")).args([verb, zone, "IN", "primary", &options]);
    run(&mut rndc, "");
}

fn zone_file(directory: &Path, zone: &str) -> PathBuf {
    directory.join("bind").join(format!("{zone}.zone"))
}

/// Sends `lines` (`update add …`) as one UPDATE message, signed with the admin key, to any
/// `server` of the rig.
pub(super) fn update(directory: &Path, admin: &Key, server: SocketAddr, zone: &str, lines: &str) {
    let script = format!("server {} {}\nzone {zone}\n{lines}send\n", server.ip(), server.port());
    let mut nsupdate = Command::new("nsupdate");
    nsupdate.arg("-v").arg("-t").arg("10").arg("-k").arg(admin_file(directory, admin));
    run(&mut nsupdate, &script);
}

/// UPDATE messages the primary has answered for `zone` so far, whatever the answer.
pub(super) fn updates(directory: &Path, zone: &str) -> u64 {
    let url = format!("http://{PRIMARY}:8053/json/v1/zones");
    let text = super::pebble::fetch(&super::tls::bundle(directory), &url, None);
    let statistics: serde_json::Value = serde_json::from_str(&text).expect("named's statistics are JSON");
    let zones = statistics["views"]["primary"]["zones"].as_array().expect("the view has zones");
    let zone = zones.iter().find(|entry| entry["name"] == zone).expect("the zone is on the primary");
    let counters = ["UpdateDone", "UpdateFail", "UpdateRej", "UpdateBadPrereq"];
    counters.iter().filter_map(|name| zone["rcodes"][name].as_u64()).sum()
}

fn admin_file(directory: &Path, admin: &Key) -> PathBuf {
    directory.join("bind").join(format!("{}.key", admin.name))
}

fn configuration(home: &Path, admin: &Key, keys: &[Key]) -> String {
    let all_keys: String = keys.iter().chain([admin]).map(Key::statement).collect();
    let home = home.display();
    let admin = &admin.name;
    format!(
        r#"include "{home}/rndc.key";
{all_keys}
controls {{ inet {PRIMARY} port 953 allow {{ any; }} keys {{ rndc; }}; }};
statistics-channels {{ inet {PRIMARY} port 8053 allow {{ any; }}; }};
options {{
    directory "{home}";
    pid-file "{home}/named.pid";
    session-keyfile "{home}/session.key";
    lock-file none;
    listen-on port 53 {{ {ROOT}; {TLD}; {PRIMARY}; }};
    listen-on-v6 {{ none; }};
    interface-interval 0;
    zone-statistics full;
    recursion no;
    dnssec-validation no;
    allow-transfer {{ any; }};
    notify explicit;
    notify-source {PRIMARY};
    // Changes reach the secondaries at once; the defaults gather them for seconds.
    notify-delay 0;
    notify-rate 1000;
    startup-notify-rate 1000;
    tcp-clients 1000;
    transfers-out 1000;
    update-quota 1000;
    tcp-listen-queue 100;
}};
logging {{
    channel log {{ stderr; severity info; print-category yes; print-time yes; }};
    category default {{ log; }};
    category edns-disabled {{ null; }};
}};
view "root" {{
    match-destinations {{ {ROOT}; }};
    zone "." {{ type primary; file "{home}/root.zone"; notify no; update-policy {{ grant {admin} zonesub ANY; }}; }};
}};
view "tld" {{
    match-destinations {{ {TLD}; }};
    zone "test." {{ type primary; file "{home}/test.zone"; notify no; update-policy {{ grant {admin} zonesub ANY; }}; }};
}};
view "primary" {{
    match-destinations {{ {PRIMARY}; }};
    allow-new-zones yes;
}};
"#
    )
}

fn root_zone() -> String {
    format!(
        "$TTL 60\n\
         . SOA a.root-server. hostmaster.test. 1 3600 600 86400 1\n\
         . NS a.root-server.\n\
         a.root-server. A {ROOT}\n\
         test. NS a.nic.test.\n\
         a.nic.test. A {TLD}\n"
    )
}

/// Its negative answers live one second, so that a fresh zone is seen at once.
fn tld_zone() -> String {
    format!(
        "$TTL 60\n\
         test. SOA a.nic.test. hostmaster.test. 1 3600 600 86400 1\n\
         test. NS a.nic.test.\n\
         a.nic.test. A {TLD}\n"
    )
}
