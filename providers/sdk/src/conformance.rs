//! The conformance suite: the promises of [`DnsProvider`], proved for one provider from
//! outside.
//!
//! A provider's run makes a [`Subject`], calls [`run`] and asserts the [`Report`]:
//!
//! ```no_run
//! # async fn example(provider: std::sync::Arc<dyn dns01_provider::DnsProvider>) {
//! use dns01_provider::conformance::{Subject, run};
//! use dns01_provider::{Zone, ZoneName};
//!
//! let zone = Zone::named(ZoneName::parse("example.test").expect("a name"));
//! let report = run(&Subject::new("mine", provider, zone)).await;
//! println!("{report}");
//! report.assert_kept();
//! # }
//! ```
//!
//! What the subject cannot show (no second zone, no way to look from outside) is reported as
//! not applicable with its reason, never passed over in silence.

mod bench;
mod journal;
mod proofs;
#[cfg(test)]
mod tests;

use crate::name::Fqdn;
use crate::provider::DnsProvider;
use crate::record::{TxtRecords, Zone};
use async_trait::async_trait;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;

/// A provider and all that the suite needs around it.
#[derive(Debug)]
pub struct Subject {
    name: String,
    peer: String,
    provider: Arc<dyn DnsProvider>,
    zone: Zone,
    sub_zone: Option<Zone>,
    observer: Option<Arc<dyn Observer>>,
    wrong_token: Result<Arc<dyn DnsProvider>, String>,
    rate_limited: Result<Arc<dyn DnsProvider>, String>,
    forbidden: Option<Fqdn>,
    secrets: Vec<SecretString>,
    left_out: Vec<(Promise, String)>,
}

impl Subject {
    /// `provider`, called `name` in the report, which may write to `zone`.
    pub fn new(name: impl Into<String>, provider: Arc<dyn DnsProvider>, zone: Zone) -> Self {
        let none = "the run gives none";
        Self {
            name: name.into(),
            peer: "not told".to_owned(),
            provider,
            zone,
            sub_zone: None,
            observer: None,
            wrong_token: Err(none.to_owned()),
            rate_limited: Err(none.to_owned()),
            forbidden: None,
            secrets: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// What the provider talks to: memory, a real server, an emulator, or a strict fake and the
    /// client that proved it.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<String>) -> Self {
        self.peer = peer.into();
        self
    }

    /// Looks at the service from outside, by other means than the provider.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// A second zone of the same credential, below the first.
    #[must_use]
    pub fn with_sub_zone(mut self, zone: Zone) -> Self {
        self.sub_zone = Some(zone);
        self
    }

    /// The same provider with a token that the service does not accept, or why there is none.
    #[must_use]
    pub fn with_wrong_token(mut self, provider: Result<Arc<dyn DnsProvider>, &str>) -> Self {
        self.wrong_token = provider.map_err(str::to_owned);
        self
    }

    /// The same provider at a service that refuses every call for rate, or why there is none.
    #[must_use]
    pub fn with_rate_limited(mut self, provider: Result<Arc<dyn DnsProvider>, &str>) -> Self {
        self.rate_limited = provider.map_err(str::to_owned);
        self
    }

    /// A name in the zone that the credential may not write.
    #[must_use]
    pub fn with_forbidden(mut self, name: Fqdn) -> Self {
        self.forbidden = Some(name);
        self
    }

    /// Leaves `promise` out because the peer cannot carry it, whatever the provider does: an
    /// emulator that is wrong there, for instance.
    #[must_use]
    pub fn leaving_out(mut self, promise: Promise, reason: impl Into<String>) -> Self {
        self.left_out.push((promise, reason.into()));
        self
    }

    /// Everything that must never be shown: the token, and the wrong one.
    #[must_use]
    pub fn with_secrets(mut self, secrets: impl IntoIterator<Item = SecretString>) -> Self {
        self.secrets.extend(secrets);
        self
    }
}

/// Sees and changes the service by other means than the provider: a DNS query, another
/// client, the memory of a fake. An error is a sentence for the report.
#[async_trait]
pub trait Observer: fmt::Debug + Send + Sync {
    /// What stands at `name` in `zone`; empty where nothing does.
    ///
    /// # Errors
    /// It cannot be seen at the moment.
    async fn records(&self, zone: &Zone, name: &Fqdn) -> Result<TxtRecords, String>;

    /// Puts somebody else's records at `name`, in place of all that stand there.
    ///
    /// # Errors
    /// It cannot be done at the moment.
    async fn write(&self, zone: &Zone, name: &Fqdn, records: &TxtRecords) -> Result<(), String>;

    /// A name in `zone` that nobody has used yet, where the service makes the names; elsewhere
    /// the suite makes them up.
    fn fresh_name(&self, zone: &Zone) -> Option<Fqdn> {
        let _ = zone;
        None
    }

    /// How often the zones were listed so far, where the service counts it.
    async fn zone_listings(&self) -> Option<u64> {
        None
    }
}

/// One promise of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// Two values live side by side at one name.
    SideBySide,
    /// A removal removes its own value only.
    OwnRemoval,
    /// Adding what is there and removing what is absent succeed and change nothing.
    Repeatable,
    /// Concurrent calls lose nothing.
    Concurrent,
    /// Other people's records at the name survive.
    ForeignRecords,
    /// An existing RRset keeps its TTL.
    TtlKept,
    /// The provider lists what stands at a name.
    Listed,
    /// A long value with spaces and quotes comes back as it was.
    LongValue,
    /// A batch of the declared size is carried out.
    FullBatch,
    /// A batch with a forbidden name fails for good, and has added nothing where the provider
    /// says so.
    RefusedBatch,
    /// The zone given is the one written to, also where a longer one is configured.
    LongestZone,
    /// A wrong token is a permanent error.
    WrongToken,
    /// A refusal for rate carries its Retry-After.
    RetryAfter,
    /// `Debug`, errors and logs never show a secret.
    Secrets,
    /// A zone id given in the configuration is used without listing zones.
    ZoneId,
}

impl Promise {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 15] = [
        Self::SideBySide,
        Self::OwnRemoval,
        Self::Repeatable,
        Self::Concurrent,
        Self::ForeignRecords,
        Self::TtlKept,
        Self::Listed,
        Self::LongValue,
        Self::FullBatch,
        Self::RefusedBatch,
        Self::LongestZone,
        Self::WrongToken,
        Self::RetryAfter,
        Self::Secrets,
        Self::ZoneId,
    ];
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SideBySide => "two values live side by side",
            Self::OwnRemoval => "a removal removes its own value only",
            Self::Repeatable => "adds and removals may be repeated",
            Self::Concurrent => "concurrent calls lose nothing",
            Self::ForeignRecords => "other people's records survive",
            Self::TtlKept => "an existing RRset keeps its TTL",
            Self::Listed => "what stands at a name is listed",
            Self::LongValue => "a long value comes back as it was",
            Self::FullBatch => "a batch of the declared size works",
            Self::RefusedBatch => "a refused batch fails for good",
            Self::LongestZone => "the zone given is written to",
            Self::WrongToken => "a wrong token is a permanent error",
            Self::RetryAfter => "a refusal for rate says how long",
            Self::Secrets => "no secret is ever shown",
            Self::ZoneId => "a zone id needs no listing",
        })
    }
}

/// What became of one promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proved.
    Kept,
    /// It cannot be proved here, and why.
    NotApplicable(String),
    /// What happened instead.
    Broken(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::NotApplicable(reason) => write!(f, "n/a: {reason}"),
            Self::Broken(what) => write!(f, "BROKEN: {what}"),
        }
    }
}

/// What became of all promises. Shown, it is a table.
#[derive(Clone, Debug)]
pub struct Report {
    provider: String,
    peer: String,
    rows: Vec<(Promise, Verdict)>,
}

impl Report {
    /// What the run called the provider.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What the provider talked to.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The verdicts, in the order of [`Promise::ALL`].
    #[must_use]
    pub fn rows(&self) -> &[(Promise, Verdict)] {
        &self.rows
    }

    /// The verdict on one promise.
    ///
    /// # Panics
    /// Never for a report that [`run`] made.
    #[must_use]
    pub fn verdict(&self, promise: Promise) -> &Verdict {
        let row = self.rows.iter().find(|(of, _)| *of == promise);
        &row.expect("every promise was tried").1
    }

    /// Fails a test that wants every applicable promise kept.
    ///
    /// # Panics
    /// A promise is broken; the message is the whole table.
    #[track_caller]
    pub fn assert_kept(&self) {
        let broken = self.rows.iter().any(|(_, verdict)| matches!(verdict, Verdict::Broken(_)));
        assert!(!broken, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at {}", self.provider, self.peer)?;
        self.rows.iter().try_for_each(|(promise, verdict)| writeln!(f, "  {promise:<38} {verdict}"))
    }
}

/// Tries every promise, one after the other. Each uses a name of its own and removes what it
/// wrote.
pub async fn run(subject: &Subject) -> Report {
    let mut rows = Vec::new();
    for promise in Promise::ALL {
        let left_out = subject.left_out.iter().find(|(one, _)| *one == promise);
        let verdict = match left_out {
            Some((_, reason)) => Verdict::NotApplicable(reason.clone()),
            None => match proofs::prove(promise, subject).await {
                Ok(()) => Verdict::Kept,
                Err(proofs::Unproved::NotApplicable(reason)) => Verdict::NotApplicable(reason),
                Err(proofs::Unproved::Broken(what)) => Verdict::Broken(what),
            },
        };
        rows.push((promise, verdict));
    }
    Report { provider: subject.name.clone(), peer: subject.peer.clone(), rows }
}
