//! Refusals, and replies that no service should give.

use super::{ALIASED, Stand, add, name, remove};
use dns01_provider::{DnsProvider, Fqdn, ProviderError, ProviderErrorKind as Kind, Zone};
use dns01_tests::fake_dns_api::{Answer, FakeDnsApi, Fault, Service};

/// Insists that `error` is for good, of that kind, in these words and with a hint, and does not
/// show `secret`.
#[track_caller]
pub(crate) fn assert_refused(error: &ProviderError, kind: Kind, words: &str, secret: &str) {
    assert_eq!((error.kind(), error.is_retryable()), (kind, false), "{error}");
    assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains(secret), "the secret is shown: {error}");
}

/// Insists that a zone which is not there is not taken for a record that is not; what the
/// errors say to do.
pub(crate) async fn assert_no_such_zone(provider: &dyn DnsProvider, zone: &Zone, name: &Fqdn) -> Vec<String> {
    let mut hints = Vec::new();
    for change in [add(name, "v"), remove(name, "v")] {
        let error = provider.apply(zone, &[change]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        hints.extend(error.hint().map(str::to_owned));
    }
    hints
}

impl<S: Service, K: ToOwned + ?Sized> Stand<S, K> {
    /// Why nothing can be written beside a CNAME, which is for good.
    pub(crate) async fn refusal_beside_a_cname(&self) -> ProviderError {
        self.alias();
        let change = add(&Fqdn::parse(ALIASED).unwrap(), "v");
        let error = self.provider().apply(&self.zone, &[change]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (Kind::Conflict, false), "{error}");
        error
    }

    /// [`troubles`] of a look at what stands somewhere.
    pub(crate) async fn troubles_are_clear_errors(&self, provider: &dyn DnsProvider, secret: &str) {
        let here = name("trouble");
        let attempt = async || provider.values(&self.zone, &here).await.expect_err("it must fail");
        troubles(&self.api, secret, attempt).await;
    }
}

/// Plays what a service in trouble answers, a page of its edge, half a reply, 10 MB, a way to
/// another host, on the next request that `attempt` makes, and insists on a clear error without
/// a secret. `secret` is in the page, as in debugging pages of some services.
pub(crate) async fn troubles<S: Service>(
    api: &FakeDnsApi<S>,
    secret: &str,
    attempt: impl AsyncFn() -> ProviderError,
) {
    let elsewhere = Fault::Redirect("http://127.0.0.2:1/elsewhere".to_owned());
    let page = Fault::Instead(Answer::page(502, &format!("bad gateway {secret}")));
    for (fault, kind, words) in [
        (page, Kind::Unavailable, "502"),
        (Fault::CutShort, Kind::Invalid, "not what is documented"),
        (Fault::Huge(10_000_000), Kind::Invalid, "longer than"),
        (elsewhere, Kind::Invalid, "redirects to"),
    ] {
        api.fault(fault);
        let error = attempt().await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {error:?}").contains(secret), "the secret is shown");
    }
}
