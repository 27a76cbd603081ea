//! The service's codes, and the one place where they become a [`ProviderError`].

use crate::transport::SentToken;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use dns01_provider::{ProviderError, ProviderErrorKind};
use secrecy::ExposeSecret as _;
use std::error::Error;
use std::time::Duration;

/// Characters of the service's own words that an error shows.
const LONGEST_MESSAGE: usize = 400;
/// How long the service is left alone when it does not say: its bucket is refilled ten times a
/// second.
const UNNAMED_WAIT: Duration = Duration::from_secs(1);

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A set was not what the change took it for: somebody else has changed it meanwhile.
    Raced(ProviderError),
    /// Everything else.
    Other(ProviderError),
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Raced(error) | Failure::Other(error) => error,
        }
    }
}

/// What a failed `call` means. Everything that the service says passes here.
pub(crate) fn failure<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(reply) = error.raw_response() else {
        return Failure::Other(unanswered(error).with_context("call", call));
    };
    let said = Said::of(error.as_service_error().map(ProvideErrorMetadata::meta), reply);
    let raced = said.code.as_deref() == Some("InvalidChangeBatch") && is_race(&said.words);
    let mut error = said.error(reply).with_context("call", call);
    if let Some(id) = reply.headers().get("x-amzn-requestid") {
        error = error.with_context("request id", id);
    }
    if raced { Failure::Raced(error) } else { Failure::Other(error) }
}

/// A refusal in the service's own words.
struct Said {
    code: Option<String>,
    words: String,
}

impl Said {
    fn of(meta: Option<&aws_sdk_route53::error::ErrorMetadata>, reply: &HttpResponse) -> Self {
        let body = String::from_utf8_lossy(reply.body().bytes().unwrap_or_default());
        let code = meta.and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let mut said = match (code, change_batch_messages(&body)) {
            // The SDK does not know this form, and gives neither code nor words.
            (None, Some(messages)) => {
                Self { code: Some("InvalidChangeBatch".to_owned()), words: messages.join("; ") }
            }
            (Some(code), _) => {
                let words = meta.and_then(ProvideErrorMetadata::message).unwrap_or_default().to_owned();
                Self { code: Some(code), words }
            }
            (None, None) if reply.status().is_success() => {
                Self { code: None, words: format!("the answer is not what is documented: {body}") }
            }
            (None, None) => Self { code: None, words: body.into_owned() },
        };
        // The secrets first: a cut through the middle of one would hide it.
        if let Some(SentToken(token)) = reply.extension::<SentToken>() {
            said.words = said.words.replace(token.expose_secret(), "[secret]");
        }
        said
    }

    fn error(&self, reply: &HttpResponse) -> ProviderError {
        use ProviderErrorKind as Kind;
        let status = reply.status().as_u16();
        let (kind, hint) = match self.code.as_deref() {
            Some("InvalidChangeBatch") => change_batch_meaning(&self.words),
            code => meaning(code.unwrap_or_default(), status),
        };
        let words = one_line(&self.words);
        let message = match &self.code {
            None if reply.status().is_success() => words,
            None => format!("the service answered {status}: {words}"),
            Some(code) => format!("the service answered {status}: {words} ({code})"),
        };
        let mut error = ProviderError::new(kind, message).with_optional_hint(hint);
        if kind == Kind::RateLimited {
            // The service does not say how long; a proxy before it may.
            let told = reply.headers().get("retry-after").and_then(|text| text.trim().parse().ok());
            error = error.with_retry_after(told.map_or(UNNAMED_WAIT, Duration::from_secs));
        }
        error
    }
}

/// The codes that somebody can act on; for any other the status says what it is.
fn meaning(code: &str, status: u16) -> (ProviderErrorKind, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    match code {
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => (
            Kind::Auth,
            Some("the service does not know the access key: look whether it is deleted or inactive"),
        ),
        "SignatureDoesNotMatch" | "IncompleteSignature" => (
            Kind::Auth,
            Some("the secret access key is not that of the access key id, or this machine's clock is wrong"),
        ),
        "RequestTimeTooSkewed" | "RequestExpired" => (Kind::Auth, Some("set this machine's clock")),
        "ExpiredToken" | "ExpiredTokenException" => {
            (Kind::Auth, Some("the temporary keys have ended: configure where new ones come from"))
        }
        "MissingAuthenticationToken" | "InvalidIdentityToken" | "IDPRejectedClaim" => (Kind::Auth, None),
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" => {
            (Kind::Permission, Some("`dns01 scope recipe` prints the policy that is needed"))
        }
        "OptInRequired" => (Kind::Permission, None),
        "NoSuchHostedZone" => (Kind::NotFound, Some("check the zone's id: `Z…`, in the account of this key")),
        "NoSuchChange" => (Kind::NotFound, None),
        "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "PriorRequestNotComplete" => (Kind::RateLimited, None),
        "ServiceUnavailable" | "InternalFailure" | "InternalError" | "RequestTimeout" => {
            (Kind::Unavailable, None)
        }
        _ => (of_status(status), None),
    }
}

fn of_status(status: u16) -> ProviderErrorKind {
    use ProviderErrorKind as Kind;
    match status {
        401 => Kind::Auth,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        429 => Kind::RateLimited,
        408 | 425 | 500..=599 => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}

/// The service has words only for what is wrong with a change.
fn change_batch_meaning(words: &str) -> (ProviderErrorKind, Option<&'static str>) {
    use ProviderErrorKind as Kind;
    if is_race(words) {
        (Kind::Conflict, None)
    } else if words.contains("conflict") {
        (Kind::Conflict, Some("remove the CNAME at the name, or configure the zone that it points to"))
    } else if words.contains("SetIdentifier") || words.contains("multivalue") {
        (Kind::Conflict, Some(MULTIVALUE_HINT))
    } else if words.contains("not permitted in zone") {
        (Kind::Invalid, Some("check the zone and its id: the name must lie in the zone"))
    } else {
        (Kind::Invalid, None)
    }
}

/// Why a plain set cannot be written where sets with identifiers stand.
pub(crate) const MULTIVALUE_HINT: &str = "another program writes sets with identifiers at this name (routing policies): remove them, or give each \
     program a name of its own by CNAME";

/// True if the only complaints are that sets are not what the change took them for.
fn is_race(words: &str) -> bool {
    const RACES: [&str; 3] = [
        "but it already exists",
        "but it was not found",
        "the values provided do not match the current values",
    ];
    const OTHERS: [&str; 5] = ["not permitted", "conflict", "Invalid", "FATAL", "protect"];
    RACES.iter().any(|race| words.contains(race)) && !OTHERS.iter().any(|other| words.contains(other))
}

/// The messages of the second form in which an `InvalidChangeBatch` comes.
fn change_batch_messages(body: &str) -> Option<Vec<String>> {
    let root = body.trim_start();
    let root = match root.strip_prefix("<?xml") {
        Some(declaration) => declaration.split_once("?>")?.1.trim_start(),
        None => root,
    };
    root.strip_prefix("<InvalidChangeBatch").filter(|rest| rest.starts_with([' ', '>', '\n']))?;
    let messages = root.split("<Message>").skip(1);
    Some(messages.filter_map(|rest| Some(unescaped(rest.split_once("</Message>")?.0))).collect())
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&#39;", "'").replace("&amp;", "&")
}

/// No reply: no credentials, no connection, or one that is refused here.
fn unanswered(error: &(dyn Error + 'static)) -> ProviderError {
    use ProviderErrorKind as Kind;
    let (mut causes, mut next) = (vec![error], error.source());
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    if let Some(index) = causes.iter().position(|cause| cause.is::<CredentialsError>()) {
        return no_credentials(&causes[index..]);
    }
    let told = causes.last().map(ToString::to_string).unwrap_or_default();
    match causes.iter().find_map(|cause| cause.downcast_ref::<ConnectorError>()) {
        Some(connector) if connector.is_user() => ProviderError::new(Kind::Invalid, told),
        Some(connector) if connector.is_timeout() => {
            ProviderError::new(Kind::Unavailable, "no answer in time")
        }
        Some(_) => ProviderError::new(Kind::Unavailable, format!("no connection to the service: {told}")),
        None if error.to_string().contains("timeout") => {
            ProviderError::new(Kind::Unavailable, "no answer in time")
        }
        None => ProviderError::new(Kind::Invalid, format!("the request cannot be made: {told}")),
    }
}

/// The search for credentials ended without any.
fn no_credentials(causes: &[&(dyn Error + 'static)]) -> ProviderError {
    use ProviderErrorKind as Kind;
    let refusal = causes.iter().find_map(|cause| {
        let role = cause.downcast_ref::<AssumeRoleError>().map(ProvideErrorMetadata::meta);
        role.or_else(|| {
            cause.downcast_ref::<AssumeRoleWithWebIdentityError>().map(ProvideErrorMetadata::meta)
        })
    });
    if let Some(refusal) = refusal {
        let code = refusal.code().unwrap_or_default();
        let (kind, _) = meaning(code, 400);
        let words = one_line(refusal.message().unwrap_or_default());
        let error = ProviderError::new(kind, format!("the role is not given: {words} ({code})"));
        return match kind {
            Kind::RateLimited => error.with_retry_after(UNNAMED_WAIT),
            _ => {
                error.with_hint("check `role_arn`, and that the role trusts this key (and its `external_id`)")
            }
        };
    }
    let told: Vec<String> = causes.iter().skip(1).map(ToString::to_string).collect();
    let told = one_line(&told.join(": "));
    let passes = |cause: &&(dyn Error + 'static)| {
        let timed_out =
            cause.downcast_ref().is_some_and(|one| matches!(one, CredentialsError::ProviderTimedOut(_)));
        timed_out || cause.downcast_ref::<ConnectorError>().is_some_and(|one| one.is_io() || one.is_timeout())
    };
    if causes.iter().any(passes) {
        return ProviderError::new(Kind::Unavailable, format!("no credentials could be fetched: {told}"));
    }
    ProviderError::new(Kind::Auth, format!("there are no credentials: {told}")).with_hint(
        "give `access_key_id` and `secret_access_key`, a `profile`, or run where the SDK's usual places have some",
    )
}

/// Short and on one line.
fn one_line(text: &str) -> String {
    let mut words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or("nothing").to_owned();
    let line = words.fold(first, |line, word| line + " " + word);
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXISTS: &str =
        "[Tried to create resource record set [name='a.test.', type='TXT'] but it already exists]";
    const CHANGED: &str = "[Tried to delete resource record set [name='a.test.', type='TXT'] but the values \
                           provided do not match the current values]";

    #[test]
    fn a_set_that_was_changed_meanwhile_is_told_from_what_is_wrong_for_good() {
        use ProviderErrorKind as Kind;
        assert!(is_race(EXISTS) && is_race(CHANGED));
        let both = format!("{EXISTS}, RRSet with DNS name x. is not permitted in zone a.test.");
        assert!(!is_race(&both), "a repetition cannot help");
        let alias = "[RRSet of type TXT with DNS name a.test. is not permitted because a conflicting RRSet of type \
                     CNAME with the same DNS name already exists in zone a.test.]";
        assert!(!is_race(alias));
        assert_eq!(change_batch_meaning(alias).0, Kind::Conflict);
        assert!(change_batch_meaning(alias).1.unwrap().contains("CNAME"));
        assert_eq!(change_batch_meaning("[Invalid Resource Record: …]"), (Kind::Invalid, None));
    }

    #[test]
    fn the_second_form_of_an_invalid_change_is_read() {
        let body = "<?xml version=\"1.0\"?>\n<InvalidChangeBatch xmlns=\"x\"><Messages><Message>one &amp; \
                    &lt;two&gt;</Message><Message>three</Message></Messages></InvalidChangeBatch>";
        assert_eq!(change_batch_messages(body).unwrap(), ["one & <two>", "three"]);
        for other in
            ["<ErrorResponse><Message>x</Message></ErrorResponse>", "<InvalidChangeBatches/>", "", "<?xml"]
        {
            assert_eq!(change_batch_messages(other), None, "{other}");
        }
    }

    #[test]
    fn each_code_has_its_kind() {
        use ProviderErrorKind as Kind;
        for (code, status, kind) in [
            ("InvalidClientTokenId", 403, Kind::Auth),
            ("SignatureDoesNotMatch", 403, Kind::Auth),
            ("ExpiredToken", 403, Kind::Auth),
            ("AccessDenied", 403, Kind::Permission),
            ("NoSuchHostedZone", 404, Kind::NotFound),
            ("Throttling", 400, Kind::RateLimited),
            ("PriorRequestNotComplete", 400, Kind::RateLimited),
            ("InvalidInput", 400, Kind::Invalid),
            ("", 502, Kind::Unavailable),
        ] {
            assert_eq!(meaning(code, status).0, kind, "{code}");
        }
    }
}
