//! The two requests of acme-dns's HTTP API.

use crate::account::{Account, Form};
use crate::error;
use dns01_provider::http::HttpClient;
use dns01_provider::{ProviderError, ProviderErrorKind, TxtValue};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Registration<'a> {
    #[serde(rename = "allowfrom", skip_serializing_if = "<[String]>::is_empty")]
    allow_from: &'a [String],
}

#[derive(Serialize)]
struct Update<'a> {
    subdomain: &'a str,
    txt: &'a str,
}

#[derive(Deserialize)]
struct Updated {
    txt: String,
}

/// Makes an account, which may be used from `allow_from`, or from everywhere if that is empty.
pub(crate) async fn register(client: &HttpClient, allow_from: &[String]) -> Result<Account, ProviderError> {
    let reply = client.post("register").json(&Registration { allow_from })?.send().await?;
    if reply.status() != 201 {
        return Err(error::not_registered(&reply));
    }
    let form: Form = reply.json().map_err(|_| {
        // The answer holds a new password, so nothing of it is shown.
        reply.error_of(ProviderErrorKind::Invalid, "the answer to the registration is not what is documented")
    })?;
    Account::new(form).map_err(|error| {
        reply.error_of(ProviderErrorKind::Invalid, &format!("the account's name is no domain name: {error}"))
    })
}

/// Writes `value` in place of the older of the account's two values.
pub(crate) async fn update(
    client: &HttpClient,
    account: &Account,
    value: &TxtValue,
) -> Result<(), ProviderError> {
    let reply = send(client, account, value.as_str()).await?;
    if reply.status() != 200 {
        return Err(error::not_updated(&reply, account));
    }
    let Updated { txt } = reply.json()?;
    if txt == value.as_str() {
        return Ok(());
    }
    Err(reply.error_of(ProviderErrorKind::Invalid, "the server confirms another value than it was sent"))
}

/// Whether the server knows the account and lets it write from here. A value that no server
/// takes is sent: who may not write is refused before it is looked at, so nothing changes.
pub(crate) async fn may_update(client: &HttpClient, account: &Account) -> Result<bool, ProviderError> {
    let reply = send(client, account, "").await?;
    match (reply.status(), error::code(&reply).as_deref()) {
        (400, Some("bad_txt")) => Ok(true),
        (401, _) => Ok(false),
        _ => Err(error::not_updated(&reply, account)),
    }
}

async fn send(
    client: &HttpClient,
    account: &Account,
    txt: &str,
) -> Result<dns01_provider::http::Reply, ProviderError> {
    let body = Update { subdomain: &account.subdomain, txt };
    let request = client.post("update").json(&body)?;
    let request = request.secret_header("x-api-user", account.username.clone());
    request.secret_header("x-api-key", account.password.clone()).send().await
}
