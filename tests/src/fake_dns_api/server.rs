//! Listener and connections: HTTP/1.1 without TLS.

use super::Service;
use super::exchange::Exchange;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A runtime with an HTTP server on it; dropping it closes every connection.
#[derive(Debug)]
pub(super) struct Stage {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Stage {
    pub(super) fn open<S: Service>(
        listener: std::net::TcpListener,
        exchange: Arc<Exchange<S>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        // One thread is enough for a test's server, apart from the test's own runtime.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fake-dns-api")
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        runtime.spawn(accept(listener, exchange));
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

async fn accept<S: Service>(listener: TcpListener, exchange: Arc<Exchange<S>>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve(socket, Arc::clone(&exchange)));
    }
}

/// One connection, until either side ends it.
async fn serve<S: Service>(socket: TcpStream, exchange: Arc<Exchange<S>>) {
    // Small replies must not wait for the acknowledgement of the one before.
    let _slower_without = socket.set_nodelay(true);
    let service = service_fn(|request| answer(request, Arc::clone(&exchange)));
    let _how_it_ended = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer<S: Service>(
    request: Request<Incoming>,
    exchange: Arc<Exchange<S>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let Some(answer) = exchange.answer(&head, body) else {
        return Err(io::Error::other("the test ends the connection"));
    };
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}
