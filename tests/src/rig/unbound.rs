//! Unbound: the recursive resolver of everybody in the rig, Pebble included. It also answers over
//! TLS and HTTPS.

use super::address::{RESOLVER, RESOLVER_NAME, ROOT, dns};
use super::process::{Service, server};
use super::{query, tls};
use hickory_proto::rr::RecordType;
use std::path::Path;

/// Writes the configuration and starts it.
pub(super) fn start(directory: &Path) -> Service {
    let home = directory.join("unbound");
    std::fs::create_dir_all(&home).expect("the rig's directory is writable");
    let path = home.display();
    let proof = tls::issue(directory, &[RESOLVER_NAME, &RESOLVER.to_string()]);
    let (key, certificate) = (proof.key.display(), proof.certificate.display());
    let configuration = format!(
        r#"server:
    directory: "{path}"
    chroot: ""
    username: ""
    pidfile: "{path}/unbound.pid"
    use-syslog: no
    logfile: ""
    verbosity: 1
    log-servfail: yes
    num-threads: 1
    interface: {RESOLVER}
    interface: {RESOLVER}@853
    interface: {RESOLVER}@443
    tls-port: 853
    https-port: 443
    tls-service-key: "{key}"
    tls-service-pem: "{certificate}"
    access-control: 127.0.0.0/8 allow
    root-hints: "{path}/root.hints"
    module-config: "validator iterator"
    # The root here is ours, on loopback, and `test.` is a real delegation.
    do-not-query-localhost: no
    local-zone: "test." nodefault
    # Pebble asks over TCP, many at once, and waits.
    incoming-num-tcp: 4000
    outgoing-num-tcp: 100
    discard-timeout: 0
    # Let's Encrypt's resolvers keep no answer longer, so none is served to a later order here.
    cache-max-ttl: 60
remote-control:
    control-enable: no
"#
    );
    let hints = format!(". 3600 NS a.root-server.\na.root-server. 3600 A {ROOT}\n");
    std::fs::write(home.join("root.hints"), hints).expect("the rig's directory is writable");
    std::fs::write(home.join("unbound.conf"), configuration).expect("the rig's directory is writable");
    let mut command = server("unbound");
    command.arg("-d").arg("-c").arg(home.join("unbound.conf"));
    Service::start("unbound", directory, &mut command)
}

/// Whether it answers.
pub(super) fn ready() -> bool {
    query::resolve(dns(RESOLVER), "a.nic.test.", RecordType::A).is_ok_and(|answer| !answer.answers.is_empty())
}
