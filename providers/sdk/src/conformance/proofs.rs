//! One function per promise.

use super::bench::{Bench, add, credential, remove, values};
use super::journal::Journal;
use super::{Promise, Subject};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Batch, DnsProvider, Listing};
use crate::record::{TxtChange, TxtRecords, TxtValue};
use futures_util::future::try_join_all;
use secrecy::ExposeSecret as _;
use tracing::instrument::WithSubscriber as _;

/// Why a promise was not proved.
pub(super) enum Unproved {
    NotApplicable(String),
    Broken(String),
}

impl From<ProviderError> for Unproved {
    fn from(error: ProviderError) -> Self {
        Self::Broken(format!("a call failed: {error}"))
    }
}

type Proof = Result<(), Unproved>;

fn broken(what: impl Into<String>) -> Proof {
    Err(Unproved::Broken(what.into()))
}

fn not_applicable(reason: impl Into<String>) -> Proof {
    Err(Unproved::NotApplicable(reason.into()))
}

pub(super) async fn prove(promise: Promise, subject: &Subject) -> Proof {
    let bench = Bench::new(subject);
    match promise {
        Promise::SideBySide => side_by_side(&bench).await,
        Promise::OwnRemoval => own_removal(&bench).await,
        Promise::Repeatable => repeatable(&bench).await,
        Promise::Concurrent => concurrent(&bench).await,
        Promise::ForeignRecords => foreign_records(&bench).await,
        Promise::TtlKept => ttl_kept(&bench).await,
        Promise::Listed => listed(&bench).await,
        Promise::LongValue => long_value(&bench).await,
        Promise::FullBatch => full_batch(&bench).await,
        Promise::RefusedBatch => refused_batch(&bench).await,
        Promise::LongestZone => longest_zone(&bench).await,
        Promise::WrongToken => wrong_token(&bench).await,
        Promise::RetryAfter => retry_after(&bench).await,
        Promise::Secrets => secrets(&bench).await,
        Promise::ZoneId => zone_id(&bench).await,
    }
}

async fn side_by_side(bench: &Bench<'_>) -> Proof {
    if bench.credential.limits().values_per_name == Some(1) {
        return not_applicable("one value lives at a name");
    }
    let (name, pair) = (bench.place(), values(2));
    bench.add(&name, &pair[..1]).await?;
    bench.add(&name, &pair[1..]).await?;
    bench.expect(&name, &pair, "after two adds").await?;
    Ok(bench.remove(&name, &pair).await?)
}

async fn own_removal(bench: &Bench<'_>) -> Proof {
    if !bench.credential.limits().can_remove {
        return not_applicable("values cannot be removed");
    }
    let (name, pair) = (bench.place(), values(2));
    let together = bench.credential.limits().removes_whole_rrsets;
    bench.add(&name, &pair).await?;
    bench.remove(&name, &pair[..1]).await?;
    let left = if together { &pair[..] } else { &pair[1..] };
    bench.expect(&name, left, "after the removal of one of two values").await?;
    bench.remove(&name, &pair[1..]).await?;
    bench.expect(&name, &[], "after the removal of the other one").await?;
    if together { not_applicable(WHOLE) } else { Ok(()) }
}

/// Why a value that is removed may stand for a while, and others' may go with it.
const WHOLE: &str = "a removal takes the whole RRset, so it waits for the last value";

async fn repeatable(bench: &Bench<'_>) -> Proof {
    let (name, value) = (bench.place(), values(1));
    bench.add(&name, &value).await?;
    bench.add(&name, &value).await?;
    bench.expect(&name, &value, "after the same add twice").await?;
    if bench.credential.limits().can_remove {
        bench.remove(&name, &value).await?;
        bench.remove(&name, &value).await?;
        bench.expect(&name, &[], "after the same removal twice").await?;
    }
    Ok(())
}

/// Several callers, each with limits of its own, as several processes have: one value each is
/// added at one name while one that stands there is removed.
async fn concurrent(bench: &Bench<'_>) -> Proof {
    let limits = bench.credential.limits();
    let callers = limits.values_per_name.unwrap_or(8).clamp(1, 8);
    let (name, old, new) = (bench.place(), values(1), values(callers));
    let mut changes: Vec<TxtChange> = new.iter().map(|value| add(&name, value)).collect();
    if limits.can_remove && !limits.removes_whole_rrsets && callers > 1 {
        bench.add(&name, &old).await?;
        changes.push(remove(&name, &old[0]));
    }
    let credentials: Vec<_> = changes.iter().map(|_| credential(bench.subject)).collect();
    let calls = credentials
        .iter()
        .zip(&changes)
        .map(|(credential, change)| credential.apply(bench.zone(), std::slice::from_ref(change)));
    try_join_all(calls).await?;
    bench.expect(&name, &new, "after adds and a removal at the same time").await?;
    Ok(bench.remove(&name, &new).await?)
}

/// Why nothing of others can stand beside values of ours.
const ROLLS: &str = "the service makes room by dropping the oldest value";

async fn foreign_records(bench: &Bench<'_>) -> Proof {
    if bench.credential.limits().values_per_name.is_some() {
        return not_applicable(ROLLS);
    }
    let (name, foreign, own) = (bench.place(), values(2), values(1));
    bench.write_foreign(&name, &TxtRecords { ttl: 300, values: foreign.clone() }).await?;
    bench.add(&name, &own).await?;
    bench.expect(&name, &[foreign.clone(), own.clone()].concat(), "after an add beside others").await?;
    if bench.credential.limits().removes_whole_rrsets {
        bench.remove(&name, &own).await?;
        return not_applicable(WHOLE);
    }
    if bench.credential.limits().can_remove {
        bench.remove(&name, &own).await?;
        bench.expect(&name, &foreign, "after a removal beside others").await?;
    }
    bench.write_foreign(&name, &TxtRecords::default()).await
}

async fn ttl_kept(bench: &Bench<'_>) -> Proof {
    if bench.credential.limits().values_per_name.is_some() {
        return not_applicable(ROLLS);
    }
    if bench.credential.limits().chooses_ttl {
        return not_applicable("the TTL is the service's to choose");
    }
    let Some(observer) = &bench.subject.observer else {
        return not_applicable("nobody else can write");
    };
    let (name, foreign, own) = (bench.place(), values(1), values(1));
    let ttl = 3607.max(bench.credential.limits().smallest_ttl);
    bench.write_foreign(&name, &TxtRecords { ttl, values: foreign.clone() }).await?;
    bench.add(&name, &own).await?;
    let seen = observer.records(bench.zone(), &name).await.map_err(Unproved::Broken)?.ttl;
    bench.remove(&name, &own).await?;
    bench.write_foreign(&name, &TxtRecords::default()).await?;
    if seen == ttl { Ok(()) } else { broken(format!("an add changed the TTL from {ttl} to {seen}")) }
}

async fn listed(bench: &Bench<'_>) -> Proof {
    let (name, own) = (bench.place(), values(1));
    bench.add(&name, &own).await?;
    let answer = bench.credential.values(bench.zone(), &name).await?;
    bench.remove(&name, &own).await?;
    match answer {
        Listing::Listed(seen) if seen == own => Ok(()),
        Listing::Listed(seen) => broken(format!("{seen:?} is listed instead of {own:?}")),
        Listing::NotAvailable => not_applicable("the service has no such call"),
    }
}

async fn long_value(bench: &Bench<'_>) -> Proof {
    if bench.credential.limits().challenges_only {
        return not_applicable("the service takes the values of dns-01 challenges only");
    }
    let text = format!(
        "ca.example; accounturi=https://ca.example/acct/{}; note=\"a \\ b\"; persistUntil=1798761600",
        "x".repeat(255)
    );
    let refused = bench.credential.limits().refused_characters;
    let text: String = text.chars().filter(|character| !refused.contains(character)).collect();
    let (name, value) = (bench.place(), [TxtValue::parse(&text).expect("printable")]);
    bench.add(&name, &value).await?;
    bench.expect(&name, &value, "after the add of a long value").await?;
    bench.remove(&name, &value).await?;
    if bench.credential.limits().can_remove {
        bench.expect(&name, &[], "after the removal of a long value").await?;
    }
    Ok(())
}

/// Names of a full batch that are looked at: an observer may start a program for each look.
const LOOKED_AT: usize = 20;

async fn full_batch(bench: &Bench<'_>) -> Proof {
    let limits = bench.credential.limits();
    let per_name = limits.values_per_name.map_or(2, |most| most.min(2));
    let names = match limits.batch {
        Batch::Zone(most) => (most / per_name).max(1),
        Batch::Name => 1,
        Batch::Record => return not_applicable("a call carries one change"),
    };
    let places: Vec<_> = (0..names).map(|_| (bench.place(), values(per_name))).collect();
    let each = |make: fn(&crate::Fqdn, &TxtValue) -> TxtChange| -> Vec<TxtChange> {
        places.iter().flat_map(|(name, own)| own.iter().map(|value| make(name, value))).collect()
    };
    bench.credential.apply(bench.zone(), &each(add)).await?;
    // The first, the last, and some in between: a batch cut short lacks its end.
    let looked_at = || places.iter().rev().step_by(names.div_ceil(LOOKED_AT)).chain(places.first());
    for (name, own) in looked_at() {
        bench.expect(name, own, "after a full batch of adds").await?;
    }
    if limits.can_remove {
        bench.credential.apply(bench.zone(), &each(remove)).await?;
        for (name, _) in looked_at() {
            bench.expect(name, &[], "after a full batch of removals").await?;
        }
    }
    Ok(())
}

async fn refused_batch(bench: &Bench<'_>) -> Proof {
    let Some(forbidden) = &bench.subject.forbidden else {
        return not_applicable("the run names no name that is forbidden");
    };
    let (name, pair) = (bench.place(), values(2));
    let batch = [add(&name, &pair[0]), add(forbidden, &pair[1])];
    let together = bench.credential.limits().batch.allows(&batch);
    let batch = if together { &batch[..] } else { &batch[1..] };
    match bench.credential.apply(bench.zone(), batch).await {
        Ok(_) => return broken("a forbidden name was accepted"),
        Err(error) if error.is_retryable() => {
            return broken(format!("the refusal counts as passing: {error}"));
        }
        Err(_) => {}
    }
    if together && bench.credential.limits().atomic {
        bench.expect(&name, &[], "after a refused batch that had another name in it").await?;
    }
    Ok(bench.remove(&name, &pair[..1]).await?)
}

async fn longest_zone(bench: &Bench<'_>) -> Proof {
    let Some(sub_zone) = &bench.subject.sub_zone else {
        return not_applicable("the run has one zone only");
    };
    let (name, own) = (bench.place_in(sub_zone), values(1));
    bench.apply(sub_zone, vec![add(&name, &own[0])]).await?;
    bench.expect_in(sub_zone, &name, &own, "after an add in the longer zone").await?;
    if bench.subject.observer.is_some() {
        bench.expect_in(bench.zone(), &name, &[], "after an add in the longer zone").await?;
    }
    if bench.credential.limits().can_remove {
        bench.apply(sub_zone, vec![remove(&name, &own[0])]).await?;
        bench.expect_in(sub_zone, &name, &[], "after a removal in the longer zone").await?;
    }
    Ok(())
}

/// One add that must fail; asked of the provider itself, since the calling layer would repeat.
async fn refusal(bench: &Bench<'_>, provider: &dyn DnsProvider) -> Result<ProviderError, Unproved> {
    let (name, own) = (bench.place(), values(1));
    match provider.apply(bench.zone(), &[add(&name, &own[0])]).await {
        Ok(_) => Err(Unproved::Broken("the service accepted it".to_owned())),
        Err(error) => Ok(error),
    }
}

async fn wrong_token(bench: &Bench<'_>) -> Proof {
    let provider = match &bench.subject.wrong_token {
        Ok(provider) => provider,
        Err(reason) => return not_applicable(reason),
    };
    let error = refusal(bench, provider.as_ref()).await?;
    let kind = error.kind();
    if error.is_retryable() {
        return broken(format!("a wrong token counts as passing: {error}"));
    }
    if !matches!(kind, ProviderErrorKind::Auth | ProviderErrorKind::Permission) {
        return broken(format!("a wrong token is of kind {kind:?}: {error}"));
    }
    Ok(())
}

async fn retry_after(bench: &Bench<'_>) -> Proof {
    let provider = match &bench.subject.rate_limited {
        Ok(provider) => provider,
        Err(reason) => return not_applicable(reason),
    };
    let error = refusal(bench, provider.as_ref()).await?;
    let kind = error.kind();
    if kind != ProviderErrorKind::RateLimited || !error.is_retryable() {
        return broken(format!("a refusal for rate is of kind {kind:?}: {error}"));
    }
    match error.retry_after() {
        Some(_) => Ok(()),
        None => broken("a refusal for rate does not say how long"),
    }
}

/// Everything that could show a secret is written down: `Debug`, every log line at every
/// level, and the errors of a wrong token with their causes.
async fn secrets(bench: &Bench<'_>) -> Proof {
    if bench.subject.secrets.is_empty() {
        return not_applicable("it has no secret");
    }
    let journal = Journal::default();
    let mut text =
        format!("{:?} {:?} {:?}\n", bench.subject.provider, bench.subject.wrong_token, bench.credential);
    let (name, own) = (bench.place(), values(1));
    let work = async {
        bench.add(&name, &own).await?;
        bench.credential.values(bench.zone(), &name).await?;
        bench.remove(&name, &own).await?;
        match &bench.subject.wrong_token {
            Ok(provider) => Ok::<_, Unproved>(Some(refusal(bench, provider.as_ref()).await?)),
            Err(_) => Ok(None),
        }
    };
    if let Some(error) = work.with_subscriber(journal.clone()).await? {
        text += &told(&error);
    }
    text += &journal.text();
    let shown = bench.subject.secrets.iter().position(|secret| text.contains(secret.expose_secret()));
    match shown {
        None => Ok(()),
        Some(index) => broken(format!("secret number {} of the run is shown", index + 1)),
    }
}

fn told(error: &ProviderError) -> String {
    let hint = error.hint().unwrap_or_default();
    let mut text = format!("{error} {error:?} {hint}\n");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!("{error} {error:?}\n");
        cause = error.source();
    }
    text
}

async fn zone_id(bench: &Bench<'_>) -> Proof {
    if bench.zone().id.is_none() {
        return not_applicable("its zones have no ids");
    }
    let Some(observer) = &bench.subject.observer else {
        return not_applicable("nobody counts the listings");
    };
    let Some(before) = observer.zone_listings().await else {
        return not_applicable("nobody counts the listings");
    };
    let (name, own) = (bench.place(), values(1));
    bench.add(&name, &own).await?;
    bench.remove(&name, &own).await?;
    let listings = observer.zone_listings().await.unwrap_or(before) - before;
    if listings == 0 { Ok(()) } else { broken(format!("the zones were listed {listings} times")) }
}
