//! Why something asked of a CA did not happen.

use super::certificate::CertificateError;
use super::challenge::ChallengeType;
use super::problem::{Problem, ProblemKind};
use super::signer::SignerError;
use jiff::Timestamp;
use std::fmt;
use url::Url;

/// Why something asked of a CA did not happen. [`AcmeError::hint`] says what can be done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The CA refused; the problem is kept whole.
    #[error("the CA refused {during}: {problem}")]
    Problem {
        /// What was asked.
        during: Operation,
        /// What the CA said.
        problem: Box<Problem>,
    },
    /// The CA wants to be left alone for longer than this client waits.
    #[error("the CA refuses {during} until {until}: {detail}")]
    RateLimited {
        /// What was asked.
        during: Operation,
        /// The first moment at which the CA will listen again.
        until: Timestamp,
        /// The CA's own words.
        detail: String,
        /// Its page about the limit.
        help: Option<String>,
        /// Whom the limit is about.
        scope: LimitScope,
    },
    /// Nothing was sent: the CA has just turned other orders away, and it seems that its limit
    /// is about all of them.
    #[error("not ordered, since other orders were just turned away: {cause}")]
    HeldBack {
        /// Why the last of the others was.
        cause: Box<AcmeError>,
    },
    /// The CA has paused this account or name: too many requests, and no time at which they
    /// would be welcome again. Never retried.
    #[error("the CA refuses {during} until somebody does something about it: {detail}")]
    Paused {
        /// What was asked.
        during: Operation,
        /// The CA's own words; they often hold the address where the pause is lifted.
        detail: String,
        /// Its page about it.
        help: Option<String>,
    },
    /// The request may have taken effect, but its reply never came, and only the caller can
    /// find out.
    #[error("the reply to {during} was lost: {cause}")]
    ReplyLost {
        /// What was asked.
        during: Operation,
        /// How it was lost.
        cause: Box<AcmeError>,
    },
    /// No answer from the CA.
    #[error("no reply from `{host}` to {during}: {cause}")]
    Unreachable {
        /// What was asked.
        during: Operation,
        /// Host and port.
        host: String,
        /// How far it came.
        cause: Unreachable,
    },
    /// An answer that makes no sense.
    #[error("`{host}` answered {during} with something that is not ACME: {found}")]
    Unexpected {
        /// What was asked.
        during: Operation,
        /// Host and port.
        host: String,
        /// What came instead.
        found: String,
    },
    /// The CA answered that it is out of order, again and again.
    #[error("`{host}` is out of order: {status} on {during}{}", Colon(.detail))]
    OutOfOrder {
        /// What was asked.
        during: Operation,
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The CA's own words, if any.
        detail: String,
    },
    /// The order failed.
    #[error("the CA found the order invalid{}", Failures(.failures, .problem.as_deref()))]
    OrderInvalid {
        /// The order's own problem, where the CA tells one.
        problem: Option<Box<Problem>>,
        /// What was wrong with each name.
        failures: Vec<NameFailure>,
    },
    /// An authorization without a challenge that can be answered.
    #[error("the CA offers no usable {wanted} challenge for `{name}`, but: {}", Offers(.offered))]
    NoUsableChallenge {
        /// The name, with `*.` for a wildcard.
        name: String,
        /// What was looked for.
        wanted: ChallengeType,
        /// What there is.
        offered: Vec<String>,
    },
    /// The deadline came first.
    #[error("the time was up while waiting for {waiting_for}{}", Failures(.failures, None))]
    Deadline {
        /// What was awaited.
        waiting_for: String,
        /// What the CA had found wrong so far.
        failures: Vec<NameFailure>,
    },
    /// The order cannot be finalized in its present state.
    #[error("the order is not ready: {detail}")]
    OrderNotReady {
        /// The CA's own words, or the order's state.
        detail: String,
    },
    /// The CA knows no account with this key.
    #[error("the CA has no account for this key")]
    AccountDoesNotExist,
    /// The CA's terms have to be agreed to first.
    #[error("the CA's terms of service are not agreed to{}", In(.url.as_ref().or(.instance.as_ref())))]
    TermsNotAgreed {
        /// Where they can be read.
        url: Option<Url>,
        /// The CA's page about agreeing to them.
        instance: Option<Url>,
    },
    /// The CA was told that its terms are agreed to, and wants it done another way.
    #[error("the CA wants its terms of service agreed to{}", At(.page.as_ref()))]
    TermsAgreedInVain {
        /// Where it says how.
        page: Option<Url>,
    },
    /// The CA gives accounts only to people it knows already.
    #[error("the CA wants an external account binding")]
    ExternalAccountRequired,
    /// The CA's directory names no such profile.
    #[error("the CA has no profile `{profile}`")]
    NoSuchProfile {
        /// What was asked for.
        profile: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// The CA has no such service.
    #[error("the CA does not offer {what}")]
    NotOffered {
        /// What is missing.
        what: &'static str,
    },
    /// The address of the CA, its proxy or its certificates is wrong.
    #[error("{what}")]
    Configuration {
        /// What is wrong with what.
        what: String,
    },
    /// A key failed.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The certificate is not what it must be.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Whom a limit of the CA is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// Everything that is asked of the CA from here.
    Ca,
    /// The names of the order, as far as one refusal can tell.
    Order,
}

/// What was asked of the CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reading the directory.
    Directory,
    /// Fetching a nonce.
    NewNonce,
    /// Creating or finding an account.
    NewAccount,
    /// Reading or changing an account.
    Account,
    /// Changing the account's key.
    KeyChange,
    /// Opening an order.
    NewOrder,
    /// Reading an order.
    Order,
    /// Reading the list of orders.
    OrdersList,
    /// Opening an authorization ahead of any order.
    NewAuthorization,
    /// Reading or giving up an authorization.
    Authorization,
    /// Answering a challenge.
    Challenge,
    /// Sending the request for the certificate.
    Finalize,
    /// Fetching the certificate.
    Certificate,
    /// Revoking a certificate.
    Revocation,
    /// Asking when to renew.
    RenewalInfo,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "the request for its directory",
            Self::NewNonce => "newNonce",
            Self::NewAccount => "newAccount",
            Self::Account => "the account request",
            Self::KeyChange => "keyChange",
            Self::NewOrder => "newOrder",
            Self::Order => "the order request",
            Self::OrdersList => "the request for the orders list",
            Self::NewAuthorization => "newAuthz",
            Self::Authorization => "the authorization request",
            Self::Challenge => "the challenge",
            Self::Finalize => "finalize",
            Self::Certificate => "the request for the certificate",
            Self::Revocation => "revokeCert",
            Self::RenewalInfo => "the request for renewal information",
        })
    }
}

/// How far a request came that brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The host's name was not found.
    #[error("its name cannot be resolved ({0})")]
    Name(String),
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// There is no way to the address.
    #[error("there is no route to it")]
    NoRoute,
    /// The host's certificate is signed by nobody this client trusts.
    #[error("its TLS certificate is not trusted{}", IssuedBy(.issuer.as_deref()))]
    Untrusted {
        /// Who signed it.
        issuer: Option<String>,
    },
    /// TLS failed in another way.
    #[error("TLS failed ({0})")]
    Tls(String),
    /// The proxy did not let it through.
    #[error("the proxy failed ({0})")]
    Proxy(String),
    /// Nothing came in time.
    #[error("{0}")]
    Timeout(&'static str),
    /// The connection broke.
    #[error("the connection broke ({0})")]
    Broken(String),
}

/// What the CA found wrong with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFailure {
    /// The name, with `*.` for a wildcard.
    pub name: String,
    /// The state of its authorization and, where the CA tells, the problem.
    pub problem: Problem,
}

/// What few CAs offer (RFC 8555 §7.4.1).
pub(super) const PRE_AUTHORIZATION: &str = "pre-authorization";

impl AcmeError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Problem { during: Operation::NewAccount, problem }
                if matches!(problem.kind, ProblemKind::Unauthorized | ProblemKind::Malformed) =>
            {
                "check the key id and the HMAC key that the CA gave you for external account binding"
            }
            Self::Problem { problem, .. } => return problem_hint(problem),
            Self::RateLimited { help, .. } => {
                return help.as_ref().map(|url| format!("about this limit: {url}"));
            }
            Self::Paused { help, .. } => {
                let page = help.as_ref().map_or(String::new(), |url| format!("; see {url}"));
                return Some(format!(
                    "follow the CA's words above{page}; by itself it is tried again once a day at most"
                ));
            }
            Self::ReplyLost { cause, .. } | Self::HeldBack { cause } => return cause.hint(),
            Self::Unreachable { cause, .. } => return cause.hint(),
            Self::Unexpected { during: Operation::Directory, .. } => {
                "check the address of the directory; a captive portal or a proxy may have answered in its place"
            }
            Self::Unexpected { .. } | Self::OutOfOrder { .. } => {
                "try again later; the CA's status page may know more"
            }
            Self::OrderInvalid { failures, .. } => {
                return failures.iter().find_map(|f| problem_hint(&f.problem));
            }
            Self::NoUsableChallenge { .. } => {
                "choose a challenge that the CA offers, or another CA: only DNS challenges can be answered here"
            }
            Self::Deadline { .. } => {
                "allow more time with `--timeout`; the same command goes on with the same order"
            }
            Self::NoSuchProfile { offered, .. } if offered.is_empty() => "it has no profiles: leave it out",
            Self::NoSuchProfile { offered, .. } => {
                return Some(format!("it has `{}`", offered.join("`, `")));
            }
            Self::AccountDoesNotExist => "register with `dns01 account register`",
            Self::TermsNotAgreed { .. } => {
                "read the terms, then agree with `--agree-tos`: of `dns01 account update` where there is an account"
            }
            Self::TermsAgreedInVain { .. } => {
                "`--agree-tos` was not enough for this CA: agree there, in a browser, then run it again"
            }
            Self::ExternalAccountRequired => {
                "get a key id and an HMAC key from the CA and give them with `--eab-kid` and `--eab-hmac-key-file`"
            }
            Self::NotOffered { what: PRE_AUTHORIZATION } => {
                "leave `--pre-authorize` out: the names are proved with the order then"
            }
            Self::OrderNotReady { .. } | Self::NotOffered { .. } | Self::Configuration { .. } => return None,
            Self::Signer(_) => return None,
            Self::Certificate(_) => "the files in use were left as they are",
        };
        Some(hint.to_owned())
    }

    /// True if the CA will not do what was asked, however often it is asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let Self::Problem { problem, .. } = self else { return false };
        let later = matches!(
            problem.kind,
            ProblemKind::BadNonce
                | ProblemKind::OrderNotReady
                | ProblemKind::RateLimited
                | ProblemKind::ServerInternal
                | ProblemKind::UserActionRequired
        );
        (400..500).contains(&problem.status) && !matches!(problem.status, 408 | 429) && !later
    }

    /// True if the same call may succeed later without anyone doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::HeldBack { .. }
            | Self::ReplyLost { .. }
            | Self::Unreachable { .. }
            | Self::OutOfOrder { .. }
            | Self::Deadline { .. } => true,
            Self::Problem { problem, .. } => {
                matches!(problem.kind, ProblemKind::ServerInternal | ProblemKind::BadNonce)
            }
            _ => false,
        }
    }
}

impl Unreachable {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Name(_) => "check the address of the CA and this machine's resolver",
            Self::Refused | Self::NoRoute | Self::Timeout(_) => {
                "check the address, the firewall, and whether this network needs a proxy (`HTTPS_PROXY`)"
            }
            Self::Untrusted { .. } => {
                "for a private CA name its root certificate: `--ca-bundle`, or `ca_bundle` in its [ca.*] table"
            }
            Self::Tls(_) => "check the address, this machine's clock, and the certificate of the CA's server",
            Self::Proxy(_) => "check the proxy's address and that it lets connections to the CA through",
            Self::Broken(_) => "try again later; the CA's status page may know more",
        };
        Some(hint.to_owned())
    }
}

fn problem_hint(problem: &Problem) -> Option<String> {
    let hint = match &problem.kind {
        ProblemKind::BadSignatureAlgorithm | ProblemKind::BadPublicKey if !problem.algorithms.is_empty() => {
            return Some(format!("the CA takes account keys for {}", problem.algorithms.join(", ")));
        }
        ProblemKind::BadSignatureAlgorithm | ProblemKind::BadPublicKey => {
            "choose another type of key: `ec256` is taken nearly everywhere"
        }
        ProblemKind::Caa => "the CAA records of the name or of a parent must allow this CA",
        ProblemKind::Dns => {
            "the CA's resolver must be able to look the name up: check the delegation and DNSSEC"
        }
        ProblemKind::Unauthorized | ProblemKind::IncorrectResponse => {
            "the CA did not see the expected TXT value, or the account may not do this"
        }
        ProblemKind::RejectedIdentifier => "the CA's policy forbids the name; another CA may issue for it",
        ProblemKind::InvalidProfile => "leave the profile out, or choose one that the CA's directory names",
        ProblemKind::InvalidContact | ProblemKind::UnsupportedContact => {
            "contacts look like `mailto:ops@example.com`"
        }
        ProblemKind::UserActionRequired => {
            return Some(match &problem.instance {
                Some(page) => format!("something has to be done at {page} first"),
                None => "something has to be done at the CA's pages first".to_owned(),
            });
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

struct Colon<'a>(&'a str);

impl fmt::Display for Colon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

struct In<'a>(Option<&'a Url>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |url| write!(f, ": {url}"))
    }
}

struct At<'a>(Option<&'a Url>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(url) => write!(f, " at {url}"),
            None => f.write_str(" on its pages"),
        }
    }
}

struct IssuedBy<'a>(Option<&'a str>);

impl fmt::Display for IssuedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |issuer| write!(f, " (it was issued by `{issuer}`)"))
    }
}

struct Offers<'a>(&'a [String]);

impl fmt::Display for Offers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.0.is_empty() { "nothing at all".to_owned() } else { self.0.join(", ") })
    }
}

struct Failures<'a>(&'a [NameFailure], Option<&'a Problem>);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(failures, problem) = self;
        let mut lead = ": ";
        for failure in *failures {
            write!(f, "{lead}{}: {}", failure.name, failure.problem)?;
            lead = "; ";
        }
        // The order's own problem mostly repeats that of a name.
        match problem {
            Some(problem) if failures.is_empty() => write!(f, "{lead}{problem}"),
            _ => Ok(()),
        }
    }
}
