//! NSD: `ns2` of every zone.

use super::address::{NSD, PRIMARY};
use super::process::{Service, attempt, run, server};
use std::path::Path;
use std::process::Command;

/// Writes the configuration and starts it.
pub(super) fn start(directory: &Path) -> Service {
    let home = directory.join("nsd");
    std::fs::create_dir_all(home.join("zones")).expect("the rig's directory is writable");
    let path = home.display();
    let configuration = format!(
        r#"server:
    server-count: 1
    ip-address: {NSD}
    port: 53
    username: ""
    zonesdir: "{path}/zones"
    zonelistfile: "{path}/zone.list"
    database: ""
    pidfile: "{path}/nsd.pid"
    xfrdfile: "{path}/xfrd.state"
    xfrdir: "{path}"
    tcp-count: 200
    # Transfers are loaded at once and answers are never limited.
    xfrd-reload-timeout: 0
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    zonefiles-write: 0
    verbosity: 1
remote-control:
    control-enable: yes
    control-interface: "{path}/control.sock"
pattern:
    name: "secondary"
    allow-notify: {PRIMARY} NOKEY
    request-xfr: AXFR {PRIMARY} NOKEY
    provide-xfr: 127.0.0.0/8 NOKEY
    outgoing-interface: {NSD}
pattern:
    name: "held"
    request-xfr: AXFR {PRIMARY} NOKEY
    provide-xfr: 127.0.0.0/8 NOKEY
    outgoing-interface: {NSD}
"#
    );
    std::fs::write(home.join("nsd.conf"), configuration).expect("the rig's directory is writable");
    let mut command = server("nsd");
    command.arg("-d").arg("-c").arg(home.join("nsd.conf"));
    Service::start("nsd", directory, &mut command)
}

/// Whether it takes commands; it has no zone of its own to ask for.
pub(super) fn ready(directory: &Path) -> bool {
    directory.join("nsd/control.sock").exists()
        && attempt(control(directory).arg("status"), "").status.success()
}

/// Makes it a secondary of `zone`; a held one takes no NOTIFY.
pub(super) fn add_secondary(directory: &Path, zone: &str, held: bool) {
    let pattern = if held { "held" } else { "secondary" };
    run(control(directory).args(["addzone", zone, pattern]), "");
}

/// Fetches `zone` from the primary now.
pub(super) fn refresh(directory: &Path, zone: &str) {
    run(control(directory).args(["transfer", zone]), "");
}

fn control(directory: &Path) -> Command {
    let mut command = Command::new("nsd-control");
    command.arg("-c").arg(directory.join("nsd/nsd.conf"));
    command
}
