//! Audits of what a key may do.

use super::{Stand, name};
use dns01_provider::{ScopeNeed, ScopeReport};
use dns01_tests::fake_dns_api::Service;

impl<S: Service, K: ToOwned + ?Sized> Stand<S, K> {
    /// The challenge name below `host` has to be written.
    pub(crate) fn need(&self, host: &str) -> ScopeNeed {
        ScopeNeed { zone: self.zone.clone(), name: name(host) }
    }

    /// What `key` can do beyond `needs`.
    pub(crate) async fn audit(&self, key: &K, needs: &[ScopeNeed]) -> ScopeReport {
        self.with(key).audit_scope(needs).await.unwrap()
    }
}

/// What was probed of a key that can do just enough.
#[track_caller]
pub(crate) fn exactly_enough(report: ScopeReport) -> Vec<String> {
    match report {
        ScopeReport::ExactlyEnough { probed } => probed,
        other => panic!("not just enough: {other:?}"),
    }
}

/// What a key can do beyond its needs.
#[track_caller]
pub(crate) fn too_much(report: ScopeReport) -> Vec<String> {
    match report {
        ScopeReport::MoreThanNeeded { findings } => findings,
        other => panic!("not too much: {other:?}"),
    }
}

/// What a key cannot do and should.
#[track_caller]
pub(crate) fn too_little(report: ScopeReport) -> Vec<String> {
    match report {
        ScopeReport::NotEnough { findings } => findings,
        other => panic!("not too little: {other:?}"),
    }
}
