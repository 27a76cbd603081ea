//! What is due, and why. Pure: what is wanted, what is held and what time it is go in; a
//! decision comes out. No network, no store.

use crate::keys::KeyType;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::fmt;

/// The most that may lie between a failure and the next try, also where a person has to do
/// something: somewhat less than a day, so that a timer that comes daily finds no try too early.
pub const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(20);
/// Near the end of a certificate the pauses shrink, but not below this.
const SHORTEST_LAST_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// What is waited for longer than this was written down by a clock that was wrong: no CA's
/// Retry-After counts for more than a month.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(32 * 24);
/// A certificate that ends so soon cannot wait without somebody being told.
const LAST_DAY: SignedDuration = SignedDuration::from_hours(24);

/// One certificate, as it is wanted and as it is.
#[derive(Clone, Debug)]
pub struct Situation {
    /// The names it is to have, as ordered (`*.example.com` among them).
    pub names: BTreeSet<String>,
    /// The kind of key it is to have; `None` when a request of the user's brings the key.
    pub key_type: Option<KeyType>,
    /// The certificate that is there.
    pub held: Option<Held>,
    /// The last failure, where nothing has succeeded since.
    pub failure: Option<Failure>,
    /// An order that a crash left behind.
    pub unfinished: bool,
    /// The user wants a new one whatever is there.
    pub force: bool,
}

/// What is known of the certificate that is there.
#[derive(Clone, Debug)]
pub struct Held {
    /// The names it has.
    pub names: BTreeSet<String>,
    /// The kind of its key, where we made it.
    pub key_type: Option<KeyType>,
    /// When it began.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// It was revoked here.
    pub revoked: bool,
    /// The time picked in the window that the CA advises (RFC 9773 §4.2).
    pub advised: Option<Timestamp>,
}

/// A failure that has not been followed by a success.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The first of the row.
    pub since: Timestamp,
    /// Tries since the last success.
    pub attempts: u32,
    /// Before this no try makes sense.
    pub next_try: Timestamp,
    /// Until then resolvers may remember what the CA saw when it looked in vain.
    pub stale_until: Option<Timestamp>,
}

/// What is to be done with a certificate now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Order one.
    Issue(Reason),
    /// It is due, but a failure is too fresh.
    Wait {
        /// When the next try makes sense.
        until: Timestamp,
        /// Where resolvers may remember what made the last one fail: until when. Not even a
        /// person's asking helps before.
        stale_until: Option<Timestamp>,
        /// Tries that failed.
        attempts: u32,
        /// Why it is due.
        reason: Reason,
        /// True where what is there has ended, was revoked, or ends within a day.
        critical: bool,
    },
    /// Nothing.
    Fine(Renewal),
}

/// When a certificate will be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// From then on.
    pub from: Timestamp,
    /// True where the CA advised the time.
    pub advised: bool,
}

/// Why a certificate is due.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is none yet.
    Missing,
    /// The user insists.
    Forced,
    /// An order was left unfinished.
    Unfinished,
    /// It was revoked.
    Revoked,
    /// It has ended.
    Expired,
    /// Other names are wanted now.
    Names {
        /// Wanted, but not in it.
        added: Vec<String>,
        /// In it, but not wanted.
        removed: Vec<String>,
    },
    /// Another kind of key is wanted now.
    Key {
        /// The kind wanted.
        wanted: KeyType,
    },
    /// The time that the CA advised has come.
    Advised,
    /// So much of its life is over: two thirds, or half if it lives less than 10 days.
    Lifetime,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is none yet"),
            Self::Forced => f.write_str("asked for with --force"),
            Self::Unfinished => f.write_str("its last order was interrupted"),
            Self::Revoked => f.write_str("it was revoked"),
            Self::Expired => f.write_str("it has expired"),
            Self::Names { added, removed } => {
                let mut parts = Vec::new();
                if !added.is_empty() {
                    parts.push(format!("{} added", added.join(", ")));
                }
                if !removed.is_empty() {
                    parts.push(format!("{} removed", removed.join(", ")));
                }
                write!(f, "its names changed: {}", parts.join("; "))
            }
            Self::Key { wanted } => write!(f, "its key is to be {wanted}"),
            Self::Advised => f.write_str("the time that the CA advises has come"),
            Self::Lifetime => f.write_str("most of its life is over"),
        }
    }
}

/// Decides what is to be done with one certificate at `now`.
#[must_use]
pub fn decide(situation: &Situation, now: Timestamp) -> Decision {
    let reason = match &situation.held {
        _ if situation.force => return Decision::Issue(Reason::Forced),
        None if situation.unfinished => Reason::Unfinished,
        None => Reason::Missing,
        Some(held) => match due(situation, held, now) {
            Ok(reason) => reason,
            Err(renewal) => return Decision::Fine(renewal),
        },
    };
    match &situation.failure {
        Some(failure) if failure.holds_up(now) => Decision::Wait {
            until: failure.next_try,
            stale_until: failure.stale_until.filter(|until| *until > now),
            attempts: failure.attempts,
            reason,
            critical: situation.held.as_ref().is_some_and(|held| held.is_critical(now)),
        },
        _ => Decision::Issue(reason),
    }
}

/// Whether at `now` a wait until `until` can be meant. One that was written down while the clock was
/// ahead may last for years.
#[must_use]
pub fn is_believable(until: Timestamp, now: Timestamp) -> bool {
    until.duration_since(now) <= LONGEST_WAIT
}

impl Failure {
    fn holds_up(&self, now: Timestamp) -> bool {
        self.next_try > now && self.since <= now && is_believable(self.next_try, now)
    }
}

impl Held {
    fn is_critical(&self, now: Timestamp) -> bool {
        self.revoked || self.not_after.duration_since(now) <= LAST_DAY
    }
}

fn due(situation: &Situation, held: &Held, now: Timestamp) -> Result<Reason, Renewal> {
    if held.revoked {
        return Ok(Reason::Revoked);
    }
    if held.names != situation.names {
        let difference = |a: &BTreeSet<String>, b| a.difference(b).cloned().collect();
        return Ok(Reason::Names {
            added: difference(&situation.names, &held.names),
            removed: difference(&held.names, &situation.names),
        });
    }
    if let (Some(wanted), Some(present)) = (situation.key_type, held.key_type)
        && wanted != present
    {
        return Ok(Reason::Key { wanted });
    }
    if held.not_after <= now {
        return Ok(Reason::Expired);
    }
    let renewal = renewal(held);
    match renewal.from <= now {
        true if situation.unfinished => Ok(Reason::Unfinished),
        true if renewal.advised => Ok(Reason::Advised),
        true => Ok(Reason::Lifetime),
        false => Err(renewal),
    }
}

/// When `held` will be renewed: as the CA advises, else when a third of its life is left (half,
/// if it lives less than 10 days). Advice does not take more than half of what is left then: the
/// rest is for tries that fail.
#[must_use]
pub fn renewal(held: &Held) -> Renewal {
    let life = held.not_after.duration_since(held.not_before);
    let left = if life < SignedDuration::from_hours(240) { life / 2 } else { life / 3 };
    let latest = held.not_after - left / 2;
    match held.advised {
        Some(from) if from <= latest => Renewal { from, advised: true },
        Some(_) => Renewal { from: latest, advised: false },
        None => Renewal { from: held.not_after - left, advised: false },
    }
}

/// How long to wait after the `attempts`th failure in a row: 1, 10, 100 minutes, then somewhat less
/// than a day. Where the certificate that is there ends in `left`, never more than a quarter of
/// that, or an hour.
#[must_use]
pub fn pause_after(attempts: u32, left: Option<SignedDuration>) -> SignedDuration {
    let pause = match attempts {
        0 | 1 => SignedDuration::from_mins(1),
        2 => SignedDuration::from_mins(10),
        3 => SignedDuration::from_mins(100),
        _ => LONGEST_PAUSE,
    };
    left.map_or(pause, |left| pause.min((left / 4).max(SHORTEST_LAST_PAUSE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn start() -> Timestamp {
        "2026-11-22T00:00:00Z".parse().unwrap()
    }

    fn held(days: i32) -> Situation {
        let names = BTreeSet::from(["example.test".to_owned()]);
        Situation {
            names: names.clone(),
            key_type: Some(KeyType::Ec256),
            held: Some(Held {
                names,
                key_type: Some(KeyType::Ec256),
                not_before: start(),
                not_after: start() + DAY * days,
                revoked: false,
                advised: None,
            }),
            failure: None,
            unfinished: false,
            force: false,
        }
    }

    fn change(mut situation: Situation, how: impl FnOnce(&mut Held)) -> Situation {
        how(situation.held.as_mut().unwrap());
        situation
    }

    #[test]
    fn without_advice_a_third_of_a_long_life_and_half_of_a_short_one_is_left() {
        let from = |days| match decide(&held(days), start()) {
            Decision::Fine(renewal) => renewal.from,
            other => panic!("{other:?}"),
        };
        assert_eq!(from(90), start() + DAY * 60);
        assert_eq!(from(6), start() + DAY * 3);
        assert_eq!(decide(&held(90), start() + DAY * 60), Decision::Issue(Reason::Lifetime));
        assert_eq!(decide(&held(90), start() + DAY * 90), Decision::Issue(Reason::Expired));
    }

    #[test]
    fn the_advice_of_the_ca_goes_before_the_rule() {
        let advised = change(held(90), |held| held.advised = Some(start() + DAY));
        assert_eq!(decide(&advised, start()), Decision::Fine(Renewal { from: start() + DAY, advised: true }));
        assert_eq!(decide(&advised, start() + DAY), Decision::Issue(Reason::Advised));
    }

    #[test]
    fn advice_leaves_time_for_failures_before_the_end() {
        let latest = start() + DAY * 75;
        let late = change(held(90), |held| held.advised = Some(start() + DAY * 25_000));
        assert_eq!(decide(&late, start()), Decision::Fine(Renewal { from: latest, advised: false }));
        assert_eq!(decide(&late, latest), Decision::Issue(Reason::Lifetime));
        let short = change(held(6), |held| held.advised = Some(held.not_after));
        assert_eq!(decide(&short, start() + DAY * 5), Decision::Issue(Reason::Lifetime));
    }

    #[test]
    fn a_change_of_names_or_key_and_a_revocation_are_due_at_once() {
        let other = change(held(90), |held| held.names = BTreeSet::from(["old.test".to_owned()]));
        let Decision::Issue(reason) = decide(&other, start()) else { panic!("not due") };
        assert_eq!(reason.to_string(), "its names changed: example.test added; old.test removed");
        let key = change(held(90), |held| held.key_type = Some(KeyType::Rsa2048));
        assert_eq!(decide(&key, start()), Decision::Issue(Reason::Key { wanted: KeyType::Ec256 }));
        let revoked = change(held(90), |held| held.revoked = true);
        assert_eq!(decide(&revoked, start()), Decision::Issue(Reason::Revoked));
    }

    #[test]
    fn a_fresh_failure_waits_unless_forced() {
        let next_try = start() + SignedDuration::from_mins(10);
        let mut failing = Situation {
            held: None,
            failure: Some(Failure { since: start(), attempts: 2, next_try, stale_until: None }),
            ..held(90)
        };
        let waits = Decision::Wait {
            until: next_try,
            stale_until: None,
            attempts: 2,
            reason: Reason::Missing,
            critical: false,
        };
        assert_eq!(decide(&failing, start()), waits);
        assert_eq!(decide(&failing, next_try), Decision::Issue(Reason::Missing));
        failing.force = true;
        assert_eq!(decide(&failing, start()), Decision::Issue(Reason::Forced));
    }

    #[test]
    fn a_failure_written_down_by_a_clock_that_was_ahead_does_not_wait() {
        let failing = |since, next_try| Situation {
            held: None,
            failure: Some(Failure { since, attempts: 4, next_try, stale_until: Some(next_try) }),
            ..held(90)
        };
        let ahead = start() + DAY;
        let first = failing(ahead, ahead + SignedDuration::from_mins(1));
        assert_eq!(decide(&first, start()), Decision::Issue(Reason::Missing));
        let later = failing(start() - DAY, start() + DAY * 25_000);
        assert_eq!(decide(&later, start()), Decision::Issue(Reason::Missing));
        let by_the_ca = failing(start() - DAY, start() + DAY * 31);
        assert!(matches!(decide(&by_the_ca, start()), Decision::Wait { .. }));
    }

    #[test]
    fn waiting_is_critical_when_what_is_there_has_ended_or_ends_within_a_day() {
        let critical = |situation: Situation, now| {
            let failure = Failure { since: now, attempts: 4, next_try: now + DAY, stale_until: None };
            match decide(&Situation { failure: Some(failure), ..situation }, now) {
                Decision::Wait { critical, .. } => critical,
                other => panic!("{other:?}"),
            }
        };
        assert!(!critical(held(90), start() + DAY * 88));
        assert!(critical(held(90), start() + DAY * 89));
        assert!(critical(held(90), start() + DAY * 91));
        assert!(critical(change(held(90), |held| held.revoked = true), start()));
        assert!(!critical(Situation { held: None, ..held(90) }, start()));
    }

    #[test]
    fn an_order_left_behind_does_not_renew_what_is_not_due() {
        let mut situation = held(90);
        situation.unfinished = true;
        assert!(matches!(decide(&situation, start()), Decision::Fine(_)));
        situation.held = None;
        assert_eq!(decide(&situation, start()), Decision::Issue(Reason::Unfinished));
    }

    #[test]
    fn pauses_grow_from_a_minute_to_less_than_a_day() {
        let minutes = |left| (1..=5).map(|n| pause_after(n, left).as_mins()).collect::<Vec<_>>();
        assert_eq!(minutes(None), [1, 10, 100, 1200, 1200]);
        assert_eq!(minutes(Some(DAY * 30)), [1, 10, 100, 1200, 1200]);
    }

    #[test]
    fn pauses_shrink_towards_the_end_of_what_is_there() {
        let fifth = |left| pause_after(5, Some(left)).as_mins();
        assert_eq!((fifth(DAY * 2), fifth(DAY), fifth(DAY / 24)), (720, 360, 60));
        assert_eq!(fifth(-DAY), 60);
        assert_eq!(pause_after(1, Some(-DAY)).as_mins(), 1);
    }
}
