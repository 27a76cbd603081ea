//! `dns01 txt …`: single values, written through the zone writers and the ledger.

use crate::args::{CredentialArguments, TxtCommand, TxtValueArguments, TxtWaitArguments};
use crate::errors::{Exit, Failure, Failures};
use crate::known;
use crate::orders;
use crate::output::table::Table;
use crate::output::words::{self, count};
use crate::program::{Program, Session};
use crate::wanted::{self, Chosen, Wanted};
use dns01_core::config::Config;
use dns01_core::dns::{Awaited, CheckMode, Location, Progress};
use dns01_core::event::Events;
use dns01_core::issue::{Context, IssueError, Route, Seen, seen};
use dns01_core::records::{Holder, LedgerRow, Record};
use dns01_provider::{Fqdn, TxtValue};
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

pub(super) async fn run(program: &Program, command: TxtCommand) -> Result<Exit, Failures> {
    match command {
        TxtCommand::Add(arguments) => add(program, &arguments).await,
        TxtCommand::Remove(arguments) => remove(program, &arguments).await,
        TxtCommand::Wait(arguments) => wait(program, &arguments).await,
        TxtCommand::List => list(program).await,
        TxtCommand::Gc => gc(program).await,
    }
}

async fn add(program: &Program, arguments: &TxtValueArguments) -> Result<Exit, Failures> {
    let (name, value) = parsed(&arguments.name, &arguments.value)?;
    let config = program.config()?;
    let bundle = program.flags.resolver_ca_bundle.as_deref();
    let chosen = wanted::credential(&arguments.credential, bundle, &config)?;
    let (session, context) =
        Session::open_through(program, &config, chosen.as_ref().map(|chosen| &chosen.config)).await?;
    let result = write(program, &context, &name, value).await;
    let exit = session.close(program).await;
    result.map(|()| exit).map_err(Failures::from)
}

async fn write(program: &Program, context: &Context, name: &Fqdn, value: TxtValue) -> Result<(), Failure> {
    let (location, route) = locate(context, name).await?;
    location.warnings.iter().for_each(|warning| program.output.note(&format!("warning: {warning}")));
    context.records.add_manually(route.records(&location.target, &value)).await?;
    let zone = &location.zone;
    program.output.say(&format!(
        "{} has the value, in zone {zone} ({}); it stays until `dns01 txt remove`",
        location.target,
        route.through(),
    ));
    let credentials: Vec<&str> = route.sites.iter().map(|site| site.credential.name().as_str()).collect();
    program.output.document(&json!({
        "name": location.target,
        "value": value.as_str(),
        "zone": zone,
        "credential": credentials[0],
        "credentials": credentials,
    }));
    Ok(())
}

async fn remove(program: &Program, arguments: &TxtValueArguments) -> Result<Exit, Failures> {
    let (name, value) = parsed(&arguments.name, &arguments.value)?;
    let config = program.config()?;
    let chosen = credential_if_named(program, &arguments.credential, &config)?;
    let (session, context) =
        Session::open_through(program, &config, chosen.as_ref().map(|chosen| &chosen.config)).await?;
    let result = take_away(program, &context, &name, &value).await;
    let exit = session.close(program).await;
    result.map(|done| done.max(exit)).map_err(Failures::from)
}

/// Where the ledger says that it was written, it is removed; an alias is looked at only if the
/// ledger knows nothing of the name itself.
async fn take_away(
    program: &Program,
    context: &Context,
    name: &Fqdn,
    value: &TxtValue,
) -> Result<Exit, Failure> {
    let rows = context.records.list().await?;
    let at = |name: &Fqdn| -> Vec<Record> {
        rows.iter().filter(|row| row.name == *name && row.value == *value).map(record).collect()
    };
    let mut records = at(name);
    if records.is_empty()
        && let Ok((location, _)) = locate(context, name).await
    {
        records = at(&location.target);
    }
    let Some(name) = records.first().map(|record| record.name.clone()) else {
        let message = format!("the ledger has no such value at `{name}`");
        return Err(Failure::new("txt-not-ours", message, Exit::SomeFailed)
            .with_hint("only what dns01 has written is removed; `dns01 txt list` lists it"));
    };
    let released = context.records.remove_manually(records).await?;
    let told = match (released.removed, released.left.first()) {
        (_, Some(left)) => {
            let message = format!("the value at `{}` could not be removed: {}", left.name, left.reason);
            return Err(Failure::new("records-left", message, Exit::SomeFailed)
                .with_hint("it stands in the ledger: `dns01 txt gc` tries again"));
        }
        (0, None) => "is still needed by somebody else and stays",
        (_, None) => "is removed",
    };
    program.output.say(&format!("the value at {name} {told}"));
    program
        .output
        .document(&json!({ "name": name, "value": value.as_str(), "removed": released.removed > 0 }));
    Ok(Exit::Done)
}

/// What the ledger says was written: at each provider of a zone a row of its own.
fn record(row: &LedgerRow) -> Record {
    Record {
        credential: row.credential.clone(),
        zone: row.zone.clone(),
        name: row.name.clone(),
        value: row.value.clone(),
        ttl: row.ttl,
        persistent: false,
    }
}

async fn wait(program: &Program, arguments: &TxtWaitArguments) -> Result<Exit, Failures> {
    let name = parse_name(&arguments.name)?;
    let values = arguments.values.iter().map(|text| parse_value(text)).collect::<Result<Vec<_>, _>>()?;
    let config = program.config()?;
    let bundle = program.flags.resolver_ca_bundle.as_deref();
    let chosen = wanted::credential(&arguments.credential, bundle, &config)?;
    let (session, context) =
        Session::open_through(program, &config, chosen.as_ref().map(|chosen| &chosen.config)).await?;
    let result = watch_servers(program, &context, &name, values).await;
    let exit = session.close(program).await;
    result.map(|()| exit).map_err(Failures::from)
}

async fn watch_servers(
    program: &Program,
    context: &Context,
    name: &Fqdn,
    values: Vec<TxtValue>,
) -> Result<(), Failure> {
    let (location, route) = locate(context, name).await?;
    let target = location.target.clone();
    let (sender, mut receiver) = watch::channel(Progress::default());
    let told = program.output.clone();
    let teller = program.tasks.spawn(async move {
        let mut last = String::new();
        while receiver.changed().await.is_ok() {
            let text = receiver.borrow_and_update().to_string();
            if text != last {
                told.note(&text);
                last = text;
            }
        }
    });
    let awaited = [Awaited { location, values }];
    let began = Instant::now();
    let seen = tokio::select! {
        seen = seen(context, &route, &awaited, &[], Duration::MAX, &sender) => seen,
        () = context.cancel.cancelled() => return Err(IssueError::Interrupted.into()),
    };
    drop(sender);
    let _ = teller.await;
    let elapsed = began.elapsed();
    let (what, warnings) = match seen? {
        Seen::Shown(report) => match route.check {
            CheckMode::Recursive(_) => ("every resolver has it", report.warnings),
            _ => ("every server that counts has it", report.warnings),
        },
        Seen::Published => ("the service says that it is served everywhere", Vec::new()),
        Seen::Waited(_) => ("nobody was asked", Vec::new()),
    };
    warnings.iter().for_each(|warning| program.output.note(&format!("warning: {warning}")));
    program.output.say(&format!("{what}, after {}", words::time(elapsed)));
    program
        .output
        .document(&json!({ "name": target, "seconds": elapsed.as_secs_f64(), "warnings": warnings }));
    Ok(())
}

async fn list(program: &Program) -> Result<Exit, Failures> {
    let config = program.config()?;
    let (session, context) = Session::open_through(program, &config, None).await?;
    let rows = context.records.list().await.map_err(Failure::from)?;
    // Looking changes nothing: what was left behind is left to `txt gc`.
    session.context.store.close().await.map_err(Failure::from)?;
    let mut table = Table::new(["name", "value", "zone", "credential", "since", "held by"]);
    for row in &rows {
        table.row([
            row.name.to_string(),
            row.value.to_string(),
            row.zone.name.to_string(),
            row.credential.to_string(),
            words::moment(row.created),
            held_by(row).join(", "),
        ]);
    }
    if table.is_empty() {
        program.output.say("the ledger is empty: no value of ours stands anywhere");
    } else {
        table.lines().iter().for_each(|line| program.output.say(line));
    }
    let documents: Vec<_> = rows.iter().map(document).collect();
    program.output.document(&json!({ "values": documents }));
    Ok(Exit::Done)
}

fn document(row: &LedgerRow) -> serde_json::Value {
    json!({
        "name": row.name,
        "value": row.value.as_str(),
        "zone": row.zone.name,
        "credential": row.credential.as_str(),
        "ttl": row.ttl,
        "created": row.created,
        "confirmed": row.confirmed,
        "held_by": held_by(row),
    })
}

fn held_by(row: &LedgerRow) -> Vec<String> {
    if row.holders.is_empty() {
        return vec!["nobody".to_owned()];
    }
    let holder = |holder: &Holder| match holder {
        Holder::Order { alive: true, .. } => "a running order",
        Holder::Order { alive: false, .. } => "a run that crashed",
        _ => "`txt add`",
    };
    row.holders.iter().map(|one| holder(one).to_owned()).collect()
}

async fn gc(program: &Program) -> Result<Exit, Failures> {
    let config = program.config()?;
    let store = program.store(&config.state_dir).await?;
    let remembered = known::certificates(&config, Some(&store)).await?;
    store.close().await.map_err(Failure::from)?;
    let mut wanted: Vec<Wanted> = remembered.into_iter().filter_map(|one| one.wanted).collect();
    wanted.extend(known::of_dry_runs(program, &config).await);
    let credentials = orders::credentials(&wanted);
    let session = Session::open(program, &config, credentials, &config.state_dir, Events::nowhere()).await?;
    let swept = session.context.records.sweep().await.map_err(Failure::from)?;
    session.context.store.close().await.map_err(Failure::from)?;
    program.output.say(&format!("{} removed, {} left", count(swept.removed, "value"), swept.left.len()));
    let left: Vec<_> = swept
        .left
        .iter()
        .map(|left| json!({ "name": left.name, "value": left.value.as_str(), "zone": left.zone, "credential": left.credential.as_str(), "reason": left.reason }))
        .collect();
    for left in &swept.left {
        program.output.say(&format!(
            "left: {} in zone {} through {}: {}",
            left.name, left.zone, left.credential, left.reason
        ));
    }
    program.output.document(&json!({ "removed": swept.removed, "left": left }));
    Ok(if swept.left.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

/// Where records for `name` go: the end of its aliases, and the credential for that zone.
pub(super) async fn locate(context: &Context, name: &Fqdn) -> Result<(Location, Route), Failure> {
    let location = tokio::select! {
        location = context.dns.locate(name, context.routes.zones()) => location.map_err(IssueError::Dns)?,
        () = context.cancel.cancelled() => return Err(IssueError::Interrupted.into()),
    };
    let route = context.routes.to(&location.zone);
    let route = route.ok_or_else(|| IssueError::NoCredential { zone: location.zone.clone() })?;
    Ok((location, route))
}

fn credential_if_named(
    program: &Program,
    arguments: &CredentialArguments,
    config: &Config,
) -> Result<Option<Chosen>, Failures> {
    let bundle = program.flags.resolver_ca_bundle.as_deref();
    if arguments.dns.is_some() { wanted::credential(arguments, bundle, config) } else { Ok(None) }
}

fn parsed(name: &str, value: &str) -> Result<(Fqdn, TxtValue), Failure> {
    Ok((parse_name(name)?, parse_value(value)?))
}

fn parse_name(text: &str) -> Result<Fqdn, Failure> {
    wanted::flag("NAME", text, Fqdn::parse)
}

fn parse_value(text: &str) -> Result<TxtValue, Failure> {
    wanted::flag("VALUE", text, TxtValue::parse)
}
