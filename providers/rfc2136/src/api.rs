//! DNS over TCP with one server: framing, signing, and the checks on every reply.

use crate::config::{Config, TsigKey};
use crate::error::UpdateError;
use base64::Engine as _;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigError};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::rr::{TSigVerifier, TSigner};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use secrecy::ExposeSecret as _;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One address of the server has this long to take the connection, so that a dead one leaves
/// time for the next.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The clocks may differ by this many seconds (RFC 8945 §10).
const FUDGE: u16 = 300;

/// One TCP connection to the server.
pub(crate) struct Session {
    stream: TcpStream,
    signer: Option<TSigner>,
    learned: Arc<Learned>,
}

/// What was learned about a server, for the sessions that follow.
#[derive(Debug)]
pub(crate) struct Learned {
    /// Whether it takes signed questions.
    signs_questions: AtomicBool,
    /// Whether it has signed an answer, which proves that it knows the key.
    knows_key: AtomicBool,
}

impl Default for Learned {
    fn default() -> Self {
        Self { signs_questions: AtomicBool::new(true), knows_key: AtomicBool::new(false) }
    }
}

impl Learned {
    /// True if the server has answered a question with the key's signature.
    pub(crate) fn knows_key(&self) -> bool {
        self.knows_key.load(Ordering::Relaxed)
    }
}

/// What the server shows at a name when asked for TXT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// These values, each with its character-strings joined; none where nothing stands.
    Values { ttl: Option<u32>, values: Vec<Vec<u8>> },
    /// A CNAME, which a wildcard may have made.
    Alias { target: Name },
    /// A DNAME above the name.
    Redirected { owner: Name, target: Name },
    /// The name belongs to a zone below the one that was meant.
    Cut(Name),
    /// The server does not say.
    Unknown(ResponseCode),
}

/// One request on its way.
struct Sent {
    request: Message,
    verifier: Option<TSigVerifier>,
    signed_at: u64,
}

impl Session {
    /// Connects to the first address of the server that answers, and reads the key.
    /// `learned` is what earlier sessions learned about the server.
    pub(crate) async fn open(config: &Config, learned: &Arc<Learned>) -> Result<Self, UpdateError> {
        let signer = match &config.tsig {
            Some(key) => Some(signer(key).await?),
            None => None,
        };
        let server = (config.server.host.as_str(), config.server.port);
        let addresses = tokio::net::lookup_host(server)
            .await
            .map_err(|source| UpdateError::Resolve { source: Some(source) })?;
        let mut last = UpdateError::Resolve { source: None };
        for address in addresses {
            match connect(address).await {
                Ok(stream) => {
                    return Ok(Self { stream, signer, learned: Arc::clone(learned) });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// True if it signs.
    pub(crate) fn has_key(&self) -> bool {
        self.signer.is_some()
    }

    /// Sends one UPDATE and reads the server's verdict.
    pub(crate) async fn update(&mut self, message: Message) -> Result<(), UpdateError> {
        self.update_as(message, true).await
    }

    /// The same without a signature, as anybody could at this machine's address.
    pub(crate) async fn update_unsigned(&mut self, message: Message) -> Result<(), UpdateError> {
        self.update_as(message, false).await
    }

    async fn update_as(&mut self, message: Message, signed: bool) -> Result<(), UpdateError> {
        let reply = self.exchange(vec![message], signed).await?.pop();
        match reply.map(|reply| reply.response_code) {
            Some(ResponseCode::NoError) => Ok(()),
            Some(code) => Err(UpdateError::Response(code)),
            None => Err(UpdateError::Malformed("there is none".to_owned())),
        }
    }

    /// Asks for TXT at each of `names`, all at once.
    ///
    /// Questions are signed, since BIND chooses a view by the key. Knot answers BADKEY where
    /// the key is for updates only, and is asked again without.
    pub(crate) async fn look(&mut self, zone: &Name, names: &[Name]) -> Result<Vec<Sight>, UpdateError> {
        let questions: Vec<Message> = names.iter().map(question).collect();
        let signed = self.learned.signs_questions.load(Ordering::Relaxed);
        let replies = match self.exchange(questions.clone(), signed).await {
            Err(UpdateError::Tsig { error: TsigError::BadKey, .. }) if signed => {
                self.learned.signs_questions.store(false, Ordering::Relaxed);
                self.exchange(questions, false).await?
            }
            result => result?,
        };
        // The signature has been checked. An answer without one proves nothing about the key.
        let signed = self.has_key() && self.learned.signs_questions.load(Ordering::Relaxed);
        if signed && !replies.is_empty() && replies.iter().all(|reply| reply.signature().is_some()) {
            self.learned.knows_key.store(true, Ordering::Relaxed);
        }
        Ok(names.iter().zip(&replies).map(|(name, reply)| Sight::of(zone, name, reply)).collect())
    }

    /// Sends `requests` without waiting in between and returns their replies in the same
    /// order; the server may answer in another (RFC 7766 §6.2.1.1).
    async fn exchange(&mut self, requests: Vec<Message>, signed: bool) -> Result<Vec<Message>, UpdateError> {
        let now = unix_time();
        let signer = self.signer.as_ref().filter(|_| signed);
        let mut outgoing = Vec::new();
        let mut pending = HashMap::new();
        let mut order = Vec::with_capacity(requests.len());
        for mut request in requests {
            request.metadata.id = unused_id(&pending);
            let sent = Sent::new(request, signer, now)?;
            append_frame(&mut outgoing, &sent.request)?;
            order.push(sent.request.id);
            pending.insert(sent.request.id, sent);
        }
        let (mut reader, mut writer) = self.stream.split();
        // Both at once: a server that stops reading until its replies are read would
        // otherwise wait for us while we wait for it.
        let write = async {
            writer
                .write_all(&outgoing)
                .await
                .map_err(|source| UpdateError::Broken { doing: "sending", source })
        };
        let read = async {
            let mut replies = HashMap::with_capacity(pending.len());
            while !pending.is_empty() {
                let (id, reply) = check(&read_frame(&mut reader).await?, &mut pending)?;
                replies.insert(id, reply);
            }
            Ok::<_, UpdateError>(replies)
        };
        let ((), mut replies) = tokio::try_join!(write, read)?;
        order.iter().map(|id| replies.remove(id).expect("every request has its reply")).collect()
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, UpdateError> {
    let failed = |source| UpdateError::Connect { address, source };
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
        .map_err(failed)?;
    // A message is written whole; waiting for more to send would only cost time.
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// The key, read anew at each call so that a rotated one takes effect.
async fn signer(key: &TsigKey) -> Result<TSigner, UpdateError> {
    let text = key.secret.read().await?;
    let secret = base64::engine::general_purpose::STANDARD
        .decode(text.expose_secret().trim())
        .map_err(|_| UpdateError::SecretNotBase64)?;
    TSigner::new(secret, key.algorithm.on_the_wire(), key.name.clone(), FUDGE)
        .map_err(|error| UpdateError::Encode(error.to_string()))
}

/// TXT at `name`, asked of an authoritative server: RD=0.
fn question(name: &Name) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), RecordType::TXT));
    message.set_edns(Edns::new());
    message
}

/// An UPDATE for `zone` without changes yet (RFC 2136 §2.3).
pub(crate) fn empty_update(zone: &Name) -> Message {
    let mut message = Message::new(0, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    message
}

impl Sent {
    fn new(mut request: Message, signer: Option<&TSigner>, now: u64) -> Result<Self, UpdateError> {
        let encode = |error: hickory_proto::ProtoError| UpdateError::Encode(error.to_string());
        let verifier = match signer {
            Some(signer) => request.finalize(signer, now).map_err(encode)?,
            None => None,
        };
        Ok(Self { request, verifier, signed_at: now })
    }

    /// Holds `reply` against the request: kind, question, signature.
    fn check(&mut self, bytes: &[u8], reply: &Message) -> Result<(), UpdateError> {
        let malformed = |what: &str| Err(UpdateError::Malformed(what.to_owned()));
        if reply.message_type != MessageType::Response || reply.op_code != self.request.op_code {
            return malformed("it is no reply to such a request");
        }
        // A server may leave the question out of an UPDATE's reply (RFC 2136 §3.8), and out
        // of a FORMERR.
        if !reply.queries.is_empty() && reply.queries != self.request.queries {
            return malformed("it answers another question");
        }
        let Some(verifier) = &mut self.verifier else { return Ok(()) };
        let Some(signature) = reply.signature() else {
            // Servers may answer questions, and refuse anything, without signing; what was
            // changed must be signed for.
            let believed = reply.op_code == OpCode::Query || reply.response_code != ResponseCode::NoError;
            return if believed { Ok(()) } else { Err(UpdateError::Unsigned) };
        };
        let tsig = &signature.data;
        // BADKEY and BADSIG come with an empty MAC, since there is no key in common
        // (RFC 8945 §5.2.1, §5.2.2).
        if !tsig.mac.is_empty() || tsig.error.is_none() {
            verifier.verify(bytes).map_err(|error| UpdateError::BadReplySignature(error.to_string()))?;
        }
        match tsig.error {
            Some(error) => Err(UpdateError::Tsig { error, server_ahead: self.clock_difference(tsig) }),
            None => Ok(()),
        }
    }

    /// Seconds by which the server's clock is ahead, which it tells with BADTIME
    /// (RFC 8945 §5.2.3).
    fn clock_difference(&self, tsig: &TSIG) -> Option<i64> {
        if tsig.error != Some(TsigError::BadTime) {
            return None;
        }
        let octets: [u8; 6] = tsig.other.as_slice().try_into().ok()?;
        let server = octets.iter().fold(0, |time, octet| (time << 8) | i64::from(*octet));
        Some(server - i64::try_from(self.signed_at).ok()?)
    }
}

/// An id, and the reply that answers the request of that id.
type Checked = (u16, Result<Message, UpdateError>);

/// Parses one reply and takes the request that it answers out of `pending`.
///
/// # Errors
/// No request is answered by it. One that is, but wrongly, is the inner error, so that the
/// replies behind it are read too.
fn check(bytes: &[u8], pending: &mut HashMap<u16, Sent>) -> Result<Checked, UpdateError> {
    let reply = Message::from_vec(bytes).map_err(|error| UpdateError::Malformed(error.to_string()))?;
    let mut sent = pending
        .remove(&reply.id)
        .ok_or_else(|| UpdateError::Malformed(format!("nothing was asked under its id {}", reply.id)))?;
    Ok((reply.id, sent.check(bytes, &reply).map(|()| reply)))
}

/// Two octets of length, then the message (RFC 1035 §4.2.2).
fn append_frame(outgoing: &mut Vec<u8>, message: &Message) -> Result<(), UpdateError> {
    let bytes = message.to_vec().map_err(|error| UpdateError::Encode(error.to_string()))?;
    let length = u16::try_from(bytes.len()).map_err(|_| {
        UpdateError::Encode(format!("{} octets are more than a message can have", bytes.len()))
    })?;
    outgoing.extend_from_slice(&length.to_be_bytes());
    outgoing.extend_from_slice(&bytes);
    Ok(())
}

async fn read_frame(reader: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<Vec<u8>, UpdateError> {
    let broken = |source| UpdateError::Broken { doing: "waiting for the reply", source };
    let length = reader.read_u16().await.map_err(broken)?;
    let mut bytes = vec![0; usize::from(length)];
    reader.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(bytes)
}

fn unused_id(pending: &HashMap<u16, Sent>) -> u16 {
    std::iter::repeat_with(rand::random)
        .find(|id| !pending.contains_key(id))
        .expect("far fewer requests than ids are under way")
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Sight {
    /// What `reply` says about TXT at `name`, which should lie in `zone`.
    fn of(zone: &Name, name: &Name, reply: &Message) -> Self {
        if let Some(cut) = cut_below(zone, name, reply) {
            return Self::Cut(cut);
        }
        // The answer section comes before the response code: an alias to a name that is not
        // there comes with NXDOMAIN (RFC 6604 §2).
        // A DNAME comes with the CNAME that it makes, so it is looked for first.
        if let Some((owner, target)) = reply.answers.iter().find_map(redirection) {
            return Self::Redirected { owner, target };
        }
        for record in &reply.answers {
            if let RData::CNAME(target) = &record.data
                && record.name == *name
            {
                return Self::Alias { target: target.0.clone() };
            }
        }
        if !matches!(reply.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Self::Unknown(reply.response_code);
        }
        let mut ttl = None;
        let mut values = Vec::new();
        for record in reply.answers.iter().filter(|record| record.name == *name) {
            if let RData::TXT(txt) = &record.data {
                ttl = Some(record.ttl);
                values.push(txt.txt_data.concat());
            }
        }
        Self::Values { ttl, values }
    }
}

/// Owner and target of a DNAME (RFC 6672), which the library leaves undecoded.
fn redirection(record: &Record) -> Option<(Name, Name)> {
    match &record.data {
        RData::Unknown { code: RecordType::DNAME, rdata } => {
            let target = Name::read(&mut BinDecoder::new(&rdata.anything)).ok()?;
            Some((record.name.clone(), target))
        }
        _ => None,
    }
}

/// The apex of a zone between `zone` and `name` that the authority section speaks of: the NS
/// records of a referral, or the SOA or NS of a child zone that the same server has.
fn cut_below(zone: &Name, name: &Name, reply: &Message) -> Option<Name> {
    let owners = reply
        .authorities
        .iter()
        .filter(|record| matches!(record.record_type(), RecordType::NS | RecordType::SOA))
        .map(|record| &record.name);
    owners
        .filter(|owner| owner.num_labels() > zone.num_labels() && zone.zone_of(owner) && owner.zone_of(name))
        .max_by_key(|owner| owner.num_labels())
        .cloned()
}

/// A change's record, of class IN to add and NONE to remove (RFC 2136 §2.5.1, §2.5.4).
pub(crate) fn change_record(name: &Name, strings: Vec<&[u8]>, class: DNSClass, ttl: u32) -> Record {
    let data = RData::TXT(hickory_proto::rr::rdata::TXT::from_bytes(strings));
    let mut record = Record::from_rdata(name.clone(), ttl, data);
    record.dns_class = class;
    record
}

/// The removal of one record of any type (RFC 2136 §2.5.4).
pub(crate) fn removal(name: &Name, data: RData) -> Record {
    let mut record = Record::from_rdata(name.clone(), 0, data);
    record.dns_class = DNSClass::NONE;
    record
}

/// "No CNAME stands at `name`", which holds under a wildcard too (RFC 2136 §2.4.3).
pub(crate) fn no_alias_at(name: &Name) -> Record {
    nothing_at(name, RecordType::CNAME)
}

/// "No record of this type stands at `name`" (RFC 2136 §2.4.3).
pub(crate) fn nothing_at(name: &Name, kind: RecordType) -> Record {
    let mut record = Record::update0(name.clone(), 0, kind);
    record.dns_class = DNSClass::NONE;
    record.into_record_of_rdata()
}

#[cfg(test)]
mod tests;
