//! The plan and the order: CAA and the places of the records first, then newOrder.

use super::ahead;
use super::finalize::{Finalized, Ready};
use super::route::Route;
use super::run::Run;
use super::watch;
use super::{IssueError, Stage};
use crate::acme::{
    self, AcmeError, Authorization, AuthorizationStatus, CertificateId, Identifier, OpenOrder, OrderStatus,
};
use crate::config::Domain;
use crate::dns::{CaaDecision, CaaQuestion, Location};
use crate::event::{Happening, Outcome, Step};
use crate::keys::CertificateKey;
use crate::store::{self, KeyBytes, OrderId};
use futures_util::future::try_join_all;
use std::time::Duration;
use url::Url;

/// Tries at newOrder when one reply after the other is lost.
const NEW_ORDER_TRIES: u32 = 6;
/// The pause after the first of them; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What is to be certified: a key of ours, or the user's own request.
#[derive(Debug)]
pub(super) enum Subject {
    Key(CertificateKey),
    Request { der: Vec<u8>, public_key: Vec<u8> },
}

impl Subject {
    pub(super) fn public_key(&self) -> Vec<u8> {
        match self {
            Self::Key(key) => key.public_key(),
            Self::Request { public_key, .. } => public_key.clone(),
        }
    }
}

/// A domain with the place where its record goes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) location: Location,
    pub(super) route: Route,
}

/// Nothing is asked of the CA yet.
pub(super) struct Planned;

/// The CA has opened an order.
pub(super) struct Ordered {
    pub(super) id: OrderId,
    pub(super) order: acme::Order,
    pub(super) subject: Subject,
    pub(super) pending: Vec<Authorization>,
}

/// Looks for an order that a crash left behind; without one, plans a new one.
pub(super) async fn resume_or_plan(run: &Run<'_>) -> Result<Stage, IssueError> {
    let wanted = &run.request.certificate;
    let store = &run.context.store;
    store.remember_certificate(run.certificate(), &run.names, &run.request.remembered).await?;
    let open = store.open_order(&run.account_name, &run.names).await?;
    let resumed = match open {
        Some(open) => resume(run, open).await?,
        None => None,
    };
    run.events.emit(Happening::Started {
        names: run.names.clone(),
        ca: run.request.authority.name().to_string(),
        key: run.request.csr.as_ref().map_or_else(|| wanted.key.to_string(), |_| "own request".to_owned()),
        resumed: resumed.is_some(),
    });
    Ok(resumed.unwrap_or(Stage::Planned(Planned)))
}

/// Goes on with `open` where that is possible; an order that is of no more use is ended.
async fn resume(run: &Run<'_>, open: store::Order) -> Result<Option<Stage>, IssueError> {
    let give_up = async |why: &str| run.context.store.fail_order(&open.plan.id, why, "[]").await;
    let subject = match subject_of(&open.plan)? {
        Some(subject) if is_still_wanted(run, &open.plan, &subject).await? => subject,
        _ => {
            give_up("something else is wanted now").await?;
            return Ok(None);
        }
    };
    let order = match &open.url {
        Some(url) => match run.account.fetch_order(&parse_url(url)?).await {
            Ok(order) => order,
            // Forgotten, or of another account.
            Err(error) if error.is_refusal() => {
                give_up(&format!("the CA does not show it any more: {error}")).await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        },
        // The crash came between newOrder and its reply.
        None => match run.account.find_open_order(&identifiers(&run.names)).await {
            Ok(OpenOrder::Found(order)) => *order,
            Ok(OpenOrder::None | OpenOrder::NotListed) => {
                give_up("interrupted before the CA told its address").await?;
                return Ok(None);
            }
            Err(error) if error.is_refusal() => {
                give_up(&format!("the CA does not list its orders: {error}")).await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        },
    };
    run.context.store.set_order_url(&open.plan.id, order.url.as_str()).await?;
    let id = open.plan.id.clone();
    match order.status {
        OrderStatus::Invalid => {
            give_up("the CA calls it invalid").await?;
            Ok(None)
        }
        _ => match stage_of(run, id, order, subject).await? {
            // Some CAs leave an order pending of which nothing can come any more.
            Stage::Ordered(ordered) if ordered.pending.iter().any(|one| one.status.is_dead()) => {
                give_up("one of its authorizations is of no more use").await?;
                Ok(None)
            }
            stage => Ok(Some(stage)),
        },
    }
}

fn parse_url(text: &str) -> Result<Url, IssueError> {
    text.parse().map_err(|_| IssueError::Stored { what: format!("the order address `{text}`") })
}

fn subject_of(plan: &store::NewOrder) -> Result<Option<Subject>, IssueError> {
    if let Some(csr) = &plan.csr {
        let request = crate::keys::CertificateRequest::parse(csr)
            .map_err(|_| IssueError::Stored { what: "a certificate request".to_owned() })?;
        return Ok(Some(Subject::Request { der: csr.clone(), public_key: request.public_key().to_vec() }));
    }
    match &plan.key {
        Some(key) => Ok(Some(Subject::Key(CertificateKey::from_pkcs8(key.expose())?))),
        None => Ok(None),
    }
}

async fn is_still_wanted(
    run: &Run<'_>,
    plan: &store::NewOrder,
    subject: &Subject,
) -> Result<bool, IssueError> {
    let same_key = match (subject, &run.request.csr) {
        (Subject::Key(key), None) => {
            key.key_type() == Some(run.request.certificate.key) && !is_given_up(run, key).await?
        }
        (Subject::Request { der, .. }, Some(csr)) => der == csr.der(),
        _ => false,
    };
    Ok(same_key && plan.profile == run.profile())
}

/// True for the present certificate's key, if that is not to be used again.
async fn is_given_up(run: &Run<'_>, key: &CertificateKey) -> Result<bool, IssueError> {
    let Some(version) = current_version(run).await? else { return Ok(false) };
    let present = version.key.is_some_and(|present| present.expose() == key.pkcs8().as_slice());
    Ok(present && (version.summary.revoked_at.is_some() || !run.request.certificate.reuse_key))
}

pub(super) fn identifiers(names: &[String]) -> Vec<Identifier> {
    names.iter().map(Identifier::dns).collect()
}

impl Planned {
    /// Looks before it asks: CAA must allow, every record must have a place. Then the plan is
    /// stored, then the CA is asked.
    pub(super) async fn order(self, run: &Run<'_>) -> Result<Stage, IssueError> {
        let watch = run.events.begin(Step::Order);
        tokio::try_join!(check_profile(run), check_caa(run), check_places(run), warm_up(run))?;
        if run.request.pre_authorize {
            ahead::prove(run).await?;
        }
        let (plan, subject) = plan(run).await?;
        run.context.store.begin_order(&plan).await?;
        let order = open(run, &plan).await?;
        run.context.store.set_order_url(&plan.id, order.url.as_str()).await?;
        let stage = stage_of(run, plan.id, order, subject).await?;
        let to_prove = if let Stage::Ordered(ordered) = &stage { ordered.pending.len() } else { 0 };
        run.finish(watch, Outcome::Ordered { names: run.names.len(), to_prove });
        Ok(stage)
    }
}

async fn plan(run: &Run<'_>) -> Result<(store::NewOrder, Subject), IssueError> {
    let subject = match &run.request.csr {
        Some(csr) => Subject::Request { der: csr.der().to_vec(), public_key: csr.public_key().to_vec() },
        None => Subject::Key(key(run).await?),
    };
    let (key, csr) = match &subject {
        Subject::Key(key) => (Some(KeyBytes::new(key.pkcs8().to_vec())), None),
        Subject::Request { der, .. } => (None, Some(der.clone())),
    };
    let plan = store::NewOrder {
        id: OrderId::random(),
        certificate: run.certificate().to_owned(),
        account: run.account_name.clone(),
        names: run.names.clone(),
        profile: run.profile(),
        replaces: replaces(run).await?,
        key,
        csr,
    };
    Ok((plan, subject))
}

/// A new key, or the present one where the user wants it kept. Why a certificate was revoked is
/// not written down: its key may be in the wrong hands.
async fn key(run: &Run<'_>) -> Result<CertificateKey, IssueError> {
    let wanted = &run.request.certificate;
    if wanted.reuse_key
        && let Some(version) = current_version(run).await?
        && let Some(key) = version.key
    {
        if version.summary.revoked_at.is_some() {
            run.events.warn("the present certificate is revoked, so its key is not used again");
            return Ok(CertificateKey::generate(wanted.key).await?);
        }
        let key = CertificateKey::from_pkcs8(key.expose())?;
        if key.key_type() == Some(wanted.key) {
            return Ok(key);
        }
    }
    Ok(CertificateKey::generate(wanted.key).await?)
}

async fn current_version(run: &Run<'_>) -> Result<Option<store::Version>, IssueError> {
    let certificate = run.context.store.certificate(run.certificate()).await?;
    match certificate.and_then(|certificate| certificate.current) {
        Some(current) => Ok(run.context.store.version(run.certificate(), current.number).await?),
        None => Ok(None),
    }
}

/// The certificate that the new one takes the place of (RFC 9773 §5), if the same account
/// ordered it.
async fn replaces(run: &Run<'_>) -> Result<Option<String>, IssueError> {
    let certificate = run.context.store.certificate(run.certificate()).await?;
    let current = certificate.and_then(|certificate| certificate.current);
    Ok(current.filter(|version| version.account == run.account_name).and_then(|version| version.renewal_id))
}

/// Opens the order. After a lost reply it is looked for in the CA's list, and ordered again only
/// where it is not there; a CA without a list is asked for one more, and no more.
async fn open(run: &Run<'_>, plan: &store::NewOrder) -> Result<acme::Order, IssueError> {
    let mut new = acme::NewOrder {
        profile: plan.profile.clone(),
        replaces: plan.replaces.clone().map(CertificateId::from_stored),
        ..acme::NewOrder::of(identifiers(&plan.names))
    };
    let (mut tries, mut pause) = (0, FIRST_PAUSE);
    loop {
        tries += 1;
        let lost = match run.account.new_order(&new).await {
            Err(lost @ AcmeError::ReplyLost { .. }) => lost,
            opened => return Ok(opened?),
        };
        match run.account.find_open_order(&new.identifiers).await {
            Ok(OpenOrder::Found(order)) => return Ok(*order),
            Ok(OpenOrder::None) if tries < NEW_ORDER_TRIES => {}
            Ok(OpenOrder::NotListed) if tries == 1 => run
                .events
                .warn("the reply to newOrder was lost and the CA lists no orders: ordered once more"),
            // What became of the order is the news, not that the list was not to be had in time.
            Ok(_) | Err(AcmeError::Deadline { .. }) => return Err(lost.into()),
            Err(error) => return Err(error.into()),
        }
        if run.time_left() < pause {
            return Err(lost.into());
        }
        // Should the replacement be what the CA stumbles over, a plain order is better than none.
        new.replaces = None;
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Where an order goes on, by what the CA says of it.
async fn stage_of(
    run: &Run<'_>,
    id: OrderId,
    order: acme::Order,
    subject: Subject,
) -> Result<Stage, IssueError> {
    match order.status {
        OrderStatus::Ready => return Ok(Stage::Ready(Ready { id, order, subject })),
        OrderStatus::Processing | OrderStatus::Valid => {
            return Ok(Stage::Finalized(Finalized { id, order, subject, resumed: true }));
        }
        _ => {}
    }
    let authorizations = order.authorizations.iter().map(|url| run.account.fetch_authorization(url));
    let mut pending = try_join_all(authorizations).await?;
    pending.retain(|authorization| authorization.status != AuthorizationStatus::Valid);
    Ok(Stage::Ordered(Ordered { id, order, subject, pending }))
}

/// The connection to the CA and a first nonce are there by the time they are needed.
async fn warm_up(run: &Run<'_>) -> Result<(), IssueError> {
    Ok(run.account.client().warm_up().await?)
}

/// Asks for no profile that the CA's directory does not name.
async fn check_profile(run: &Run<'_>) -> Result<(), IssueError> {
    let Some(profile) = run.profile() else { return Ok(()) };
    Ok(run.request.authority.client().directory().await?.check_profile(&profile)?)
}

/// Asks the DNS, as the CA will, whether every name may be certified there.
async fn check_caa(run: &Run<'_>) -> Result<(), IssueError> {
    let directory = run.account.directory().await?;
    let questions = run.request.certificate.domains.iter().map(|domain| CaaQuestion {
        name: domain.base.clone(),
        wildcard: domain.wildcard,
        ca_identities: directory.meta.caa_identities.clone(),
        account_url: Some(run.account.url().to_string()),
        method: run.request.certificate.challenge.to_string(),
    });
    let decide = async |question: CaaQuestion| {
        let decision = run.context.dns.caa(&question, run.context.routes.zones()).await;
        decision.map_err(|refusal| IssueError::Caa { name: question.name.clone(), refusal })
    };
    for decision in try_join_all(questions.map(decide)).await? {
        match decision {
            CaaDecision::IdentityUnknown { at } => run.events.warn(format!(
                "there are CAA records at `{at}`, but the CA's directory does not say by which name it goes"
            )),
            CaaDecision::NotLookedUp { at, reason } => run.events.warn(format!(
                "CAA at `{at}` could not be looked up from here, and is left to the CA: {reason}"
            )),
            _ => {}
        }
    }
    Ok(())
}

/// Finds out before the order whether every record has a place; what is found stays cached.
async fn check_places(run: &Run<'_>) -> Result<(), IssueError> {
    let places =
        try_join_all(run.request.certificate.domains.iter().map(|domain| place(run, domain))).await?;
    let sites = places.iter().flat_map(|place| &place.route.sites);
    run.narrow_announcement(sites.map(|site| (site.credential.name().clone(), site.zone.name.clone())));
    let mut zones = std::collections::BTreeSet::new();
    let routes = places.iter().filter(|place| zones.insert(&place.location.zone)).map(|place| &place.route);
    try_join_all(routes.map(|route| watch::check_beforehand(route, run.time_left()))).await?;
    let mut told = std::collections::BTreeSet::new();
    for warning in places.iter().flat_map(|place| &place.location.warnings) {
        if told.insert(warning.to_string()) {
            run.events.warn(warning.to_string());
        }
    }
    Ok(())
}

/// Where the record for `domain` goes, and through which credential. Found once for each run.
pub(super) async fn place(run: &Run<'_>, domain: &Domain) -> Result<Place, IssueError> {
    let challenge_name = run.challenge_name(&domain.base)?;
    if let Some(place) = run.known_place(&challenge_name) {
        return Ok(place);
    }
    let location = run.context.dns.locate(&challenge_name, run.context.routes.zones()).await?;
    let route = run.context.routes.to(&location.zone);
    let route = route.ok_or_else(|| IssueError::NoCredential { zone: location.zone.clone() })?;
    let place = Place { location, route };
    run.remember_place(challenge_name, place.clone());
    Ok(place)
}
