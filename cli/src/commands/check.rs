//! `dns01 check`: everything but the CA, with a tick or a cross for each step.

use crate::args::CheckArguments;
use crate::commands::txt::locate;
use crate::errors::{Exit, Failure, Failures};
use crate::output::words::{self, count};
use crate::program::{Program, Session};
use crate::wanted;
use dns01_core::acme::PRESETS;
use dns01_core::config::{CaConfig, Domain};
use dns01_core::dns::{Awaited, CaaDecision, CaaQuestion, CheckMode, Location, Progress};
use dns01_core::event::Events;
use dns01_core::issue::{self, Context, IssueError, Route};
use dns01_core::records::Record;
use dns01_core::store::OrderId;
use dns01_provider::{Listing, TxtValue};
use futures_util::stream::{StreamExt as _, iter};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Names that are checked at the same time.
const AT_ONCE: usize = 32;
/// The most time to wait for a removal.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);

/// What one step showed.
#[derive(Serialize)]
struct Seen {
    step: &'static str,
    good: bool,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Seen {
    fn good(step: &'static str, text: impl Into<String>) -> Self {
        Self { step, good: true, text: text.into(), seconds: None, error: None }
    }

    fn timed(step: &'static str, text: impl Into<String>, since: Instant) -> Self {
        Self { seconds: Some(since.elapsed().as_secs_f64()), ..Self::good(step, text) }
    }

    fn bad(step: &'static str, failure: Failure) -> Self {
        Self { step, good: false, text: failure.message.clone(), seconds: None, error: Some(failure) }
    }
}

pub(super) async fn run(program: &Program, arguments: &CheckArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let chosen =
        wanted::credential(&arguments.credential, program.flags.resolver_ca_bundle.as_deref(), &config)?;
    let ca = wanted::authority(&arguments.authority, &config)?;
    let mut domains = wanted::domains(&arguments.domains)?;
    if domains.is_empty() {
        domains = config.certificates.iter().flat_map(|certificate| certificate.domains.clone()).collect();
        domains.sort();
        domains.dedup();
    }
    if domains.is_empty() {
        let failure = Failure::usage("usage-no-certificate", "there is no name to check")
            .with_hint("name one with -d, or write a [[certificate]]");
        return Err(failure.into());
    }
    let mut credentials = config.credentials.clone();
    if let Some(chosen) = &chosen {
        credentials = vec![chosen.config.clone()];
    }
    let session = Session::open(program, &config, credentials, &config.state_dir, Events::nowhere()).await?;
    let context = session.context_through(None);
    let mut reports = vec![("credentials".to_owned(), credentials_seen(&context).await)];
    let names = domains.into_iter().map(|domain| {
        let (context, ca) = (&context, &ca);
        async move { (domain.to_string(), name_seen(context, ca, &domain).await) }
    });
    let mut names = iter(names).buffered(AT_ONCE);
    tell(program, &reports[0]);
    while let Some(report) = names.next().await {
        tell(program, &report);
        reports.push(report);
    }
    drop(names);
    let closed = session.close(program).await;
    let documents: Vec<_> =
        reports.iter().map(|(subject, steps)| json!({ "subject": subject, "steps": steps })).collect();
    program.output.document(&json!({ "checks": documents }));
    let all_good = reports.iter().flat_map(|(_, steps)| steps).all(|step| step.good);
    Ok(closed.max(if all_good { Exit::Done } else { Exit::SomeFailed }))
}

fn tell(program: &Program, (subject, steps): &(String, Vec<Seen>)) {
    program.output.say(&format!("   {subject}"));
    for step in steps {
        let mark = if step.good { "✓" } else { "✗" };
        let time = step.seconds.map_or_else(String::new, |seconds| {
            format!("  {}", words::time(Duration::from_secs_f64(seconds)))
        });
        program.output.say(&format!(" {mark} {:13} {}{time}", step.step, words::printable(&step.text)));
        if let Some(failure) = &step.error {
            program.output.failure(failure);
        }
    }
}

/// Whether each credential is accepted, and what it can see.
async fn credentials_seen(context: &Context) -> Vec<Seen> {
    let mut seen = Vec::new();
    for credential in context.routes.credentials() {
        let since = Instant::now();
        let name = credential.name();
        seen.push(match credential.zones().await {
            Ok(Listing::Listed(zones)) => {
                Seen::timed("credential", format!("{name} sees {}", count(zones.len(), "zone")), since)
            }
            Ok(Listing::NotAvailable) => {
                Seen::good("credential", format!("{name}: the service lists no zones; writing will tell"))
            }
            Err(error) => {
                let mut failure =
                    Failure::new("records", format!("{name}: {error}"), Exit::SomeFailed).caused_by(&error);
                failure.hint = error.hint().map(str::to_owned);
                Seen::bad("credential", failure)
            }
        });
    }
    seen
}

async fn name_seen(context: &Context, ca: &CaConfig, domain: &Domain) -> Vec<Seen> {
    let mut seen = vec![caa(context, ca, domain).await];
    let challenge_name = match domain.base.child("_acme-challenge") {
        Ok(name) => name,
        Err(source) => {
            let error = IssueError::ChallengeName { name: domain.base.clone(), source };
            seen.push(Seen::bad("zone", error.into()));
            return seen;
        }
    };
    match locate(context, &challenge_name).await {
        Ok((location, route)) => {
            seen.extend(places(&location, &route));
            seen.extend(round_trip(context, location, &route).await);
        }
        Err(failure) => seen.push(Seen::bad("zone", failure)),
    }
    seen
}

/// By the CA's known identity: the CA itself is not asked.
async fn caa(context: &Context, ca: &CaConfig, domain: &Domain) -> Seen {
    let preset = PRESETS.iter().find(|preset| preset.directory == ca.directory.as_str());
    let question = CaaQuestion {
        name: domain.base.clone(),
        wildcard: domain.wildcard,
        ca_identities: preset.map(|preset| preset.caa_identity.to_owned()).into_iter().collect(),
        account_url: None,
        method: "dns-01".to_owned(),
    };
    match context.dns.caa(&question, context.routes.zones()).await {
        Ok(CaaDecision::NoRecords) => Seen::good("CAA", "no record, so every CA may issue"),
        Ok(CaaDecision::Allowed(rule)) => {
            Seen::good("CAA", format!("{} at {} allows {}", rule.record, rule.at, ca.name))
        }
        Ok(CaaDecision::IdentityUnknown { at }) => Seen::good(
            "CAA",
            format!("there are records at {at}; which name `{}` goes by is not known here", ca.name),
        ),
        Ok(_) => Seen::good("CAA", "allowed"),
        Err(refusal) => Seen::bad("CAA", IssueError::Caa { name: domain.base.clone(), refusal }.into()),
    }
}

fn places(location: &Location, route: &Route) -> Vec<Seen> {
    let mut seen = Vec::new();
    if let Some(hop) = location.hops.last() {
        seen.push(Seen::good("alias", format!("{} leads to {}", location.challenge_name, hop.to)));
    }
    let zone = format!("{} through {}", location.zone, route.credential.name());
    let text = match (&location.servers, &location.check) {
        (Some(servers), _) => {
            let by = servers.parent.as_ref();
            format!(
                "{zone}{} to {} with {}",
                by.map_or_else(String::new, |parent| format!(", delegated by {parent}")),
                count(servers.servers.len(), "name server"),
                count(servers.addresses().count(), "address"),
            )
        }
        (None, CheckMode::Recursive(resolvers)) => {
            format!("{zone}, looked at by {}", count(resolvers.len(), "resolver"))
        }
        (None, CheckMode::Provider) => format!("{zone}, of which the service tells the status"),
        (None, _) => format!("{zone}, at which nobody looks"),
    };
    seen.push(Seen::good("zone", text));
    seen.extend(location.warnings.iter().map(|warning| Seen::good("note", warning.to_string())));
    seen.extend(
        location
            .servers
            .iter()
            .flat_map(|servers| &servers.without_address)
            .map(|name| Seen::good("note", format!("name server {name} has no address"))),
    );
    seen
}

/// A value written, seen everywhere, and removed.
async fn round_trip(context: &Context, location: Location, route: &Route) -> Vec<Seen> {
    let order = OrderId::random();
    // As long as a challenge's: some services take nothing else.
    let text: String = order.as_str().chars().chain(order.as_str().chars()).take(43).collect();
    let value = match TxtValue::parse(&text) {
        Ok(value) => value,
        Err(error) => {
            return vec![Seen::bad("written", Failure::new("records", error.to_string(), Exit::SomeFailed))];
        }
    };
    let record = Record {
        credential: route.credential.name().clone(),
        zone: route.zone.clone(),
        name: location.target.clone(),
        value: value.clone(),
        ttl: route.ttl,
        persistent: false,
    };
    let since = Instant::now();
    let hold = match context.records.hold(&order, context.records.announce(), vec![record]).await {
        Ok(hold) => hold,
        Err(error) => return vec![Seen::bad("written", error.into())],
    };
    let mut seen = vec![Seen::timed("written", format!("a value at {}", location.target), since)];
    let since = Instant::now();
    let (progress, _) = watch::channel(Progress::default());
    let awaited = [Awaited { location, values: vec![value] }];
    let receipts: Vec<_> = hold.zones().iter().flat_map(|report| report.receipts.clone()).collect();
    let waited = tokio::select! {
        waited = issue::seen(context, route, &awaited, &receipts, Duration::MAX, &progress) => waited,
        () = context.cancel.cancelled() => Err(IssueError::Interrupted),
    };
    match waited {
        Ok(issue::Seen::Shown(report)) => {
            let rows: usize = report.tables.iter().map(|table| table.rows.len()).sum();
            let what = if matches!(route.check, CheckMode::Recursive(_)) { "resolver" } else { "address" };
            seen.push(Seen::timed("seen", format!("by {}", count(rows, what)), since));
            seen.extend(report.warnings.into_iter().chain(report.notes).map(|text| Seen::good("note", text)));
        }
        Ok(issue::Seen::Published) => {
            seen.push(Seen::timed("seen", "everywhere, as the service says", since));
        }
        Ok(issue::Seen::Waited(_)) => seen.push(Seen::timed("waited", "nobody was asked", since)),
        Err(error) => seen.push(Seen::bad("seen", error.into())),
    }
    let since = Instant::now();
    let released = hold.release(REMOVAL_PATIENCE).await;
    seen.push(match released.left.first() {
        None => Seen::timed("removed", count(released.removed, "value"), since),
        Some(left) => {
            let message = format!("the value at `{}` could not be removed: {}", left.name, left.reason);
            Seen::bad(
                "removed",
                Failure::new("records-left", message, Exit::SomeFailed)
                    .with_hint("`dns01 txt gc` tries again"),
            )
        }
    });
    seen
}
