//! Knot DNS: `ns1` of every zone, and a primary that takes UPDATE where a test wants one.

use super::address::{KNOT, PRIMARY, dns};
use super::process::{Service, attempt, run, server};
use super::{Key, query};
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// Writes the configuration and starts it.
pub(super) fn start(directory: &Path, admin: &Key, keys: &[Key]) -> Service {
    let home = directory.join("knot");
    for folder in ["zones", "db"] {
        std::fs::create_dir_all(home.join(folder)).expect("the rig's directory is writable");
    }
    let path = home.display();
    let entry = |key: &Key| {
        let (name, algorithm, secret) = (&key.name, key.algorithm.name(), &key.secret);
        format!("  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n")
    };
    let all_keys: String = keys.iter().chain([admin]).map(entry).collect();
    let configuration = format!(
        r#"server:
    rundir: {path}
    listen: {KNOT}@53
    udp-workers: 1
    tcp-workers: 2
    background-workers: 2
database:
    storage: {path}/db
    journal-db-max-size: 64M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
    catalog-db-max-size: 16M
log:
  - target: stderr
    any: info
key:
{all_keys}remote:
  - id: primary
    address: {PRIMARY}@53
    via: {KNOT}
acl:
  - id: notify
    address: {PRIMARY}
    action: notify
  - id: transfer
    address: 127.0.0.0/8
    action: transfer
  - id: admin
    key: {admin_name}
    action: update
template:
  - id: default
    storage: {path}/zones
    semantic-checks: off
    zonefile-sync: -1
    zonefile-load: none
    journal-content: none
  - id: secondary
    storage: {path}/zones
    master: primary
    acl: [ notify, transfer ]
    semantic-checks: off
    zonefile-sync: -1
    zonefile-load: none
    journal-content: none
  - id: held
    storage: {path}/zones
    master: primary
    acl: [ transfer ]
    semantic-checks: off
    zonefile-sync: -1
    zonefile-load: none
    journal-content: none
  - id: own
    storage: {path}/zones
    file: "%s.zone"
    acl: [ transfer, admin ]
    semantic-checks: off
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
"#,
        admin_name = admin.name,
    );
    std::fs::write(home.join("knot.conf"), configuration).expect("the rig's directory is writable");
    let mut command = server("knotd");
    command.arg("-c").arg(home.join("knot.conf"));
    Service::start("knotd", directory, &mut command)
}

/// Starts another Knot, at `address`, that serves `zone` and lets `key` do what the `acl:`
/// sections in `rules` say, as they are written.
pub(super) fn own(directory: &Path, address: Ipv4Addr, zone: &str, key: &Key, rules: &str) -> Service {
    let home = directory.join(format!("knot.{address}"));
    std::fs::create_dir_all(&home).expect("the rig's directory is writable");
    let path = home.display();
    let ids = rules.lines().filter_map(|line| line.trim().strip_prefix("- id: "));
    let ids = ids.collect::<Vec<_>>().join(", ");
    let (name, algorithm, secret) = (&key.name, key.algorithm.name(), &key.secret);
    let configuration = format!(
        "server:\n    rundir: {path}\n    listen: {address}@53\ndatabase:\n    storage: {path}\n    \
         journal-db-max-size: 64M\n    kasp-db-max-size: 16M\n    timer-db-max-size: 16M\n    \
         catalog-db-max-size: 16M\nlog:\n  - target: stderr\n    any: info\n\
         key:\n  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n{rules}\n\
         zone:\n  - domain: {zone}\n    storage: {path}\n    file: own.zone\n    acl: [{ids}]\n    \
         zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n    semantic-checks: off\n"
    );
    let text = format!("$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A {address}\n");
    std::fs::write(home.join("own.zone"), text).expect("the rig's directory is writable");
    std::fs::write(home.join("knot.conf"), configuration).expect("the rig's directory is writable");
    let mut command = server("knotd");
    command.arg("-c").arg(home.join("knot.conf"));
    let mut service = Service::start(&format!("knotd.{address}"), directory, &mut command);
    service.wait_ready(|| query::serial(dns(address), zone).is_some());
    service
}

/// Whether it takes commands; it has no zone of its own to ask for.
pub(super) fn ready(directory: &Path) -> bool {
    directory.join("knot/knot.sock").exists()
        && attempt(control(directory).arg("status"), "").status.success()
}

/// Makes it a secondary of `zone`; a held one takes no NOTIFY.
pub(super) fn add_secondary(directory: &Path, zone: &str, held: bool) {
    let template = if held { "held" } else { "secondary" };
    configure(directory, &[&["conf-set", &item(zone)], &["conf-set", &item_of(zone, "template"), template]]);
}

/// Makes it the primary of `zone`, updated with `key`.
pub(super) fn add_primary(directory: &Path, zone: &str, text: &str, key: &Key) {
    let file = directory.join("knot/zones").join(format!("{zone}.zone"));
    std::fs::write(file, text).expect("the rig's directory is writable");
    let (name, acl) = (&key.name, format!("update.{zone}"));
    configure(
        directory,
        &[
            &["conf-set", &format!("acl[{acl}]")],
            &["conf-set", &format!("acl[{acl}].key"), name],
            &["conf-set", &format!("acl[{acl}].action"), "update"],
            &["conf-set", &format!("acl[{acl}].update-type"), "TXT"],
            &["conf-set", &item(zone)],
            &["conf-set", &item_of(zone, "template"), "own"],
            &["conf-set", &item_of(zone, "acl"), "transfer", "admin", &acl],
        ],
    );
}

/// Fetches `zone` from the primary now.
pub(super) fn refresh(directory: &Path, zone: &str) {
    run(control(directory).args(["zone-refresh", zone]), "");
}

fn item(zone: &str) -> String {
    format!("zone[{zone}.]")
}

fn item_of(zone: &str, key: &str) -> String {
    format!("zone[{zone}.].{key}")
}

/// One configuration transaction; Knot has only one at a time, so they queue at a lock file.
fn configure(directory: &Path, commands: &[&[&str]]) {
    let lock = File::create(directory.join("knot/lock")).expect("the rig's directory is writable");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("a local file can be locked");
    run(control(directory).arg("conf-begin"), "");
    for command in commands {
        run(control(directory).args(*command), "");
    }
    run(control(directory).arg("conf-commit"), "");
}

fn control(directory: &Path) -> Command {
    let mut command = Command::new("knotc");
    command.arg("-s").arg(directory.join("knot/knot.sock"));
    command
}
