//! A question, its reply, and what may come instead.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use std::fmt;
use std::io;

/// What a UDP answer may hold without fragments (DNS flag day 2020).
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// A question: a name and a type, class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) record_type: RecordType,
    /// RD: whether the server is to find the answer out (RFC 1035 §4.1.1).
    recursion: bool,
}

impl Question {
    /// For a server that knows the answer itself.
    pub(super) fn new(name: Name, record_type: RecordType) -> Self {
        Self { name, record_type, recursion: false }
    }

    /// For a recursive resolver.
    pub(super) fn recursive(name: Name, record_type: RecordType) -> Self {
        Self { name, record_type, recursion: true }
    }

    /// The message that asks this under `id`.
    pub(super) fn message(&self, id: u16, edns: bool) -> Message {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.recursion;
        message.add_query(Query::query(self.name.clone(), self.record_type));
        if edns {
            let mut options = Edns::new();
            options.set_max_payload(UDP_PAYLOAD);
            message.set_edns(options);
        }
        message
    }
}

/// A reply to the question that was asked, from whom it was asked.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) message: Message,
    pub(super) transport: Transport,
}

/// How a reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryError {
    /// This machine has no route to the address; nothing was sent.
    NoRoute,
    /// Neither transport gave an answer.
    Unanswered { udp: Silence, tcp: Silence },
}

/// What came instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing in time.
    Nothing,
    /// The host says that nobody listens.
    Refused,
    /// The connection was closed before the answer.
    Closed,
    /// Something that is no DNS message, or answers another question.
    Garbage,
    /// An answer cut off for UDP, or in other letter case than asked: only TCP helps.
    NeedsTcp,
    /// Not asked this way.
    NotAsked,
    /// A certificate that does not prove the server's name.
    Untrusted,
    /// Something that is no TLS.
    NoTls,
    /// Its name has no address.
    Unknown,
    /// The system would not send.
    Failed(io::ErrorKind),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Refused => "refused",
            Self::Closed => "closed without an answer",
            Self::Garbage => "something unreadable",
            Self::NeedsTcp => "only a part",
            Self::NotAsked => "not asked",
            Self::Untrusted => "a certificate that is not trusted",
            Self::NoTls => "something that is no TLS",
            Self::Unknown => "no address for its name",
            Self::Failed(kind) => return write!(f, "{kind}"),
        })
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoute => f.write_str("no route from here"),
            Self::Unanswered { udp: Silence::NotAsked, tcp } => write!(f, "{tcp} over TCP"),
            Self::Unanswered { udp, tcp } if udp == tcp => write!(f, "{udp} over UDP and TCP"),
            Self::Unanswered { udp, tcp } => write!(f, "{udp} over UDP, {tcp} over TCP"),
        }
    }
}

impl Silence {
    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            kind => Self::Failed(kind),
        }
    }
}

/// What some octets are to a question.
#[derive(Debug)]
pub(super) enum Fit {
    /// Its answer.
    Answer(Message),
    /// Its answer, cut off (TC, RFC 2181 §9).
    Truncated,
    /// Its answer but for the letter case.
    OtherCase,
    /// Somebody else's.
    Stranger,
    /// With the right id, but not readable.
    Garbage,
}

/// Holds `octets` against the question asked under `id`: id, QR, opcode, name with its letter
/// case, type and class must agree. An error may come without the question section.
pub(super) fn fit(octets: &[u8], id: u16, question: &Question) -> Fit {
    let Some((header, _)) = octets.split_first_chunk::<12>() else {
        return Fit::Stranger;
    };
    if header[..2] != id.to_be_bytes() || header[2] & 0x80 == 0 {
        return Fit::Stranger;
    }
    if header[2] & 0x02 != 0 {
        // Whatever else it says is asked again over TCP.
        return Fit::Truncated;
    }
    let Ok(message) = Message::from_vec(octets) else {
        return Fit::Garbage;
    };
    if message.op_code != OpCode::Query {
        return Fit::Stranger;
    }
    let [asked] = message.queries.as_slice() else {
        let error = !matches!(message.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
        return if message.queries.is_empty() && error { Fit::Answer(message) } else { Fit::Stranger };
    };
    let same = asked.query_type == question.record_type
        && asked.query_class == DNSClass::IN
        && asked.name == question.name;
    match (same, asked.name.eq_case(&question.name)) {
        (true, true) => Fit::Answer(message),
        (true, false) => Fit::OtherCase,
        _ => Fit::Stranger,
    }
}
