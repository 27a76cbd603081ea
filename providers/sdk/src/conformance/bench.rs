//! Where a promise is tried: names of its own, values, and a look from outside.

use super::Subject;
use super::proofs::Unproved;
use crate::credential::{Credential, CredentialName};
use crate::error::ProviderError;
use crate::name::Fqdn;
use crate::provider::Listing;
use crate::record::{TxtChange, TxtRecords, TxtValue, Zone};
use std::time::Duration;
use tokio::time::Instant;

/// The TTL of what the suite adds.
pub(super) const TTL: u32 = 120;
/// What was written has this long to be seen from outside.
const PATIENCE: Duration = Duration::from_secs(5);
/// The wait between two looks.
const PACE: Duration = Duration::from_millis(50);

/// The subject with a calling layer, so that the limits of a real service are obeyed.
pub(super) struct Bench<'a> {
    pub(super) subject: &'a Subject,
    pub(super) credential: Credential,
}

impl<'a> Bench<'a> {
    pub(super) fn new(subject: &'a Subject) -> Self {
        Self { subject, credential: credential(subject) }
    }

    pub(super) fn zone(&self) -> &'a Zone {
        &self.subject.zone
    }

    /// A challenge name that nobody else uses.
    pub(super) fn place(&self) -> Fqdn {
        self.place_in(&self.subject.zone)
    }

    /// The same in `zone`.
    pub(super) fn place_in(&self, zone: &Zone) -> Fqdn {
        let made = self.subject.observer.as_ref().and_then(|observer| observer.fresh_name(zone));
        made.unwrap_or_else(|| place_in(zone))
    }

    /// Carries `changes` out in as few calls as allowed.
    pub(super) async fn apply(&self, zone: &Zone, changes: Vec<TxtChange>) -> Result<(), ProviderError> {
        for batch in self.credential.limits().batch.split(changes) {
            self.credential.apply(zone, &batch).await?;
        }
        Ok(())
    }

    pub(super) async fn add(&self, name: &Fqdn, values: &[TxtValue]) -> Result<(), ProviderError> {
        self.apply(self.zone(), values.iter().map(|value| add(name, value)).collect()).await
    }

    pub(super) async fn remove(&self, name: &Fqdn, values: &[TxtValue]) -> Result<(), ProviderError> {
        if !self.credential.limits().can_remove {
            return Ok(());
        }
        self.apply(self.zone(), values.iter().map(|value| remove(name, value)).collect()).await
    }

    /// What stands at `name`, seen by the observer, or by the provider where there is none.
    pub(super) async fn look(&self, zone: &Zone, name: &Fqdn) -> Result<Vec<TxtValue>, Unproved> {
        let mut values = match &self.subject.observer {
            Some(observer) => observer.records(zone, name).await.map_err(Unproved::Broken)?.values,
            None => match self.credential.values(zone, name).await? {
                Listing::Listed(values) => values,
                Listing::NotAvailable => {
                    return Err(Unproved::NotApplicable("nobody can see what stands in the zone".to_owned()));
                }
            },
        };
        values.sort_unstable();
        Ok(values)
    }

    /// Waits until exactly `expected` stands at `name` in `zone`.
    pub(super) async fn expect_in(
        &self,
        zone: &Zone,
        name: &Fqdn,
        expected: &[TxtValue],
        when: &str,
    ) -> Result<(), Unproved> {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.look(zone, name).await?;
            if seen == expected {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Unproved::Broken(format!(
                    "{when}, {} stand at `{name}` in `{}` instead of {}",
                    list(&seen),
                    zone.name,
                    list(&expected)
                )));
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// [`Self::expect_in`] the subject's zone.
    pub(super) async fn expect(
        &self,
        name: &Fqdn,
        expected: &[TxtValue],
        when: &str,
    ) -> Result<(), Unproved> {
        self.expect_in(self.zone(), name, expected, when).await
    }

    /// Writes somebody else's records, or says why nobody can.
    pub(super) async fn write_foreign(&self, name: &Fqdn, records: &TxtRecords) -> Result<(), Unproved> {
        let Some(observer) = &self.subject.observer else {
            return Err(Unproved::NotApplicable("nobody else can write".to_owned()));
        };
        observer.write(self.zone(), name, records).await.map_err(Unproved::Broken)
    }
}

/// A calling layer of its own over the subject's provider, as another process would have.
pub(super) fn credential(subject: &Subject) -> Credential {
    let name = CredentialName::parse("conformance").expect("a credential name");
    Credential::new(name, std::sync::Arc::clone(&subject.provider))
}

fn place_in(zone: &Zone) -> Fqdn {
    let label = format!("t{:08x}", rand::random::<u32>());
    let host = zone.name.apex().child(&label).expect("a short label fits");
    host.child("_acme-challenge").expect("a short label fits")
}

/// Values as challenges have them: 43 characters of base64url.
pub(super) fn values(count: usize) -> Vec<TxtValue> {
    let value = || {
        let text: String = (0..43).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
        TxtValue::parse(&text).expect("letters")
    };
    std::iter::repeat_with(value).take(count).collect()
}

pub(super) fn add(name: &Fqdn, value: &TxtValue) -> TxtChange {
    TxtChange::Add { name: name.clone(), value: value.clone(), ttl: TTL }
}

pub(super) fn remove(name: &Fqdn, value: &TxtValue) -> TxtChange {
    TxtChange::Remove { name: name.clone(), value: value.clone() }
}

fn list(values: &[TxtValue]) -> String {
    let texts: Vec<String> = values.iter().map(|value| format!("{:?}", value.as_str())).collect();
    format!("[{}]", texts.join(", "))
}
