//! Progress where there is no terminal: one line a step, time first, `key=value` pairs.

use super::words;
use dns01_core::event::{Event, Happening, Outcome};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::fmt::{Display, Write as _};

/// A step that waits says so this often.
const BETWEEN_WAITS: SignedDuration = SignedDuration::from_secs(10);

/// What has been said so far.
#[derive(Default)]
pub(super) struct Plain {
    /// When each certificate was last heard of.
    heard: HashMap<String, Timestamp>,
}

impl Plain {
    /// The line for `event`, if it is worth one.
    pub(super) fn line(&mut self, event: &Event, now: Timestamp) -> Option<String> {
        let mut line = Line(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        line.add("certificate", &event.certificate);
        match &event.what {
            Happening::Began { .. } => {
                self.heard.entry(event.certificate.clone()).or_insert(now);
                return None;
            }
            Happening::Waits { step, done, total, text } => {
                let heard = self.heard.get(&event.certificate).copied().unwrap_or(now);
                if now.duration_since(heard) < BETWEEN_WAITS {
                    return None;
                }
                line.add("step", step.label()).add("done", done).add("total", total).add("waits", text);
            }
            what => line.happening(what),
        }
        self.heard.insert(event.certificate.clone(), now);
        Some(line.0)
    }
}

struct Line(String);

impl Line {
    fn add(&mut self, key: &str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        let quoted =
            value.is_empty() || value.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"');
        let written = match quoted {
            true => write!(self.0, " {key}={value:?}"),
            false => write!(self.0, " {key}={value}"),
        };
        written.expect("a String takes everything");
        self
    }

    fn happening(&mut self, what: &Happening) {
        match what {
            Happening::Started { names, ca, key, resumed } => {
                self.add("event", "started").add("names", names.join(",")).add("ca", ca).add("key", key);
                if *resumed {
                    self.add("resumed", true);
                }
            }
            Happening::Finished { step, took, outcome } => {
                self.add("step", step.label().replace(' ', "-"));
                self.outcome(outcome);
                self.add("seconds", format_args!("{:.3}", took.as_secs_f64()));
            }
            Happening::Warning { text } => {
                self.add("event", "warning").add("text", text);
            }
            Happening::Issued { serial, not_after, renew_from, advised, directory } => {
                self.add("event", "issued").add("serial", serial).add("not_after", not_after);
                if let Some(from) = renew_from {
                    self.add("renew_from", from).add("advised", advised);
                }
                self.add("directory", directory);
            }
            Happening::NotDue { text } => {
                self.add("event", "not-due").add("text", text);
            }
            Happening::Failed { id, text, retry_at } => {
                self.add("event", "failed").add("id", id).add("text", text);
                if let Some(at) = retry_at {
                    self.add("retry_at", at);
                }
            }
            _ => {}
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ordered { names, to_prove } => {
                self.add("names", names).add("to_prove", to_prove);
            }
            Outcome::Written { batches } => {
                let sum =
                    |of: fn(&dns01_core::event::WrittenBatch) -> usize| batches.iter().map(of).sum::<usize>();
                let list = |of: fn(&dns01_core::event::WrittenBatch) -> &str| {
                    batches.iter().map(of).collect::<Vec<_>>().join(",")
                };
                self.add("credential", list(|batch| &batch.credential))
                    .add("zone", list(|batch| &batch.zone));
                self.add("values", sum(|batch| batch.values)).add("calls", sum(|batch| batch.calls));
            }
            Outcome::Propagated { confirmed, addresses, not_asked, resolvers, published, waited } => {
                self.add("confirmed", confirmed).add("addresses", addresses);
                for (key, number) in
                    [("resolvers", *resolvers as u64), ("published", *published as u64), ("waited", *waited)]
                {
                    if number > 0 {
                        self.add(key, number);
                    }
                }
                if *not_asked > 0 {
                    self.add("not_asked", not_asked);
                }
            }
            Outcome::Validated { proven, names } => {
                self.add("proven", proven).add("names", names);
            }
            Outcome::Issued { issuer, not_after } => {
                self.add("issuer", issuer).add("not_after", not_after);
            }
            Outcome::Removed { values, left } => {
                self.add("removed", values).add("left", left);
            }
            other => {
                self.add("outcome", words::outcome(other));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_core::event::{Step, WrittenBatch};
    use std::time::Duration;

    fn event(what: Happening) -> Event {
        Event { certificate: "example.com".to_owned(), what }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_312_800 + second).unwrap()
    }

    #[test]
    fn a_run_reads_as_one_line_a_step() {
        let mut plain = Plain::default();
        let finished =
            |step, outcome| Happening::Finished { step, took: Duration::from_millis(412), outcome };
        let batch = WrittenBatch {
            credential: "lab".to_owned(),
            zone: "example.com".to_owned(),
            at: vec!["_acme-challenge.example.com".to_owned()],
            values: 2,
            calls: 1,
        };
        let propagated = Outcome::Propagated {
            confirmed: 8,
            addresses: 8,
            not_asked: 0,
            resolvers: 0,
            published: 0,
            waited: 0,
        };
        let run = [
            Happening::Started {
                names: vec!["example.com".to_owned(), "*.example.com".to_owned()],
                ca: "letsencrypt".to_owned(),
                key: "ec256".to_owned(),
                resumed: false,
            },
            Happening::Began { step: Step::Order },
            finished(Step::Order, Outcome::Ordered { names: 2, to_prove: 2 }),
            finished(Step::Records, Outcome::Written { batches: vec![batch] }),
            finished(Step::Propagate, propagated),
            finished(Step::Validate, Outcome::Validated { proven: 2, names: 2 }),
            finished(
                Step::Certificate,
                Outcome::Issued { issuer: "Riddling Rhubarb R12".to_owned(), not_after: at(0) },
            ),
            finished(Step::CleanUp, Outcome::Removed { values: 2, left: 0 }),
            Happening::Failed { id: "propagation".to_owned(), text: "two\nlines".to_owned(), retry_at: None },
        ];
        let lines: Vec<String> = run.into_iter().filter_map(|what| plain.line(&event(what), at(0))).collect();
        assert_eq!(
            lines.join("\n"),
            "\
2026-11-22T02:00:00Z certificate=example.com event=started names=example.com,*.example.com ca=letsencrypt key=ec256
2026-11-22T02:00:00Z certificate=example.com step=order names=2 to_prove=2 seconds=0.412
2026-11-22T02:00:00Z certificate=example.com step=records credential=lab zone=example.com values=2 calls=1 seconds=0.412
2026-11-22T02:00:00Z certificate=example.com step=propagate confirmed=8 addresses=8 seconds=0.412
2026-11-22T02:00:00Z certificate=example.com step=validate proven=2 names=2 seconds=0.412
2026-11-22T02:00:00Z certificate=example.com step=certificate issuer=\"Riddling Rhubarb R12\" not_after=2026-11-22T02:00:00Z seconds=0.412
2026-11-22T02:00:00Z certificate=example.com step=cleaned-up removed=2 left=0 seconds=0.412
2026-11-22T02:00:00Z certificate=example.com event=failed id=propagation text=\"two\\nlines\""
        );
    }

    #[test]
    fn a_step_that_waits_says_so_every_ten_seconds() {
        let mut plain = Plain::default();
        let waits = || {
            event(Happening::Waits {
                step: Step::Propagate,
                done: 7,
                total: 8,
                text: "ns2 has 1 of 2".to_owned(),
            })
        };
        assert_eq!(plain.line(&event(Happening::Began { step: Step::Propagate }), at(0)), None);
        assert_eq!(plain.line(&waits(), at(9)), None);
        assert_eq!(
            plain.line(&waits(), at(10)).unwrap(),
            "2026-11-22T02:00:10Z certificate=example.com step=propagate done=7 total=8 waits=\"ns2 has 1 of 2\""
        );
        assert_eq!(plain.line(&waits(), at(19)), None);
        assert!(plain.line(&waits(), at(20)).is_some());
    }
}
