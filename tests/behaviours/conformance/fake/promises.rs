//! A run of the conformance suite against a fake.

use super::memory::Memory;
use super::{ALIASED, Stand};
use dns01_provider::conformance::Subject;
use dns01_provider::{Fqdn, TxtValue, Zone};
use dns01_tests::fake_dns_api::Service;
use std::borrow::Borrow as _;
use std::sync::Arc;

/// What a run needs; it has to live as long as the suite is at it.
pub(crate) struct Run<S: Service, K: ToOwned + ?Sized> {
    /// Its key may write in both zones.
    pub(crate) stand: Stand<S, K>,
    pub(crate) sub_zone: Zone,
    /// A key that the service does not take.
    pub(crate) wrong: K::Owned,
    /// Refuses everything for rate.
    pub(crate) busy: Stand<S, K>,
    /// The request that lists zones, such as `GET /zones`.
    pub(crate) listing: &'static str,
    /// The forms in which others write a value through the API.
    pub(crate) forms: &'static [fn(&TxtValue) -> String],
}

impl<S: Service, K: ToOwned + ?Sized> Run<S, K> {
    /// The provider called `name` at its fake, which `client` from PyPI has proven. None of
    /// `secrets` may ever be shown.
    pub(crate) fn proven_by(&self, client: &str, name: &str, secrets: &[&str]) -> Subject {
        self.subject(name, secrets).with_peer(format!("strict fake, proven by {client} (PyPI)"))
    }

    /// The same at a fake that nobody has proven.
    pub(crate) fn subject(&self, name: &str, secrets: &[&str]) -> Subject {
        self.stand.alias();
        let api = Arc::clone(&self.stand.api);
        let memory = Memory { api, listing: self.listing, forms: self.forms };
        Subject::new(name, self.stand.provider(), self.stand.zone.clone())
            .with_sub_zone(self.sub_zone.clone())
            .with_observer(Arc::new(memory))
            .with_wrong_token(Ok(self.stand.with(self.wrong.borrow())))
            .with_rate_limited(Ok(self.busy.provider()))
            .with_forbidden(Fqdn::parse(ALIASED).unwrap())
            .with_secrets(secrets.iter().map(|&secret| secret.into()))
    }
}
