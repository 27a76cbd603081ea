//! How the values of a zone are waited for, in the check mode of the zone.

use super::IssueError;
use super::context::Context;
use super::route::{Route, Site};
use crate::dns::{Awaited, CheckMode, Progress, PropagationReport, PropagationRules, count_down};
use crate::records::ZoneReport;
use dns01_provider::{Published, Receipt, ZoneName};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// The first pause between two questions to a service, and the longest; each is half as long
/// again as the one before.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// The most time to find out whether a service has a status at all.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// What came of a wait.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Name servers or resolvers show the values.
    Shown(PropagationReport),
    /// The service says that they are served everywhere.
    Published,
    /// Time has passed; nobody was asked.
    Waited(Duration),
}

/// Waits until the values of one zone count as seen by everybody, at most `limit` and the time
/// that the zone allows, and tells `progress` how far that is. `written` has the services'
/// handles on the writing, a report for each provider.
///
/// # Errors
/// [`IssueError::Propagation`] and its kin: they do not, or nobody can tell.
pub async fn seen(
    context: &Context,
    route: &Route,
    awaited: &[Awaited],
    written: &[ZoneReport],
    limit: Duration,
    progress: &watch::Sender<Progress>,
) -> Result<Seen, IssueError> {
    let pause = pause_in(route, limit)?;
    let started = Instant::now();
    count_down(pause, |left| show(progress, format!("waiting another {left} s, as configured"))).await;
    let left = limit.saturating_sub(started.elapsed());
    let rules = PropagationRules { timeout: route.rules.timeout.min(left), ..route.rules.clone() };
    match &route.check {
        CheckMode::Unwatched => Ok(Seen::Waited(pause)),
        CheckMode::Provider => published(route, written, &rules, progress).await.map(|()| Seen::Published),
        _ => {
            let report = context.dns.propagated(awaited, &rules, progress).await;
            Ok(Seen::Shown(report.map_err(IssueError::Propagation)?))
        }
    }
}

fn show(progress: &watch::Sender<Progress>, note: String) {
    progress.send_replace(Progress::noting(note));
}

/// The time for which nobody is asked, if `limit` leaves so much.
fn pause_in(route: &Route, limit: Duration) -> Result<Duration, IssueError> {
    let settle = if route.check == CheckMode::Unwatched { route.rules.settle } else { Duration::ZERO };
    let wait = route.wait + settle;
    if !wait.is_zero() && wait >= limit {
        return Err(IssueError::WaitTooLong { zone: zone_of(route), wait, left: limit });
    }
    Ok(wait)
}

/// Finds out before anything is written what would fail afterwards: a wait longer than `limit`,
/// and a service that has no status to tell. It says so whatever it is asked about; what else it
/// says, or fails with, tells nothing.
pub(super) async fn check_beforehand(route: &Route, limit: Duration) -> Result<(), IssueError> {
    pause_in(route, limit)?;
    if route.check != CheckMode::Provider {
        return Ok(());
    }
    let nothing = Receipt(String::new());
    for site in &route.sites {
        let told = site.credential.within(PROBE_PATIENCE).published(&site.zone, &nothing).await;
        if matches!(told, Ok(Published::NotAvailable)) {
            return Err(no_status(site));
        }
    }
    Ok(())
}

fn no_status(site: &Site) -> IssueError {
    IssueError::NoStatus { credential: site.credential.name().clone(), zone: site.zone.name.clone() }
}

/// A route leads to one zone, whoever serves it.
fn zone_of(route: &Route) -> ZoneName {
    route.sites.first().map(|site| site.zone.name.clone()).expect("a route has a site")
}

/// Waits until the service says yes to every receipt, twice if the zone has to settle.
async fn published(
    route: &Route,
    written: &[ZoneReport],
    rules: &PropagationRules,
    progress: &watch::Sender<Progress>,
) -> Result<(), IssueError> {
    let of = |site: &Site| -> Vec<Receipt> {
        let reports = written.iter().filter(|report| report.credential == *site.credential.name());
        reports.flat_map(|report| report.receipts.clone()).collect()
    };
    let receipts: Vec<(&Site, Vec<Receipt>)> = route.sites.iter().map(|site| (site, of(site))).collect();
    if let Some((site, _)) = receipts.iter().find(|(_, receipts)| receipts.is_empty()) {
        return Err(no_status(site));
    }
    let deadline = Instant::now() + rules.timeout;
    all_published(&receipts, deadline, progress).await?;
    if rules.settle.is_zero() {
        return Ok(());
    }
    count_down(rules.settle, |left| show(progress, format!("asking the service again in {left} s"))).await;
    all_published(&receipts, deadline + rules.settle, progress).await
}

async fn all_published(
    receipts: &[(&Site, Vec<Receipt>)],
    deadline: Instant,
    progress: &watch::Sender<Progress>,
) -> Result<(), IssueError> {
    for (site, receipts) in receipts {
        site_published(site, receipts, deadline, progress).await?;
    }
    Ok(())
}

async fn site_published(
    site: &Site,
    receipts: &[Receipt],
    deadline: Instant,
    progress: &watch::Sender<Progress>,
) -> Result<(), IssueError> {
    let started = Instant::now();
    let mut pause = PAUSE.0;
    let mut open = receipts.to_vec();
    while let Some(receipt) = open.last() {
        let left = deadline.saturating_duration_since(Instant::now());
        let credential = site.credential.within(left.max(PAUSE.0));
        let told = credential.published(&site.zone, receipt).await;
        let told = told.map_err(|source| IssueError::Status {
            credential: site.credential.name().clone(),
            zone: site.zone.name.clone(),
            source,
        })?;
        match told {
            Published::Yes => {
                open.pop();
                continue;
            }
            Published::NotYet => {}
            _ => return Err(no_status(site)),
        }
        if Instant::now() + pause > deadline {
            return Err(IssueError::Unpublished {
                credential: site.credential.name().clone(),
                zone: site.zone.name.clone(),
                waited: started.elapsed(),
            });
        }
        let name = site.credential.name();
        show(progress, format!("{name} says that the change is still under way"));
        sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE.1);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
