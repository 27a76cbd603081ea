//! The CA is told to look.

use super::finalize::Ready;
use super::propagate::Propagated;
use super::publish::Answer;
use super::run::Run;
use super::{IssueError, Stage};
use crate::event::{Outcome, Step};
use futures_util::future::try_join_all;

impl Propagated {
    /// Answers every challenge at once and waits until the order is ready. From then on the
    /// records are of no more use, and go.
    pub(super) async fn validate(self, run: &Run<'_>) -> Result<Stage, IssueError> {
        let Self { id, order, subject, answers } = self;
        let watch = run.events.begin(Step::Validate);
        let posts =
            answers.iter().map(|answer| run.account.respond(&answer.authorization, &answer.challenge));
        try_join_all(posts).await?;
        let order = run.account.wait_ready(order).await?;
        run.remove_records();
        run.finish(watch, Outcome::Validated { proven: answers.len(), names: run.names.len() });
        Ok(Stage::Ready(Ready { id, order, subject }))
    }
}

/// Tells the CA, for every answer, that it can look.
pub(super) async fn respond(run: &Run<'_>, answers: &[Answer]) -> Result<(), IssueError> {
    let posts = answers.iter().map(|answer| run.account.respond(&answer.authorization, &answer.challenge));
    try_join_all(posts).await?;
    Ok(())
}
