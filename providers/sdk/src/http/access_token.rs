//! Access tokens that a service gives for a credential and that end by themselves.

use super::{Reply, Request, in_short};
use crate::error::{ProviderError, ProviderErrorKind};
use secrecy::SecretString;
use serde::Deserialize;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token is fetched anew this long before its end, so that none ends on its way.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is used whose end the service does not tell (RFC 6749 §5.1).
const UNNAMED_LIFE: Duration = Duration::from_secs(300);
/// No token is used for longer without being fetched anew, whatever the service says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What a token endpoint answers (RFC 6749 §5.1).
#[derive(Deserialize)]
pub struct TokenReply {
    /// The token, a secret.
    pub access_token: SecretString,
    /// Seconds; some services write it as a text.
    #[serde(default, deserialize_with = "seconds")]
    pub expires_in: Option<u64>,
}

impl fmt::Debug for TokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenReply(for {:?} s)", self.expires_in)
    }
}

/// A token that another program has made; nobody tells when it ends.
impl From<SecretString> for TokenReply {
    fn from(access_token: SecretString) -> Self {
        Self { access_token, expires_in: None }
    }
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Seconds>::deserialize(deserializer)? {
        Some(Seconds::Number(number)) => Some(number),
        Some(Seconds::Text(text)) => text.parse().ok(),
        None => None,
    })
}

/// Keeps one token and fetches it anew in time. Those who ask at the same time share one fetch.
#[derive(Default)]
pub struct AccessToken(Mutex<Option<(SecretString, Instant)>>);

impl AccessToken {
    /// The token, from `fetch` if there is none that still lasts.
    ///
    /// # Errors
    /// What `fetch` fails with, or an empty token.
    pub async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<SecretString, ProviderError>
    where
        F: Future<Output = Result<TokenReply, ProviderError>>,
    {
        let mut held = self.0.lock().await;
        if let Some((token, until)) = &*held
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        *held = None;
        let reply = fetch().await?;
        if secrecy::ExposeSecret::expose_secret(&reply.access_token).is_empty() {
            return Err(ProviderError::new(ProviderErrorKind::Invalid, "the service gave an empty token"));
        }
        let life = reply.expires_in.map_or(UNNAMED_LIFE, Duration::from_secs).min(LONGEST_LIFE);
        // A token shorter than the margin is used for half its life.
        let used = life.saturating_sub(MARGIN).max(life / 2);
        *held = Some((reply.access_token.clone(), Instant::now() + used));
        Ok(reply.access_token)
    }

    /// Sends what `request` makes, with the token. One that the service has ceased to take (401)
    /// is fetched anew once.
    ///
    /// # Errors
    /// As of [`Self::get`] and [`Request::send`]. A bad status is no error here.
    pub async fn send<'a, F>(
        &self,
        fetch: impl Fn() -> F,
        request: impl Fn() -> Result<Request<'a>, ProviderError>,
    ) -> Result<Reply, ProviderError>
    where
        F: Future<Output = Result<TokenReply, ProviderError>>,
    {
        let mut again = true;
        loop {
            let token = self.get(&fetch).await?;
            let reply = request()?.bearer(&token).send().await?;
            if reply.status() != 401 {
                return Ok(reply);
            }
            self.forget().await;
            if !std::mem::take(&mut again) {
                return Ok(reply);
            }
        }
    }

    /// Forgets the token: the service has just refused it.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

/// Why a token endpoint gives no token (RFC 6749 §5.2).
#[derive(Debug, Deserialize)]
pub struct TokenRefusal {
    error: String,
    /// What the endpoint says about it; empty where it says nothing.
    #[serde(default, rename = "error_description")]
    pub description: String,
}

impl TokenRefusal {
    /// What `reply` says; `None` where it is of another form.
    #[must_use]
    pub fn of(reply: &Reply) -> Option<Self> {
        reply.json().ok()
    }

    /// The error that `reply`, which says so, stands for; `whom` is who wanted the token.
    #[must_use]
    pub fn error(&self, reply: &Reply, whom: &str) -> ProviderError {
        let kind = match reply.status() {
            400 | 401 | 403 => ProviderErrorKind::Auth,
            _ => reply.error().kind(),
        };
        let words = in_short(&format!("{} {}", self.error, self.description));
        reply.error_of(kind, &format!("no token for {whom}: {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn reply(token: &str, life: &str) -> TokenReply {
        serde_json::from_str(&format!(r#"{{"access_token":"{token}","expires_in":{life}}}"#)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_shared_until_shortly_before_its_end() {
        let (token, fetched) = (AccessToken::default(), AtomicU32::new(0));
        let get = || {
            token.get(|| async {
                let number = fetched.fetch_add(1, Ordering::Relaxed);
                Ok(reply(&format!("t{number}"), "3600"))
            })
        };
        let (first, second) = tokio::join!(get(), get());
        assert_eq!((first.unwrap().expose_secret(), second.unwrap().expose_secret()), ("t0", "t0"));
        tokio::time::advance(Duration::from_secs(3530)).await;
        assert_eq!(get().await.unwrap().expose_secret(), "t0");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(get().await.unwrap().expose_secret(), "t1");
        token.forget().await;
        assert_eq!(get().await.unwrap().expose_secret(), "t2");
    }

    #[tokio::test]
    async fn a_life_without_end_is_a_day() {
        let token = AccessToken::default();
        let fetch = || async { Ok(reply("t", "18446744073709551615")) };
        assert_eq!(token.get(fetch).await.unwrap().expose_secret(), "t");
    }

    #[tokio::test]
    async fn a_failed_fetch_is_not_remembered_and_an_empty_token_is_none() {
        let token = AccessToken::default();
        let refused = || async { Err(ProviderError::new(ProviderErrorKind::Auth, "no")) };
        assert!(token.get(refused).await.is_err());
        assert!(token.get(|| async { Ok(reply("", "60")) }).await.is_err());
        assert_eq!(token.get(|| async { Ok(reply("t", "60")) }).await.unwrap().expose_secret(), "t");
    }

    #[test]
    fn the_life_may_be_a_number_a_text_or_missing() {
        assert_eq!(reply("t", "60").expires_in, Some(60));
        assert_eq!(reply("t", "\"60\"").expires_in, Some(60));
        assert_eq!(reply("t", "null").expires_in, None);
        let shown = format!("{:?}", reply("hunter2", "60"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
