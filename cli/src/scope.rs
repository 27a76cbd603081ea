//! Which names are to be proved, and so what is needed of which credential: those of flags, or
//! those of every certificate that is kept valid.

use crate::args::ScopeArguments;
use crate::errors::{Failure, Failures};
use crate::known;
use crate::program::Program;
use crate::wanted::{self, Chosen, Wanted};
use dns01_core::acme::{AccountUrl, ChallengeType};
use dns01_core::authority::Authority;
use dns01_core::config::{CaConfig, Config, CredentialConfig, Domain, shared_zones};
use dns01_core::dns::{Dns, DnsSettings};
use dns01_core::scope::{Doubt, Needs};
use dns01_core::store::Store;
use dns01_provider::{CredentialName, Fqdn, ScopeNeed};
use std::collections::BTreeMap;

/// What is needed of whom.
pub(crate) struct Scope {
    /// The credentials that are meant, in the order of the file.
    pub(crate) credentials: Vec<CredentialConfig>,
    pub(crate) needs: Needs,
    /// Those and all others that needs are known of.
    all: Vec<CredentialConfig>,
}

impl Scope {
    /// What is needed of `credential` under any of its names: one token may stand in two tables.
    pub(crate) fn needs_of(&self, credential: &CredentialConfig) -> Vec<ScopeNeed> {
        let same = |one: &&CredentialConfig| {
            one.plugin.name == credential.plugin.name && one.settings.is_same_as(&credential.settings)
        };
        let same = self.all.iter().filter(same);
        same.flat_map(|one| self.needs.of(&one.name)).cloned().collect()
    }
}

/// Names that are proved in one way, through these credentials.
struct Group {
    domains: Vec<Domain>,
    challenge: ChallengeType,
    ca: CaConfig,
    /// The credential of its own that a certificate was asked for with.
    own: Option<CredentialName>,
    credentials: Vec<CredentialConfig>,
}

/// Gathers what the names of `arguments` need, through `chosen` where one is.
pub(crate) async fn gather(
    program: &Program,
    config: &Config,
    arguments: &ScopeArguments,
    chosen: Option<&Chosen>,
) -> Result<Scope, Failures> {
    // Names given by flags need nothing that the store knows, unless the account is part of them.
    let remembers = arguments.domains.is_empty() || config.defaults.challenge == ChallengeType::DnsAccount01;
    let store = match remembers && config.state_dir.join("dns01.db").exists() {
        true => Some(program.store(&config.state_dir).await?),
        false => None,
    };
    let gathered = gather_with(program, config, arguments, chosen, store.as_ref()).await;
    if let Some(store) = store {
        store.close().await.map_err(Failure::from)?;
    }
    gathered
}

async fn gather_with(
    program: &Program,
    config: &Config,
    arguments: &ScopeArguments,
    chosen: Option<&Chosen>,
    store: Option<&Store>,
) -> Result<Scope, Failures> {
    let domains = wanted::domains(&arguments.domains)?;
    let groups = match domains.is_empty() {
        true => of_certificates(config, chosen, store).await?,
        false => vec![of_flags(config, domains, chosen)?],
    };
    if groups.is_empty() {
        let failure = Failure::usage("usage-no-certificate", "there is no name that needs a credential")
            .with_hint("name one with -d, or write a [[certificate]]");
        return Err(failure.into());
    }
    let settings = DnsSettings { resolvers: config.resolvers.clone(), ..DnsSettings::default() };
    let dns = (!arguments.offline).then(|| Dns::new(settings, program.tasks.clone(), program.cancel.clone()));
    let mut needs = Needs::default();
    // Names that go through the same credentials are looked up side by side.
    let mut names: BTreeMap<Option<CredentialName>, (Vec<CredentialConfig>, Vec<Fqdn>)> = BTreeMap::new();
    for group in groups {
        let account = account(program, &group, store).await?;
        let found = challenge_names(&group, account.as_ref(), &mut needs);
        names.entry(group.own).or_insert_with(|| (group.credentials, Vec::new())).1.extend(found);
    }
    let mut credentials: Vec<CredentialConfig> = Vec::new();
    for (through, names) in names.into_values() {
        needs.merge(Needs::gather(&names, &through, dns.as_ref()).await);
        for credential in through {
            if credentials.iter().all(|known| known.name != credential.name) {
                credentials.push(credential);
            }
        }
    }
    let all = credentials.clone();
    if let Some(chosen) = chosen {
        credentials.retain(|credential| credential.name == chosen.config.name);
    }
    if !arguments.domains.is_empty() {
        // What other names need is not known here, so that nothing is said of the others.
        credentials.retain(|credential| !needs.of(&credential.name).is_empty());
    }
    Ok(Scope { credentials, needs, all })
}

fn of_flags(config: &Config, domains: Vec<Domain>, chosen: Option<&Chosen>) -> Result<Group, Failure> {
    let ca = config.ca(config.defaults.cas.first().expect("there is a default CA"))?;
    let credentials = match chosen {
        Some(chosen) => vec![chosen.config.clone()],
        None => config.credentials.clone(),
    };
    Ok(Group { domains, challenge: config.defaults.challenge, ca, own: None, credentials })
}

/// Every certificate of the file, and every one that flags have obtained once.
async fn of_certificates(
    config: &Config,
    chosen: Option<&Chosen>,
    store: Option<&Store>,
) -> Result<Vec<Group>, Failures> {
    let wanted: Vec<Wanted> = match store {
        Some(store) => {
            let known = known::certificates(config, Some(store)).await?;
            known.into_iter().filter(known::Known::is_kept).filter_map(|one| one.wanted).collect()
        }
        None => wanted::from_file(config)?,
    };
    let group = |one: Wanted| Group {
        credentials: credentials(config, one.credential.as_ref(), chosen),
        own: one.credential.map(|own| own.config.name),
        domains: one.certificate.domains,
        challenge: one.certificate.challenge,
        ca: one.ca,
    };
    Ok(wanted.into_iter().map(group).collect())
}

/// The credentials that a certificate goes through: its `own`, or those of the file; a provider
/// that is `chosen` by flag takes the place of all.
fn credentials(config: &Config, own: Option<&Chosen>, chosen: Option<&Chosen>) -> Vec<CredentialConfig> {
    match (own, chosen) {
        (_, Some(chosen)) if !chosen.is_table => vec![chosen.config.clone()],
        (Some(own), _) => {
            let others = config.credentials.iter().filter(|one| one.name != own.config.name);
            let others = others.map(|one| CredentialConfig {
                zones: shared_zones(&own.config.zones, &one.zones),
                ..one.clone()
            });
            let others = others.filter(|one| !one.zones.is_empty());
            std::iter::once(own.config.clone()).chain(others).collect()
        }
        (None, Some(chosen)) => {
            let table = |one: &CredentialConfig| match one.name == chosen.config.name {
                true => chosen.config.clone(),
                false => one.clone(),
            };
            config.credentials.iter().map(table).collect()
        }
        (None, None) => config.credentials.clone(),
    }
}

/// Our account at the CA, where the challenge names depend on it and there is one.
async fn account(
    program: &Program,
    group: &Group,
    store: Option<&Store>,
) -> Result<Option<AccountUrl>, Failure> {
    let (ChallengeType::DnsAccount01, Some(store)) = (group.challenge, store) else { return Ok(None) };
    let authority = Authority::new(group.ca.clone(), program.clock.clone())?;
    let account = store.account(&authority.account_name()).await?;
    Ok(account.and_then(|account| account.url).map(AccountUrl::new))
}

/// The names at which the CA will look.
fn challenge_names(group: &Group, account: Option<&AccountUrl>, needs: &mut Needs) -> Vec<Fqdn> {
    let mut names = Vec::new();
    for domain in &group.domains {
        let doubt = |reason: String, hint: &str| Doubt {
            name: domain.base.clone(),
            reason,
            hint: Some(hint.to_owned()),
            assumed: None,
        };
        match group.challenge.label(account).map(|label| domain.base.child(&label)) {
            Some(Ok(name)) => names.push(name),
            Some(Err(error)) => {
                needs.doubts.push(doubt(format!("it is too long to prove: {error}"), "leave the name out"));
            }
            None => {
                let reason = format!(
                    "where its record goes depends on the account at `{}`, and there is none yet",
                    group.ca.name
                );
                needs.doubts.push(doubt(reason, "`dns01 account register` makes it"));
            }
        }
    }
    names
}
