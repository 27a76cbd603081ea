//! Sockets, and one answer to one question.

use super::conduct::{Basis, Behaviour, Conduct, Extensions};
use super::zone::{self, Zone};
use super::{Question, Transport, lock};
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::{Name, RData, Record};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;

/// What a UDP answer may weigh without EDNS (RFC 1035 §4.2.1).
const PLAIN_UDP: usize = 512;
/// What this server takes and sends over UDP.
const UDP_PAYLOAD: u16 = 1232;
/// How many free ports are tried until one is free for both transports.
const PORT_TRIES: usize = 20;

/// What the sockets of one server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) behaviour: Mutex<Behaviour>,
    pub(super) zones: Mutex<Vec<Zone>>,
    pub(super) questions: Mutex<Vec<Question>>,
    arrived: AtomicUsize,
}

impl Shared {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour: Mutex::new(behaviour),
            zones: Mutex::default(),
            questions: Mutex::default(),
            arrived: AtomicUsize::new(0),
        }
    }

    fn conduct(&self, transport: Transport) -> Option<Conduct> {
        let behaviour = lock(&self.behaviour);
        match transport {
            Transport::Udp => behaviour.udp.clone(),
            Transport::Tcp => behaviour.tcp.clone(),
        }
    }

    /// The messages that answer `octets`, in order; none when it stays unanswered.
    async fn answers(&self, octets: &[u8], transport: Transport) -> Vec<Vec<u8>> {
        let Ok(asked) = Message::from_vec(octets) else { return Vec::new() };
        let (Some(query), Some(conduct)) = (asked.queries.first(), self.conduct(transport)) else {
            return Vec::new();
        };
        lock(&self.questions).push(Question {
            name: query.name().to_string(),
            kind: query.query_type(),
            transport,
            edns: asked.edns.is_some(),
            at: std::time::Instant::now(),
        });
        let number = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        let edns_dropped = conduct.extensions == Extensions::Dropped && asked.edns.is_some();
        let lost = conduct.drops_every.is_some_and(|n| number.is_multiple_of(n));
        if conduct.basis == Basis::Silence || edns_dropped || lost {
            return Vec::new();
        }
        tokio::time::sleep(conduct.delay).await;
        let answer = answer(&asked, &conduct, &mut lock(&self.zones));
        let mut answers = Vec::new();
        if conduct.forges {
            answers.extend(forgery(&answer).to_vec());
        }
        answers.extend(fitted(&asked, answer, &conduct, transport).to_vec());
        answers
    }
}

/// The answer, whatever its size.
fn answer(asked: &Message, conduct: &Conduct, zones: &mut [Zone]) -> Message {
    let query = &asked.queries[0];
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.recursion_desired = asked.metadata.recursion_desired;
    let mut question = query.clone();
    if !conduct.keeps_case {
        question.set_name(query.name().to_lowercase());
    }
    answer.add_query(question);
    if let (Extensions::Refused(code), Some(_)) = (conduct.extensions, &asked.edns) {
        answer.metadata.response_code = code;
        if code.high() > 0 {
            let mut edns = Edns::new();
            edns.set_rcode_high(code.high());
            answer.set_edns(edns);
        }
        return answer;
    }
    match conduct.basis {
        Basis::Code(code) => answer.metadata.response_code = code,
        Basis::UpwardReferral => {
            let root = Name::from_ascii("a.root-servers.net.").expect("a constant name");
            answer.add_authority(Record::from_rdata(Name::root(), 3_600_000, RData::NS(NS(root))));
        }
        Basis::Answer | Basis::Silence => zone::answer(zones, query, conduct.has_text, &mut answer),
    }
    if !conduct.authoritative {
        answer.metadata.authoritative = false;
    }
    if asked.edns.is_some() && conduct.extensions == Extensions::Spoken {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        answer.set_edns(edns);
    }
    answer
}

/// What somebody who only guesses would send.
fn forgery(answer: &Message) -> Message {
    let mut forged = answer.clone();
    forged.metadata.id = forged.metadata.id.wrapping_add(1);
    forged.metadata.response_code = ResponseCode::NXDomain;
    forged.answers.clear();
    forged
}

/// The answer, emptied where its conduct says so or where it is too big for UDP.
fn fitted(asked: &Message, answer: Message, conduct: &Conduct, transport: Transport) -> Message {
    let room = match &asked.edns {
        Some(edns) if conduct.extensions == Extensions::Spoken => {
            usize::from(edns.max_payload().clamp(512, UDP_PAYLOAD))
        }
        _ => PLAIN_UDP,
    };
    let too_big = transport == Transport::Udp && answer.to_vec().is_ok_and(|octets| octets.len() > room);
    if conduct.truncates || too_big { cut_off(answer) } else { answer }
}

fn cut_off(mut answer: Message) -> Message {
    answer.answers.clear();
    answer.authorities.clear();
    answer.additionals.clear();
    answer.metadata.truncation = true;
    answer.metadata.message_type = MessageType::Response;
    answer
}

/// The sockets of one server, bound but not yet read.
#[derive(Debug)]
pub(super) struct Sockets {
    address: SocketAddr,
    udp: Option<std::net::UdpSocket>,
    tcp: Option<std::net::TcpListener>,
}

impl Sockets {
    /// Binds what `behaviour` listens on, the same port for both.
    pub(super) fn open(address: SocketAddr, behaviour: &Behaviour) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..PORT_TRIES {
            match Self::open_once(address, behaviour) {
                Ok(sockets) => return Ok(sockets),
                Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn open_once(mut address: SocketAddr, behaviour: &Behaviour) -> io::Result<Self> {
        let udp = behaviour.udp.is_some().then(|| std::net::UdpSocket::bind(address)).transpose()?;
        if let Some(udp) = &udp {
            address = udp.local_addr()?;
            udp.set_nonblocking(true)?;
        }
        let tcp = behaviour.tcp.is_some().then(|| std::net::TcpListener::bind(address)).transpose()?;
        if let Some(tcp) = &tcp {
            address = tcp.local_addr()?;
            tcp.set_nonblocking(true)?;
        }
        Ok(Self { address, udp, tcp })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads them from now on.
    pub(super) fn serve(self, runtime: &Runtime, shared: &Arc<Shared>) -> io::Result<()> {
        let _inside = runtime.enter();
        if let Some(socket) = self.udp {
            let socket = Arc::new(UdpSocket::from_std(socket)?);
            runtime.spawn(serve_udp(socket, Arc::clone(shared)));
        }
        if let Some(listener) = self.tcp {
            let listener = TcpListener::from_std(listener)?;
            runtime.spawn(serve_tcp(listener, Arc::clone(shared)));
        }
        Ok(())
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut buffer = vec![0; 65_535];
    loop {
        // An error here is an earlier answer's that nobody took.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let (octets, socket, shared) = (buffer[..length].to_vec(), Arc::clone(&socket), Arc::clone(&shared));
        tokio::spawn(async move {
            for answer in shared.answers(&octets, Transport::Udp).await {
                let _lost_as_udp_may = socket.send_to(&answer, client).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, Arc::clone(&shared)));
    }
}

/// Question after question on one connection, each with its length before it (RFC 1035 §4.2.2).
async fn serve_stream(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await?;
        for answer in shared.answers(&octets, Transport::Tcp).await {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).await?;
        }
    }
}
