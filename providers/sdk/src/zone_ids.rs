//! The ids of zones that were looked up.

use crate::error::ProviderError;
use crate::name::ZoneName;
use crate::record::Zone;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// What a service calls its zones: a configured id is taken as it is, any other is looked up
/// once.
#[derive(Debug, Default)]
pub struct ZoneIds(Mutex<BTreeMap<ZoneName, String>>);

impl ZoneIds {
    /// The id of `zone`: the configured one, the one found earlier, or what `look_up` finds.
    /// A failed look-up is not remembered.
    ///
    /// # Errors
    /// What `look_up` fails with.
    pub async fn of<F>(&self, zone: &Zone, look_up: impl FnOnce() -> F) -> Result<String, ProviderError>
    where
        F: Future<Output = Result<String, ProviderError>>,
    {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&zone.name).cloned();
        if let Some(id) = zone.id.clone().or_else(known) {
            return Ok(id);
        }
        let found = look_up().await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.name.clone(), found.clone());
        Ok(found)
    }

    /// Forgets what was found for `zone`: it may have been made anew under another id.
    pub fn forget(&self, zone: &Zone) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&zone.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ProviderErrorKind;

    #[tokio::test]
    async fn a_configured_id_needs_no_look_up_and_another_only_one() {
        let (ids, name) = (ZoneIds::default(), ZoneName::parse("example.test").unwrap());
        let configured = Zone { name: name.clone(), id: Some("given".to_owned()) };
        let never = || async { panic!("it was looked up") };
        assert_eq!(ids.of(&configured, never).await.unwrap(), "given");

        let zone = Zone::named(name);
        let fails = || async { Err(ProviderError::new(ProviderErrorKind::NotFound, "no such zone")) };
        assert!(ids.of(&zone, fails).await.is_err());
        assert_eq!(ids.of(&zone, || async { Ok("found".to_owned()) }).await.unwrap(), "found");
        assert_eq!(ids.of(&zone, never).await.unwrap(), "found");
        ids.forget(&zone);
        assert_eq!(ids.of(&zone, || async { Ok("new".to_owned()) }).await.unwrap(), "new");
    }
}
