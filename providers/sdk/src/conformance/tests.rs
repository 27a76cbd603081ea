use super::*;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::memory::MemoryProvider;
use crate::name::ZoneName;
use crate::provider::{Applied, Batch, Limits, Listing};
use crate::record::{TxtChange, TxtValue};
use std::time::Duration;

const TOKEN: &str = "tok-3f1c9a7e";

/// How a provider breaks its promises, one way each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// An add replaces what stands there.
    Replaces,
    /// A removal takes the whole RRset.
    RemovesAll,
    /// An add of what is there fails.
    AddTwiceFails,
    /// A removal of what is not there fails.
    RemoveTwiceFails,
    /// Reads, waits, and writes back what it read.
    LosesUpdates,
    /// Sets its own TTL.
    SetsTtl,
    /// Lists nothing.
    ListsNothing,
    /// Cuts values at 255 octets.
    CutsValues,
    /// Takes no backslash.
    TakesNoBackslash,
    /// Carries out the first ten changes only.
    ShortBatch,
    /// Carries out what comes before the forbidden name.
    HalfBatch,
    /// Calls a refusal passing.
    PassingRefusal,
    /// Writes to the parent zone.
    ParentZone,
    /// Shows its token in a log line.
    LogsToken,
    /// Lists the zones before each write.
    ListsZones,
}

struct Flawed {
    memory: MemoryProvider,
    flaw: Option<Flaw>,
    shows_token: bool,
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flawed({})", if self.shows_token { TOKEN } else { "…" })
    }
}

impl Flawed {
    async fn change(&self, zone: &Zone, change: &TxtChange) -> Result<(), ProviderError> {
        let (name, value) = (change.name(), change.value());
        let before = self.memory.records(&zone.name, name);
        let add = matches!(change, TxtChange::Add { .. });
        let invalid = |message: &str| Err(ProviderError::new(ProviderErrorKind::Invalid, message));
        let mut after = before.clone();
        match self.flaw {
            Some(Flaw::AddTwiceFails) if add && before.values.contains(value) => {
                return invalid("it is there");
            }
            Some(Flaw::RemoveTwiceFails) if !add && !before.values.contains(value) => {
                return invalid("no such");
            }
            Some(Flaw::Replaces) if add => after.values = vec![value.clone()],
            Some(Flaw::RemovesAll) if !add => after.values.clear(),
            Some(Flaw::SetsTtl) => {
                self.memory.apply(zone, std::slice::from_ref(change)).await?;
                after = self.memory.records(&zone.name, name);
                after.ttl = 60;
            }
            Some(Flaw::CutsValues) if add => {
                let text: String = value.as_str().chars().take(255).collect();
                after.values.push(TxtValue::parse(&text).unwrap());
            }
            Some(Flaw::TakesNoBackslash) if value.as_str().contains('\\') => return invalid("a backslash"),
            Some(Flaw::LosesUpdates) => {
                tokio::task::yield_now().await;
                after.values.retain(|present| present != value);
                after.values.extend(add.then(|| value.clone()));
            }
            _ => return self.memory.apply(zone, std::slice::from_ref(change)).await.map(drop),
        }
        self.memory.write(&zone.name, name, after);
        Ok(())
    }
}

#[async_trait]
impl DnsProvider for Flawed {
    fn limits(&self) -> Limits {
        self.memory.limits()
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let parent = Zone::named(ZoneName::parse("example.test").unwrap());
        match self.flaw {
            Some(Flaw::ParentZone) => return self.memory.apply(&parent, changes).await,
            Some(Flaw::ListsZones) => drop(self.memory.zones().await?),
            Some(Flaw::LogsToken) => tracing::trace!(header = TOKEN, "asking"),
            Some(Flaw::ShortBatch) => {
                return self.memory.apply(zone, &changes[..changes.len().min(10)]).await;
            }
            Some(Flaw::HalfBatch | Flaw::PassingRefusal) | None => {}
            Some(_) => {
                for change in changes {
                    self.change(zone, change).await?;
                }
                return Ok(Applied::default());
            }
        }
        let result = self.memory.apply(zone, changes).await;
        if self.flaw == Some(Flaw::HalfBatch) && result.is_err() {
            self.memory.apply(zone, &changes[..1]).await?;
        }
        let passing = self.flaw == Some(Flaw::PassingRefusal);
        result.map_err(|error| error.with_retryable(passing))
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        match self.flaw {
            Some(Flaw::ListsNothing) => Ok(Listing::Listed(Vec::new())),
            _ => self.memory.values(zone, name).await,
        }
    }
}

fn auth() -> ProviderError {
    ProviderError::new(ProviderErrorKind::Auth, "the token is not accepted")
}

fn too_many() -> ProviderError {
    ProviderError::new(ProviderErrorKind::RateLimited, "too many calls")
        .with_retry_after(Duration::from_secs(3))
}

fn zone(name: &str) -> Zone {
    Zone { name: ZoneName::parse(name).unwrap(), id: Some(format!("id-of-{name}")) }
}

/// A subject over memory with everything in it that a subject can have.
fn subject(flaw: Option<Flaw>, limits: Option<Limits>) -> Subject {
    let (parent, child) = (zone("example.test"), zone("sub.example.test"));
    let mut memory = MemoryProvider::new([parent.name.clone(), child.name.clone()]);
    if let Some(limits) = limits {
        memory = memory.with_limits(limits);
    }
    let forbidden = Fqdn::parse("_acme-challenge.forbidden.example.test").unwrap();
    memory.forbid(forbidden.clone());
    let provider = Flawed { memory: memory.clone(), flaw, shows_token: false };
    Subject::new("memory", Arc::new(provider), parent)
        .with_sub_zone(child)
        .with_observer(Arc::new(memory.clone()))
        .with_wrong_token(Ok(Arc::new(memory.refusing(auth))))
        .with_rate_limited(Ok(Arc::new(memory.refusing(too_many))))
        .with_forbidden(forbidden)
        .with_secrets([SecretString::from(TOKEN)])
}

#[tokio::test(start_paused = true)]
async fn the_reference_provider_keeps_every_promise() {
    let report = run(&subject(None, None)).await;
    for (promise, verdict) in report.rows() {
        assert_eq!(*verdict, Verdict::Kept, "{promise}");
    }
    report.assert_kept();
}

#[tokio::test(start_paused = true)]
async fn each_flaw_is_found_by_the_promise_that_it_breaks() {
    let flaws = [
        (Flaw::Replaces, Promise::SideBySide),
        (Flaw::Replaces, Promise::ForeignRecords),
        (Flaw::RemovesAll, Promise::OwnRemoval),
        (Flaw::RemovesAll, Promise::ForeignRecords),
        (Flaw::AddTwiceFails, Promise::Repeatable),
        (Flaw::RemoveTwiceFails, Promise::Repeatable),
        (Flaw::LosesUpdates, Promise::Concurrent),
        (Flaw::SetsTtl, Promise::TtlKept),
        (Flaw::ListsNothing, Promise::Listed),
        (Flaw::CutsValues, Promise::LongValue),
        (Flaw::TakesNoBackslash, Promise::LongValue),
        (Flaw::ShortBatch, Promise::FullBatch),
        (Flaw::HalfBatch, Promise::RefusedBatch),
        (Flaw::PassingRefusal, Promise::RefusedBatch),
        (Flaw::ParentZone, Promise::LongestZone),
        (Flaw::LogsToken, Promise::Secrets),
        (Flaw::ListsZones, Promise::ZoneId),
    ];
    for (flaw, promise) in flaws {
        let report = run(&subject(Some(flaw), None)).await;
        let verdict = report.verdict(promise);
        assert!(matches!(verdict, Verdict::Broken(_)), "{flaw:?} against {promise:?}: {verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_answers_to_a_wrong_token_and_to_too_many_calls_are_found() {
    let passing = || auth().with_retryable(true);
    let unlike = || ProviderError::new(ProviderErrorKind::NotFound, "nothing here");
    let endless = || ProviderError::new(ProviderErrorKind::RateLimited, "too many calls");
    let service = MemoryProvider::new([zone("example.test").name]);
    let refusing =
        |refusal| -> Result<Arc<dyn DnsProvider>, &'static str> { Ok(Arc::new(service.refusing(refusal))) };
    for (subject, promise) in [
        (subject(None, None).with_wrong_token(refusing(passing)), Promise::WrongToken),
        (subject(None, None).with_wrong_token(refusing(unlike)), Promise::WrongToken),
        (subject(None, None).with_rate_limited(refusing(endless)), Promise::RetryAfter),
        (subject(None, None).with_rate_limited(refusing(auth)), Promise::RetryAfter),
    ] {
        let report = run(&subject).await;
        assert!(matches!(report.verdict(promise), Verdict::Broken(_)), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_debug_or_in_an_error_is_found() {
    let mut shown = subject(None, None);
    let memory = MemoryProvider::new([zone("example.test").name]);
    shown.provider = Arc::new(Flawed { memory: memory.clone(), flaw: None, shows_token: true });
    let report = run(&shown).await;
    assert!(matches!(report.verdict(Promise::Secrets), Verdict::Broken(_)), "{report}");
    let telling = || auth().with_source(format!("the header was Bearer {TOKEN}"));
    let report = run(&subject(None, None).with_wrong_token(Ok(Arc::new(memory.refusing(telling))))).await;
    let Verdict::Broken(what) = report.verdict(Promise::Secrets) else { panic!("{report}") };
    assert!(!what.contains(TOKEN), "the report itself shows it");
}

#[tokio::test(start_paused = true)]
async fn what_a_service_cannot_do_is_reported_with_its_reason() {
    let mut limits = Limits::new(Batch::Record);
    limits.values_per_name = Some(2);
    limits.can_remove = false;
    let report = run(&subject(None, Some(limits))).await;
    report.assert_kept();
    let reason = |promise| match report.verdict(promise) {
        Verdict::NotApplicable(reason) => reason.clone(),
        other => panic!("{promise}: {other}"),
    };
    assert_eq!(reason(Promise::OwnRemoval), "values cannot be removed");
    assert_eq!(reason(Promise::FullBatch), "a call carries one change");
    assert!(report.to_string().contains("n/a: values cannot be removed"), "{report}");
    assert_eq!(*report.verdict(Promise::SideBySide), Verdict::Kept);
}

#[tokio::test(start_paused = true)]
async fn a_character_that_a_service_refuses_is_left_out_where_that_is_declared() {
    let mut limits = Limits::new(Batch::Zone(100));
    limits.refused_characters = &['\\'];
    let report = run(&subject(Some(Flaw::TakesNoBackslash), Some(limits.clone()))).await;
    assert_eq!(*report.verdict(Promise::LongValue), Verdict::Kept, "{report}");
    let report = run(&subject(Some(Flaw::CutsValues), Some(limits))).await;
    assert!(matches!(report.verdict(Promise::LongValue), Verdict::Broken(_)), "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_cannot_carry_is_left_out_with_its_reason() {
    let flawed = subject(Some(Flaw::LosesUpdates), None);
    let report = run(&flawed.leaving_out(Promise::Concurrent, "the emulator loses updates")).await;
    let reason = Verdict::NotApplicable("the emulator loses updates".to_owned());
    assert_eq!(*report.verdict(Promise::Concurrent), reason);
    assert_eq!(*report.verdict(Promise::SideBySide), Verdict::Kept);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "BROKEN")]
async fn a_broken_promise_fails_the_test_that_asserts_the_report() {
    run(&subject(Some(Flaw::Replaces), None)).await.assert_kept();
}
