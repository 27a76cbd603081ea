//! Listener and connections: TLS, HTTP/1.1, and the three ways a connection ends.

use super::exchange::{Asked, Ending, Exchange};
use super::reply::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// A runtime with an HTTPS server on it; dropping it closes every connection.
#[derive(Debug)]
pub(super) struct Stage {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Stage {
    pub(super) fn open(
        listener: std::net::TcpListener,
        tls: Arc<ServerConfig>,
        exchange: Arc<Exchange>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (runtime, listener) = runtime("fault-ca", listener)?;
        runtime.spawn(accept(listener, TlsAcceptor::from(tls), exchange));
        Ok(Self { address, runtime: Some(runtime) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One worker thread for `listener`: enough for a test's server, and apart from the test's own
/// runtime, if it has one.
pub(super) fn runtime(name: &str, listener: std::net::TcpListener) -> io::Result<(Runtime, TcpListener)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(name)
        .enable_all()
        .build()?;
    listener.set_nonblocking(true)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    Ok((runtime, listener))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, exchange: Arc<Exchange>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve(socket, tls.clone(), Arc::clone(&exchange)));
    }
}

/// One connection, until either side ends it.
async fn serve(socket: TcpStream, tls: TlsAcceptor, exchange: Arc<Exchange>) {
    // Small replies must not wait for the acknowledgement of the one before.
    let _slower_without = socket.set_nodelay(true);
    let Ok(stream) = tls.accept(socket).await else { return };
    let reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| Box::pin(answer(request, Arc::clone(&exchange), Arc::clone(&reset))));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _how_it_ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if reset.load(Ordering::SeqCst) {
        let (socket, _) = connection.into_parts().io.into_inner().into_inner();
        // Closing a socket that must not linger sends RST instead of FIN.
        let _closed_already = socket.set_zero_linger();
    }
}

async fn answer(
    request: Request<Incoming>,
    exchange: Arc<Exchange>,
    reset: Arc<AtomicBool>,
) -> Result<Response<Body>, Ending> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Err(Ending::Close) };
    let asked = Asked { head, body: body.to_bytes() };
    // A task of its own: a client that dies does not stop what it had already asked for.
    let reply = tokio::spawn(async move { exchange.answer(asked).await }).await;
    match reply.unwrap_or(Err(Ending::Close)) {
        Ok(reply) => Ok(reply.into_response()),
        Err(ending) => {
            reset.store(ending == Ending::Reset, Ordering::SeqCst);
            Err(ending)
        }
    }
}
