//! Tokens, and the policies of what they may write.

use super::answers::{detail, forbidden, not_found};
use super::{Desec, uuid};
use crate::fake_dns_api::{Answer, Asked, lock};
use serde_json::{Value, json};

/// Characters of a token.
const TOKEN_LENGTH: usize = 28;

/// One rule of what a token may write; what is `None` fits everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The domain's name.
    pub domain: Option<String>,
    /// Relative to the domain.
    pub subname: Option<String>,
    /// `TXT` and so on.
    pub kind: Option<String>,
    /// Whether what fits may be written.
    pub write: bool,
}

impl Policy {
    /// TXT at one name may be written.
    #[must_use]
    pub fn txt(domain: &str, subname: &str) -> Self {
        Self {
            domain: Some(domain.to_owned()),
            subname: Some(subname.to_owned()),
            kind: Some("TXT".to_owned()),
            write: true,
        }
    }

    /// Everything in one domain may be written.
    #[must_use]
    pub fn domain(domain: &str) -> Self {
        Self { domain: Some(domain.to_owned()), write: true, ..Self::default() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    secret: String,
    id: String,
    pub(super) manages: bool,
    /// None: it may write everything.
    policies: Vec<Policy>,
}

impl Desec {
    pub(super) fn add(&self, policies: &[Policy], manages: bool) -> (String, String) {
        let mut tokens = lock(&self.tokens);
        let number = tokens.len() as u64 + 1;
        let (secret, id) = (Self::unknown_token(number), uuid(number));
        let closed = (!policies.is_empty()).then(Policy::default);
        let policies = closed.into_iter().chain(policies.iter().cloned()).collect();
        tokens.push(Token { secret: secret.clone(), id: id.clone(), manages, policies });
        (secret, id)
    }

    /// A token of the right form; `number` 0 is never given to anybody.
    #[must_use]
    pub fn unknown_token(number: u64) -> String {
        format!("token{number:a>width$}", width = TOKEN_LENGTH - 5)
    }

    pub(super) fn token_of(&self, asked: &Asked) -> Result<Token, Answer> {
        let Some(header) = asked.header("authorization") else {
            return Err(detail(401, "Authentication credentials were not provided."));
        };
        let tokens = lock(&self.tokens);
        let secret = header.strip_prefix("Token ");
        let known = secret.and_then(|secret| tokens.iter().find(|token| token.secret == secret));
        known.cloned().ok_or_else(|| detail(401, "Invalid token."))
    }

    pub(super) fn list_tokens(&self) -> Answer {
        let tokens = lock(&self.tokens);
        let shown: Vec<Value> = tokens
            .iter()
            .map(|token| json!({ "id": token.id, "name": "", "perm_manage_tokens": token.manages }))
            .collect();
        Answer::json(200, &Value::Array(shown))
    }

    /// A token may read its own policies.
    pub(super) fn policies(&self, token: &Token, id: &str) -> Result<Answer, Answer> {
        if !token.manages && token.id != id {
            return Err(forbidden());
        }
        let tokens = lock(&self.tokens);
        let of = tokens.iter().find(|one| one.id == id).ok_or_else(not_found)?;
        let shown = of.policies.iter().enumerate().map(|(number, policy)| {
            json!({
                "id": uuid(number as u64 + 1000),
                "domain": policy.domain,
                "subname": policy.subname,
                "type": policy.kind,
                "perm_write": policy.write,
            })
        });
        Ok(Answer::json(200, &shown.collect()))
    }
}

impl Token {
    /// Of the policies that fit, the most special one decides.
    pub(super) fn may_write(&self, domain: &str, subname: &str, kind: &str) -> bool {
        let fits = |rule: &Option<String>, value: &str| rule.as_deref().is_none_or(|rule| rule == value);
        let deciding = self
            .policies
            .iter()
            .filter(|one| fits(&one.domain, domain) && fits(&one.subname, subname) && fits(&one.kind, kind))
            .max_by_key(|one| (one.domain.is_some(), one.subname.is_some(), one.kind.is_some()));
        self.policies.is_empty() || deciding.is_some_and(|policy| policy.write)
    }
}
