//! The reference: memory.

use super::table;
use dns01_provider::conformance::Subject;
use dns01_provider::{MemoryProvider, ProviderError, ProviderErrorKind, Zone, ZoneName};
use std::sync::Arc;
use std::time::Duration;

fn too_many() -> ProviderError {
    ProviderError::new(ProviderErrorKind::RateLimited, "too many").with_retry_after(Duration::from_secs(30))
}

#[tokio::test]
async fn the_promises_are_kept_by_memory() {
    let zone = |name: &str| Zone { name: ZoneName::parse(name).unwrap(), id: Some(name.to_owned()) };
    let (parent, child) = (zone("example.test"), zone("sub.example.test"));
    let memory = MemoryProvider::new([parent.name.clone(), child.name.clone()]);
    let forbidden = parent.name.apex().child("forbidden").unwrap();
    memory.forbid(forbidden.clone());
    let wrong = memory.refusing(|| ProviderError::new(ProviderErrorKind::Auth, "wrong token"));
    let subject = Subject::new("memory", Arc::new(memory.clone()), parent)
        .with_peer("memory, the reference")
        .with_sub_zone(child)
        .with_observer(Arc::new(memory.clone()))
        .with_wrong_token(Ok(Arc::new(wrong)))
        .with_rate_limited(Ok(Arc::new(memory.refusing(too_many))))
        .with_forbidden(forbidden)
        .with_secrets(["a secret that memory never had".into()]);
    table::assert_all_kept(&subject).await;
}
