//! What each credential is needed for, and what it can do beyond that.
//!
//! [`Needs::gather`] finds where the records of the names go, as an order would, and so what is
//! needed of whom; [`audit`] asks a credential what it can really do.

use crate::config::CredentialConfig;
use crate::dns::{Dns, DnsError};
use crate::issue::{bindings, configured_zones};
use dns01_provider::{
    Credential, CredentialName, Fqdn, ProviderError, ProviderErrorKind, ScopeNeed, ScopeReport, Zone,
    ZoneName,
};
use futures_util::stream::{StreamExt as _, iter};
use std::collections::BTreeMap;
use std::time::Duration;

/// Names that are looked up at the same time.
const AT_ONCE: usize = 32;
/// The most time that looking one name up may take. A name is worth no longer wait here: without
/// an answer its place is taken from the configuration, and said to be.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(20);

/// What is needed, by credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    credentials: BTreeMap<CredentialName, Vec<ScopeNeed>>,
    /// The challenge names that are aliases; their records are needed elsewhere.
    pub aliases: Vec<FollowedAlias>,
    /// The names of which something is not certain.
    pub doubts: Vec<Doubt>,
}

/// A challenge name that is an alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FollowedAlias {
    /// The challenge name.
    pub name: Fqdn,
    /// Where its record goes.
    pub target: Fqdn,
}

/// Something that is not certain about a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubt {
    /// The challenge name, or the name to be proved where there is none yet.
    pub name: Fqdn,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The zone that its record is taken to go to all the same; without one, what it needs is in
    /// nobody's list.
    pub assumed: Option<ZoneName>,
}

impl Needs {
    /// Finds where records at the challenge `names` go, through `credentials` alone. Aliases are
    /// looked up with `dns`; without it every name is taken to be in the zone that the
    /// configuration has for it.
    ///
    /// Dropped half-way it has no effect.
    pub async fn gather(names: &[Fqdn], credentials: &[CredentialConfig], dns: Option<&Dns>) -> Self {
        let mut needs = Self::default();
        let zones = configured_zones(credentials);
        let looked_up = iter(names.to_vec()).map(|name| {
            let zones = &zones;
            async move {
                let Some(dns) = dns else { return (name, None) };
                let location = tokio::time::timeout(LOOK_UP_PATIENCE, dns.locate(&name, zones)).await;
                (name, Some(location.map_err(|_| None).and_then(|found| found.map_err(Some))))
            }
        });
        let looked_up: Vec<_> = looked_up.buffered(AT_ONCE).collect().await;
        for (name, location) in looked_up {
            match location {
                Some(Ok(location)) => {
                    if location.target != name {
                        needs.aliases.push(FollowedAlias { name, target: location.target.clone() });
                    }
                    needs.add(&location.target, &location.zone, credentials);
                }
                Some(Err(error)) if error.as_ref().is_some_and(is_final) => {
                    let (reason, hint) = told(error.as_ref());
                    needs.doubts.push(Doubt { name, reason, hint, assumed: None });
                }
                Some(Err(error)) => {
                    let (reason, hint) = told(error.as_ref());
                    needs.assume(name, Some((reason, hint)), credentials);
                }
                None => needs.assume(name, None, credentials),
            }
        }
        needs.tidy();
        needs
    }

    /// Takes the needs of `other` in.
    pub fn merge(&mut self, other: Self) {
        for (credential, needs) in other.credentials {
            self.credentials.entry(credential).or_default().extend(needs);
        }
        self.aliases.extend(other.aliases);
        self.doubts.extend(other.doubts);
        self.tidy();
    }

    /// What is needed of `credential`, by zone and name.
    #[must_use]
    pub fn of(&self, credential: &CredentialName) -> &[ScopeNeed] {
        self.credentials.get(credential).map_or(&[], Vec::as_slice)
    }

    /// TXT at `name` is needed in the zone `apex`, of everybody who writes there.
    fn add(&mut self, name: &Fqdn, apex: &ZoneName, credentials: &[CredentialConfig]) {
        let bound = bindings(credentials, apex);
        let mut writers: Vec<(&CredentialName, Zone)> =
            bound.into_iter().map(|(one, zone)| (&one.name, zone.zone.clone())).collect();
        if writers.is_empty() {
            let any = credentials.iter().find(|one| one.zones.is_empty());
            writers.extend(any.map(|one| (&one.name, Zone::named(apex.clone()))));
        }
        for (credential, zone) in writers {
            let need = ScopeNeed { zone, name: name.clone() };
            self.credentials.entry(credential.clone()).or_default().push(need);
        }
    }

    /// Takes `name` to be no alias, in the zone that the configuration has for it.
    fn assume(
        &mut self,
        name: Fqdn,
        doubt: Option<(String, Option<String>)>,
        credentials: &[CredentialConfig],
    ) {
        let zones = credentials.iter().flat_map(|one| &one.zones).map(|zone| &zone.zone.name);
        let assumed = ZoneName::longest_containing(zones, &name).cloned();
        if let Some(zone) = &assumed {
            self.add(&name, zone, credentials);
        }
        let doubt = match (doubt, &assumed) {
            (Some((reason, hint)), _) => Some((reason, hint)),
            (None, Some(_)) => None,
            (None, None) => Some((
                "no configured zone contains it, and whether it is an alias into one was not looked up"
                    .to_owned(),
                Some("let it be looked up, or name its zone".to_owned()),
            )),
        };
        self.doubts.extend(doubt.map(|(reason, hint)| Doubt { name, reason, hint, assumed }));
    }

    fn tidy(&mut self) {
        for needs in self.credentials.values_mut() {
            needs.sort_by(|one, other| (&one.zone, &one.name).cmp(&(&other.zone, &other.name)));
            needs.dedup();
        }
        self.aliases.sort();
        self.aliases.dedup();
        self.doubts.sort();
        self.doubts.dedup();
    }
}

/// True where an order would fail for the same reason, however often it is looked up.
fn is_final(error: &DnsError) -> bool {
    matches!(
        error,
        DnsError::NotConfigured { .. }
            | DnsError::AliasNotConfigured { .. }
            | DnsError::AliasLoop { .. }
            | DnsError::AliasTarget { .. }
            | DnsError::DeeperCut { .. }
    )
}

/// Why a name could not be looked up; `None` is for want of time.
fn told(error: Option<&DnsError>) -> (String, Option<String>) {
    match error {
        Some(error) => (error.to_string(), error.hint()),
        None => (format!("no answer within {} s", LOOK_UP_PATIENCE.as_secs()), None),
    }
}

/// A credential, with what it is needed for and what it said it can do.
#[derive(Debug)]
pub struct Audited {
    /// Which.
    pub credential: CredentialName,
    /// What it is needed for.
    pub needs: Vec<ScopeNeed>,
    /// What it can do, or why it could not be asked.
    pub report: Result<ScopeReport, ProviderError>,
}

/// What an audit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can do what is needed, and nothing beyond was found.
    ExactlyEnough,
    /// It reaches further.
    MoreThanNeeded,
    /// Something needed is missing, or the service does not accept it at all.
    NotEnough,
    /// The service gives no way to find out.
    CannotTell,
    /// The service could not be reached, or was out of order.
    NotAsked,
}

impl Verdict {
    /// Its word in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactlyEnough => "exactly-enough",
            Self::MoreThanNeeded => "more-than-needed",
            Self::NotEnough => "not-enough",
            Self::CannotTell => "cannot-tell",
            Self::NotAsked => "not-asked",
        }
    }
}

/// Asks `credential` what it can do, and holds that against `needs`. No record that is not ours
/// is changed. Something that nobody needs is more than needed without being asked.
pub async fn audit(credential: &Credential, needs: Vec<ScopeNeed>) -> Audited {
    let report = match needs.as_slice() {
        [] => Ok(ScopeReport::MoreThanNeeded {
            findings: vec!["no certificate needs it: it can be taken away".to_owned()],
        }),
        needs => credential.audit_scope(needs).await,
    };
    Audited { credential: credential.name().clone(), needs, report }
}

impl Audited {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        use ProviderErrorKind::{Auth, NotFound, Permission};
        match &self.report {
            Ok(ScopeReport::ExactlyEnough { .. }) => Verdict::ExactlyEnough,
            Ok(ScopeReport::MoreThanNeeded { .. }) => Verdict::MoreThanNeeded,
            Ok(ScopeReport::NotEnough { .. }) => Verdict::NotEnough,
            Ok(_) => Verdict::CannotTell,
            Err(error) if matches!(error.kind(), Auth | Permission | NotFound) => Verdict::NotEnough,
            Err(_) => Verdict::NotAsked,
        }
    }

    /// What was found: what is too much or missing.
    #[must_use]
    pub fn findings(&self) -> &[String] {
        match &self.report {
            Ok(ScopeReport::MoreThanNeeded { findings } | ScopeReport::NotEnough { findings }) => findings,
            _ => &[],
        }
    }

    /// What was tried, where nothing was found.
    #[must_use]
    pub fn probed(&self) -> &[String] {
        match &self.report {
            Ok(ScopeReport::ExactlyEnough { probed }) => probed,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PropagationConfig, ZoneConfig};
    use dns01_provider::{MemoryProvider, Plugin, Settings};
    use std::sync::Arc;

    fn credential(name: &str, zones: &[(&str, bool)]) -> CredentialConfig {
        let plugin = Plugin {
            name: "sample",
            summary: "for tests",
            keys: &[],
            build: |_| Ok(Arc::new(MemoryProvider::new([]))),
            from_environment: |_| Ok(Settings::default()),
            name_servers: &[],
            template: "",
            recipe: |_, _| dns01_provider::Recipe::new("nothing"),
        };
        let zone = |(name, multi_provider): &(&str, bool)| ZoneConfig {
            multi_provider: *multi_provider,
            ..ZoneConfig::new(Zone::named(name.parse().unwrap()))
        };
        CredentialConfig {
            name: CredentialName::parse(name).unwrap(),
            plugin,
            zones: zones.iter().map(zone).collect(),
            settings: Settings::default(),
            ttl: None,
            propagation: PropagationConfig::default(),
            aliases: BTreeMap::new(),
        }
    }

    async fn gathered(names: &[&str], credentials: &[CredentialConfig]) -> Needs {
        let names: Vec<Fqdn> = names.iter().map(|name| Fqdn::parse(name).unwrap()).collect();
        Needs::gather(&names, credentials, None).await
    }

    fn of(needs: &Needs, credential: &str) -> Vec<String> {
        let needs = needs.of(&CredentialName::parse(credential).unwrap());
        needs.iter().map(|need| format!("{} in {}", need.name, need.zone.name)).collect()
    }

    #[tokio::test]
    async fn without_a_look_each_name_is_in_its_longest_zone_once() {
        let credentials = [
            credential("one", &[("a.test", false)]),
            credential("two", &[("b.a.test", false), ("c.test", false)]),
        ];
        let needs = gathered(&["x.a.test", "x.b.a.test", "x.a.test", "y.c.test"], &credentials).await;
        assert_eq!(of(&needs, "one"), ["x.a.test in a.test"]);
        assert_eq!(of(&needs, "two"), ["x.b.a.test in b.a.test", "y.c.test in c.test"]);
        assert_eq!(needs.doubts, []);
    }

    #[tokio::test]
    async fn a_name_in_no_zone_is_in_doubt_and_one_at_two_providers_is_needed_of_both() {
        let credentials = [credential("one", &[("a.test", true)]), credential("two", &[("a.test", true)])];
        let needs = gathered(&["x.a.test", "x.b.test"], &credentials).await;
        assert_eq!(of(&needs, "one"), ["x.a.test in a.test"]);
        assert_eq!(of(&needs, "two"), of(&needs, "one"));
        let [doubt] = needs.doubts.as_slice() else { panic!("{:?}", needs.doubts) };
        assert_eq!((doubt.name.as_str(), &doubt.assumed), ("x.b.test", &None));
        assert!(doubt.reason.contains("not looked up"), "{doubt:?}");
    }

    #[tokio::test]
    async fn needs_of_several_certificates_add_up() {
        let credentials = [credential("one", &[("a.test", false)])];
        let mut needs = gathered(&["x.a.test"], &credentials).await;
        needs.merge(gathered(&["y.a.test", "x.a.test"], &credentials).await);
        assert_eq!(of(&needs, "one"), ["x.a.test in a.test", "y.a.test in a.test"]);
    }

    #[tokio::test]
    async fn what_nobody_needs_is_too_much_without_being_asked() {
        let provider = Arc::new(MemoryProvider::new([]));
        let credential = Credential::new(CredentialName::parse("idle").unwrap(), provider);
        let audited = audit(&credential, Vec::new()).await;
        assert_eq!(audited.verdict(), Verdict::MoreThanNeeded);
        assert_eq!(credential.calls(), 0);
        let zone = Zone::named(ZoneName::parse("a.test").unwrap());
        let need = ScopeNeed { zone, name: Fqdn::parse("x.a.test").unwrap() };
        assert_eq!(audit(&credential, vec![need]).await.verdict(), Verdict::CannotTell);
    }

    #[test]
    fn a_credential_that_is_not_accepted_is_not_enough_and_an_outage_is_no_verdict() {
        let audited = |kind| Audited {
            credential: CredentialName::parse("one").unwrap(),
            needs: Vec::new(),
            report: Err(ProviderError::new(kind, "x")),
        };
        assert_eq!(audited(ProviderErrorKind::Auth).verdict(), Verdict::NotEnough);
        assert_eq!(audited(ProviderErrorKind::Unavailable).verdict(), Verdict::NotAsked);
    }
}
