//! What is to go wrong, and when: faults, pauses, and the rules that choose them.

use super::endpoint::Endpoint;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Which requests to an endpoint a rule is about, counted from when the rule was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nth {
    /// The next one only.
    First,
    /// This one only; 1 is the next.
    Only(usize),
    /// The next so many.
    Times(usize),
    /// Every one.
    Every,
}

impl Nth {
    fn takes(self, number: usize) -> bool {
        match self {
            Self::First => number == 1,
            Self::Only(n) => number == n,
            Self::Times(n) => number <= n,
            Self::Every => true,
        }
    }
}

/// The Retry-After of a refusal (RFC 9110 §10.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryAfter {
    /// No such header.
    Absent,
    /// A number of seconds.
    Seconds(u64),
    /// The date so long from now, to the second.
    Date(Duration),
    /// Whatever stands here.
    Text(&'static str),
}

/// What goes wrong with one request.
///
/// "Before" means that the CA never sees the request; all others are forwarded first, unless
/// they say otherwise, so that the CA has done its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Forwarded; then the connection is closed without a reply.
    ReplyLost,
    /// The connection is reset; the CA saw nothing.
    ResetBefore,
    /// Forwarded; then the connection is reset.
    ResetAfter,
    /// A problem document of this status; the CA saw nothing.
    StatusBefore(u16, RetryAfter),
    /// A problem document of this status instead of the CA's reply.
    StatusAfter(u16, RetryAfter),
    /// A problem document of this status and type (the last part of its URN); the CA saw nothing.
    ProblemBefore(u16, &'static str),
    /// `badNonce`, with a good nonce to try again with; the CA saw nothing.
    BadNonce,
    /// An HTML page of this status instead of the CA's reply; it keeps the CA's nonce.
    HtmlPage(u16),
    /// A whole reply with half of the CA's text.
    TruncatedJson,
    /// The CA's headers and half of its body; then the connection is closed.
    CutShort,
    /// The CA's headers and a body that never ends.
    EndlessBody,
    /// The CA's reply, one byte of its body a second.
    OneByteASecond,
    /// The CA's headers; then nothing, for ever.
    SilentBody,
    /// No reply, for ever; the CA has done its work.
    Hang,
    /// The terms of service have changed (RFC 8555 §7.3.3); the CA saw nothing.
    NewTerms,
    /// A redirect of this status to this address; the CA saw nothing.
    Redirect(u16, String),
    /// The CA's order; where it is `valid` it is called `processing` and loses its certificate.
    EndlessProcessing,
    /// The CA's order; where it is `invalid` it is called `pending`.
    EndlessPending,
    /// The CA's reply, with this Retry-After.
    Patience(RetryAfter),
    /// The CA's reply, called `text/plain`.
    WrongContentType,
    /// The CA's authorization, with challenges before its own that no client can know: one of
    /// an unknown type, one of an unknown type without token, and a dns-persist-01.
    UnknownChallengesFirst,
    /// Another chain than the CA's.
    Chain(WrongChain),
}

impl Fault {
    /// Whether the CA gets to see the request.
    #[must_use]
    pub fn forwards(&self) -> bool {
        !matches!(
            self,
            Self::ResetBefore
                | Self::StatusBefore(..)
                | Self::ProblemBefore(..)
                | Self::BadNonce
                | Self::NewTerms
                | Self::Redirect(..)
        )
    }
}

/// What is wrong with a certificate chain. Made from the CA's own certificate by a test CA,
/// so that all else in it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongChain {
    /// The right names, for a key that the client does not have.
    OtherKey,
    /// The client's key, for `other.invalid` instead of its names.
    OtherNames,
    /// The client's key and names, until the year 2001.
    Expired,
    /// The client's key and names, from the year 2199 on.
    NotYetValid,
    /// The CA's own leaf, followed by a certificate that did not sign it.
    Foreign,
    /// The CA's own chain, with a private key between its certificates.
    PrivateKeyInside,
    /// The CA's own chain, its leaf last.
    LeafLast,
    /// No certificate at all: an empty body.
    Empty,
}

/// Where a request stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Received whole; the CA has not seen it.
    BeforeForward,
    /// The CA has answered; the client has not heard.
    BeforeReply,
}

/// A request made to stand still. Dropping it lets the request go on.
#[derive(Debug)]
pub struct Pause {
    reached: mpsc::Receiver<()>,
    verdict: oneshot::Sender<Verdict>,
}

/// No request came to the pause in time.
#[derive(Debug)]
pub struct NotReached;

impl Pause {
    /// Waits until a request stands at the pause; blocks the calling thread.
    ///
    /// # Errors
    /// [`NotReached`] when none came within `limit`.
    pub fn reached(&self, limit: Duration) -> Result<(), NotReached> {
        self.reached.recv_timeout(limit).map_err(|_| NotReached)
    }

    /// Lets the request go on, even when its sender has died meanwhile.
    pub fn release(self) {
        let _gone = self.verdict.send(Verdict::GoOn);
    }

    /// Closes the connection: before forwarding it is as if the request had never arrived.
    pub fn discard(self) {
        let _gone = self.verdict.send(Verdict::Discard);
    }
}

/// What becomes of a request that stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    Discard,
}

/// The server's end of a [`Pause`].
#[derive(Debug)]
pub(super) struct Gate {
    reached: mpsc::Sender<()>,
    verdict: oneshot::Receiver<Verdict>,
}

impl Gate {
    pub(super) async fn pass(self) -> Verdict {
        let _nobody_waits = self.reached.send(());
        self.verdict.await.unwrap_or(Verdict::GoOn)
    }
}

/// What the rules say about one request.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) fault: Option<Fault>,
    pub(super) before_forward: Option<Gate>,
    pub(super) before_reply: Option<Gate>,
}

/// All rules in force, in the order they were made; of several faults for one request the
/// first wins.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    endpoint: Endpoint,
    nth: Nth,
    seen: usize,
    effect: Effect,
}

#[derive(Debug)]
enum Effect {
    Fault(Fault),
    Pause(Moment, Option<Gate>),
}

impl Script {
    pub(super) fn fault(&mut self, endpoint: Endpoint, nth: Nth, fault: Fault) {
        self.rules.push(Rule { endpoint, nth, seen: 0, effect: Effect::Fault(fault) });
    }

    pub(super) fn pause(&mut self, endpoint: Endpoint, nth: usize, moment: Moment) -> Pause {
        let (tell, reached) = mpsc::channel();
        let (verdict, told) = oneshot::channel();
        let effect = Effect::Pause(moment, Some(Gate { reached: tell, verdict: told }));
        self.rules.push(Rule { endpoint, nth: Nth::Only(nth), seen: 0, effect });
        Pause { reached, verdict }
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Counts a request to `endpoint` and says what becomes of it.
    pub(super) fn decide(&mut self, endpoint: Endpoint) -> Decision {
        let mut decision = Decision::default();
        for rule in self.rules.iter_mut().filter(|rule| rule.endpoint == endpoint) {
            rule.seen += 1;
            if !rule.nth.takes(rule.seen) {
                continue;
            }
            match &mut rule.effect {
                Effect::Fault(fault) => {
                    decision.fault.get_or_insert_with(|| fault.clone());
                }
                Effect::Pause(Moment::BeforeForward, gate) => decision.before_forward = gate.take(),
                Effect::Pause(Moment::BeforeReply, gate) => decision.before_reply = gate.take(),
            }
        }
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(script: &mut Script, endpoint: Endpoint, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| script.decide(endpoint).fault.is_some()).collect()
    }

    #[test]
    fn a_rule_counts_only_its_own_endpoint_from_when_it_was_made() {
        let mut script = Script::default();
        script.decide(Endpoint::NewOrder);
        script.fault(Endpoint::NewOrder, Nth::Only(2), Fault::ReplyLost);
        script.decide(Endpoint::Order);
        assert_eq!(faults(&mut script, Endpoint::NewOrder, 3), [false, true, false]);
    }

    #[test]
    fn each_form_of_nth_takes_its_requests_and_no_others() {
        for (nth, expected) in [
            (Nth::First, [true, false, false]),
            (Nth::Times(2), [true, true, false]),
            (Nth::Every, [true, true, true]),
        ] {
            let mut script = Script::default();
            script.fault(Endpoint::Finalize, nth, Fault::ResetAfter);
            assert_eq!(faults(&mut script, Endpoint::Finalize, 3), expected, "{nth:?}");
        }
    }

    #[test]
    fn of_two_faults_for_one_request_the_older_rule_wins() {
        let mut script = Script::default();
        script.fault(Endpoint::Authz, Nth::First, Fault::ReplyLost);
        script.fault(Endpoint::Authz, Nth::Every, Fault::ResetAfter);
        assert_eq!(script.decide(Endpoint::Authz).fault, Some(Fault::ReplyLost));
        assert_eq!(script.decide(Endpoint::Authz).fault, Some(Fault::ResetAfter));
    }

    #[tokio::test]
    async fn a_dropped_pause_lets_the_request_go_on() {
        let mut script = Script::default();
        drop(script.pause(Endpoint::NewOrder, 1, Moment::BeforeForward));
        let gate = script.decide(Endpoint::NewOrder).before_forward.expect("the pause is for the first");
        assert_eq!(gate.pass().await, Verdict::GoOn);
    }
}
