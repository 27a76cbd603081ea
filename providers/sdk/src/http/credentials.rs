//! What proves to a service who asks.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::secret::SecretRef;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;

/// What proves to the service who asks. The secret is read at each request.
#[derive(Clone)]
pub struct Credentials(Proof);

#[derive(Clone)]
enum Proof {
    Header { name: HeaderName, prefix: &'static str, secret: SecretRef },
    Basic { user: String, password: SecretRef },
}

impl Credentials {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(token: SecretRef) -> Self {
        Self::authorization("Bearer ", token)
    }

    /// `Authorization: …` in a scheme of the service's own; `scheme` ends with a blank.
    #[must_use]
    pub fn authorization(scheme: &'static str, secret: SecretRef) -> Self {
        Self(Proof::Header { name: header::AUTHORIZATION, prefix: scheme, secret })
    }

    /// `Authorization: Token …`, as services made with Django REST framework want it.
    #[must_use]
    pub fn token(token: SecretRef) -> Self {
        Self(Proof::Header { name: header::AUTHORIZATION, prefix: "Token ", secret: token })
    }

    /// A header of the service's own, whose whole value is the secret.
    ///
    /// # Panics
    /// `name` is not a header name in lower case.
    #[must_use]
    pub fn header(name: &'static str, secret: SecretRef) -> Self {
        Self(Proof::Header { name: HeaderName::from_static(name), prefix: "", secret })
    }

    /// `Authorization: Basic …` (RFC 7617).
    pub fn basic(user: impl Into<String>, password: SecretRef) -> Self {
        Self(Proof::Basic { user: user.into(), password })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Proof::Header { name, secret, .. } => write!(f, "Credentials({name} from {secret})"),
            Proof::Basic { password, .. } => write!(f, "Credentials(password from {password})"),
        }
    }
}

/// Adds to `headers` those that prove who asks; the secrets in them, which must not be shown.
pub(super) async fn prove(
    credentials: &[Credentials],
    headers: &mut HeaderMap,
) -> Result<Vec<SecretString>, ProviderError> {
    let mut secrets = Vec::new();
    for Credentials(proof) in credentials {
        let (name, prefix, secret) = match proof {
            Proof::Header { name, prefix, secret } => (name.clone(), *prefix, secret.read().await),
            Proof::Basic { user, password } => {
                let pair = password.read().await.map(|password| {
                    secrets.push(password.clone());
                    basic(user, &password)
                });
                (header::AUTHORIZATION, "Basic ", pair)
            }
        };
        let unread = |error| {
            ProviderError::new(ProviderErrorKind::Auth, "the credential cannot be read").with_source(error)
        };
        let secret = secret.map_err(unread)?;
        let text = SecretString::from(format!("{prefix}{}", secret.expose_secret()));
        headers.insert(name, sensitive(&text)?);
        secrets.push(secret);
    }
    Ok(secrets)
}

/// A header's value that the HTTP library does not show either.
pub(super) fn sensitive(text: &SecretString) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text.expose_secret()).map_err(|_| unfit("the credential"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// That no header can carry `what`.
pub(super) fn unfit(what: &str) -> ProviderError {
    let message = format!("{what} has characters that no header can carry");
    ProviderError::new(ProviderErrorKind::Auth, message)
        .with_hint("look for line breaks in the middle of the secret")
}

fn basic(user: &str, password: &SecretString) -> SecretString {
    let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
    SecretString::from(data_encoding::BASE64.encode(pair.expose_secret().as_bytes()))
}
