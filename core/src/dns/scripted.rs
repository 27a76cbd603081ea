//! For tests: name servers in this process, that do as they are told.

use super::answer::wire_name;
use super::message::Transport;
use dns01_provider::name::Fqdn;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CAA, CNAME, NS, NULL, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// One question, as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) transport: Transport,
    pub(super) message: Message,
}

impl Asked {
    pub(super) fn name(&self) -> &Name {
        &self.message.queries[0].name
    }

    pub(super) fn record_type(&self) -> RecordType {
        self.message.queries[0].query_type
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.transport == Transport::Tcp
    }

    /// An empty answer, authoritative.
    pub(super) fn reply(&self, code: ResponseCode) -> Message {
        let mut reply = Message::new(self.message.id, MessageType::Response, OpCode::Query);
        reply.queries.clone_from(&self.message.queries);
        reply.metadata.authoritative = true;
        reply.metadata.response_code = code;
        reply
    }
}

/// What a server does about a question.
pub(super) enum Act {
    Reply(Message),
    Octets(Vec<u8>),
    Silence,
    /// Closes the connection (over TCP).
    Close,
}

type Script = Box<dyn FnMut(&Asked) -> Act + Send>;

/// A server on UDP and TCP; it stops when dropped.
pub(super) struct ScriptedServer {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    log: Arc<Mutex<Vec<Asked>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl ScriptedServer {
    pub(super) async fn start(script: impl FnMut(&Asked) -> Act + Send + 'static) -> Self {
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = tcp.local_addr().unwrap();
            // Another program may have the port on UDP.
            if let Ok(udp) = UdpSocket::bind(address).await {
                return Self::on(udp, tcp, Box::new(script));
            }
        }
    }

    /// A server at a given address; `None` if it is taken.
    pub(super) async fn start_at(
        address: SocketAddr,
        script: impl FnMut(&Asked) -> Act + Send + 'static,
    ) -> Option<Self> {
        let udp = UdpSocket::bind(address).await.ok()?;
        Some(Self::on(udp, TcpListener::bind(address).await.ok()?, Box::new(script)))
    }

    /// A server that answers from `zones` as the books say.
    pub(super) async fn serving(zones: Vec<ZoneData>) -> Self {
        Self::start(move |asked| Act::Reply(answer(&zones, asked))).await
    }

    /// A recursive resolver that knows these records and no others.
    pub(super) async fn recursive(lines: &str) -> Self {
        let records: Vec<Record> =
            lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(record).collect();
        Self::start(move |asked| {
            let mut reply = asked.reply(ResponseCode::NoError);
            reply.metadata.recursion_available = true;
            let fitting = |record: &&Record| {
                record.name == *asked.name() && record.record_type() == asked.record_type()
            };
            reply.answers = records.iter().filter(fitting).cloned().collect();
            Act::Reply(reply)
        })
        .await
    }

    /// Servers at the same port of as many loopback addresses.
    pub(super) async fn crowd(zones: Vec<Vec<ZoneData>>) -> Vec<Self> {
        loop {
            let port = rand::random_range(22_000..60_000);
            let [a, b] = [rand::random_range(1..250), rand::random_range(1..250)];
            let mut crowd = Vec::new();
            for (index, zones) in zones.iter().cloned().enumerate() {
                let host = u8::try_from(index).unwrap() + 1;
                let script = move |asked: &Asked| Act::Reply(answer(&zones, asked));
                crowd.extend(Self::start_at(SocketAddr::from(([127, a, b, host], port)), script).await);
            }
            if crowd.len() == zones.len() {
                return crowd;
            }
        }
    }

    fn on(udp: UdpSocket, tcp: TcpListener, script: Script) -> Self {
        let address = tcp.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script));
        let log = Arc::new(Mutex::new(Vec::new()));
        let play = {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            Arc::new(move |transport, octets: &[u8]| {
                let asked = Asked { transport, message: Message::from_vec(octets).unwrap() };
                log.lock().unwrap().push(asked.clone());
                let act = script.lock().unwrap()(&asked);
                match act {
                    Act::Reply(message) => Act::Octets(message.to_vec().unwrap()),
                    act => act,
                }
            })
        };
        let play_tcp = Arc::clone(&play);
        let tasks = vec![
            tokio::spawn(async move {
                let mut buffer = [0; 2048];
                while let Ok((length, peer)) = udp.recv_from(&mut buffer).await {
                    if let Act::Octets(octets) = play(Transport::Udp, &buffer[..length]) {
                        let _ = udp.send_to(&octets, peer).await;
                    }
                }
            }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = tcp.accept().await {
                    let play = Arc::clone(&play_tcp);
                    tokio::spawn(serve_stream(stream, move |octets: &[u8]| play(Transport::Tcp, octets)));
                }
            }),
        ];
        Self { address, script, log, tasks }
    }

    /// From now on it does this.
    pub(super) fn now(&self, script: impl FnMut(&Asked) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(super) fn now_serves(&self, zones: Vec<ZoneData>) {
        self.now(move |asked| Act::Reply(answer(&zones, asked)));
    }

    /// Every question so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

async fn serve_stream(mut stream: TcpStream, play: impl Fn(&[u8]) -> Act) {
    while let Ok(length) = stream.read_u16().await {
        let mut octets = vec![0; usize::from(length)];
        if stream.read_exact(&mut octets).await.is_err() {
            return;
        }
        match play(&octets) {
            Act::Octets(answer) => {
                let mut framed = u16::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
                framed.extend(answer);
                if stream.write_all(&framed).await.is_err() {
                    return;
                }
            }
            Act::Close => return,
            _ => {}
        }
    }
}

/// A zone: `name TYPE data` a line, names in full without the last dot.
#[derive(Clone)]
pub(super) struct ZoneData {
    apex: Name,
    records: Vec<Record>,
    with_soa: bool,
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).unwrap()
}

impl ZoneData {
    pub(super) fn new(apex: &str, lines: &str) -> Self {
        let records = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(record).collect();
        Self { apex: name(apex), records, with_soa: true }
    }

    /// Leaves SOA records out of negative answers, as some appliances do.
    pub(super) fn without_soa(mut self) -> Self {
        self.with_soa = false;
        self
    }

    pub(super) fn soa(&self) -> Record {
        let soa = SOA::new(self.apex.clone(), self.apex.clone(), 7, 1, 1, 1, 1);
        Record::from_rdata(self.apex.clone(), 60, RData::SOA(soa))
    }

    fn of<'a>(&'a self, owner: &'a Name, record_type: RecordType) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.name == *owner && record.record_type() == record_type)
    }

    fn exists(&self, name: &Name) -> bool {
        *name == self.apex || self.records.iter().any(|record| name.zone_of(&record.name))
    }

    /// RFC 1034 §4.3.2, RFC 4592 and RFC 6672.
    fn answer(&self, asked: &Asked) -> Message {
        let mut reply = asked.reply(ResponseCode::NoError);
        let mut wanted = asked.name().to_lowercase();
        for _ in 0..10 {
            let ancestors = || std::iter::successors(Some(wanted.clone()), |name| Some(name.base_name()));
            let inside: Vec<Name> = ancestors().take_while(|name| *name != self.apex).collect();
            let cut = inside.iter().rev().find(|name| self.of(name, RecordType::NS).next().is_some());
            if let Some(cut) = cut {
                reply.metadata.authoritative = !reply.answers.is_empty();
                reply.authorities = self.of(cut, RecordType::NS).cloned().collect();
                let glue: Vec<Record> = reply
                    .authorities
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::NS(server) => Some(self.of(&server.0, RecordType::A).cloned()),
                        _ => None,
                    })
                    .flatten()
                    .collect();
                reply.additionals = glue;
                return reply;
            }
            let owner = if self.exists(&wanted) { wanted.clone() } else { self.wildcard(&inside) };
            let dname = inside.iter().skip(1).find_map(|name| self.of(name, RecordType::DNAME).next());
            let next = match (dname, self.of(&owner, RecordType::CNAME).next()) {
                (Some(dname), _) => {
                    let RData::Unknown { rdata, .. } = &dname.data else { unreachable!() };
                    let mut decoder = hickory_proto::serialize::binary::BinDecoder::new(&rdata.anything);
                    let target =
                        <Name as hickory_proto::serialize::binary::BinDecodable>::read(&mut decoder).unwrap();
                    reply.answers.push(dname.clone());
                    let kept = wanted.iter().count() - dname.name.iter().count();
                    let front = Name::from_labels(wanted.iter().take(kept)).unwrap();
                    front.append_domain(&target).unwrap()
                }
                (None, Some(cname)) => {
                    let RData::CNAME(target) = &cname.data else { unreachable!() };
                    target.0.clone()
                }
                (None, None) => {
                    let found = self.of(&owner, asked.record_type()).cloned();
                    let found =
                        found.map(|record| Record::from_rdata(wanted.clone(), record.ttl, record.data));
                    let soa =
                        (owner == self.apex && asked.record_type() == RecordType::SOA).then(|| self.soa());
                    let found: Vec<Record> = found.chain(soa).collect();
                    if !self.exists(&owner) {
                        reply.metadata.response_code = ResponseCode::NXDomain;
                    }
                    if found.is_empty() && self.with_soa {
                        reply.authorities = vec![self.soa()];
                    }
                    reply.answers.extend(found);
                    return reply;
                }
            };
            reply.answers.push(Record::from_rdata(wanted.clone(), 60, RData::CNAME(CNAME(next.clone()))));
            if !self.apex.zone_of(&next) {
                return reply;
            }
            wanted = next;
        }
        reply
    }

    /// The wildcard at the closest encloser of a name that is not there.
    fn wildcard(&self, inside: &[Name]) -> Name {
        let encloser = inside.iter().find(|name| self.exists(name)).unwrap_or(&self.apex);
        encloser.prepend_label("*").unwrap()
    }
}

/// The answer of a server that has `zones`: from the longest that contains the name.
pub(super) fn answer(zones: &[ZoneData], asked: &Asked) -> Message {
    let fitting = zones.iter().filter(|zone| zone.apex.zone_of(asked.name()));
    match fitting.max_by_key(|zone| zone.apex.iter().count()) {
        Some(zone) => zone.answer(asked),
        None => {
            let mut reply = asked.reply(ResponseCode::Refused);
            reply.metadata.authoritative = false;
            reply
        }
    }
}

fn record(line: &str) -> Record {
    let mut words = line.splitn(3, ' ');
    let (owner, kind, data) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
    let data = match kind {
        "A" => match data.parse().unwrap() {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(_) => unreachable!(),
        },
        "NS" => RData::NS(NS(name(data))),
        "CNAME" => RData::CNAME(CNAME(name(data))),
        "TXT" => RData::TXT(TXT::new(vec![data.to_owned()])),
        "DNAME" => {
            RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(name(data).to_bytes().unwrap()) }
        }
        "CAA" => {
            let mut parts = data.splitn(3, ' ');
            let flags: u8 = parts.next().unwrap().parse().unwrap();
            let tag = parts.next().unwrap();
            let mut caa = CAA::new_issue(flags & 0x80 != 0, None, Vec::new());
            caa.reserved_flags = flags & 0x7f;
            tag.clone_into(&mut caa.tag);
            caa.value = parts.next().unwrap().trim_matches('"').as_bytes().to_vec();
            RData::CAA(caa)
        }
        other => panic!("{other}"),
    };
    Record::from_rdata(name(owner), 60, data)
}

/// The wire form of a name in a test.
pub(super) fn wire(text: &str) -> Name {
    wire_name(&Fqdn::parse(text).unwrap())
}
