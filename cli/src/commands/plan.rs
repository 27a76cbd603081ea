//! `dns01 plan`: what would be done now, why, and what it would cost. Nothing is asked of
//! anyone.

use crate::args::PlanArguments;
use crate::errors::{Exit, Failure, Failures};
use crate::known;
use crate::orders::forebode;
use crate::output::table::Table;
use crate::output::words::{self, count};
use crate::program::Program;
use crate::wanted::Wanted;
use dns01_core::config::Config;
use dns01_core::inventory::Entry;
use dns01_core::plan::Decision;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn run(program: &Program, arguments: &PlanArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let store = program.store_if_wanted(&config).await?;
    let known = known::certificates(&config, store.as_ref()).await?;
    let known = known::select(known, &arguments.names, &config)?;
    let Some(store) = store else {
        program.note_absent(&config.state_dir);
        program.output.say("there is nothing to plan: no certificate is wanted");
        program.output.document(&json!({ "certificates": [] }));
        return Ok(Exit::Done);
    };
    let now = program.clock.now();
    let mut table = Table::bare();
    let mut documents = Vec::new();
    for one in known {
        if let Some(failure) = &one.senseless {
            program.output.failure(failure);
        }
        if !one.is_kept() && arguments.names.is_empty() {
            continue;
        }
        let Some(wanted) = one.wanted else { continue };
        let entry = Entry::look_up(&store, wanted.certificate.clone(), wanted.csr.is_some()).await;
        let entry = entry.map_err(Failure::from)?;
        let decision = entry.decide(false, now);
        forebode(program, &wanted, &config).await;
        let (what, why) = told(&decision, entry.current().is_some());
        let cost = match decision {
            Decision::Issue(_) => cost(&wanted, &config),
            _ => String::new(),
        };
        documents.push(json!({
            "certificate": one.name,
            "action": what,
            "reason": why,
            "from": match &decision {
                Decision::Fine(renewal) => Some(renewal.from),
                Decision::Wait { until, .. } => Some(*until),
                Decision::Issue(_) => None,
            },
            "records": if matches!(decision, Decision::Issue(_)) { records(&wanted).len() } else { 0 },
        }));
        table.row([what.to_owned(), one.name, why, cost]);
    }
    store.close().await.map_err(Failure::from)?;
    for (certificate, domain) in config.uncovered() {
        program.output.warning(&config.no_credential(&certificate.name, domain));
    }
    if table.is_empty() {
        program.output.say("there is nothing to plan: no certificate is wanted");
    }
    table.lines().iter().for_each(|line| program.output.say(line));
    program.output.document(&json!({ "certificates": documents }));
    Ok(Exit::Done)
}

fn told(decision: &Decision, is_there: bool) -> (&'static str, String) {
    match decision {
        Decision::Issue(reason) => (if is_there { "renew" } else { "issue" }, reason.to_string()),
        Decision::Wait { until, attempts, .. } => {
            let failures = count(*attempts as usize, "failure");
            ("wait", format!("next try {}, after {failures}", words::moment(*until)))
        }
        Decision::Fine(renewal) => {
            let advised = if renewal.advised { ", as the CA advises" } else { "" };
            ("keep", format!("renewed from {}{advised}", words::moment(renewal.from)))
        }
    }
}

/// The records that an order writes at most: one for each name, and one for its wildcard.
fn records(wanted: &Wanted) -> BTreeSet<String> {
    wanted.certificate.domains.iter().map(ToString::to_string).collect()
}

/// `1 order · 25 records in zone lab.example.net (rfc2136)`
fn cost(wanted: &Wanted, config: &Config) -> String {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for domain in &wanted.certificate.domains {
        let place = match &wanted.credential {
            Some(chosen) => match chosen.config.zone_for(&domain.base) {
                Some(zone) => format!("zone {} ({})", zone.zone.name, chosen.config.name),
                None => format!("zones of {}", chosen.config.name),
            },
            None => match config.zones_for(&domain.base).as_slice() {
                [] => "a zone that an alias leads to".to_owned(),
                at @ [(_, zone), ..] => {
                    let through: Vec<&str> =
                        at.iter().map(|(credential, _)| credential.name.as_str()).collect();
                    format!("zone {} ({})", zone.zone.name, through.join(" and "))
                }
            },
        };
        *places.entry(place).or_default() += 1;
    }
    let records = places.iter().map(|(place, number)| format!("{} in {place}", count(*number, "record")));
    format!("1 order · {}", records.collect::<Vec<_>>().join(", "))
}
