//! What the credential can do beyond its needs: nothing here changes a record.

use crate::api::{Api, ListedZone, Place, Token};
use dns01_provider::{Fqdn, ProviderError, ProviderErrorKind, ScopeReport, ZoneName};
use serde::de::IgnoredAny;
use std::collections::BTreeSet;

/// Zones beyond the needs of which it is tried whether they can be changed.
const MOST_TRIED: usize = 20;
/// The permissions of a token that is just enough, as the service calls them.
const NEEDED_PERMISSIONS: [&str; 2] = ["DNS Write", "Zone Read"];
/// How the service calls a zone among a token's resources.
const ZONE_RESOURCE: &str = "com.cloudflare.api.account.zone.";

/// A needed zone, and what can be done to it.
pub(crate) struct Zone {
    name: ZoneName,
    /// Its id, if it was found.
    id: Option<String>,
    /// The id is configured, so that the zone need not be read.
    is_known: bool,
    /// What is needed and not possible.
    missing: Option<Missing>,
    /// What is possible and not needed.
    excess: Vec<String>,
}

/// Why a zone cannot be written to.
enum Missing {
    /// The service said so.
    Refused(ProviderError),
    /// It was found out.
    Found(String),
}

impl Zone {
    /// Why the service does not accept the credential at all, if it does not.
    fn not_accepted(&self) -> Option<&ProviderError> {
        match &self.missing {
            Some(Missing::Refused(error)) if error.kind() == ProviderErrorKind::Auth => Some(error),
            _ => None,
        }
    }

    /// Looks what can be done to `zone`; `id` is what came of looking for it.
    pub(crate) async fn look(
        api: &Api,
        zone: &dns01_provider::Zone,
        name: &Fqdn,
        id: Result<String, ProviderError>,
    ) -> Result<Self, ProviderError> {
        let found = |id| Self {
            name: zone.name.clone(),
            id,
            is_known: zone.id.is_some(),
            missing: None,
            excess: Vec::new(),
        };
        let id = match id {
            Ok(id) => id,
            Err(error) if is_refusal(&error) => {
                return Ok(Self { missing: Some(Missing::Refused(error)), ..found(None) });
            }
            Err(error) => return Err(error),
        };
        let mut seen = found(Some(id.clone()));
        match api.records(&id, &Place::At(name.clone())).await {
            Ok(_) => {}
            Err(error) if is_refusal(&error) => {
                seen.missing = Some(Missing::Refused(error));
                return Ok(seen);
            }
            Err(error) => return Err(error),
        }
        if !api.may_change(&id).await? {
            let finding = format!("it may not change records of `{}` (`Zone / DNS / Edit`)", zone.name);
            seen.missing = Some(Missing::Found(finding));
        }
        for (path, what) in [("settings", "Zone Settings"), ("pagerules", "Page Rules")] {
            if api.sight::<IgnoredAny>(&format!("zones/{id}/{path}")).await?.is_some() {
                seen.excess.push(format!("it reads more of `{}` than records (`Zone / {what}`)", zone.name));
            }
        }
        Ok(seen)
    }
}

/// One audit, as far as it has come.
pub(crate) struct Audit<'a> {
    api: &'a Api,
    zones: Vec<Zone>,
    excess: Vec<String>,
    missing: Vec<String>,
    probed: Vec<String>,
}

impl<'a> Audit<'a> {
    /// # Errors
    /// The service does not accept the credential for any zone.
    pub(crate) fn of(api: &'a Api, mut zones: Vec<Zone>) -> Result<Self, ProviderError> {
        if zones.iter().all(|zone| zone.not_accepted().is_some())
            && let Some(Missing::Refused(error)) = zones.pop().and_then(|zone| zone.missing)
        {
            return Err(error);
        }
        let names: Vec<String> = zones.iter().map(|zone| format!("`{}`", zone.name)).collect();
        let probed = vec![format!("records of {} can be read and changed", names.join(", "))];
        Ok(Self { api, zones, excess: Vec::new(), missing: Vec::new(), probed })
    }

    /// The Global API Key is never just enough.
    pub(crate) async fn global_key(&mut self) -> Result<(), ProviderError> {
        self.excess.push("it is the Global API Key, which may do everything that its owner can".to_owned());
        self.other_zones().await
    }

    pub(crate) async fn token(&mut self) -> Result<(), ProviderError> {
        self.other_zones().await?;
        if self.api.sight::<IgnoredAny>("user").await?.is_some() {
            self.excess.push("it reads its owner's details (`User / User Details`)".to_owned());
        }
        // Tokens of an account are not known here; what they may do is found out all the same.
        let Some(token) = self.api.sight::<Token>("user/tokens/verify").await? else { return Ok(()) };
        if !["active", ""].contains(&token.status.as_str()) {
            self.missing.push(format!("the service calls it {}", token.status));
        }
        match self.api.sight::<Token>(&format!("user/tokens/{}", token.id)).await? {
            Some(token) => {
                self.excess.push("it reads the API tokens of its owner (`User / API Tokens`)".to_owned());
                self.policies(&token);
            }
            None => self.probed.push(
                "not its owner's details, not the zone's settings and page rules; what else it may do \
                 can be read on the dashboard only"
                    .to_owned(),
            ),
        }
        Ok(())
    }

    /// Zones that it sees and nobody needs, and whether it may change them.
    async fn other_zones(&mut self) -> Result<(), ProviderError> {
        let Some(seen) = self.api.zones_of_writer().await? else {
            self.probed.push("it sees no zone; which others it may change unseen cannot be asked".to_owned());
            return Ok(());
        };
        let mut tried = 0;
        for zone in &seen {
            match self.zones.iter().find(|needed| needed.id.as_ref() == Some(&zone.id)) {
                Some(needed) if needed.is_known => self.excess.push(format!(
                    "it reads the zone `{}` itself (`Zone / Zone / Read`), which its configured id makes needless",
                    zone.name
                )),
                Some(_) => {}
                None => {
                    tried += 1;
                    let changes = tried <= MOST_TRIED && self.api.may_change(&zone.id).await?;
                    self.excess.push(not_needed(zone, changes));
                }
            }
        }
        self.probed.push(format!("it sees {} and no other zone", self.names_of(&seen)));
        Ok(())
    }

    /// The second token may see the needed zones, and no others.
    pub(crate) async fn look_up_token(&mut self) -> Result<(), ProviderError> {
        for zone in self.api.zones(None).await? {
            if !self.zones.iter().any(|needed| needed.id.as_ref() == Some(&zone.id)) {
                self.excess.push(format!("`zone_token` sees the zone `{}`, which is not needed", zone.name));
            }
        }
        Ok(())
    }

    /// What a token that may read itself says of itself.
    fn policies(&mut self, token: &Token) {
        let groups = token.policies.iter().flat_map(|policy| &policy.permission_groups);
        let groups: BTreeSet<&str> = groups.map(|group| group.name.as_str()).collect();
        for group in groups.into_iter().filter(|group| !NEEDED_PERMISSIONS.contains(group)) {
            self.excess.push(format!("it has the permission `{group}`"));
        }
        let resources = token.policies.iter().flat_map(|policy| policy.resources.keys());
        let resources: BTreeSet<&str> = resources.map(String::as_str).collect();
        for resource in resources {
            let zone = resource.strip_prefix(ZONE_RESOURCE);
            if !zone.is_some_and(|id| self.zones.iter().any(|needed| needed.id.as_deref() == Some(id))) {
                self.excess.push(format!("it has permissions on `{resource}`"));
            }
        }
    }

    fn names_of(&self, seen: &[ListedZone]) -> String {
        let names: Vec<String> = seen.iter().map(|zone| format!("`{}`", zone.name)).collect();
        if names.is_empty() { "no zone".to_owned() } else { names.join(", ") }
    }

    pub(crate) fn report(self) -> ScopeReport {
        let (mut missing, mut excess) = (self.missing, self.excess);
        for zone in self.zones {
            missing.extend(zone.missing.map(|missing| match missing {
                Missing::Refused(error) => format!("it may not read records of `{}`: {error}", zone.name),
                Missing::Found(finding) => finding,
            }));
            excess.extend(zone.excess);
        }
        ScopeReport::of(missing, excess, self.probed)
    }
}

fn not_needed(zone: &ListedZone, changes: bool) -> String {
    match changes {
        true => format!("it may change every record of the zone `{}`, which is not needed", zone.name),
        false => format!("it sees the zone `{}`, which is not needed", zone.name),
    }
}

/// True if the service says that this credential may not do this here.
fn is_refusal(error: &ProviderError) -> bool {
    use ProviderErrorKind::{Auth, NotFound, Permission};
    matches!(error.kind(), Auth | NotFound | Permission)
}
