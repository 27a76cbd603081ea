//! A Pebble of this test's own, on free ports, to whom every challenge is right.

use dns01_tests::rig::pebble_program;
use rcgen::generate_simple_self_signed;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) struct Pebble {
    pub(super) address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

impl Pebble {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let own = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        fs::write(at("cert.pem"), own.cert.pem()).unwrap();
        fs::write(at("key.pem"), own.signing_key.serialize_pem()).unwrap();
        let address = free_port();
        let settings = serde_json::json!({ "pebble": {
            "listenAddress": address.to_string(),
            "managementListenAddress": "",
            "certificate": at("cert.pem"),
            "privateKey": at("key.pem"),
            "httpPort": 1, "tlsPort": 1,
            "retryAfter": { "authz": 0, "order": 0 },
        }});
        fs::write(at("pebble.json"), settings.to_string()).unwrap();
        let mut child = Command::new(pebble_program())
            .args(["-config", &at("pebble.json")])
            .envs([
                ("PEBBLE_VA_ALWAYS_VALID", "1"),
                ("PEBBLE_VA_NOSLEEP", "1"),
                ("PEBBLE_WFE_NONCEREJECT", "0"),
                ("PEBBLE_AUTHZREUSE", "0"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble is installed, as `tests/run` sees to");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "pebble does not listen at {address}");
            assert!(child.try_wait().unwrap().is_none(), "pebble ended at once");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { address, child, _directory: directory }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
