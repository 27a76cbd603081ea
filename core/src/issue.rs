//! The corridor: one certificate, from the plan to the files, one line a room.
//!
//! Stages consume `self` and return the next one. Stored is only what we alone know: the plan
//! with its key (before newOrder), the order's URL, the certificate. All else the CA is asked
//! again, so that after a crash at any point the same order goes on, and every step may run
//! twice.

mod ahead;
mod context;
mod download;
mod error;
mod finalize;
mod order;
mod propagate;
mod publish;
mod route;
mod run;
mod validate;
mod watch;

pub use context::{Context, Issued, ORDERS_AT_ONCE, Request};
pub use error::IssueError;
pub use route::{BoundCredential, Route, Routes, Site};
pub(crate) use route::{bindings, configured_zones};
pub use watch::{Seen, seen};

use download::Downloaded;
use finalize::{Finalized, Ready};
use order::{Ordered, Planned};
use propagate::Propagated;
use publish::Published;
use run::Run;

/// How far an order has come. What survives a crash is in the store, not here.
enum Stage {
    Planned(Planned),
    Ordered(Ordered),
    Published(Published),
    Propagated(Propagated),
    Ready(Ready),
    Finalized(Finalized),
    Downloaded(Downloaded),
}

/// Obtains the certificate that `request` asks for, or goes on with the order that a crash left
/// behind. Returns when its files are in place and its records are gone.
///
/// Dropped half-way, its records are removed in the background and its order stays open, to be
/// gone on with.
///
/// # Errors
/// [`IssueError`]. The old files are untouched then and the records removed, unless the error
/// says what was left.
pub async fn issue(context: &Context, request: &Request) -> Result<Issued, IssueError> {
    let _place = context.place_for_an_order().await;
    let announcement = context.records.announce();
    let begun = tokio::select! {
        biased;
        () = context.cancel.cancelled() => return Err(IssueError::Interrupted),
        begun = Box::pin(Run::begin(context, request, announcement)) => begun?,
    };
    let run = match begun {
        run::Begun::Run(run) => run,
        run::Begun::AnotherProcessDid(issued) => return Ok(issued),
    };
    // Looked at first: what fails because the program is stopping is no failure of the order.
    let walked = tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(IssueError::Interrupted),
        walked = walk(&run) => walked,
    };
    // The rooms stop as well, and one of them may be heard of first.
    let walked = walked.map_err(|error| match context.cancel.is_cancelled() {
        true => IssueError::Interrupted,
        false => error,
    });
    run.end(walked).await
}

/// Each step is boxed: hundreds of orders mostly wait, and one that waits then takes the memory
/// of its own step, not of the largest.
async fn walk(run: &Run<'_>) -> Result<Issued, IssueError> {
    let mut stage = Box::pin(order::resume_or_plan(run)).await?;
    loop {
        stage = match stage {
            Stage::Planned(stage) => Box::pin(stage.order(run)).await?,
            Stage::Ordered(stage) => Box::pin(stage.publish(run)).await?,
            Stage::Published(stage) => Box::pin(stage.propagate(run)).await?,
            Stage::Propagated(stage) => Box::pin(stage.validate(run)).await?,
            Stage::Ready(stage) => Box::pin(stage.finalize(run)).await?,
            Stage::Finalized(stage) => Box::pin(stage.download(run)).await?,
            Stage::Downloaded(stage) => return Box::pin(stage.deploy(run)).await,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn can_be_spawned<F: Future + Send>(_: F) {}

    #[expect(dead_code, reason = "that it compiles is the test")]
    fn an_order_can_be_spawned(context: &Context, request: &Request) {
        can_be_spawned(issue(context, request));
    }
}
