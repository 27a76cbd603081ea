//! The records are written, and held until the CA has looked.

use super::order::{Ordered, Place, Subject, place};
use super::propagate::Propagated;
use super::run::Run;
use super::{IssueError, Stage};
use crate::acme::{self, Authorization, Challenge, ChallengeTask};
use crate::event::{Outcome, Step, WrittenBatch};
use crate::records::{Record, ZoneReport};
use crate::store::OrderId;
use dns01_provider::TxtValue;
use futures_util::future::try_join_all;
use std::collections::BTreeSet;

/// A challenge with the record that answers it.
pub(super) struct Answer {
    pub(super) authorization: Authorization,
    pub(super) challenge: Challenge,
    pub(super) place: Place,
    pub(super) value: TxtValue,
}

/// The records stand at the provider.
pub(super) struct Published {
    pub(super) id: OrderId,
    pub(super) order: acme::Order,
    pub(super) subject: Subject,
    pub(super) answers: Vec<Answer>,
}

impl Ordered {
    /// Writes a record for every name that is still to be proved.
    pub(super) async fn publish(self, run: &Run<'_>) -> Result<Stage, IssueError> {
        let Self { id, order, subject, pending } = self;
        if pending.is_empty() {
            return Ok(Stage::Propagated(Propagated { id, order, subject, answers: Vec::new() }));
        }
        let answers = publish(run, &id, &pending).await?;
        Ok(Stage::Published(Published { id, order, subject, answers }))
    }
}

/// Writes the records that answer `pending`; the run holds them.
pub(super) async fn publish(
    run: &Run<'_>,
    id: &OrderId,
    pending: &[Authorization],
) -> Result<Vec<Answer>, IssueError> {
    let watch = run.events.begin(Step::Records);
    let answers = try_join_all(pending.iter().map(|authorization| answer(run, authorization))).await?;
    let records = answers.iter().flat_map(records).collect();
    let hold = run.context.records.hold(id, run.take_announcement(), records).await?;
    let batches = hold.zones().iter().map(|report| written(report, &answers)).collect();
    run.keep(hold);
    run.finish(watch, Outcome::Written { batches });
    Ok(answers)
}

async fn answer(run: &Run<'_>, authorization: &Authorization) -> Result<Answer, IssueError> {
    let foreign =
        |reason: &str| Err(IssueError::ForeignName { name: authorization.name(), reason: reason.to_owned() });
    // Whatever a CA asks for, nothing is published but for the names that the user named.
    let domains = &run.request.certificate.domains;
    let name = authorization.name().to_ascii_lowercase();
    let Some(domain) = domains.iter().find(|domain| domain.to_string() == name) else {
        return foreign("it is not among the names that were ordered");
    };
    let challenge = authorization.challenge(run.request.certificate.challenge)?.clone();
    let place = place(run, domain).await?;
    let text = match &challenge.task {
        ChallengeTask::Dns01 { token } | ChallengeTask::DnsAccount01 { token } => {
            acme::dns_value(token, &run.account.thumbprint())
        }
        ChallengeTask::DnsPersist01 { issuers } => {
            let issuer = issuers.first().expect("an offer without issuers is ignored");
            acme::persist_value(issuer, run.account.url(), domain.wildcard, None)
        }
    };
    let value = match TxtValue::parse(&text) {
        Ok(value) => value,
        Err(error) => return foreign(&error.to_string()),
    };
    Ok(Answer { authorization: authorization.clone(), challenge, place, value })
}

fn records(answer: &Answer) -> Vec<Record> {
    let Place { location, route } = &answer.place;
    let mut records = route.records(&location.target, &answer.value);
    // The record of dns-persist-01 is the user's standing permission: it stays.
    let persistent = matches!(answer.challenge.task, ChallengeTask::DnsPersist01 { .. });
    records.iter_mut().for_each(|record| record.persistent = persistent);
    records
}

fn written(report: &ZoneReport, answers: &[Answer]) -> WrittenBatch {
    let here = answers.iter().filter(|answer| answer.place.location.zone == report.zone);
    let at: BTreeSet<String> = here.map(|answer| answer.place.location.target.to_string()).collect();
    WrittenBatch {
        credential: report.credential.to_string(),
        zone: report.zone.to_string(),
        at: at.into_iter().collect(),
        values: report.values,
        calls: report.calls,
    }
}
