//! The certificate is asked for.

use super::order::Subject;
use super::run::Run;
use super::{IssueError, Stage};
use crate::acme;
use crate::store::OrderId;

/// Every name is proved.
pub(super) struct Ready {
    pub(super) id: OrderId,
    pub(super) order: acme::Order,
    pub(super) subject: Subject,
}

/// The CA has the request, or the certificate even.
pub(super) struct Finalized {
    pub(super) id: OrderId,
    pub(super) order: acme::Order,
    pub(super) subject: Subject,
    /// True if an earlier run had come this far.
    pub(super) resumed: bool,
}

impl Ready {
    /// Sends the request for the certificate.
    pub(super) async fn finalize(self, run: &Run<'_>) -> Result<Stage, IssueError> {
        let Self { id, order, subject } = self;
        run.begin_certificate();
        let request = match &subject {
            Subject::Key(key) => key.request(&run.names)?,
            Subject::Request { der, .. } => der.clone(),
        };
        let order = match run.account.finalize(&order, &request).await {
            // Asked again with the same key and names, the CA would say the same.
            Err(error) if error.is_refusal() => {
                run.give_up(&id, &error.to_string()).await?;
                return Err(error.into());
            }
            finalized => finalized?,
        };
        Ok(Stage::Finalized(Finalized { id, order, subject, resumed: false }))
    }
}
