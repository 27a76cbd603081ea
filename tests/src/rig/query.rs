//! Questions to one server, asked without any resolver in between.

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::io::{Error, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `server` once over UDP, and over TCP when the answer is cut; RD=0.
///
/// # Errors
/// No whole answer within three seconds.
pub fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Result<Message> {
    let question = question(name, kind, false)?;
    let answer = over_udp(server, &question)?;
    if answer.metadata.truncation { over_tcp(server, &question) } else { Ok(answer) }
}

/// Asks a recursive resolver, RD=1.
///
/// # Errors
/// No whole answer within three seconds.
pub fn resolve(resolver: SocketAddr, name: &str, kind: RecordType) -> Result<Message> {
    let question = question(name, kind, true)?;
    let answer = over_udp(resolver, &question)?;
    if answer.metadata.truncation { over_tcp(resolver, &question) } else { Ok(answer) }
}

/// Asks `server` once over TCP; RD=0.
///
/// # Errors
/// No whole answer within three seconds.
pub fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Result<Message> {
    over_tcp(server, &question(name, kind, false)?)
}

/// Asks a recursive resolver over TCP, RD=1; servers that are none ignore the difference.
///
/// # Errors
/// No whole answer within three seconds.
pub fn resolve_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Result<Message> {
    over_tcp(server, &question(name, kind, true)?)
}

/// The TXT values at `name` on `server`, sorted; none when it does not answer.
#[must_use]
pub fn txt(server: SocketAddr, name: &str) -> Vec<String> {
    let answers = ask(server, name, RecordType::TXT).map(|message| message.answers).unwrap_or_default();
    let mut values: Vec<String> = answers.iter().filter_map(text).collect();
    values.sort();
    values
}

/// The serial of `zone` on `server`, if it serves the zone with authority.
#[must_use]
pub fn serial(server: SocketAddr, zone: &str) -> Option<u32> {
    let message = ask(server, zone, RecordType::SOA).ok()?;
    if !message.metadata.authoritative {
        return None;
    }
    message.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    })
}

/// All records of `zone`, by AXFR (RFC 5936).
///
/// # Errors
/// No whole transfer within three seconds, or a refusal.
pub fn transfer(server: SocketAddr, zone: &str) -> Result<Vec<Record>> {
    let mut stream = connect(server)?;
    send(&mut stream, &question(zone, RecordType::AXFR, false)?)?;
    let mut records: Vec<Record> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let message = receive(&mut stream)?;
        if message.answers.is_empty() || Instant::now() > deadline {
            return Err(Error::other(format!(
                "{server} refuses to transfer {zone}: {}",
                message.metadata.response_code
            )));
        }
        records.extend(message.answers);
        // The SOA opens the transfer and closes it.
        if records.len() > 1 && records.last().is_some_and(|last| last.record_type() == RecordType::SOA) {
            records.pop();
            return Ok(records);
        }
    }
}

/// The text of a TXT record, its strings joined.
#[must_use]
pub fn text(record: &Record) -> Option<String> {
    match &record.data {
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect()),
        _ => None,
    }
}

fn question(name: &str, kind: RecordType, recursion: bool) -> Result<Message> {
    let mut name = Name::from_ascii(name).map_err(Error::other)?;
    name.set_fqdn(true);
    let mut message = Message::query();
    message.metadata.recursion_desired = recursion;
    message.add_query(Query::query(name, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    Ok(message)
}

fn over_udp(server: SocketAddr, question: &Message) -> Result<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&encode(question)?)?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    decode(&buffer[..length], question)
}

fn over_tcp(server: SocketAddr, question: &Message) -> Result<Message> {
    let mut stream = connect(server)?;
    send(&mut stream, question)?;
    let answer = receive(&mut stream)?;
    Ok(answer)
}

fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, message: &Message) -> Result<()> {
    let octets = encode(message)?;
    let length = u16::try_from(octets.len()).map_err(Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), octets.as_slice()].concat())
}

fn receive(stream: &mut TcpStream) -> Result<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets)?;
    Message::from_vec(&octets).map_err(Error::other)
}

fn encode(message: &Message) -> Result<Vec<u8>> {
    message.to_vec().map_err(Error::other)
}

fn decode(octets: &[u8], question: &Message) -> Result<Message> {
    let answer = Message::from_vec(octets).map_err(Error::other)?;
    if answer.metadata.id != question.metadata.id {
        return Err(Error::other("the answer is to another question"));
    }
    Ok(answer)
}
