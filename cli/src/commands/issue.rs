//! `dns01 issue`: one certificate by flags, or every one of the file.

use crate::args::IssueArguments;
use crate::errors::{Exit, Failure, Failures};
use crate::orders::{self, Became, Mood, carry_out};
use crate::output::words;
use crate::program::{Program, Session, dry_run_directory};
use crate::question::agreed;
use crate::secrets;
use crate::wanted::{self, Wanted};
use dns01_core::acme::AcmeError;
use dns01_core::authority::Authority;
use dns01_core::config::{Config, Domain, parse_duration};
use dns01_core::store::Store;
use serde_json::json;
use std::collections::BTreeSet;

pub(super) async fn run(program: &Program, arguments: &IssueArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let mut wanted = match arguments.all {
        true => all(arguments, &config)?,
        false => {
            let one = wanted::from_flags(arguments, program.flags.resolver_ca_bundle.as_deref(), &config)?;
            wanted::warnings(&one).iter().for_each(|warning| program.output.warning(warning));
            secrets::look(&one, &config).await?;
            vec![one]
        }
    };
    if let [one] = wanted.as_slice()
        && !arguments.all
        && !arguments.dry_run
        && arguments.certificate_name.is_none()
    {
        keeps_its_names(program, &config, one).await?;
    }
    let mut state = config.state_dir.clone();
    if arguments.dry_run {
        for one in &mut wanted {
            one.ca = wanted::staging_of(&one.ca)?;
        }
        state = dry_run_directory(&state);
    }
    let events = program.output.progress(wanted.len());
    let session = Session::open(program, &config, orders::credentials(&wanted), &state, events).await?;
    session.sweep(program);
    let mood = Mood { force: arguments.force, impatient: !arguments.all };
    let variables = wanted.iter().flat_map(secrets::variables).collect::<Vec<_>>();
    let result = obtain(program, &session, &config, wanted, mood).await;
    finish(program, session, result, &variables).await
}

/// Refuses a certificate that is called after its first name as another one is that is there,
/// and would take its place without some of its names: they would never be renewed again.
async fn keeps_its_names(program: &Program, config: &Config, wanted: &Wanted) -> Result<(), Failures> {
    let name = wanted.certificate.name.as_str();
    let store = program.store(&config.state_dir).await?;
    let stored = store.certificate(name).await.map_err(Failure::from)?;
    store.close().await.map_err(Failure::from)?;
    let present = stored.and_then(|stored| stored.current).map_or_else(Vec::new, |current| current.names);
    match dropped(&present, &wanted.certificate.domains).as_slice() {
        [] => Ok(()),
        dropped => Err(Failure::names_dropped(name, dropped).into()),
    }
}

/// The names of a certificate that is there which are not among those `wanted`.
fn dropped(present: &[String], wanted: &[Domain]) -> Vec<String> {
    let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
    present.iter().filter(|name| !wanted.contains(*name)).cloned().collect()
}

async fn obtain(
    program: &Program,
    session: &Session,
    config: &Config,
    mut wanted: Vec<Wanted>,
    mood: Mood,
) -> Result<Vec<(String, Became)>, Failures> {
    agree_to_terms(program, &session.context.store, &mut wanted).await?;
    Ok(carry_out(program, session, config, wanted, mood).await)
}

/// Shows what became of everything, and ends the session. Renewals need `variables` to be set.
pub(super) async fn finish(
    program: &Program,
    session: Session,
    result: Result<Vec<(String, Became)>, Failures>,
    variables: &[String],
) -> Result<Exit, Failures> {
    let exit = match &result {
        Ok(results) => orders::exit(results),
        Err(_) => Exit::Done,
    };
    let closed = session.close(program).await;
    program.output.progress_ends();
    let results = result?;
    tell(program, &results, variables);
    Ok(exit.max(closed))
}

fn all(arguments: &IssueArguments, config: &Config) -> Result<Vec<Wanted>, Failures> {
    let mut wanted = wanted::from_file(config)?;
    if wanted.is_empty() {
        let failure = Failure::usage("usage-no-certificate", "the configuration has no certificate")
            .with_hint("write a [[certificate]], or name the domains with -d");
        return Err(failure.into());
    }
    if let Some(text) = &arguments.timeout {
        let timeout = wanted::flag("--timeout", text, parse_duration)?;
        wanted.iter_mut().for_each(|one| one.timeout = timeout);
    }
    for one in &mut wanted {
        one.pre_authorize |= arguments.pre_authorize;
        one.ca.agree_tos |= arguments.authority.agree_tos;
    }
    Ok(wanted)
}

/// Shows the terms of a CA that is used for the first time, and asks, where there is somebody
/// to be asked.
async fn agree_to_terms(program: &Program, store: &Store, wanted: &mut [Wanted]) -> Result<(), Failures> {
    if !program.output.can_ask() {
        return Ok(());
    }
    for index in 0..wanted.len() {
        let ca = wanted[index].ca.clone();
        if ca.agree_tos {
            continue;
        }
        // Without its bundle it fails its own certificates only, when they are tried.
        let Ok(authority) = Authority::new(ca.clone(), program.clock.clone()) else { continue };
        if store.account(&authority.account_name()).await.map_err(Failure::from)?.is_some() {
            continue;
        }
        let directory = authority.client().directory().await.map_err(Failure::from)?;
        let Some(terms) = directory.meta.terms_of_service.clone() else { continue };
        let question = format!("`{}` wants its terms of service agreed to: {terms}\nDo you agree?", ca.name);
        if !agreed(program, &question).await? {
            return Err(Failure::from(AcmeError::TermsNotAgreed { url: Some(terms), instance: None }).into());
        }
        for one in wanted.iter_mut().filter(|one| one.ca.directory == ca.directory) {
            one.ca.agree_tos = true;
        }
    }
    Ok(())
}

pub(super) fn tell(program: &Program, results: &[(String, Became)], variables: &[String]) {
    let output = &program.output;
    for (_, became) in results {
        if let Became::Failed(failure) = became {
            output.failure(failure);
        }
    }
    if let [(name, became)] = results {
        tell_one(program, name, became, variables);
    } else {
        let number = |of: fn(&Became) -> bool| results.iter().filter(|(_, became)| of(became)).count();
        let issued = number(|became| matches!(became, Became::Issued(_)));
        let not_due = number(|became| matches!(became, Became::NotDue(_)));
        let waits = number(|became| matches!(became, Became::Waits(_)));
        let failed = number(|became| matches!(became, Became::Failed(_)));
        output.say(&format!("{issued} issued · {not_due} not due · {waits} waiting · {failed} failed"));
    }
    let documents: Vec<_> = results.iter().map(|(name, became)| document(name, became)).collect();
    output.document(&json!({ "certificates": documents }));
}

fn tell_one(program: &Program, name: &str, became: &Became, variables: &[String]) {
    let output = &program.output;
    match became {
        Became::Issued(issued) => {
            let advised = if issued.renewal.advised { ", as the CA advises" } else { "" };
            let from = words::date(issued.renewal.from);
            output.say("");
            output.say(&format!(
                "   {}/fullchain.pem  privkey.pem  chain.pem  cert.pem",
                issued.directory.display()
            ));
            let with = match variables {
                [] => String::new(),
                all => format!(", with `{}` set", all.join("` and `")),
            };
            output.say(&format!("   Renewal: from {from}{advised}. Run `dns01 renew` daily{with}."));
        }
        Became::NotDue(renewal) => {
            let advised = if renewal.advised { ", as the CA advises" } else { "" };
            let from = words::moment(renewal.from);
            output.say(&format!(
                "{name} is not due: it is renewed from {from}{advised} (--force obtains a new one now)"
            ));
        }
        Became::Waits(until) => {
            output.say(&format!("{name} failed lately: the next try is at {}", words::moment(*until)));
        }
        Became::Failed(_) => {}
    }
}

fn document(name: &str, became: &Became) -> serde_json::Value {
    match became {
        Became::Issued(issued) => json!({
            "certificate": name,
            "outcome": "issued",
            "version": issued.version,
            "serial": issued.serial,
            "issuer": issued.issuer,
            "not_before": issued.not_before,
            "not_after": issued.not_after,
            "renew_from": issued.renewal.from,
            "advised": issued.renewal.advised,
            "directory": issued.directory,
            "by_another_process": issued.by_another_process,
        }),
        Became::NotDue(renewal) => json!({
            "certificate": name,
            "outcome": "not-due",
            "renew_from": renewal.from,
            "advised": renewal.advised,
        }),
        Became::Waits(until) => json!({ "certificate": name, "outcome": "waiting", "next_try": until }),
        Became::Failed(failure) => json!({ "certificate": name, "outcome": "failed", "error": failure }),
    }
}
