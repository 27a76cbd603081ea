//! One CAA record, and why it does not allow an issuance.

use super::CaaQuestion;
use dns01_provider::name::Fqdn;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::CAA;
use std::fmt;

/// What may stand around the parts of a value (RFC 8659 §4.2: WSP).
const SPACE: [char; 2] = [' ', '\t'];

/// A CAA record (RFC 8659 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dns) struct Record {
    pub(super) flags: u8,
    pub(super) tag: String,
    pub(super) value: Vec<u8>,
}

impl Record {
    /// The record in `data`, if it is one.
    pub(super) fn read(data: &RData) -> Option<Self> {
        match data {
            RData::CAA(CAA { issuer_critical, reserved_flags, tag, value, .. }) => Some(Self {
                flags: u8::from(*issuer_critical) << 7 | reserved_flags & 0x7f,
                tag: tag.clone(),
                value: value.clone(),
            }),
            _ => None,
        }
    }

    /// The first bit is meant; some took the 1 in old examples for it, and CAs honour both.
    pub(super) fn is_critical(&self) -> bool {
        self.flags & 0x81 != 0
    }

    /// True if CAs know the property.
    pub(super) fn is_known(&self) -> bool {
        ["issue", "issuewild", "iodef", "issuemail"].iter().any(|tag| self.tag.eq_ignore_ascii_case(tag))
    }

    /// The issuer it names, if it names one.
    pub(super) fn issuer(&self) -> Option<&str> {
        let value = std::str::from_utf8(&self.value).ok()?;
        let issuer = value.split(';').next()?.trim_matches(SPACE);
        (!issuer.is_empty()).then_some(issuer)
    }

    /// Why it does not allow what is asked; `None` if it does.
    pub(super) fn objection(&self, question: &CaaQuestion) -> Option<Objection> {
        let named = self.issuer().is_some_and(|issuer| {
            question.ca_identities.iter().any(|identity| identity.eq_ignore_ascii_case(issuer))
        });
        if !named {
            return Some(Objection::OtherIssuer);
        }
        let Some(parameters) = self.parameters() else {
            return Some(Objection::Malformed);
        };
        let parameter = |wanted: &str| {
            parameters.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
        };
        // RFC 8657 §3: the whole URL, compared octet by octet.
        if let (Some(wanted), Some(account)) = (parameter("accounturi"), &question.account_url)
            && wanted != account
        {
            return Some(Objection::Account);
        }
        // RFC 8657 §4.
        let listed = |methods: &str| methods.split(',').any(|method| method.trim() == question.method);
        parameter("validationmethods").filter(|methods| !listed(methods)).map(|_| Objection::Method)
    }

    /// The parameters after the issuer; `None` if they are malformed or one is there twice,
    /// which makes the record unsatisfiable.
    fn parameters(&self) -> Option<Vec<(&str, &str)>> {
        let value = std::str::from_utf8(&self.value).ok()?;
        let mut parameters: Vec<(&str, &str)> = Vec::new();
        let mut parts: Vec<&str> = value.split(';').skip(1).collect();
        // One semicolon at the end is usual.
        if parts.last().is_some_and(|last| last.trim_matches(SPACE).is_empty()) {
            parts.pop();
        }
        for part in parts {
            let (tag, value) = part.split_once('=')?;
            let (tag, value) = (tag.trim_matches(SPACE), value.trim_matches(SPACE));
            let sound = !tag.is_empty()
                && tag.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
                && value.bytes().all(|octet| octet.is_ascii_graphic());
            let twice = parameters.iter().any(|(other, _)| other.eq_ignore_ascii_case(tag));
            if !sound || twice {
                return None;
            }
            parameters.push((tag, value));
        }
        Some(parameters)
    }
}

/// The record as master files write it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} \"", self.flags, self.tag)?;
        for octet in self.value.iter().copied() {
            match octet {
                b'"' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                b' '..=b'~' => write!(f, "{}", char::from(octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Why a record does not allow an issuance; the nearer to allowing it, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Objection {
    OtherIssuer,
    Malformed,
    Method,
    Account,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherIssuer => "no record names this CA",
            Self::Malformed => "the record that names this CA is malformed",
            Self::Method => "the record that names this CA does not list the method in `validationmethods`",
            Self::Account => "the record that names this CA has another account in `accounturi`",
        })
    }
}

impl Objection {
    /// What would make the record allow it.
    pub(super) fn hint(self, question: &CaaQuestion, tag: &str, at: &Fqdn) -> String {
        let identity = question.ca_identities.first().map_or("the CA's domain", String::as_str);
        match self {
            Self::OtherIssuer => format!("add `{at}. CAA 0 {tag} \"{identity}\"`, or use another CA"),
            Self::Malformed => format!("write it as `{at}. CAA 0 {tag} \"{identity}\"`"),
            Self::Method => format!("add `{}` to its `validationmethods`", question.method),
            Self::Account => match &question.account_url {
                Some(account) => format!("set its `accounturi` to `{account}`, or add a record with that"),
                None => "register an account first".to_owned(),
            },
        }
    }
}
