//! One question to one recursive resolver, whatever the way to it.

use super::answer::code_name;
use super::https::HttpsResolver;
use super::message::Question;
use super::pipeline::{self, Pipe};
use super::query::QueryClient;
use super::recursive::LookupFailure;
use super::resolver::{Resolver, Way};
use super::stream::Road;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Asks resolvers; it remembers nothing of what they say, but keeps connections.
#[derive(Clone)]
pub(super) struct ResolverClient {
    shared: Arc<Shared>,
}

struct Shared {
    client: QueryClient,
    secured: Mutex<HashMap<Resolver, Arc<Secured>>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

/// The way to a resolver that proves who it is.
enum Secured {
    Tls(Pipe),
    Https(HttpsResolver),
    /// A setting that cannot be used.
    Unusable(String),
}

impl ResolverClient {
    pub(super) fn new(client: QueryClient, tasks: TaskTracker, cancel: CancellationToken) -> Self {
        Self { shared: Arc::new(Shared { client, secured: Mutex::default(), tasks, cancel }) }
    }

    /// Asks `resolver` for `name`; the answer may have any response code.
    ///
    /// # Errors
    /// In words, what came instead of an answer.
    pub(super) async fn ask(
        &self,
        resolver: &Resolver,
        name: &Name,
        record_type: RecordType,
    ) -> Result<Message, String> {
        let question = Question::recursive(name.clone(), record_type);
        if let Some(address) = resolver.plain() {
            let reply = self.shared.client.ask(address, &question).await;
            return reply.map(|reply| reply.message).map_err(|error| error.to_string());
        }
        match &*self.secured(resolver) {
            Secured::Tls(pipe) => pipe.ask(&question).await.map_err(|silence| format!("{silence} over TLS")),
            Secured::Https(https) => https.ask(&question).await,
            Secured::Unusable(reason) => Err(reason.clone()),
        }
    }

    /// The first answer of `resolvers`, in their order, that says whether there are records.
    pub(super) async fn ask_any(
        &self,
        resolvers: &[Resolver],
        name: &Name,
        record_type: RecordType,
    ) -> Result<Message, LookupFailure> {
        let mut failures: Vec<String> = Vec::new();
        let mut silent = true;
        for resolver in resolvers {
            let said = match self.ask(resolver, name, record_type).await {
                Ok(message) => match message.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok(message),
                    code => {
                        silent = false;
                        format!("it answers {}", code_name(code))
                    }
                },
                Err(reason) => reason,
            };
            failures.push(format!("{resolver}: {said}"));
        }
        Err(LookupFailure { reason: failures.join("; "), silent })
    }

    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.shared.cancel
    }

    fn secured(&self, resolver: &Resolver) -> Arc<Secured> {
        let mut secured = self.shared.secured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = secured.get(resolver) {
            return Arc::clone(known);
        }
        let made = Arc::new(self.open(resolver));
        secured.insert(resolver.clone(), Arc::clone(&made));
        made
    }

    fn open(&self, resolver: &Resolver) -> Secured {
        let opened = match resolver.way() {
            Way::Tls { name, port, .. } => {
                Road::secured(name, *port, resolver.address(), resolver.ca_bundle()).map(|road| {
                    Secured::Tls(pipeline::open(road, &self.shared.tasks, self.shared.cancel.clone()))
                })
            }
            Way::Https { url, .. } => HttpsResolver::new(resolver, url).map(Secured::Https),
            Way::Plain(_) => Err("it is asked in plain".to_owned()),
        };
        opened.unwrap_or_else(Secured::Unusable)
    }
}
