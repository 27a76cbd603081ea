//! Nothing is sent to the CA before the values have been seen, by whoever has to show them.

use super::order::Subject;
use super::publish::{Answer, Published};
use super::route::Route;
use super::run::Run;
use super::watch::{Seen, seen};
use super::{IssueError, Stage};
use crate::acme;
use crate::dns::{Awaited, Observers, Progress, Standing};
use crate::event::{Outcome, Step, StepWatch};
use crate::records::ZoneReport;
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

/// Everybody who has to shows every value.
pub(super) struct Propagated {
    pub(super) id: OrderId,
    pub(super) order: acme::Order,
    pub(super) subject: Subject,
    pub(super) answers: Vec<Answer>,
}

/// What is waited for in one zone.
struct ZoneWait {
    route: Route,
    written: Vec<ZoneReport>,
    names: BTreeMap<Fqdn, Awaited>,
}

impl Published {
    /// Waits for the name servers, or for whoever else has to show the values.
    pub(super) async fn propagate(self, run: &Run<'_>) -> Result<Stage, IssueError> {
        let Self { id, order, subject, answers } = self;
        wait(run, &answers).await?;
        Ok(Stage::Propagated(Propagated { id, order, subject, answers }))
    }
}

/// Waits until every answer counts as seen, zone by zone, side by side.
pub(super) async fn wait(run: &Run<'_>, answers: &[Answer]) -> Result<(), IssueError> {
    let step = run.events.begin(Step::Propagate);
    let zones = by_zone(run, answers);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        zones.iter().map(|_| watch::channel(Progress::default())).unzip();
    let waits = try_join_all(zones.into_values().zip(&senders).map(|(zone, progress)| async move {
        let awaited: Vec<_> = zone.names.into_values().collect();
        seen(run.context, &zone.route, &awaited, &zone.written, run.time_left(), progress).await
    }));
    let seen = tokio::select! {
        seen = waits => seen?,
        never = tell_progress(&step, receivers) => match never {},
    };
    warn(run, &seen);
    run.finish(step, summary(&seen));
    Ok(())
}

/// All values of one name are awaited together: a wildcard and its base share it.
fn by_zone(run: &Run<'_>, answers: &[Answer]) -> BTreeMap<ZoneName, ZoneWait> {
    let mut zones: BTreeMap<ZoneName, ZoneWait> = BTreeMap::new();
    for answer in answers {
        let location = &answer.place.location;
        let zone = zones.entry(location.zone.clone()).or_insert_with(|| ZoneWait {
            route: answer.place.route.clone(),
            written: run.written_to(&location.zone),
            names: BTreeMap::new(),
        });
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
        let sum = Progress::sum(&latest);
        let done = sum.confirmed + sum.resolvers_confirmed;
        step.waits(done, sum.total + sum.resolvers, sum.to_string());
    }
}

fn warn(run: &Run<'_>, seen: &[Seen]) {
    for one in seen {
        let Seen::Shown(report) = one else { continue };
        report.warnings.iter().for_each(|warning| run.events.warn(warning.clone()));
    }
}

fn summary(seen: &[Seen]) -> Outcome {
    let (mut confirmed, mut addresses, mut not_asked, mut resolvers) = (0, 0, 0, 0);
    let (mut published, mut waited) = (0, Duration::ZERO);
    for one in seen {
        let report = match one {
            Seen::Shown(report) => report,
            Seen::Published => {
                published += 1;
                continue;
            }
            Seen::Waited(time) => {
                waited = waited.max(*time);
                continue;
            }
        };
        for table in &report.tables {
            if table.observers == Observers::Resolvers {
                resolvers += table.rows.len();
                continue;
            }
            let standing = |wanted| table.rows.iter().filter(|row| row.standing == wanted).count();
            not_asked += standing(Standing::NoRoute);
            confirmed += standing(Standing::Confirmed);
            addresses += table.rows.len() - standing(Standing::NoRoute);
        }
    }
    Outcome::Propagated { confirmed, addresses, not_asked, resolvers, published, waited: waited.as_secs() }
}
