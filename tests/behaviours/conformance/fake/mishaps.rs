//! What may happen between a look and a change, and after it: other writers, and lost replies.

use super::{Stand, add, name, remove};
use dns01_provider::DnsProvider;
use dns01_tests::fake_dns_api::{Answer, Fault, Service};

impl<S: Service, K: ToOwned + ?Sized> Stand<S, K> {
    /// `intrude` lets somebody else add a value just before the next change: where nothing
    /// stood, beside a value, and where one of several goes. `provider` keeps them all.
    pub(crate) async fn keep_what_others_write(&self, provider: &dyn DnsProvider, intrude: impl Fn(&str)) {
        let here = name("contended");
        for (change, intruder, expected) in [
            (add(&here, "v"), "a", &["a", "v"][..]),
            (add(&here, "w"), "b", &["a", "v", "b", "w"]),
            (remove(&here, "v"), "c", &["a", "b", "w", "c"]),
        ] {
            intrude(intruder);
            provider.apply(&self.zone, &[change]).await.unwrap();
            assert_eq!(self.values(&here), expected);
        }
    }

    /// An add at `lost` is carried out and not heard of, which is told as worth a repetition.
    /// `empty` is the answer to the provider's look before it, where it looks.
    pub(crate) async fn lose_the_reply_to_an_add(&self, provider: &dyn DnsProvider, empty: Option<Answer>) {
        if let Some(empty) = empty {
            self.api.fault(Fault::Instead(empty));
        }
        self.api.fault(Fault::ReplyLost);
        let error = provider.apply(&self.zone, &[add(&name("lost"), "v")]).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }

    /// The add at `lost` is repeated, which doubles nothing.
    pub(crate) async fn repeat_the_add(&self, provider: &dyn DnsProvider) {
        provider.apply(&self.zone, &[add(&name("lost"), "v")]).await.unwrap();
        assert_eq!(self.values(&name("lost")), ["v"]);
    }

    /// A removal at `lost` is carried out and not heard of, and then repeated.
    pub(crate) async fn remove_over_a_lost_reply(&self, provider: &dyn DnsProvider) {
        let removal = [remove(&name("lost"), "v")];
        self.api.fault(Fault::ReplyLost);
        provider.apply(&self.zone, &removal).await.unwrap_err();
        provider.apply(&self.zone, &removal).await.unwrap();
        assert!(self.values(&name("lost")).is_empty());
    }
}
