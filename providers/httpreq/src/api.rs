//! The two requests of lego's httpreq protocol, in its default mode.

use crate::error;
use dns01_provider::http::HttpClient;
use dns01_provider::{ProviderError, TxtChange};
use serde::Serialize;

/// The body of both requests.
#[derive(Serialize)]
struct Body<'a> {
    fqdn: String,
    value: &'a str,
}

/// Asks the service for `change`. Any 2xx is success, whatever the body says.
pub(crate) async fn send(client: &HttpClient, change: &TxtChange) -> Result<(), ProviderError> {
    let path = match change {
        TxtChange::Add { .. } => "present",
        TxtChange::Remove { .. } => "cleanup",
    };
    let body = Body { fqdn: change.name().absolute(), value: change.value().as_str() };
    client.post(path).json(&body)?.send().await?.success_or(error::refused)?;
    Ok(())
}
