//! How things are said: outcomes of steps, times, and texts from elsewhere.

use dns01_core::event::{Outcome, WrittenBatch};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

/// What came of a step, in a few words.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ordered { names, to_prove: 0 } => format!("{}, already proven", count(*names, "name")),
        Outcome::Ordered { names, to_prove } => format!("{}, {to_prove} to prove", count(*names, "name")),
        Outcome::Written { batches } => written(batches),
        Outcome::Propagated { confirmed, addresses, not_asked, resolvers, published, waited } => {
            let mut parts = Vec::new();
            let nothing_else = *resolvers == 0 && *published == 0 && *waited == 0;
            if *addresses > 0 || nothing_else {
                let answer = format!("{confirmed} of {} answer", count(*addresses, "address"));
                parts.push(match not_asked {
                    0 => answer,
                    away => format!("{answer}, no route to {away} more"),
                });
            }
            if *resolvers > 0 {
                parts.push(format!("seen by {}", count(*resolvers, "resolver")));
            }
            if *published > 0 {
                parts.push("served everywhere, as the service says".to_owned());
            }
            if *waited > 0 {
                parts.push(format!("waited {waited} s, nobody was asked"));
            }
            parts.join(" · ")
        }
        Outcome::Validated { proven, names } => format!("{proven} of {} proven", count(*names, "name")),
        Outcome::Issued { issuer, not_after } => {
            format!("issued by {}, valid to {}", printable(issuer), date(*not_after))
        }
        Outcome::Removed { values: 0, left: 0 } => "nothing to remove".to_owned(),
        Outcome::Removed { values, left: 0 } => format!("{} removed", count(*values, "value")),
        Outcome::Removed { values, left } => {
            format!("{} removed, {left} left; the next run removes them", count(*values, "value"))
        }
        _ => "done".to_owned(),
    }
}

fn written(batches: &[WrittenBatch]) -> String {
    let values: usize = batches.iter().map(|batch| batch.values).sum();
    let calls: usize = batches.iter().map(|batch| batch.calls).sum();
    let names: BTreeSet<&str> = batches.iter().flat_map(|batch| &batch.at).map(String::as_str).collect();
    let credentials: BTreeSet<&str> = batches.iter().map(|batch| batch.credential.as_str()).collect();
    let place = match names.first() {
        Some(name) if names.len() == 1 => format!(" at {name}"),
        _ if names.is_empty() => String::new(),
        _ => format!(" at {}", count(names.len(), "name")),
    };
    let how = match calls {
        1 => "in one call".to_owned(),
        calls => format!("in {}", count(calls, "call")),
    };
    let through = credentials.into_iter().collect::<Vec<_>>().join(", ");
    format!("{}{place} {how} ({through})", count(values, "value"))
}

/// `1 name`, `2 names`, `2 addresses`, `2 tries`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number if noun.ends_with('s') => format!("{number} {noun}es"),
        number => match noun.strip_suffix('y') {
            Some(stem) => format!("{number} {stem}ies"),
            None => format!("{number} {noun}s"),
        },
    }
}

/// A length of time, short: `0.4 s`, `42 s`, `3 min`, `5 h`, `89 d`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How far away `moment` is: `in 89 d`, `2 d ago`.
pub(crate) fn distance(moment: Timestamp, now: Timestamp) -> String {
    let span: SignedDuration = moment.duration_since(now);
    let text = time(span.unsigned_abs());
    if span.is_negative() { format!("{text} ago") } else { format!("in {text}") }
}

/// The day, in local time.
pub(crate) fn date(moment: Timestamp) -> String {
    local(moment, "%Y-%m-%d")
}

/// The moment to the second, in local time.
pub(crate) fn exact_moment(moment: Timestamp) -> String {
    local(moment, "%Y-%m-%d %H:%M:%S %Z")
}

/// The moment to the minute, in local time.
pub(crate) fn moment(moment: Timestamp) -> String {
    local(moment, "%Y-%m-%d %H:%M %Z")
}

fn local(moment: Timestamp, format: &str) -> String {
    moment.to_zoned(TimeZone::system()).strftime(format).to_string()
}

/// `text` from elsewhere without anything that a terminal would act on.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c.is_control() && c != '\n') {
        text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
    } else {
        text.into()
    }
}

/// `text` cut to `width` characters, with `…` where something is missing.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().count() <= width {
        text.into()
    } else {
        text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_said_as_on_the_sketch() {
        let batch = |zone: &str, at: &[&str], values| WrittenBatch {
            credential: "cloudflare".to_owned(),
            zone: zone.to_owned(),
            at: at.iter().map(|name| (*name).to_owned()).collect(),
            values,
            calls: 1,
        };
        let one =
            Outcome::Written { batches: vec![batch("example.com", &["_acme-challenge.example.com"], 2)] };
        assert_eq!(outcome(&one), "2 values at _acme-challenge.example.com in one call (cloudflare)");
        let two = Outcome::Written {
            batches: vec![batch("a.test", &["x.a.test"], 1), batch("b.test", &["x.b.test", "y.b.test"], 2)],
        };
        assert_eq!(outcome(&two), "3 values at 3 names in 2 calls (cloudflare)");
        assert_eq!(outcome(&Outcome::Ordered { names: 2, to_prove: 2 }), "2 names, 2 to prove");
        assert_eq!(outcome(&Outcome::Ordered { names: 1, to_prove: 0 }), "1 name, already proven");
        let propagated = |not_asked| {
            outcome(&Outcome::Propagated {
                confirmed: 8,
                addresses: 8,
                not_asked,
                resolvers: 0,
                published: 0,
                waited: 0,
            })
        };
        let others = Outcome::Propagated {
            confirmed: 0,
            addresses: 0,
            not_asked: 0,
            resolvers: 2,
            published: 1,
            waited: 30,
        };
        assert_eq!(
            outcome(&others),
            "seen by 2 resolvers · served everywhere, as the service says · waited 30 s, nobody was asked"
        );
        assert_eq!(propagated(0), "8 of 8 addresses answer");
        assert_eq!(propagated(2), "8 of 8 addresses answer, no route to 2 more");
        assert_eq!(outcome(&Outcome::Validated { proven: 2, names: 2 }), "2 of 2 names proven");
        assert_eq!(outcome(&Outcome::Removed { values: 2, left: 0 }), "2 values removed");
    }

    #[test]
    fn times_are_short_and_say_their_direction() {
        let times = [400, 12_000, 185_000, 9_000_000, 864_000_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(times, ["0.4 s", "12 s", "3 min", "2 h", "10 d"]);
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(distance(Timestamp::from_second(1_000_000 + 89 * 86_400).unwrap(), now), "in 89 d");
        assert_eq!(distance(Timestamp::from_second(1_000_000 - 2 * 86_400).unwrap(), now), "2 d ago");
    }

    #[test]
    fn texts_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(printable("R12 \u{1b}[2J"), "R12 \u{fffd}[2J");
        assert_eq!(printable("two\nlines"), "two\nlines");
        assert_eq!(cut("example.com", 8), "example…");
    }
}
