//! The stream below a shared connection: TCP (RFC 7766), or TLS over it (RFC 7858).

use super::message::Silence;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Where a connection leads, and under what protection.
pub(super) struct Road {
    host: Host,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

enum Host {
    Address(SocketAddr),
    /// To be looked up as this machine looks up names.
    Name(String, u16),
}

impl Road {
    /// TCP to `address`.
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self { host: Host::Address(address), tls: None }
    }

    /// TLS with the server `name`, at `address` or where this machine finds it.
    ///
    /// # Errors
    /// In words, which setting cannot be used.
    pub(super) fn secured(
        name: &str,
        port: u16,
        address: Option<SocketAddr>,
        ca_bundle: Option<&Path>,
    ) -> Result<Self, String> {
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is no server's name"))?;
        let connector = TlsConnector::from(Arc::new(client_config(ca_bundle)?));
        let host = address.map_or_else(|| Host::Name(name.to_owned(), port), Host::Address);
        Ok(Self { host, tls: Some((connector, server)) })
    }

    /// Connects; the caller sets the time limit.
    pub(super) async fn connect(&self) -> Result<(Reader, Writer), Silence> {
        let address = match &self.host {
            Host::Address(address) => *address,
            Host::Name(name, port) => {
                let found = lookup_host((name.as_str(), *port)).await.ok().and_then(|mut found| found.next());
                found.ok_or(Silence::Unknown)?
            }
        };
        let stream = TcpStream::connect(address).await.map_err(|error| Silence::from_io(&error))?;
        // Without it small writes wait for acknowledgements; failing to set it only costs time.
        let _ = stream.set_nodelay(true);
        let Some((connector, server)) = &self.tls else {
            let (reader, writer) = stream.into_split();
            return Ok((Reader::Plain(reader), Writer::Plain(writer)));
        };
        let stream = connector.connect(server.clone(), stream).await.map_err(|error| tls_silence(&error))?;
        let (reader, writer) = split(Box::new(stream));
        Ok((Reader::Tls(reader), Writer::Tls(writer)))
    }
}

/// Trusts the roots in `ca_bundle` alone, or those of this machine.
fn client_config(ca_bundle: Option<&Path>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(path) = ca_bundle else {
        use rustls_platform_verifier::BuilderVerifierExt as _;
        let builder = builder.with_platform_verifier().map_err(|error| error.to_string())?;
        return Ok(builder.with_no_client_auth());
    };
    let unreadable = |what: String| format!("the CA bundle `{}` cannot be used: {what}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("it holds no certificate".to_owned()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn tls_silence(error: &io::Error) -> Silence {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => Silence::Untrusted,
        Some(_) => Silence::NoTls,
        None => Silence::from_io(error),
    }
}

/// The half that answers come by.
pub(super) enum Reader {
    Plain(OwnedReadHalf),
    Tls(ReadHalf<Box<TlsStream<TcpStream>>>),
}

/// The half that questions go by.
pub(super) enum Writer {
    Plain(OwnedWriteHalf),
    Tls(WriteHalf<Box<TlsStream<TcpStream>>>),
}

impl Reader {
    /// A server that gathers small segments (Nagle) sends its next answer only when the one
    /// before is acknowledged, which the kernel likes to do 40 ms later. The option wears off.
    pub(super) fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Plain(half) = self {
            // Failing to set it only costs time.
            let _ = AsRef::<TcpStream>::as_ref(half).set_quickack(true);
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_read(context, buffer),
            Self::Tls(half) => Pin::new(half).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_write(context, octets),
            Self::Tls(half) => {
                let written = Pin::new(&mut *half).poll_write(context, octets);
                // TLS keeps records back until it is flushed. What the socket does not take now
                // goes with the next question; one that stands still is closed.
                let _ = Pin::new(half).poll_flush(context);
                written
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_flush(context),
            Self::Tls(half) => Pin::new(half).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_shutdown(context),
            Self::Tls(half) => Pin::new(half).poll_shutdown(context),
        }
    }
}
