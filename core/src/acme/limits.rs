//! How long this client waits, and how often it asks.

use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// The bounds of one client. The defaults are those of a command that a person waits for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For a connection to stand.
    pub connect: Duration,
    /// For one request, its reply's last octet included.
    pub request: Duration,
    /// For one call with all its repetitions, where the caller sets no deadline.
    pub call: Duration,
    /// How long one call waits at most, in all, because the CA asked it to (429, 503) or is
    /// out of order.
    pub patience: Duration,
    /// Requests under way at once at one CA. Each needs a nonce of its own, so that more of
    /// them cost more newNonce requests.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            call: Duration::from_secs(120),
            patience: Duration::from_secs(60),
            in_flight: 32,
        }
    }
}

/// A reply longer than this is cut off. The longest certificate chains have some 20 KiB.
pub(super) const LARGEST_BODY: usize = 1024 * 1024;
/// Signed requests that a CA may refuse for their nonce before it counts as broken. At a CA
/// that refuses half of them, five tries would fail one order in four.
pub(super) const BAD_NONCE_TRIES: u32 = 30;
/// Tries at a request whose reply was lost or said that the CA is out of order.
pub(super) const TRIES: u32 = 6;
/// Tries at a connection: what does not listen after two seconds is down.
pub(super) const CONNECT_TRIES: u32 = 4;
/// Redirects that a GET follows.
pub(super) const REDIRECTS: u32 = 3;
/// Looks at a pending order before the authorizations are read too.
pub(super) const LOOKS_BEFORE_AUTHORIZATIONS: u32 = 5;
/// The longest Retry-After of an order or authorization that is obeyed. Some CAs ask for a day
/// while they take seconds, and a person waits.
const LONGEST_BETWEEN_LOOKS: Duration = Duration::from_secs(30);
/// Before the deadline by so much at most, the last look is due: its reply has to come in time.
const LONGEST_LAST_LOOK: Duration = Duration::from_secs(10);
/// How long the CA's advice on renewal is waited for.
pub(super) const ADVICE_PATIENCE: Duration = Duration::from_secs(10);
/// Pages of an orders list that are read at most.
pub(super) const ORDERS_PAGES: u32 = 200;
/// Orders that a search for an open one looks at, newest first as far as lists are ordered.
pub(super) const ORDERS_LOOKED_AT: usize = 64;
/// The longest wait that a CA is believed to mean: Let's Encrypt's longest limit is a week.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(31 * 24 * 3600);

/// The growing pauses between two looks, or two tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    next: Duration,
    factor: f64,
    longest: Duration,
}

impl Pace {
    /// Between two looks at an order. A CA that lets one wait long says for how long; one next
    /// door has validated a name, or made a certificate, within the first pause.
    pub(super) fn looks() -> Self {
        Self { next: Duration::from_millis(25), factor: 1.6, longest: Duration::from_secs(5) }
    }

    /// Between two tries at a CA that does not answer as it should.
    pub(super) fn tries() -> Self {
        Self { next: Duration::from_millis(250), factor: 2.0, longest: Duration::from_secs(10) }
    }

    /// The next pause; what the CA asked for is a minimum.
    pub(super) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let pause = self.next;
        self.next = self.next.mul_f64(self.factor).min(self.longest);
        pause.max(retry_after.unwrap_or_default())
    }
}

/// How long an order or authorization is left alone whose CA said `retry_after`.
pub(super) fn between_looks(retry_after: Option<Duration>) -> Option<Duration> {
    retry_after.map(|wait| wait.min(LONGEST_BETWEEN_LOOKS))
}

/// The looks that are left until a deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    last: Instant,
    deadline: Instant,
}

impl Looks {
    /// Those between `begun` and `deadline`.
    pub(super) fn until(deadline: Instant, begun: Instant) -> Self {
        let tenth = deadline.saturating_duration_since(begun) / 10;
        Self { last: deadline.checked_sub(tenth.min(LONGEST_LAST_LOOK)).unwrap_or(deadline), deadline }
    }

    /// When to look next after `pause`; `None` where no reply would come in time. However long
    /// the pause, there is a look shortly before the deadline.
    pub(super) fn next(self, now: Instant, pause: Duration) -> Option<Instant> {
        let next = now + pause;
        match now < self.last {
            true => Some(next.min(self.last)),
            false => (next < self.deadline).then_some(next),
        }
    }
}

/// Reads a Retry-After (RFC 9110 §10.2.3): seconds or a date; garbage is nothing, a date in
/// the past is at once, and a wait over a month is a month.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are still "very long".
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = httpdate::parse_http_date(text).ok()?;
        at.duration_since(now.into()).unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-22T01:00:00Z".parse().unwrap()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 3 ", now()), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 01:00:05 GMT", now()), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("Sun, 22 Nov 2020 01:00:05 GMT", now()), Some(Duration::ZERO));
    }

    #[test]
    fn retry_after_garbage_is_nothing_and_the_absurd_is_a_month() {
        for text in ["", "soon", "-1", "1.5", "3 s"] {
            assert_eq!(retry_after(text, now()), None, "{text:?}");
        }
        assert_eq!(retry_after("99999999999999999999999", now()), Some(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn looks_start_at_25_ms_and_grow_to_5_s() {
        let mut pace = Pace::looks();
        assert_eq!(pace.next(None), Duration::from_millis(25));
        assert_eq!(pace.next(None), Duration::from_millis(40));
        assert_eq!(pace.next(Some(Duration::from_secs(3))), Duration::from_secs(3));
        for _ in 0..20 {
            pace.next(None);
        }
        assert_eq!(pace.next(None), Duration::from_secs(5));
    }

    #[test]
    fn an_order_is_left_alone_as_long_as_its_ca_says_but_no_longer_than_30_s() {
        let seconds = |wait| between_looks(wait).map(|wait| wait.as_secs());
        assert_eq!(seconds(None), None);
        assert_eq!(seconds(Some(Duration::from_secs(5))), Some(5));
        assert_eq!(seconds(Some(Duration::from_secs(86400))), Some(30));
    }

    #[test]
    fn the_last_look_is_early_enough_for_its_reply_to_count() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86400));
        for (deadline, last) in [(20, 18), (600, 590)] {
            let looks = Looks::until(at(deadline), begun);
            assert_eq!(looks.next(at(3), second), Some(at(4)));
            assert_eq!(looks.next(at(3), day), Some(at(last)));
            assert_eq!(looks.next(at(last), second), Some(at(last + 1)), "as long as there is time");
            assert_eq!(looks.next(at(last), day), None);
            assert_eq!(looks.next(at(deadline), Duration::ZERO), None);
        }
    }

    proptest! {
        #[test]
        fn retry_after_never_panics_nor_exceeds_a_month(text in ".*") {
            prop_assert!(retry_after(&text, now()).unwrap_or_default() <= LONGEST_RETRY_AFTER);
        }
    }
}
