//! What is wanted held against what is there: the store's side of [`crate::plan`].

use crate::acme::{AcmeError, CertificateId, RenewalInfo};
use crate::authority::Authority;
use crate::config::CertificateConfig;
use crate::plan::{self, Decision, Failure, Held, Situation};
use crate::store::{Certificate, RenewalInformation, Store, StoreError, VersionSummary};
use jiff::{SignedDuration, Timestamp};

/// Without an answer, the CA is asked again for its advice after this (RFC 9773 §4.3.3).
const ASK_AGAIN: SignedDuration = SignedDuration::from_hours(6);
/// The CA is asked for its advice at least daily (RFC 9773 §4.3.2).
const LONGEST_SILENCE: SignedDuration = SignedDuration::from_hours(24);

/// One certificate, as it is wanted and as it is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is wanted.
    pub wanted: CertificateConfig,
    /// True when the key comes with a request of the user's own.
    pub own_request: bool,
    /// What the store knows; `None` before the first order.
    pub known: Option<Certificate>,
    /// An order of ours is open.
    pub unfinished: bool,
}

impl Entry {
    /// Looks `wanted` up in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn look_up(
        store: &Store,
        wanted: CertificateConfig,
        own_request: bool,
    ) -> Result<Self, StoreError> {
        let known = store.certificate(wanted.name.as_str()).await?;
        let unfinished = store.has_open_order(wanted.name.as_str()).await?;
        Ok(Self { wanted, own_request, known, unfinished })
    }

    /// The version in use.
    #[must_use]
    pub fn current(&self) -> Option<&VersionSummary> {
        self.known.as_ref()?.current.as_ref()
    }

    /// What is to be done with it at `now`; `force` is the user's.
    #[must_use]
    pub fn decide(&self, force: bool, now: Timestamp) -> Decision {
        plan::decide(&self.situation(force), now)
    }

    fn situation(&self, force: bool) -> Situation {
        let known = self.known.as_ref();
        Situation {
            names: self.wanted.domains.iter().map(ToString::to_string).collect(),
            key_type: (!self.own_request).then_some(self.wanted.key),
            held: known.and_then(held),
            failure: known.and_then(|known| known.failure.as_ref()).map(|failure| Failure {
                since: failure.since,
                attempts: failure.attempts,
                next_try: failure.next_try,
                stale_until: failure.stale_until,
            }),
            unfinished: self.unfinished,
            force,
        }
    }

    /// Asks the CA for its advice on renewal (RFC 9773), if it is time to ask again. Nothing is
    /// asked of a certificate that has ended or was revoked here.
    ///
    /// # Errors
    /// The store cannot be written. That the CA does not answer is no error: what it said last
    /// holds until it does.
    pub async fn refresh_advice(
        &mut self,
        store: &Store,
        authority: &Authority,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(current) = self.current() else { return Ok(()) };
        let number = current.number;
        let Some(id) = current.renewal_id.clone() else { return Ok(()) };
        let old = self.known.as_ref().and_then(|known| known.renewal.clone());
        let asked_lately = old.as_ref().is_some_and(|advice| {
            // Later than that lies only what a clock that was ahead has written down.
            advice.next_look > now && advice.next_look <= now + LONGEST_SILENCE
        });
        if asked_lately || current.not_after <= now || current.revoked_at.is_some() {
            return Ok(());
        }
        let advice = match authority.client().renewal_info(&CertificateId::from_stored(id)).await {
            Ok(info) => {
                let mut fresh = remembered_advice(&info, now);
                // The moment picked before stays, unless the CA has moved its window.
                if let Some(old) = old.filter(|old| old.start == fresh.start && old.end == fresh.end) {
                    fresh.chosen = old.chosen;
                }
                fresh
            }
            Err(AcmeError::NotOffered { .. }) => return Ok(()),
            Err(error) => {
                tracing::warn!(certificate = %self.wanted.name, %error, "no advice on renewal");
                let Some(mut old) = old else { return Ok(()) };
                old.next_look = now + ASK_AGAIN;
                old
            }
        };
        store.record_renewal(self.wanted.name.as_str(), number, &advice).await?;
        if let Some(known) = &mut self.known {
            known.renewal = Some(advice);
        }
        Ok(())
    }
}

/// What is known of the certificate that is there, as the plan wants it.
#[must_use]
pub fn held(known: &Certificate) -> Option<Held> {
    let current = known.current.as_ref()?;
    Some(Held {
        names: current.names.iter().cloned().collect(),
        key_type: current.key_type.as_deref().and_then(|text| text.parse().ok()),
        not_before: current.not_before,
        not_after: current.not_after,
        revoked: current.revoked_at.is_some(),
        advised: known.renewal.as_ref().map(|advice| advice.chosen),
    })
}

/// The CA's advice with the moment that we chose in its window, as the store keeps it.
#[must_use]
pub fn remembered_advice(info: &RenewalInfo, now: Timestamp) -> RenewalInformation {
    let again = SignedDuration::try_from(info.ask_again).unwrap_or(ASK_AGAIN);
    RenewalInformation {
        start: info.start,
        end: info.end,
        chosen: info.pick(&mut rand::rng()),
        explanation_url: info.explanation.as_ref().map(ToString::to_string),
        next_look: now + again,
    }
}
