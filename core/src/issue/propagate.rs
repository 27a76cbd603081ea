//! Nothing is sent to the CA before every authoritative server has been seen to answer.

use super::order::Subject;
use super::publish::{Answer, Published};
use super::run::Run;
use super::{IssueError, Stage};
use crate::acme;
use crate::dns::{Awaited, Progress, PropagationReport, PropagationRules, Standing};
use crate::event::{Outcome, Step, StepWatch};
use crate::store::OrderId;
use dns01_provider::{Fqdn, ZoneName};
use futures_util::future::try_join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// What is waited for is told again after so long without a change: a log shows a wait only
/// when it lasts, and nothing may change while it does.
const REMINDER: Duration = Duration::from_secs(10);

/// Every server shows every value.
pub(super) struct Propagated {
    pub(super) id: OrderId,
    pub(super) order: acme::Order,
    pub(super) subject: Subject,
    pub(super) answers: Vec<Answer>,
}

/// What is waited for in one zone.
struct ZoneWait {
    rules: PropagationRules,
    names: BTreeMap<Fqdn, Awaited>,
}

impl Published {
    /// Waits for the name servers.
    pub(super) async fn propagate(self, run: &Run<'_>) -> Result<Stage, IssueError> {
        let Self { id, order, subject, answers } = self;
        wait(run, &answers).await?;
        Ok(Stage::Propagated(Propagated { id, order, subject, answers }))
    }
}

/// Waits until every name server shows every answer, zone by zone, side by side.
pub(super) async fn wait(run: &Run<'_>, answers: &[Answer]) -> Result<(), IssueError> {
    let step = run.events.begin(Step::Propagate);
    let zones = by_zone(run, answers);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        zones.iter().map(|_| watch::channel(Progress::default())).unzip();
    let waits = try_join_all(zones.into_values().zip(&senders).map(|(zone, progress)| async move {
        let awaited: Vec<_> = zone.names.into_values().collect();
        run.context.dns.propagated(&awaited, &zone.rules, progress).await
    }));
    let reports = tokio::select! {
        reports = waits => reports.map_err(IssueError::Propagation)?,
        never = tell_progress(&step, receivers) => match never {},
    };
    warn(run, &reports);
    run.finish(step, summary(&reports));
    Ok(())
}

/// All values of one name are awaited together: a wildcard and its base share it.
fn by_zone(run: &Run<'_>, answers: &[Answer]) -> BTreeMap<ZoneName, ZoneWait> {
    let mut zones: BTreeMap<ZoneName, ZoneWait> = BTreeMap::new();
    for answer in answers {
        let location = &answer.place.location;
        let mut rules = answer.place.route.rules.clone();
        rules.timeout = rules.timeout.min(run.time_left());
        let zone =
            zones.entry(location.zone.clone()).or_insert_with(|| ZoneWait { rules, names: BTreeMap::new() });
        zone.names
            .entry(location.challenge_name.clone())
            .or_insert_with(|| Awaited { location: location.clone(), values: Vec::new() })
            .values
            .push(answer.value.clone());
    }
    zones
}

enum Never {}

/// Adds the zones up and tells what is waited for, for as long as anybody listens.
async fn tell_progress(step: &StepWatch, receivers: Vec<watch::Receiver<Progress>>) -> Never {
    let mut latest: Vec<Progress> = receivers.iter().map(|_| Progress::default()).collect();
    let changed = |index: usize, mut receiver: watch::Receiver<Progress>| async move {
        receiver.changed().await.ok().map(|()| (index, receiver))
    };
    let mut changes: FuturesUnordered<_> =
        receivers.into_iter().enumerate().map(|(index, receiver)| changed(index, receiver)).collect();
    loop {
        tokio::select! {
            Some(change) = changes.next() => {
                let Some((index, mut receiver)) = change else { continue };
                latest[index] = receiver.borrow_and_update().clone();
                changes.push(changed(index, receiver));
            }
            () = sleep(REMINDER) => {}
        }
        let sum = Progress {
            confirmed: latest.iter().map(|progress| progress.confirmed).sum(),
            total: latest.iter().map(|progress| progress.total).sum(),
            waiting: latest.iter().find_map(|progress| progress.waiting.clone()),
        };
        step.waits(sum.confirmed, sum.total, sum.to_string());
    }
}

fn warn(run: &Run<'_>, reports: &[PropagationReport]) {
    for warning in reports.iter().flat_map(|report| &report.warnings) {
        run.events.warn(warning.clone());
    }
}

fn summary(reports: &[PropagationReport]) -> Outcome {
    let (mut confirmed, mut addresses, mut not_asked) = (0, 0, 0);
    for row in reports.iter().flat_map(|report| &report.tables).flat_map(|table| &table.rows) {
        match row.standing {
            Standing::NoRoute => not_asked += 1,
            Standing::Confirmed => confirmed += 1,
            _ => {}
        }
        addresses += usize::from(row.standing != Standing::NoRoute);
    }
    Outcome::Propagated { confirmed, addresses, not_asked }
}
