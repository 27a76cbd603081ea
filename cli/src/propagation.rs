//! Flags on who has to see the records: `--propagation-…`, `--quorum`, `--settle`, `--alias`.

use crate::args::CredentialArguments;
use crate::errors::Failure;
use crate::program::absolute;
use crate::wanted::{flag, unreadable};
use dns01_core::config::{
    CheckWord, CredentialConfig, PropagationSettings, Quorum, alias_name, parse_duration, parse_pause,
};
use dns01_core::dns::Resolver;
use dns01_provider::Fqdn;
use std::path::Path;

/// Lays what the flags say over what the zones of `credential` have. Resolvers that flags name are
/// trusted by `ca_bundle`.
pub(crate) fn override_propagation(
    arguments: &CredentialArguments,
    ca_bundle: Option<&Path>,
    credential: &mut CredentialConfig,
) -> Result<(), Failure> {
    let said = propagation(arguments, ca_bundle)?;
    if said == PropagationSettings::default() {
        return Ok(());
    }
    let mode = said.check.is_some() || said.wait.is_some() || said.resolvers.is_some();
    if mode && credential.zones.is_empty() {
        let message = "another check mode (--propagation-check, -wait, -resolver) needs --zone";
        return Err(Failure::usage("usage-value", message)
            .with_hint("name the zones that it is for: their own servers are not asked then"));
    }
    // What holds for zones that nobody named, too.
    let zones = credential.zones.iter_mut().map(|zone| &mut zone.propagation);
    for propagation in zones.chain([&mut credential.propagation]) {
        let mut present = PropagationSettings::from(propagation.clone());
        if said.check.is_some() || said.wait.is_some() {
            // Another mode begins anew: what its predecessor needs, it may not be able to use.
            present = PropagationSettings {
                timeout: present.timeout,
                quorum: present.quorum,
                ..Default::default()
            };
        }
        *propagation = said.clone().over(present).finish().map_err(|misfit| {
            Failure::usage("usage-value", misfit.message).with_hint(format!(
                "{} (--propagation-check, --propagation-wait, --propagation-resolver)",
                misfit.hint
            ))
        })?;
    }
    Ok(())
}

/// What the flags say of propagation.
fn propagation(
    arguments: &CredentialArguments,
    ca_bundle: Option<&Path>,
) -> Result<PropagationSettings, Failure> {
    fn read<T>(
        name: &str,
        text: Option<&String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        text.map(|text| flag(name, text, parse)).transpose()
    }
    if let Some(path) = ca_bundle {
        std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    }
    let resolver = |text: &String| {
        let resolver = flag("--propagation-resolver", text, Resolver::parse)?;
        let bundle = ca_bundle.filter(|_| resolver.is_secured()).map(absolute);
        Ok::<_, Failure>(resolver.with_ca_bundle(bundle))
    };
    let resolvers = arguments.propagation_resolvers.iter().map(resolver).collect::<Result<Vec<_>, _>>()?;
    Ok(PropagationSettings {
        check: read("--propagation-check", arguments.propagation_check.as_ref(), CheckWord::parse)?,
        wait: read("--propagation-wait", arguments.propagation_wait.as_ref(), parse_pause)?,
        settle: read("--settle", arguments.settle.as_ref(), parse_pause)?,
        timeout: read("--propagation-timeout", arguments.propagation_timeout.as_ref(), parse_duration)?,
        quorum: read("--quorum", arguments.quorum.as_ref(), quorum)?,
        resolvers: Some(resolvers).filter(|resolvers| !resolvers.is_empty()),
        alias_resolvers: None,
    })
}

/// Adds the aliases that the flags name.
pub(crate) fn read_aliases(
    arguments: &CredentialArguments,
    credential: &mut CredentialConfig,
) -> Result<(), Failure> {
    for text in &arguments.aliases {
        let (name, target) = text.split_once('=').ok_or_else(|| {
            Failure::usage("usage-value", format!("--alias: `{text}` is not like `NAME=TARGET`"))
        })?;
        let name = flag("--alias", name, alias_name)?;
        let target = flag("--alias", target, Fqdn::parse)?;
        if credential.zone_for(&target).is_none() {
            let message = format!("--alias: `{target}` is in none of the zones");
            return Err(Failure::usage("usage-value", message)
                .with_hint("an alias leads to where the values are written: name that zone with --zone"));
        }
        credential.aliases.insert(name, target);
    }
    Ok(())
}

/// `all`, or a number of name servers.
pub(crate) fn quorum(text: &str) -> Result<Quorum, String> {
    match text {
        "half" => Ok(Quorum::Half),
        "all" => Ok(Quorum::All),
        _ => text
            .parse()
            .map(Quorum::Servers)
            .map_err(|_| format!("`{text}` is neither `all` nor a number of name servers, 1 or more")),
    }
}
