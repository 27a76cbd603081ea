//! Why a provider's call failed.

use crate::secret::SecretError;
use std::fmt;
use std::time::Duration;

/// Nobody is waited for longer than this, whatever a service says.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// A failed call: what happened, where, and whether a repetition can help.
///
/// It never holds a secret: plugins build it through [`ProviderError::new`] from text they
/// have redacted, and transport errors lose their query strings and headers on the way in.
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", Context(&self.context))]
pub struct ProviderError {
    kind: ProviderErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    retry_after: Option<Duration>,
    retryable: bool,
    nothing_sent: bool,
    unanswered: bool,
    zone_only: bool,
    hint: Option<String>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The credential is not accepted at all.
    Auth,
    /// The credential is known, but not allowed to do this.
    Permission,
    /// The zone or the record's place does not exist.
    NotFound,
    /// Somebody else changed the same thing at the same time, or another record is in the way.
    Conflict,
    /// Too many calls.
    RateLimited,
    /// No answer, or the service is out of order.
    Unavailable,
    /// The service does not accept what was asked.
    Invalid,
}

impl ProviderError {
    /// An error of `kind`; rate limits and outages count as retryable, the rest does not.
    pub fn new(kind: ProviderErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            context: Vec::new(),
            retry_after: None,
            retryable: matches!(kind, ProviderErrorKind::RateLimited | ProviderErrorKind::Unavailable),
            nothing_sent: false,
            unanswered: false,
            zone_only: false,
            hint: None,
            source: None,
        }
    }

    /// Adds where it happened: `("server", "192.0.2.53:53")`.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Says how long the service wants to be left alone; more than a day counts as a day.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait.min(LONGEST_WAIT));
        self
    }

    /// Says that a refusal for rate is about changes of this zone, and that the credential may go
    /// on in others.
    #[must_use]
    pub fn with_zone_only(mut self) -> Self {
        self.zone_only = true;
        self
    }

    /// Overrides whether a repetition can help.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Says that the service was not reached: nothing of the call has been sent, so it cannot
    /// have taken effect. Such a call is not repeated for long, since a wrong address does not
    /// mend itself.
    #[must_use]
    pub fn with_nothing_sent(mut self, nothing_sent: bool) -> Self {
        self.nothing_sent = nothing_sent;
        self
    }

    /// Says that the whole time of a call went by without an answer. It may have worked, and is
    /// not repeated often: what swallows one call swallows the next.
    #[must_use]
    pub fn with_unanswered(mut self, unanswered: bool) -> Self {
        self.unanswered = unanswered;
        self
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what the reader can do about it, where there is something.
    #[must_use]
    pub fn with_optional_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.with_hint(hint),
            None => self,
        }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }

    /// True if the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// True if the service was not reached, and the call has certainly had no effect.
    #[must_use]
    pub fn is_nothing_sent(&self) -> bool {
        self.nothing_sent
    }

    /// True if the whole time of the call went by without an answer.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// True if a refusal for rate is about changes of one zone only.
    #[must_use]
    pub fn is_zone_only(&self) -> bool {
        self.zone_only
    }

    /// True if the credential may not do it, or does not see what it is about: to a look at what a
    /// credential can do this is an answer.
    #[must_use]
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self.kind, ProviderErrorKind::Permission | ProviderErrorKind::NotFound)
    }

    /// How long the service wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// A secret that a call needs.
impl From<SecretError> for ProviderError {
    fn from(error: SecretError) -> Self {
        let hint = error.hint();
        Self::new(ProviderErrorKind::Auth, "the credential cannot be read")
            .with_optional_hint(hint)
            .with_source(error)
    }
}

struct Context<'a>(&'a [(&'static str, String)]);

impl fmt::Display for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            let lead = if index == 0 { " (" } else { ", " };
            write!(f, "{lead}{key} {value}")?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_given_where_there_is_one_and_none_takes_none_away() {
        let error = ProviderError::new(ProviderErrorKind::Auth, "no").with_optional_hint(Some("do"));
        assert_eq!(error.with_optional_hint(None::<String>).hint(), Some("do"));
    }
}
