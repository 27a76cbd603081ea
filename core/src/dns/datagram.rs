//! One UDP exchange: a socket of its own and the datagrams that fit.

use super::message::{Fit, Question, Silence, fit};
use hickory_proto::op::Message;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// How UDP ended without an answer.
#[derive(Clone, Copy)]
pub(super) enum UdpEnd {
    NoRoute,
    Silent(Silence),
}

/// A socket that hears only `address`. Connecting asks the kernel for a route, and sends nothing.
pub(super) async fn connect(address: SocketAddr) -> Result<UdpSocket, UdpEnd> {
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A machine without IPv6 refuses already the socket or its binding.
    let socket = UdpSocket::bind(local).await.map_err(|error| match address {
        SocketAddr::V6(_) => UdpEnd::NoRoute,
        SocketAddr::V4(_) => UdpEnd::Silent(Silence::from_io(&error)),
    })?;
    socket.connect(address).await.map_err(|error| match error.kind() {
        // The last is for a link-local address, which is nowhere without its link.
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::InvalidInput => UdpEnd::NoRoute,
        _ => UdpEnd::Silent(Silence::from_io(&error)),
    })?;
    Ok(socket)
}

pub(super) async fn send(socket: &UdpSocket, attempt: &Attempt) -> Result<(), UdpEnd> {
    match socket.send(&attempt.datagram).await {
        Ok(_) => Ok(()),
        Err(error) => Err(UdpEnd::Silent(Silence::from_io(&error))),
    }
}

fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a name within its limits encodes")
}

/// One datagram's identity.
pub(super) struct Attempt {
    id: u16,
    question: Question,
    pub(super) edns: bool,
    datagram: Vec<u8>,
    /// True once something unreadable came.
    pub(super) garbage: bool,
}

/// What a datagram turned out to be.
#[derive(Debug)]
pub(super) enum Received {
    Answer(Message),
    Truncated,
    OtherCase,
    Failed(Silence),
}

impl Attempt {
    pub(super) fn new(question: &Question, edns: bool) -> Self {
        let mut question = question.clone();
        question.name.randomize_label_case();
        let id = rand::random();
        let datagram = encode(&question.message(id, edns));
        Self { id, question, edns, datagram, garbage: false }
    }

    /// The same question without the OPT record; a late answer to the first form still fits.
    pub(super) fn drop_edns(&mut self) {
        self.edns = false;
        self.datagram = encode(&self.question.message(self.id, false));
    }

    /// The next datagram that concerns this attempt.
    pub(super) async fn receive(&mut self, socket: &UdpSocket) -> Received {
        let mut buffer = vec![0; 4096];
        loop {
            let length = match socket.recv(&mut buffer).await {
                Ok(length) => length,
                Err(error) => return Received::Failed(Silence::from_io(&error)),
            };
            match fit(&buffer[..length], self.id, &self.question) {
                Fit::Answer(message) => return Received::Answer(message),
                Fit::Truncated => return Received::Truncated,
                Fit::OtherCase => return Received::OtherCase,
                Fit::Garbage => self.garbage = true,
                Fit::Stranger => {}
            }
        }
    }
}
