//! Knot DNS: `ns1` of every zone, and a primary that takes UPDATE where a test wants one.

use super::Key;
use super::address::{KNOT, PRIMARY};
use super::process::{Service, attempt, run, server};
use std::fs::File;
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
