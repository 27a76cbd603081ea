//! A way to an HTTP server on which requests are counted.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How the first line of a request ends; no body of JSON has that.
const END_OF_LINE: &[u8] = b" HTTP/1.1\r\n";

/// Passes connections on. It ends with the program.
pub(super) struct Relay {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Relay {
    /// A way to `server`, on a free port of 127.0.0.1.
    pub(super) fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose connection breaks says so itself.
                let _ = pass(client, server, &counted);
            }
        });
        Ok(Self { address, requests })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn pass(mut client: TcpStream, server: SocketAddr, requests: &Arc<AtomicUsize>) -> io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let (mut back, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut back, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let requests = Arc::clone(requests);
    thread::spawn(move || {
        let (mut buffer, mut matched) = ([0; 8192], 0);
        while let Ok(length) = client.read(&mut buffer) {
            if length == 0 || server.write_all(&buffer[..length]).is_err() {
                break;
            }
            requests.fetch_add(ends(&buffer[..length], &mut matched), Ordering::SeqCst);
        }
        let _ = server.shutdown(Shutdown::Write);
    });
    Ok(())
}

/// How many lines of requests end in `octets`; `matched` of the end's octets came before.
fn ends(octets: &[u8], matched: &mut usize) -> usize {
    let mut count = 0;
    for octet in octets {
        // No octet of the end but its first begins it anew.
        *matched = match *octet == END_OF_LINE[*matched] {
            true => *matched + 1,
            false => usize::from(*octet == END_OF_LINE[0]),
        };
        if *matched == END_OF_LINE.len() {
            (count, *matched) = (count + 1, 0);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_however_they_are_cut() {
        let text =
            b"GET /a HTTP/1.1\r\nhost: x\r\n\r\nPATCH / HTTP/1.1  HTTP/1.1\r\n\r\n{\"a\": \" HTTP/1.1\"}";
        for size in 1..text.len() {
            let mut matched = 0;
            let counted: usize = text.chunks(size).map(|chunk| ends(chunk, &mut matched)).sum();
            assert_eq!(counted, 2, "in parts of {size}");
        }
    }
}
