//! One typed stream of what happens, for everyone who shows, counts or records it: progress
//! lines, `--json`, metrics, audit and notifications are all made from it.

use jiff::Timestamp;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where events go. Cheap to clone; the observer must not block.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(&Event) + Send + Sync>);

impl Events {
    /// Sends every event to `observer`.
    pub fn to(observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observer))
    }

    /// Drops every event.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::to(|_| {})
    }

    /// Tells the observer.
    pub fn emit(&self, event: &Event) {
        (self.0)(event);
    }

    /// The events of one certificate.
    #[must_use]
    pub fn of(&self, certificate: &str) -> CertificateEvents {
        CertificateEvents { events: self.clone(), certificate: certificate.into() }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// The events of one certificate: [`Events`] with the name filled in.
#[derive(Clone, Debug)]
pub struct CertificateEvents {
    events: Events,
    certificate: Arc<str>,
}

impl CertificateEvents {
    /// Tells that this happened to the certificate.
    pub fn emit(&self, what: Happening) {
        self.events.emit(&Event { certificate: self.certificate.to_string(), what });
    }

    /// Tells that something deserves attention, though the work goes on.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(Happening::Warning { text: text.into() });
    }

    /// Tells that `step` begins, and starts its watch.
    #[must_use]
    pub fn begin(&self, step: Step) -> StepWatch {
        self.emit(Happening::Began { step });
        StepWatch { events: self.clone(), step, since: tokio::time::Instant::now() }
    }
}

/// The time one step takes, from [`CertificateEvents::begin`] on.
#[derive(Debug)]
pub struct StepWatch {
    events: CertificateEvents,
    step: Step,
    since: tokio::time::Instant,
}

impl StepWatch {
    /// Tells what the step waits for.
    pub fn waits(&self, done: usize, total: usize, text: impl Into<String>) {
        self.events.emit(Happening::Waits { step: self.step, done, total, text: text.into() });
    }

    /// Which step.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The seconds since the step began.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        rounded(self.since.elapsed())
    }

    /// Tells that the step is done.
    pub fn done(self, outcome: Outcome) {
        self.events.emit(Happening::Finished { step: self.step, took: self.since.elapsed(), outcome });
    }
}

/// Something that happened to one certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// The certificate's name.
    pub certificate: String,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can happen to a certificate.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Happening {
    /// Its order is taken up.
    Started {
        /// The names it is to have, as ordered.
        names: Vec<String>,
        /// The CA's name in the configuration.
        ca: String,
        /// The kind of its key, `ec256` for instance.
        key: String,
        /// True when an order that a crash left behind goes on.
        resumed: bool,
    },
    /// A step begins.
    Began {
        /// Which.
        step: Step,
    },
    /// A step waits for something.
    Waits {
        /// Which.
        step: Step,
        /// How many of `total` are there.
        done: usize,
        /// How many there are to be.
        total: usize,
        /// What it waits for, for people.
        text: String,
    },
    /// A step is done.
    Finished {
        /// Which.
        step: Step,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
        /// What came of it.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// Something deserves attention, though the work goes on.
    Warning {
        /// What, for people.
        text: String,
    },
    /// The certificate is in place.
    Issued {
        /// Its serial number, hexadecimal.
        serial: String,
        /// When it ends.
        not_after: Timestamp,
        /// From when on it will be renewed.
        renew_from: Option<Timestamp>,
        /// True where that time is the CA's advice (RFC 9773).
        advised: bool,
        /// The directory its files are in.
        directory: String,
    },
    /// Nothing had to be done.
    NotDue {
        /// Why, for people.
        text: String,
    },
    /// It could not be obtained.
    Failed {
        /// The stable id of the error (docs/errors.md).
        id: String,
        /// What happened, for people.
        text: String,
        /// When the next try makes sense, where that is known.
        retry_at: Option<Timestamp>,
    },
}

/// Seconds, to the millisecond.
fn rounded(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}

fn seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*took))
}

/// The steps of an order, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// CAA is looked at, the order is opened.
    Order,
    /// The TXT values are written.
    Records,
    /// The authoritative servers are watched until all have them.
    Propagate,
    /// The CA looks.
    Validate,
    /// The certificate is asked for, fetched, checked and put in place.
    Certificate,
    /// The TXT values are taken away.
    CleanUp,
}

impl Step {
    /// Every step, in the order in which they happen.
    pub const ALL: [Self; 6] =
        [Self::Order, Self::Records, Self::Propagate, Self::Validate, Self::Certificate, Self::CleanUp];

    /// The word that stands before its line.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Records => "records",
            Self::Propagate => "propagate",
            Self::Validate => "validate",
            Self::Certificate => "certificate",
            Self::CleanUp => "cleaned up",
        }
    }
}

/// What came of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Outcome {
    /// [`Step::Order`]
    Ordered {
        /// Names in the order.
        names: usize,
        /// Authorizations that are still to be proved.
        to_prove: usize,
    },
    /// [`Step::Records`]
    Written {
        /// What was written, a row a credential and zone.
        batches: Vec<WrittenBatch>,
    },
    /// [`Step::Propagate`]
    Propagated {
        /// Addresses that have every value.
        confirmed: usize,
        /// Addresses asked.
        addresses: usize,
        /// Addresses that this machine has no route to, IPv6 ones most often.
        not_asked: usize,
        /// Resolvers that have every value.
        resolvers: usize,
        /// Zones of which the service says that they are served everywhere.
        published: usize,
        /// Seconds that were waited for zones about which nobody is asked.
        waited: u64,
    },
    /// [`Step::Validate`]
    Validated {
        /// Names proved.
        proven: usize,
        /// Names in the order.
        names: usize,
    },
    /// [`Step::Certificate`]
    Issued {
        /// The issuer's common name.
        issuer: String,
        /// When the certificate ends.
        not_after: Timestamp,
    },
    /// [`Step::CleanUp`]
    Removed {
        /// Values taken away.
        values: usize,
        /// Values that could not be taken away now; they stand in the ledger.
        left: usize,
    },
}

/// The values that went to one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenBatch {
    /// The credential's name in the configuration.
    pub credential: String,
    /// The zone.
    pub zone: String,
    /// The names written at.
    pub at: Vec<String>,
    /// Values written for this order.
    pub values: usize,
    /// API calls that carried them, shared with other orders.
    pub calls: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_json_object() {
        let event = Event {
            certificate: "example.com".to_owned(),
            what: Happening::Finished {
                step: Step::Propagate,
                took: Duration::from_micros(1_234_567),
                outcome: Outcome::Propagated {
                    confirmed: 7,
                    addresses: 8,
                    not_asked: 0,
                    resolvers: 0,
                    published: 0,
                    waited: 0,
                },
            },
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"certificate":"example.com","event":"finished","step":"propagate","seconds":1.235,"confirmed":7,"addresses":8,"not_asked":0,"resolvers":0,"published":0,"waited":0}"#
        );
    }
}
