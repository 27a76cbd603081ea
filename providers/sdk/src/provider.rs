//! The contract.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::Fqdn;
use crate::rate::Rate;
use crate::record::{TxtChange, TxtValue, Zone};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A DNS provider as dns01 uses it: single TXT values added to and removed from zones.
///
/// # The promises
/// The [conformance suite](crate::conformance) proves each for every provider:
///
/// 1. Two values live side by side at one name.
/// 2. A removal removes its own value only.
/// 3. Adding what is there and removing what is absent succeed: a call that timed out may
///    have worked.
/// 4. Concurrent calls lose nothing, and other people's records at the name survive.
/// 5. The longest configured zone is the one written to.
/// 6. A bad token is a permanent error; a refusal for rate carries its Retry-After.
/// 7. `Debug`, errors and logs never show a secret.
/// 8. Zone ids given in the configuration are used without listing zones.
///
/// What a service cannot do is declared in [`Limits`], which is the reason the suite prints.
///
/// # Cancellation
/// A dropped `apply` may or may not have taken effect; the caller repeats it or removes what
/// it may have written.
#[async_trait]
pub trait DnsProvider: fmt::Debug + Send + Sync + 'static {
    /// What the service allows; constant for the life of the value.
    fn limits(&self) -> Limits;

    /// Carries out `changes` in `zone` as one unit of API work. At most as many as
    /// [`Limits::batch`] allows are given. On an error nothing is known of what was done,
    /// unless [`Limits::atomic`].
    ///
    /// # Errors
    /// [`ProviderError`], its kind telling whether a repetition can help.
    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError>;

    /// All TXT values at `name`, ours and others'.
    ///
    /// # Errors
    /// [`ProviderError`], its kind telling whether a repetition can help.
    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError>;

    /// True if what [`Self::values`] has just read proves that the service takes the credential;
    /// false where it shows values to whoever asks.
    fn reading_proves_credential(&self) -> bool {
        true
    }

    /// The zones this credential can see.
    ///
    /// # Errors
    /// [`ProviderError`], its kind telling whether a repetition can help.
    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        Ok(Listing::NotAvailable)
    }

    /// Whether the service itself says that what `receipt` stands for is served everywhere.
    ///
    /// # Errors
    /// [`ProviderError`], its kind telling whether a repetition can help.
    async fn published(&self, zone: &Zone, receipt: &Receipt) -> Result<Published, ProviderError> {
        let _ = (zone, receipt);
        Ok(Published::NotAvailable)
    }

    /// What the credential can do beyond `needs`, found without changing a record that is
    /// not ours.
    ///
    /// # Errors
    /// [`ProviderError`], its kind telling whether a repetition can help.
    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        let _ = needs;
        Ok(ScopeReport::CannotTell { reason: "this provider has no way to ask".to_owned() })
    }
}

/// What a service allows, and what one call of it may cost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// What one `apply` may hold.
    pub batch: Batch,
    /// Calls under way at once with one credential.
    pub in_flight: usize,
    /// How often one credential may call, all rates at once; empty where the service names no
    /// limit.
    pub rates: Vec<Rate>,
    /// How often one credential may change one zone, beside [`Self::rates`]. Waiting for it
    /// holds up nobody else's zone.
    pub zone_rates: Vec<Rate>,
    /// The time one call may take before it counts as lost.
    pub call_timeout: Duration,
    /// Values that can live at one name; `None` is no limit.
    pub values_per_name: Option<usize>,
    /// The smallest TTL in seconds that the service takes.
    pub smallest_ttl: u32,
    /// Characters that no value may have; none of them is in a challenge's.
    pub refused_characters: &'static [char],
    /// False where values cannot be removed (acme-dns lets them roll).
    pub can_remove: bool,
    /// True where an `apply` that fails with a permanent error has added nothing.
    pub atomic: bool,
    /// True where only the values of dns-01 challenges are taken (RFC 8555 §8.4): 43 characters
    /// of base64url.
    pub challenges_only: bool,
    /// True where a removal takes every value at the name. It is then carried out only when the
    /// last of the values that were added through this machine is removed.
    pub removes_whole_rrsets: bool,
    /// True where the service, or what stands before it, chooses the TTL: an add may change
    /// that of an existing RRset.
    pub chooses_ttl: bool,
}

impl Limits {
    /// What holds for a service that names no limits: a batch of `batch`, 4 calls in flight,
    /// 30 s a call, TTLs from 1 s, values of any characters, removal possible, not atomic.
    #[must_use]
    pub fn new(batch: Batch) -> Self {
        Self {
            batch,
            in_flight: 4,
            rates: Vec::new(),
            zone_rates: Vec::new(),
            call_timeout: Duration::from_secs(30),
            values_per_name: None,
            smallest_ttl: 1,
            refused_characters: &[],
            can_remove: true,
            atomic: false,
            challenges_only: false,
            removes_whole_rrsets: false,
            chooses_ttl: false,
        }
    }
}

/// How many changes one API call can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Batch {
    /// Any changes within one zone, at most this many.
    Zone(usize),
    /// Changes at one name only.
    Name,
    /// One change.
    Record,
}

impl Batch {
    /// True if one `apply` can carry all of `changes`.
    #[must_use]
    pub fn allows(self, changes: &[TxtChange]) -> bool {
        match self {
            Self::Zone(most) => changes.len() <= most,
            Self::Name => changes.windows(2).all(|pair| pair[0].name() == pair[1].name()),
            Self::Record => changes.len() <= 1,
        }
    }

    /// `changes` of one zone in as few batches as the service allows, in their order within
    /// each name.
    #[must_use]
    pub fn split(self, changes: Vec<TxtChange>) -> Vec<Vec<TxtChange>> {
        match self {
            Self::Zone(most) => changes.chunks(most.max(1)).map(<[TxtChange]>::to_vec).collect(),
            Self::Record => changes.into_iter().map(|change| vec![change]).collect(),
            Self::Name => {
                let mut names: BTreeMap<Fqdn, Vec<TxtChange>> = BTreeMap::new();
                for change in changes {
                    names.entry(change.name().clone()).or_default().push(change);
                }
                names.into_values().collect()
            }
        }
    }
}

/// What a successful `apply` returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The service's own handle on the change, for [`DnsProvider::published`].
    pub receipt: Option<Receipt>,
}

impl Applied {
    /// Done, with the service's handle on it.
    #[must_use]
    pub fn with_receipt(receipt: Receipt) -> Self {
        Self { receipt: Some(receipt) }
    }
}

/// A service's own handle on a change (Route 53's change id, for instance).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// What a service answers when asked for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing<T> {
    /// Everything it has.
    Listed(Vec<T>),
    /// It cannot be asked (no such call, or the credential does not reach so far).
    NotAvailable,
}

impl<T> Listing<T> {
    /// What came of asking for a list: a credential that may not ask has none.
    ///
    /// # Errors
    /// That of `result`, unless it is a lack of permission.
    pub fn if_permitted(result: Result<Vec<T>, ProviderError>) -> Result<Self, ProviderError> {
        match result {
            Err(error) if error.kind() == ProviderErrorKind::Permission => Ok(Self::NotAvailable),
            result => result.map(Self::Listed),
        }
    }
}

/// The service's own word on a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// Served everywhere.
    Yes,
    /// Under way.
    NotYet,
    /// The service does not say.
    NotAvailable,
}

/// Something the configuration needs of a credential: TXT at `name` in `zone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeNeed {
    /// The zone written to.
    pub zone: Zone,
    /// The challenge name written at.
    pub name: Fqdn,
}

/// What a credential can do, held against what it must.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeReport {
    /// Nothing beyond the needs was found, with what was looked at.
    ExactlyEnough {
        /// The probes that were made.
        probed: Vec<String>,
    },
    /// The credential reaches further, and where.
    MoreThanNeeded {
        /// What it can do beyond the needs.
        findings: Vec<String>,
    },
    /// Something needed is missing.
    NotEnough {
        /// What it cannot do.
        findings: Vec<String>,
    },
    /// The service gives no way to find out.
    CannotTell {
        /// Why.
        reason: String,
    },
}

impl ScopeReport {
    /// What it comes to: something `missing` counts more than something beyond the needs
    /// (`excess`), which is then told behind it; with neither, what was `probed` is.
    #[must_use]
    pub fn of(missing: Vec<String>, excess: Vec<String>, probed: Vec<String>) -> Self {
        if !missing.is_empty() {
            let beyond = excess.into_iter().map(|finding| format!("and beyond the needs: {finding}"));
            return Self::NotEnough { findings: missing.into_iter().chain(beyond).collect() };
        }
        if excess.is_empty() {
            Self::ExactlyEnough { probed }
        } else {
            Self::MoreThanNeeded { findings: excess }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_permission_takes_a_list_away() {
        let refused = |kind| Listing::<u8>::if_permitted(Err(ProviderError::new(kind, "no")));
        assert_eq!(Listing::if_permitted(Ok(vec![1])).unwrap(), Listing::Listed(vec![1]));
        assert_eq!(refused(ProviderErrorKind::Permission).unwrap(), Listing::NotAvailable);
        assert!(refused(ProviderErrorKind::Auth).is_err());
    }

    #[test]
    fn what_is_missing_counts_more_than_what_is_too_much() {
        let some = |text: &str| vec![text.to_owned()];
        let of = |missing, excess| ScopeReport::of(missing, excess, some("p"));
        assert_eq!(of(vec![], vec![]), ScopeReport::ExactlyEnough { probed: some("p") });
        assert_eq!(of(vec![], some("e")), ScopeReport::MoreThanNeeded { findings: some("e") });
        let findings = vec!["m".to_owned(), "and beyond the needs: e".to_owned()];
        assert_eq!(of(some("m"), some("e")), ScopeReport::NotEnough { findings });
    }
}
