//! A network from which only an HTTPS proxy gets out: a network namespace with one link, at the
//! other end of which Tinyproxy listens and nobody else.

use super::network;
use super::process::{Service, run};
use std::ffi::OsString;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

const PROXY_PORT: u16 = 8888;

/// The network; dropping it takes it down.
pub struct ClosedNetwork {
    /// Sleeps inside: the network lives as long as somebody is in it.
    _resident: Service,
    proxy: Service,
    number: usize,
    namespace: String,
}

impl ClosedNetwork {
    pub(super) fn open(directory: &Path) -> Self {
        let number = network::number(directory, "closed");
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "infinity"]);
        let mut resident = Service::start(&format!("closed{number}"), directory, &mut command);
        let namespace = format!("/proc/{}/ns/net", resident.id());
        let outside = std::fs::read_link("/proc/self/ns/net").expect("a process has a network");
        resident.wait_ready(|| std::fs::read_link(&namespace).is_ok_and(|inside| inside != outside));
        let (out, inside) = (format!("10.77.{number}.1"), format!("10.77.{number}.2"));
        let (near, far) = (format!("closed{number}"), "out");
        let id = resident.id().to_string();
        ip(&["link", "add", &near, "type", "veth", "peer", "name", far, "netns", &id]);
        ip(&["address", "add", &format!("{out}/30"), "dev", &near]);
        ip(&["link", "set", &near, "up"]);
        for line in [
            format!("address add {inside}/30 dev {far}"),
            format!("link set {far} up"),
            "link set lo up".to_owned(),
        ] {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={namespace}")).arg("ip").args(line.split(' '));
            run(&mut command, "");
        }
        let mut proxy = tinyproxy(directory, number, &out);
        proxy.wait_ready(|| TcpStream::connect((out.as_str(), PROXY_PORT)).is_ok());
        Self { _resident: resident, proxy, number, namespace }
    }

    /// What to put into `https_proxy`, inside.
    #[must_use]
    pub fn proxy(&self) -> String {
        format!("http://10.77.{}.1:{PROXY_PORT}", self.number)
    }

    /// Everything that the proxy was asked, as its log has it.
    #[must_use]
    pub fn proxy_log(&self) -> String {
        self.proxy.log()
    }

    /// The words before a command that make it run inside.
    #[must_use]
    pub fn entrance(&self) -> Vec<OsString> {
        ["nsenter".to_owned(), format!("--net={}", self.namespace), "--".to_owned()].map(Into::into).to_vec()
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments), "");
}

fn tinyproxy(directory: &Path, number: usize, address: &str) -> Service {
    let path = directory.join(format!("tinyproxy{number}.conf"));
    // Without a ConnectPort every port may be connected to: the CA here is not on 443.
    let configuration = format!(
        "Port {PROXY_PORT}\nListen {address}\nTimeout 600\nMaxClients 100\nLogLevel Connect\nAllow {address}/30\n"
    );
    std::fs::write(&path, configuration).expect("the rig's directory is writable");
    let mut command = Command::new("tinyproxy");
    command.arg("-d").arg("-c").arg(path);
    Service::start(&format!("tinyproxy{number}"), directory, &mut command)
}
