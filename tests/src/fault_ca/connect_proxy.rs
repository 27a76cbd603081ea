//! Small things on the way to a CA: a CONNECT proxy that remembers, and a port where nobody listens.

use super::lock;
use super::server::runtime;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// An HTTP proxy that does nothing but CONNECT (RFC 9110 §9.3.6) and remembers to where.
/// Dropping it closes it.
#[derive(Debug)]
pub struct ConnectProxy {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
    runtime: Option<Runtime>,
}

impl ConnectProxy {
    /// Starts a proxy on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no socket or thread is to be had.
    pub fn start() -> io::Result<Self> {
        Self::leading(None)
    }

    /// Starts one that takes a host of the outside world (`ca.test:443`) for `address`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_for(host: &str, address: SocketAddr) -> io::Result<Self> {
        Self::leading(Some((host.to_owned(), address)))
    }

    fn leading(astray: Option<(String, SocketAddr)>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (runtime, listener) = runtime("connect-proxy", listener)?;
        let targets = Arc::default();
        let heard = Arc::clone(&targets);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, Arc::clone(&heard), astray.clone()));
            }
        });
        Ok(Self { address, targets, runtime: Some(runtime) })
    }

    /// What to put into `https_proxy`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `host:port` of each CONNECT, oldest first.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        lock(&self.targets).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn tunnel(
    client: TcpStream,
    targets: Arc<Mutex<Vec<String>>>,
    astray: Option<(String, SocketAddr)>,
) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut request = String::new();
    client.read_line(&mut request).await?;
    let mut header = String::new();
    while client.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let target = match request.split(' ').collect::<Vec<_>>()[..] {
        ["CONNECT", target, _] => target.to_owned(),
        _ => return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await,
    };
    lock(&targets).push(target.clone());
    let target = astray.filter(|(host, _)| *host == target).map_or(target, |(_, to)| to.to_string());
    let Ok(mut server) = TcpStream::connect(&target).await else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
    };
    client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

/// A TCP port of 127.0.0.1 that is kept taken and refuses every connection.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _taken: tokio::net::TcpSocket,
}

impl ClosedPort {
    /// Takes a port without listening on it.
    ///
    /// # Errors
    /// When no port is free.
    pub fn take() -> io::Result<Self> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { address: socket.local_addr()?, _taken: socket })
    }

    /// Where nobody listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
