//! One connection per server, over TCP or TLS, that many questions share (RFC 7766, RFC 7858):
//! servers do not limit the rate of TCP, and a hundred names cost a handful of system calls.

use super::message::{Fit, Question, Silence, fit};
use super::query::EXCHANGE_TIMEOUT;
use super::stream::{Reader, Road, Writer};
use hickory_proto::op::Message;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// No answer is waited for longer than this, however busy the connection is.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// Questions under way at once on a connection.
const IN_FLIGHT: usize = 128;
/// An unused connection is closed after this.
const IDLE: Duration = Duration::from_secs(4);

/// The way to a connection; the task behind it ends when this is dropped.
pub(super) struct Pipe {
    requests: mpsc::UnboundedSender<Request>,
}

struct Request {
    question: Question,
    answer: oneshot::Sender<Result<Message, Silence>>,
}

/// Prepares a connection along `road`; it is made when the first question comes.
pub(super) fn open(road: Road, tasks: &TaskTracker, cancel: CancellationToken) -> Pipe {
    let (requests, inbox) = mpsc::unbounded_channel();
    let line = Line { road, inbox, waiting: VecDeque::new() };
    tasks.spawn(async move {
        cancel.run_until_cancelled_owned(line.run()).await;
    });
    Pipe { requests }
}

impl Pipe {
    /// Asks one question over the shared connection. It fails when the connection stands
    /// still for [`EXCHANGE_TIMEOUT`], and after [`LONGEST_ANSWER`] in any case.
    pub(super) async fn ask(&self, question: &Question) -> Result<Message, Silence> {
        let (answer, result) = oneshot::channel();
        let request = Request { question: question.clone(), answer };
        self.requests.send(request).map_err(|_| Silence::NotAsked)?;
        match timeout(LONGEST_ANSWER, result).await {
            Ok(answer) => answer.unwrap_or(Err(Silence::NotAsked)),
            Err(_) => Err(Silence::Nothing),
        }
    }
}

/// The task that owns the connection.
struct Line {
    road: Road,
    inbox: mpsc::UnboundedReceiver<Request>,
    /// Not sent yet, or to be sent again on the next connection.
    waiting: VecDeque<Request>,
}

impl Line {
    async fn run(mut self) {
        while let Some(request) = self.inbox.recv().await {
            self.waiting.push_back(request);
            while !self.waiting.is_empty() {
                self.one_connection().await;
            }
        }
    }

    /// Connects and serves until the connection ends. A server may close after any answer
    /// (RFC 7766 §6.2.4); what is then open goes to the next connection, but only if this one
    /// has answered anything.
    async fn one_connection(&mut self) {
        let (reader, writer) = match timeout(EXCHANGE_TIMEOUT, self.road.connect()).await {
            Ok(Ok(halves)) => halves,
            Ok(Err(silence)) => return self.fail(silence),
            Err(_) => return self.fail(Silence::Nothing),
        };
        let mut connection = Connection::new(reader, writer);
        connection.reader.acknowledge_at_once();
        let end = connection.serve(&mut self.inbox, &mut self.waiting).await;
        let answered = connection.answered;
        self.waiting.extend(connection.in_flight.into_values());
        self.waiting.retain(|request| !request.answer.is_closed());
        match end {
            End::Idle => {}
            End::Closed if answered => {}
            End::Closed => self.fail(Silence::Closed),
            End::StoodStill => self.fail(Silence::Nothing),
            End::Garbage => self.fail(Silence::Garbage),
        }
    }

    fn fail(&mut self, silence: Silence) {
        for request in self.waiting.drain(..) {
            // Nobody listens any more: nothing to tell.
            let _ = request.answer.send(Err(silence));
        }
    }
}

/// Why a connection is over.
enum End {
    Idle,
    Closed,
    StoodStill,
    Garbage,
}

struct Connection {
    reader: Reader,
    writer: Writer,
    in_flight: HashMap<u16, Request>,
    out: VecDeque<u8>,
    input: Vec<u8>,
    answered: bool,
    /// When something was last sent or received.
    moved: Instant,
}

impl Connection {
    fn new(reader: Reader, writer: Writer) -> Self {
        Self {
            reader,
            writer,
            in_flight: HashMap::new(),
            out: VecDeque::new(),
            input: Vec::with_capacity(4096),
            answered: false,
            moved: Instant::now(),
        }
    }

    /// Sends and receives until the connection ends.
    async fn serve(
        &mut self,
        inbox: &mut mpsc::UnboundedReceiver<Request>,
        waiting: &mut VecDeque<Request>,
    ) -> End {
        loop {
            while let Ok(request) = inbox.try_recv() {
                waiting.push_back(request);
            }
            self.take(waiting);
            let idle = self.in_flight.is_empty();
            let event = tokio::select! {
                read = self.reader.read_buf(&mut self.input) => Event::Read(read),
                written = self.writer.write(self.out.as_slices().0), if !self.out.is_empty() => Event::Written(written),
                request = inbox.recv(), if self.in_flight.len() < IN_FLIGHT => Event::Request(request),
                () = sleep_until(self.moved + if idle { IDLE } else { EXCHANGE_TIMEOUT }) => Event::Late,
            };
            match event {
                Event::Read(Ok(1..)) => {
                    self.moved = Instant::now();
                    self.reader.acknowledge_at_once();
                    if let Err(end) = self.answer() {
                        return end;
                    }
                }
                Event::Read(_) | Event::Written(Err(_)) | Event::Request(None) => return End::Closed,
                Event::Written(Ok(length)) => {
                    self.moved = Instant::now();
                    self.out.drain(..length);
                }
                Event::Request(Some(request)) => waiting.push_back(request),
                Event::Late if idle => return End::Idle,
                Event::Late => return End::StoodStill,
            }
        }
    }

    /// Moves questions from `waiting` to the way out, as far as there is room.
    fn take(&mut self, waiting: &mut VecDeque<Request>) {
        while self.in_flight.len() < IN_FLIGHT {
            let Some(request) = waiting.pop_front() else { return };
            if request.answer.is_closed() {
                continue;
            }
            let mut id: u16 = rand::random();
            while self.in_flight.contains_key(&id) {
                id = id.wrapping_add(1);
            }
            // TCP needs neither EDNS (any size goes) nor 0x20 (nobody can guess the connection).
            let message =
                request.question.message(id, false).to_vec().expect("a name within its limits encodes");
            let length = u16::try_from(message.len()).expect("a question is short");
            if self.in_flight.is_empty() {
                self.moved = Instant::now();
            }
            self.out.extend(length.to_be_bytes());
            self.out.extend(message);
            self.in_flight.insert(id, request);
        }
    }

    /// Hands every whole message of the input to who asked (RFC 1035 §4.2.2).
    fn answer(&mut self) -> Result<(), End> {
        let mut start = 0;
        while let Some((prefix, rest)) = self.input[start..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*prefix));
            let Some(message) = rest.get(..length) else { break };
            let id = message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id)).ok_or(End::Garbage)?;
            start += 2 + length;
            let Some(request) = self.in_flight.get(&id) else {
                continue;
            };
            let result = match fit(message, id, &request.question) {
                Fit::Answer(message) => Ok(message),
                // A server may fold the letters as it likes here.
                Fit::OtherCase => Message::from_vec(message).map_err(|_| Silence::Garbage),
                Fit::Truncated | Fit::Garbage => Err(Silence::Garbage),
                Fit::Stranger => continue,
            };
            self.answered = true;
            if let Some(request) = self.in_flight.remove(&id) {
                // Who asked may have gone.
                let _ = request.answer.send(result);
            }
        }
        self.input.drain(..start);
        Ok(())
    }
}

enum Event {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Request(Option<Request>),
    Late,
}
