//! Names are proved ahead of the order (RFC 8555 §7.4.1), where the CA lets one.
//!
//! An order for names that are proved already has nothing left to prove. Wildcards cannot be
//! proved ahead; they are proved with the order.

use super::IssueError;
use super::run::Run;
use super::{propagate, publish, validate};
use crate::acme::{AuthorizationStatus, Identifier};
use crate::event::{Outcome, Step};
use crate::store::OrderId;
use futures_util::future::try_join_all;

/// Proves every name that is not a wildcard.
pub(super) async fn prove(run: &Run<'_>) -> Result<(), IssueError> {
    let domains = run.request.certificate.domains.iter().filter(|domain| !domain.wildcard);
    let identifiers: Vec<_> = domains.map(|domain| Identifier::dns(domain.base.as_str())).collect();
    let opened = identifiers.iter().map(|identifier| run.account.new_authorization(identifier));
    let mut pending = try_join_all(opened).await?;
    pending.retain(|authorization| authorization.status != AuthorizationStatus::Valid);
    if pending.is_empty() {
        return Ok(());
    }
    let answers = publish::publish(run, &OrderId::random(), &pending).await?;
    propagate::wait(run, &answers).await?;
    let watch = run.events.begin(Step::Validate);
    validate::respond(run, &answers).await?;
    try_join_all(pending.into_iter().map(|authorization| run.account.wait_authorized(authorization))).await?;
    run.remove_records();
    run.finish(watch, Outcome::Validated { proven: answers.len(), names: run.names.len() });
    Ok(())
}
