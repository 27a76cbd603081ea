//! `dns01 init`: writes a commented `dns01.toml` from a few answers, never a secret.

mod file;

use crate::args::InitArguments;
use crate::commands::check;
use crate::errors::{Exit, Failure, Failures};
use crate::output::words;
use crate::paths::{Paths, no_home};
use crate::program::{Program, absolute};
use crate::providers::{PLUGINS, meant};
use crate::question;
use crate::wanted;
use dns01_core::acme::PRESETS;
use dns01_core::config::{Domain, nearest, parse_contact, parse_directory};
use dns01_core::dns::{Dns, DnsSettings, Resolver, ZoneServers};
use dns01_provider::{Fqdn, Plugin, ScopeNeed, Zone, ZoneName};
use file::{Answers, Table};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The most time to look a zone up.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn run(program: &Program, arguments: &InitArguments) -> Result<Exit, Failures> {
    let usual = Paths::of_this_user();
    let path = program.flags.config.clone().or(usual.config).ok_or_else(|| no_home("--config"))?;
    let path = absolute(path);
    let state = program.flags.state_dir.clone().map(absolute).or(usual.state);
    let state = state.ok_or_else(|| no_home("--state-dir"))?;
    if path.exists() && !arguments.force {
        return Err(file::exists(&path).into());
    }
    let answers = answers(program, arguments).await?;
    let config = file::write(&path, &answers, arguments.force, &state)?;
    let shown = path.display();
    program.output.say(&format!("{shown} is written, readable by you alone"));
    answers.tables.iter().for_each(|table| recipe(program, table, &answers.domains));
    let missing = file::missing_secrets(&config);
    let ready = missing.is_empty();
    program.output.document(&json!({ "file": path, "missing_secrets": missing, "checked": false }));
    for secret in &missing {
        program.output.say(&format!("missing: the secret in {}", secret.display()));
    }
    if !ready || program.output.is_json() {
        program.output.say(&format!("then: dns01 check --config {shown}"));
        return Ok(Exit::Done);
    }
    check::whole(program, &config).await
}

async fn answers(program: &Program, arguments: &InitArguments) -> Result<Answers, Failures> {
    let mut texts = arguments.domains.clone();
    if texts.is_empty() {
        let answer = asked(program, "Which names, with a comma between them?", "", "-d").await?;
        texts = answer.split([',', ' ']).filter(|text| !text.is_empty()).map(str::to_owned).collect();
    }
    let domains = wanted::domains(&texts)?;
    if domains.is_empty() {
        return Err(missing(program, "-d").into());
    }
    if let Some(name) = &arguments.dns {
        plugin(name)?;
    }
    let tables = tables(program, arguments, &domains).await?;
    let server = match &arguments.server {
        Some(server) => server.clone(),
        None if program.output.can_ask() => asked(program, "Which CA?", "letsencrypt", "--server").await?,
        None => "letsencrypt".to_owned(),
    };
    check_server(&server)?;
    let mut email = arguments.email.clone();
    if email.is_empty() && program.output.can_ask() {
        let answer =
            asked(program, "An e-mail address for the account (may be left empty)?", "", "-m").await?;
        email.extend(Some(answer).filter(|answer| !answer.is_empty()));
    }
    let contact = email.iter().map(|text| wanted::flag("--email", text, parse_contact));
    let contact = contact.collect::<Result<_, _>>()?;
    Ok(Answers { domains, tables, server, contact, agree_tos: arguments.agree_tos })
}

fn check_server(server: &str) -> Result<(), Failure> {
    if server.contains("://") {
        return wanted::flag("--server", server, parse_directory).map(drop);
    }
    let names = PRESETS.iter().map(|preset| preset.name);
    if names.clone().any(|name| name == server) {
        return Ok(());
    }
    let hint = match nearest(server, names.clone()) {
        _ if server == "staging" => "did you mean `letsencrypt-staging`?".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}, or the address of a directory", names.collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::usage("usage-value", format!("--server: no CA is called `{server}`")).with_hint(hint))
}

/// A `[dns.*]` table for each provider, with its zones.
async fn tables(
    program: &Program,
    arguments: &InitArguments,
    domains: &[Domain],
) -> Result<Vec<Table>, Failures> {
    let mut tables: Vec<Table> = Vec::new();
    let mut fallback = arguments.dns.clone();
    for (zone, servers) in zones(program, arguments, domains).await? {
        let found = servers.as_deref().and_then(owner);
        let plugin = match (&fallback, found) {
            (Some(name), _) => plugin(name)?,
            (None, Some(found)) => {
                program.output.note(&format!("{zone} has the name servers of {}", found.name));
                found
            }
            (None, None) => {
                let names = PLUGINS.iter().map(|plugin| plugin.name).collect::<Vec<_>>().join(", ");
                let question = format!("Which DNS provider has {zone} ({names})?");
                let answer = asked(program, &question, "", "--dns").await?;
                if answer.is_empty() {
                    return Err(missing(program, "--dns").into());
                }
                let chosen = plugin(&answer)?;
                fallback = Some(answer);
                chosen
            }
        };
        match tables.iter_mut().find(|table| table.plugin.name == plugin.name) {
            Some(table) => table.zones.push(zone),
            None => tables.push(Table { plugin, zones: vec![zone] }),
        }
    }
    Ok(tables)
}

/// The zones of the names, each once, with their servers where they were found.
async fn zones(
    program: &Program,
    arguments: &InitArguments,
    domains: &[Domain],
) -> Result<Vec<(ZoneName, Option<Arc<ZoneServers>>)>, Failures> {
    let named = arguments.zones.iter().map(|text| wanted::flag("--zone", text, ZoneName::parse));
    let named: Vec<ZoneName> = named.collect::<Result<_, _>>()?;
    let bundle = program.flags.resolver_ca_bundle.as_deref().map(absolute);
    let resolvers = program.flags.resolvers.iter().map(|text| {
        let resolver = wanted::flag("--resolver", text, Resolver::parse)?;
        let bundle = bundle.clone().filter(|_| resolver.is_secured());
        Ok::<_, Failure>(resolver.with_ca_bundle(bundle))
    });
    let settings = DnsSettings { resolvers: resolvers.collect::<Result<_, _>>()?, ..DnsSettings::default() };
    let dns = Dns::new(settings, program.tasks.clone(), program.cancel.clone());
    let mut zones: Vec<(ZoneName, Option<Arc<ZoneServers>>)> = Vec::new();
    for domain in domains {
        let known = |zone: &ZoneName| zone.contains(&domain.base);
        let given = named.iter().filter(|zone| known(zone)).max_by_key(|zone| zone.as_str().len());
        let place = given.map_or(&domain.base, |zone| zone.apex());
        let found = tokio::time::timeout(LOOKUP_PATIENCE, dns.zone_of(place)).await;
        let found = found.ok().and_then(Result::ok);
        let zone = match (given, &found) {
            (Some(zone), _) => zone.clone(),
            (None, Some(found)) => found.zone.clone(),
            (None, None) => {
                let guess = guess(&domain.base);
                program.output.note(&format!("the zone of {domain} cannot be looked up; it may be {guess}"));
                guess
            }
        };
        if !zones.iter().any(|(other, _)| *other == zone) {
            zones.push((zone, found));
        }
    }
    Ok(zones)
}

/// The name's last two labels.
fn guess(name: &Fqdn) -> ZoneName {
    let mut guess = name.clone();
    while guess.as_str().matches('.').count() > 1 {
        match guess.parent() {
            Some(parent) => guess = parent,
            None => break,
        }
    }
    ZoneName::from(guess)
}

/// The provider whose name servers these are.
fn owner(servers: &ZoneServers) -> Option<&'static Plugin> {
    let names: Vec<&str> = servers.servers.iter().map(|server| server.name.as_str()).collect();
    PLUGINS.iter().find(|plugin| is_owner(plugin, &names))
}

fn is_owner(plugin: &Plugin, servers: &[&str]) -> bool {
    let is_its = |server: &&str| plugin.name_servers.iter().any(|suffix| server.ends_with(suffix));
    !servers.is_empty() && servers.iter().all(is_its)
}

fn plugin(name: &str) -> Result<&'static Plugin, Failure> {
    PLUGINS.iter().find(|plugin| plugin.name == name).ok_or_else(|| {
        let names = PLUGINS.iter().map(|plugin| plugin.name);
        let hint = match meant(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("this program has {}", names.collect::<Vec<_>>().join(", ")),
        };
        Failure::usage("usage-no-provider", format!("no provider is called `{name}`")).with_hint(hint)
    })
}

/// How the credential of a table is made, for the names that need it.
fn recipe(program: &Program, table: &Table, domains: &[Domain]) {
    let mut needs = Vec::new();
    for domain in domains {
        let zone = table.zones.iter().filter(|zone| zone.contains(&domain.base));
        let zone = zone.max_by_key(|zone| zone.as_str().len());
        if let (Some(zone), Ok(name)) = (zone, domain.base.child("_acme-challenge")) {
            let need = ScopeNeed { zone: Zone::named(zone.clone()), name };
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
    }
    let recipe = (table.plugin.recipe)(&dns01_provider::Settings::default(), &needs);
    let say = |line: &str| program.output.say(&words::printable(line));
    say("");
    say(&format!("the smallest credential for {}: {}", table.plugin.name, recipe.grants));
    if let Some(portal) = recipe.portal {
        say(&format!("  it is made at {portal}"));
    }
    for step in &recipe.steps {
        say(&format!("  - {}", step.title));
        step.text.lines().for_each(|line| say(&format!("      {line}")));
    }
    say("");
}

/// Nothing says what `flag` would.
fn missing(program: &Program, flag: &str) -> Failure {
    let why = match program.output.can_ask() {
        true => "the question was not answered",
        false => "there is no terminal to ask on",
    };
    Failure::usage("init-missing", format!("`{flag}` is missing, and {why}"))
        .with_hint("give it as a flag: `dns01 init -d NAME --dns PROVIDER -m ADDRESS`")
}

/// An answer from the terminal; `default` where nothing is typed.
async fn asked(program: &Program, question: &str, default: &str, flag: &str) -> Result<String, Failure> {
    if !program.output.can_ask() {
        return Err(missing(program, flag));
    }
    let hint = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    let answer = question::answer(program, &format!("{question}{hint}")).await?;
    Ok(Some(answer).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_by_all_of_its_name_servers() {
        let cloudflare = plugin("cloudflare").unwrap();
        assert!(is_owner(cloudflare, &["amy.ns.cloudflare.com", "bob.ns.cloudflare.com"]));
        assert!(!is_owner(cloudflare, &["amy.ns.cloudflare.com", "ns1.example.net"]));
        assert!(!is_owner(cloudflare, &[]));
        assert!(!is_owner(plugin("rfc2136").unwrap(), &["ns1.example.net"]));
    }

    #[test]
    fn what_is_no_provider_and_no_ca_is_answered_with_the_near_one() {
        assert_eq!(plugin("cloudfare").unwrap_err().hint.as_deref(), Some("did you mean `cloudflare`?"));
        assert_eq!(
            check_server("letsencript").unwrap_err().hint.as_deref(),
            Some("did you mean `letsencrypt`?")
        );
        check_server("https://ca.example.net/dir").unwrap();
    }
}
