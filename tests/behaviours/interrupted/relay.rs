//! A way to the DNS provider that can be blocked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a server; while it is stalled it takes new ones and leaves them
/// without an answer.
pub(super) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    stalled: AtomicBool,
    calls: AtomicUsize,
    /// Taken while stalled; open until the relay is gone.
    waiting: Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub(super) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            stalled: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            waiting: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        // It ends with the test program.
        thread::spawn(move || listener.incoming().flatten().for_each(|client| of_thread.take(client)));
        Self { address, shared }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub(super) fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    pub(super) fn stall(&self) {
        self.shared.stalled.store(true, Ordering::SeqCst);
    }

    pub(super) fn go_on(&self) {
        self.shared.stalled.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn take(&self, client: TcpStream) {
        if self.stalled.load(Ordering::SeqCst) {
            self.waiting.lock().unwrap().push(client);
        } else {
            let server = TcpStream::connect(self.server).unwrap();
            pass(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass(server, client);
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

/// Copies one direction until either side ends it.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
