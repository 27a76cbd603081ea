//! The API, as far as it is used: domains, their TXT records, and looks at what a token reaches.

use crate::error;
use dns01_provider::http::{HttpClient, Reply, Request};
use dns01_provider::{Fqdn, Pace, ProviderError, ProviderErrorKind, Rate, Zone};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Entries of one page: the most that the service gives.
const PER_PAGE: usize = 200;
/// Pages that are read at most: a service that ignores `page` would be asked for ever.
const MOST_PAGES: usize = 200;
/// The service allows 250 requests a minute and 5,000 an hour to one token; some are left to others.
const RATES: [Rate; 2] = [Rate::per_minute(240), Rate::new(4800, Duration::from_secs(3600))];
/// Waiting for the minute is part of a call; waiting for the hour is not.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One credential's client, within the service's rates.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: HttpClient,
    pace: Arc<Pace>,
}

/// A TXT record as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ListedRecord {
    pub(crate) id: u64,
    /// Relative to the zone; `@` at its apex.
    pub(crate) name: String,
    /// Without quotes.
    pub(crate) data: String,
    pub(crate) ttl: Option<u32>,
}

/// The records of a list.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) records: Vec<ListedRecord>,
    /// Over several pages a record can slip from one to another unseen.
    pub(crate) paged: bool,
}

/// A record to be added.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NewRecord {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) ttl: u32,
}

#[derive(Deserialize)]
struct RecordPage {
    domain_records: Vec<ListedRecord>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize)]
struct DomainPage {
    domains: Vec<Domain>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize)]
struct Domain {
    name: String,
}

#[derive(Default, Deserialize)]
struct Meta {
    total: Option<usize>,
}

impl Api {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self { client, pace: Arc::new(Pace::new(&RATES)) }
    }

    /// The TXT records at `name`.
    pub(crate) async fn records_at(&self, zone: &Zone, name: &Fqdn) -> Result<Records, ProviderError> {
        let page = |page| async move {
            let request = self.page(&path(zone), page).query("type", "TXT").query("name", name.as_str());
            self.read(request).await.map(|page: RecordPage| (page.domain_records, page.meta))
        };
        let first = page(1).await?;
        let (records, paged) = rest_of_pages(first, page).await?;
        Ok(Records { records, paged })
    }

    /// All TXT records of the zone; `None` where that is more than `most_pages`.
    pub(crate) async fn records(
        &self,
        zone: &Zone,
        most_pages: usize,
    ) -> Result<Option<Records>, ProviderError> {
        let page = |page| async move {
            let request = self.page(&path(zone), page).query("type", "TXT");
            self.read(request).await.map(|page: RecordPage| (page.domain_records, page.meta))
        };
        let first = page(1).await?;
        if first.1.total.is_some_and(|total| total.div_ceil(PER_PAGE) > most_pages) {
            return Ok(None);
        }
        let (records, paged) = rest_of_pages(first, page).await?;
        Ok(Some(Records { records, paged }))
    }

    pub(crate) async fn add(&self, zone: &Zone, record: &NewRecord) -> Result<(), ProviderError> {
        self.send(self.client.post(&path(zone)).json(record)?).await.map(drop)
    }

    pub(crate) async fn remove(&self, zone: &Zone, id: u64) -> Result<(), ProviderError> {
        self.send(self.client.delete(&format!("{}/{id}", path(zone)))).await.map(drop)
    }

    /// The names of all domains of the token's team.
    pub(crate) async fn domains(&self) -> Result<Vec<String>, ProviderError> {
        let page = |page| async move {
            let page: DomainPage = self.read(self.page("domains", page)).await?;
            Ok((page.domains.into_iter().map(|domain| domain.name).collect(), page.meta))
        };
        let first = page(1).await?;
        Ok(rest_of_pages(first, page).await?.0)
    }

    /// Whether a list of something else than domains is shown to the token.
    pub(crate) async fn may_read(&self, path: &str) -> Result<bool, ProviderError> {
        match self.send(self.client.get(path)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_out_of_reach() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a domain that nobody can have would be deleted.
    pub(crate) async fn may_delete_domains(&self) -> Result<bool, ProviderError> {
        permitted(self.send(self.client.delete("domains/dns01-scope-audit.invalid")).await.map(drop))
    }

    /// Whether a record that no zone has would be deleted.
    pub(crate) async fn may_delete_records(&self, zone: &Zone) -> Result<bool, ProviderError> {
        permitted(self.remove(zone, 0).await)
    }

    fn page(&self, path: &str, page: usize) -> Request<'_> {
        // Pages are counted: the address of the next one, which replies have, may be any host's.
        self.client.get(path).query("page", &page.to_string()).query("per_page", &PER_PAGE.to_string())
    }

    async fn read<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, ProviderError> {
        self.send(request).await?.json()
    }

    async fn send(&self, request: Request<'_>) -> Result<Reply, ProviderError> {
        self.pace.turn_within(LONGEST_WAIT).await?;
        request.send().await?.success_or(error::refused)
    }
}

/// The first page with those that follow, and whether any do.
async fn rest_of_pages<T, F>(
    (mut entries, meta): (Vec<T>, Meta),
    page: impl Fn(usize) -> F,
) -> Result<(Vec<T>, bool), ProviderError>
where
    F: Future<Output = Result<(Vec<T>, Meta), ProviderError>>,
{
    let mut last = (entries.len(), meta.total);
    for number in 1..=MOST_PAGES {
        let more = match last {
            (0, _) => false,
            (_, Some(total)) => total > number * PER_PAGE,
            (count, None) => count >= PER_PAGE,
        };
        if !more {
            return Ok((entries, number > 1));
        }
        let (some, meta) = page(number + 1).await?;
        last = (some.len(), meta.total);
        entries.extend(some);
    }
    let message = format!("a list has more than {MOST_PAGES} pages");
    Err(ProviderError::new(ProviderErrorKind::Invalid, message))
}

/// "Not found" comes after the look at what the token may do.
fn permitted(answer: Result<(), ProviderError>) -> Result<bool, ProviderError> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ProviderErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ProviderErrorKind::Permission => Ok(false),
        Err(error) => Err(error),
    }
}

/// A domain has no other identifier than its name.
fn path(zone: &Zone) -> String {
    let name = zone.id.as_deref().unwrap_or(zone.name.as_str());
    format!("domains/{}/records", name.replace('/', "%2F"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_without_its_other_fields_and_ids_may_be_long() {
        let text = r#"{"id":9007199254740993,"type":"TXT","name":"@","data":"v1","priority":null,"ttl":30}"#;
        let record: ListedRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.id, record.ttl), (9_007_199_254_740_993, Some(30)));
    }
}
