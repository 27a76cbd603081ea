//! What can go wrong, and the one place where it becomes a [`ProviderError`].

use crate::config::ServerAddress;
use dns01_provider::{ProviderError, ProviderErrorKind, SecretError};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::tsig::TsigError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why an update or a look at the server failed. It holds no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateError {
    #[error("the server's name cannot be resolved")]
    Resolve { source: Option<io::Error> },
    #[error("no connection to {address}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("the connection broke while {doing}")]
    Broken { doing: &'static str, source: io::Error },
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    #[error("the reply is not a DNS message that answers the request: {0}")]
    Malformed(String),
    #[error("the message cannot be encoded: {0}")]
    Encode(String),
    #[error("the TSIG key's secret cannot be read")]
    Secret(#[from] SecretError),
    #[error("the TSIG key's secret is not base64")]
    SecretNotBase64,
    #[error("the reply's signature is wrong: {0}")]
    BadReplySignature(String),
    #[error("the reply is not signed")]
    Unsigned,
    #[error("{}", tsig_message(*.error, *.server_ahead))]
    Tsig { error: TsigError, server_ahead: Option<i64> },
    #[error("{}", response_message(*.0))]
    Response(ResponseCode),
    #[error("`{name}` is not in the zone: it is delegated away at `{cut}`")]
    ZoneCut { name: ShownName, cut: ShownName },
    #[error("`{name}` is an alias of `{target}`, and no other record can stand beside an alias")]
    Alias { name: ShownName, target: ShownName },
    #[error("`{name}` lies below `{owner}`, which redirects everything below it to `{target}`")]
    Redirected { name: ShownName, owner: ShownName, target: ShownName },
    #[error("the server accepted the value at `{0}` and does not serve it")]
    Invisible(ShownName),
}

/// A name as messages show it: without its trailing dot.
#[derive(Debug)]
pub(crate) struct ShownName(Box<str>);

impl From<&Name> for ShownName {
    fn from(name: &Name) -> Self {
        let text = name.to_ascii();
        Self(text.strip_suffix('.').unwrap_or(&text).into())
    }
}

impl fmt::Display for ShownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a DNS UPDATE server means by its response code (RFC 2136 §2.2, RFC 8945 §3).
fn response_message(code: ResponseCode) -> String {
    let meaning = match code {
        ResponseCode::Refused => "REFUSED: the server does not allow this key or address to make this change",
        ResponseCode::NotAuth => {
            "NOTAUTH: the server is not authoritative for the zone, or does not know the key"
        }
        ResponseCode::NotZone => "NOTZONE: a name is not in the zone as the server has it",
        ResponseCode::ServFail => {
            "SERVFAIL: the server failed, or the zone is not loaded or cannot be written"
        }
        ResponseCode::FormErr => "FORMERR: the server does not understand the update",
        ResponseCode::NotImp => "NOTIMP: the server does not take dynamic updates for the zone",
        ResponseCode::YXRRSet => "YXRRSET: another record is in the way",
        _ => return format!("the server answered {code}"),
    };
    meaning.to_owned()
}

/// What a server means by its TSIG error (RFC 8945 §5.2).
fn tsig_message(error: TsigError, server_ahead: Option<i64>) -> String {
    match error {
        TsigError::BadKey => {
            "BADKEY: the server does not know the TSIG key, or knows it for another algorithm".to_owned()
        }
        TsigError::BadSig => "BADSIG: the TSIG key's secret is not the server's".to_owned(),
        TsigError::BadTrunc => "BADTRUNC: the server wants a longer signature".to_owned(),
        TsigError::BadTime => match server_ahead {
            Some(seconds) if seconds < 0 => {
                format!("BADTIME: the server's clock is {} s behind this machine's", seconds.unsigned_abs())
            }
            Some(seconds) => format!("BADTIME: the server's clock is {seconds} s ahead of this machine's"),
            None => "BADTIME: the server's clock differs from this machine's".to_owned(),
        },
        TsigError::Unknown(code) => format!("the server answered with TSIG error {code}"),
    }
}

impl UpdateError {
    fn kind(&self) -> ProviderErrorKind {
        use ProviderErrorKind as Kind;
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Broken { .. } | Self::Timeout(_) => {
                Kind::Unavailable
            }
            Self::Invisible(_) | Self::Malformed(_) => Kind::Unavailable,
            Self::Secret(_) | Self::SecretNotBase64 | Self::Tsig { .. } => Kind::Auth,
            Self::BadReplySignature(_) | Self::Unsigned => Kind::Auth,
            Self::ZoneCut { .. } => Kind::NotFound,
            Self::Alias { .. } | Self::Redirected { .. } => Kind::Conflict,
            Self::Encode(_) => Kind::Invalid,
            Self::Response(code) => match *code {
                ResponseCode::Refused => Kind::Permission,
                ResponseCode::NotAuth | ResponseCode::NXDomain => Kind::NotFound,
                ResponseCode::ServFail => Kind::Unavailable,
                ResponseCode::YXRRSet | ResponseCode::YXDomain | ResponseCode::NXRRSet => Kind::Conflict,
                _ => Kind::Invalid,
            },
        }
    }

    /// True if the same message may be taken well later.
    pub(crate) fn passes(&self) -> bool {
        matches!(self.kind(), ProviderErrorKind::Unavailable) && !matches!(self, Self::Malformed(_))
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Resolve { .. } => "check `server`; an address works without a resolver",
            Self::Connect { .. } => {
                "check `server` and that its TCP port is open from here; updates always go over TCP"
            }
            Self::Timeout(_) => {
                "check `server`, and that no firewall on the way to its TCP port (53 by default) swallows what is sent"
            }
            Self::Secret(error) => return error.hint(),
            Self::SecretNotBase64 => "`tsig.secret` is the base64 text that `tsig-keygen` prints",
            Self::BadReplySignature(_) => {
                "something between this machine and the server changes messages, or the key differs"
            }
            Self::Unsigned => {
                "the server ignores TSIG here: is the key bound to this zone, and does no forwarder stand between?"
            }
            Self::Tsig { error, .. } => match error {
                TsigError::BadKey => {
                    "compare `tsig.name` and `tsig.algorithm` with the server's `key` statement"
                }
                TsigError::BadSig => "compare the secret with the server's `key` statement",
                TsigError::BadTime => "set both clocks by NTP; the difference may be 300 s at most",
                TsigError::BadTrunc => "let the server accept the full length of the algorithm",
                TsigError::Unknown(_) => return None,
            },
            Self::Response(code) => return response_hint(*code).map(str::to_owned),
            Self::ZoneCut { cut, .. } => {
                return Some(format!("configure the zone `{}` with the server that is its primary", cut));
            }
            Self::Alias { target, .. } | Self::Redirected { target, .. } => {
                return Some(format!("write the value at `{}`, or remove the alias", target));
            }
            Self::Invisible(_) => {
                "if the server is a secondary that forwards updates, it lags behind; name the primary instead"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The error as callers of the contract see it.
    pub(crate) fn into_provider_error(self, server: &ServerAddress, zone: &str) -> ProviderError {
        let hint = self.hint();
        let unreached = matches!(self, Self::Resolve { .. } | Self::Connect { .. });
        let mut error = ProviderError::new(self.kind(), self.to_string()).with_nothing_sent(unreached);
        error = error.with_unanswered(matches!(self, Self::Timeout(_)));
        if matches!(self, Self::Malformed(_)) {
            error = error.with_retryable(false);
        }
        error = error.with_optional_hint(hint).with_context("server", server).with_context("zone", zone);
        match self {
            Self::Resolve { source: Some(source) } => error.with_source(source),
            Self::Connect { source, .. } | Self::Broken { source, .. } => error.with_source(source),
            Self::Secret(source) => error.with_source(source),
            _ => error,
        }
    }
}

fn response_hint(code: ResponseCode) -> Option<&'static str> {
    Some(match code {
        ResponseCode::Refused => {
            "let the key write TXT at this name: BIND `update-policy { grant KEY name NAME TXT; };`, Knot `acl` with \
             `update-owner: name`, PowerDNS `TSIG-ALLOW-DNSUPDATE` (it answers so to a wrong key or clock, too)"
        }
        ResponseCode::NotAuth => "`server` must be the zone's primary, and know the key `tsig.name`",
        ResponseCode::NotZone => "check `zones`: the name must lie in the zone",
        ResponseCode::ServFail => {
            "look into the server's log: often it may not write the zone's journal file"
        }
        ResponseCode::NotImp => "`server` must be the zone's primary, or a secondary that forwards updates",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: UpdateError) -> ProviderError {
        let server = ServerAddress::parse("192.0.2.53").unwrap();
        error.into_provider_error(&server, "example.test")
    }

    #[test]
    fn every_response_code_that_servers_give_is_told_apart_and_explained() {
        use ProviderErrorKind as Kind;
        let expected = [
            (ResponseCode::Refused, Kind::Permission, "REFUSED", false),
            (ResponseCode::NotAuth, Kind::NotFound, "NOTAUTH", false),
            (ResponseCode::NotZone, Kind::Invalid, "NOTZONE", false),
            (ResponseCode::ServFail, Kind::Unavailable, "SERVFAIL", true),
            (ResponseCode::NotImp, Kind::Invalid, "NOTIMP", false),
        ];
        for (code, kind, word, retryable) in expected {
            let error = told(UpdateError::Response(code));
            assert_eq!(error.kind(), kind, "{word}");
            assert_eq!(error.is_retryable(), retryable, "{word}");
            assert!(error.to_string().starts_with(word), "{error}");
            assert!(error.to_string().contains("server 192.0.2.53:53"), "{error}");
            assert!(error.hint().is_some(), "{word}");
        }
        assert_eq!(told(UpdateError::Response(ResponseCode::FormErr)).kind(), Kind::Invalid);
        assert_eq!(told(UpdateError::Response(ResponseCode::YXRRSet)).kind(), Kind::Conflict);
    }

    #[test]
    fn a_server_that_does_not_answer_is_told_with_a_hint_and_may_have_done_it() {
        let error = told(UpdateError::Timeout(Duration::from_secs(30)));
        assert!(error.is_unanswered() && error.is_retryable() && !error.is_nothing_sent());
        assert!(error.hint().unwrap().contains("firewall"), "{:?}", error.hint());
    }

    #[test]
    fn every_tsig_error_is_a_permanent_error_of_the_credential_with_a_hint() {
        for error in [TsigError::BadKey, TsigError::BadSig, TsigError::BadTime, TsigError::BadTrunc] {
            let error = told(UpdateError::Tsig { error, server_ahead: Some(-420) });
            assert_eq!(error.kind(), ProviderErrorKind::Auth);
            assert!(!error.is_retryable());
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_clock_difference_is_told_in_seconds_and_with_its_direction() {
        let behind = told(UpdateError::Tsig { error: TsigError::BadTime, server_ahead: Some(-420) });
        assert!(behind.to_string().contains("420 s behind"), "{behind}");
        let ahead = told(UpdateError::Tsig { error: TsigError::BadTime, server_ahead: Some(301) });
        assert!(ahead.to_string().contains("301 s ahead"), "{ahead}");
    }

    #[test]
    fn a_zone_cut_and_an_alias_are_named() {
        let name = |text: &str| ShownName::from(&Name::from_ascii(text).unwrap());
        let cut = told(UpdateError::ZoneCut {
            name: name("_acme-challenge.a.sub.example.test."),
            cut: name("sub.example.test."),
        });
        assert_eq!(cut.kind(), ProviderErrorKind::NotFound);
        assert!(cut.hint().unwrap().contains("`sub.example.test`"));
        let alias = told(UpdateError::Alias {
            name: name("_acme-challenge.example.test."),
            target: name("x.other.test."),
        });
        assert_eq!(alias.kind(), ProviderErrorKind::Conflict);
        assert!(alias.to_string().contains("x.other.test"), "{alias}");
    }
}
