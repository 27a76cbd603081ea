//! The certificate is fetched, checked, stored and put in place.

use super::context::Issued;
use super::finalize::Finalized;
use super::order::Subject;
use super::run::Run;
use super::{IssueError, Stage};
use crate::acme::{CertificateChain, CertificateError};
use crate::deploy::FileSet;
use crate::event::Outcome;
use crate::inventory::remembered_advice;
use crate::plan::{self, Held};
use crate::store::{KeyBytes, NewVersion, OrderId};

/// The certificate is stored; only its files are not in place.
pub(super) struct Downloaded {
    id: OrderId,
    version: i64,
    chain: CertificateChain,
    subject: Subject,
}

impl Finalized {
    /// Waits for the certificate, fetches it, and checks it before anything is changed.
    pub(super) async fn download(self, run: &Run<'_>) -> Result<Stage, IssueError> {
        let Self { id, order, subject, resumed } = self;
        run.begin_certificate();
        let order = run.account.wait_valid(order).await?;
        let pem = match run.account.download(&order, run.preferred_chain()).await {
            // An earlier run was refused as well, or it would not have come to this one.
            Err(error) if resumed && error.is_refusal() => {
                run.give_up(&id, &error.to_string()).await?;
                return Err(error.into());
            }
            downloaded => downloaded?,
        };
        let checked = CertificateChain::parse_and_check(&pem, &subject.public_key(), &run.names, run.now());
        let chain = match checked {
            Ok(chain) => chain,
            Err(error) => {
                let spoilt = matches!(error, CertificateError::Empty | CertificateError::Malformed(_));
                // What was spoilt on its way may come whole the next time, and what is not valid
                // yet will be, or this machine's clock is behind. Of anything else, and of what is
                // spoilt twice, nothing can come any more: the next try orders anew.
                let early = matches!(error, CertificateError::NotYetValid { .. });
                if !early && (resumed || !spoilt) {
                    run.give_up(&id, &error.to_string()).await?;
                }
                return Err(IssueError::Certificate(error));
            }
        };
        if let Some(preferred) = run.preferred_chain()
            && !chain.issuers.iter().any(|issuer| issuer == preferred)
        {
            run.events
                .warn(format!("the CA has no chain with the issuer `{preferred}`; its default is taken"));
        }
        let version = run
            .context
            .store
            .complete_order(&id, run.certificate(), &new_version(run, &chain, &subject), &run.journal())
            .await?;
        Ok(Stage::Downloaded(Downloaded { id, version, chain, subject }))
    }
}

fn new_version(run: &Run<'_>, chain: &CertificateChain, subject: &Subject) -> NewVersion {
    NewVersion {
        chain_pem: chain.full_chain_pem(),
        key: match subject {
            Subject::Key(key) => Some(KeyBytes::new(key.pkcs8().to_vec())),
            Subject::Request { .. } => None,
        },
        names: run.names.clone(),
        key_type: match subject {
            Subject::Key(key) => key.key_type().map(|key_type| key_type.to_string()),
            Subject::Request { .. } => None,
        },
        not_before: chain.not_before,
        not_after: chain.not_after,
        serial: chain.serial.clone(),
        issuer: chain.issuer.clone(),
        account: run.account_name.clone(),
        renewal_id: chain.id.as_ref().map(ToString::to_string),
        request: run.request.remembered.clone(),
    }
}

impl Downloaded {
    /// Puts the files in place, and asks the CA meanwhile when it advises to renew.
    pub(super) async fn deploy(self, run: &Run<'_>) -> Result<Issued, IssueError> {
        let files = FileSet {
            private_key: match &self.subject {
                Subject::Key(key) => Some(key.pem()),
                Subject::Request { .. } => None,
            },
            certificate: self.chain.leaf_pem(),
            chain: self.chain.chain_pem(),
        };
        let (live, name) = (run.context.live.clone(), run.certificate().to_owned());
        let version = u64::try_from(self.version).expect("versions count from 1");
        let place = tokio::task::spawn_blocking(move || live.place(&name, version, &files));
        let (placed, advice) = tokio::join!(place, advice(run, self.version, &self.chain));
        let directory = placed.expect("placing files does not panic")?;
        let renewal = plan::renewal(&Held {
            names: run.names.iter().cloned().collect(),
            key_type: None,
            not_before: self.chain.not_before,
            not_after: self.chain.not_after,
            revoked: false,
            advised: advice,
        });
        tracing::debug!(order = %self.id, version, "in place");
        run.finish_certificate(Outcome::Issued {
            issuer: self.chain.issuer.clone(),
            not_after: self.chain.not_after,
        });
        let issued = Issued {
            certificate: run.certificate().to_owned(),
            version: self.version,
            serial: self.chain.serial.clone(),
            issuer: self.chain.issuer.clone(),
            not_before: self.chain.not_before,
            not_after: self.chain.not_after,
            renewal,
            directory,
            by_another_process: false,
        };
        run.tell_issued(&issued);
        Ok(issued)
    }
}

/// When the CA advises to renew (RFC 9773); the time picked is stored. That the CA cannot be
/// asked is no reason to fail: the rule of thumb holds until it can.
async fn advice(run: &Run<'_>, version: i64, chain: &CertificateChain) -> Option<jiff::Timestamp> {
    let id = chain.id.as_ref()?;
    let asked = run.request.authority.client().renewal_info(id).await;
    let info = match asked {
        Ok(info) => info,
        Err(error) => {
            tracing::debug!(%error, "the CA did not say when to renew");
            return None;
        }
    };
    let renewal = remembered_advice(&info, run.now());
    if let Err(error) = run.context.store.record_renewal(run.certificate(), version, &renewal).await {
        tracing::warn!(%error, "the CA's advice was not written down");
        return None;
    }
    Some(renewal.chosen)
}
