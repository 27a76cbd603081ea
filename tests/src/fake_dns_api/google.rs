//! Google Cloud DNS v1, as far as TXT records and zones go, with its token address and its
//! metadata server.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, pages
//! are short, and permissions are asked for as the documentation words them. A change stands
//! `pending` at the first look at it.

mod accounts;
mod answers;
mod sets;
mod tokens;
mod zones;

pub use accounts::Access;

use super::tokens::Tokens;
use super::{Answer, Asked, Held, Service, lock};
use accounts::{Account, key_file, new_key};
use answers::{only, refusal, shown_zone};
use sets::list_sets;
use std::sync::Mutex;
use zones::{entered, list_zones, test_permissions};

/// The one project.
pub const PROJECT: &str = "proj-1";
/// The service.
#[derive(Default)]
pub struct Google {
    accounts: Mutex<Vec<Account>>,
    /// Those of accounts.
    tokens: Tokens,
    /// The account of the machine that asks the metadata server.
    machine: Mutex<Option<usize>>,
    /// How often each change was looked at.
    changes: Mutex<Vec<u64>>,
    /// A value that somebody else writes just before the next change.
    intruder: Mutex<Option<String>>,
}

impl std::fmt::Debug for Google {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Google")
    }
}

impl Google {
    /// A service that knows no account yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A service account that may do this and no more; its number.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn account(&self, access: &[Access]) -> usize {
        let key = new_key();
        let mut accounts = lock(&self.accounts);
        let number = accounts.len();
        accounts.push(Account {
            email: format!("dns01-{number}@{PROJECT}.iam.gserviceaccount.com"),
            key_id: format!("{:040x}", 0xfa4e + number),
            key,
            access: access.to_vec(),
        });
        number
    }

    /// The account's key file; `host` is where the token address stands, such as
    /// `http://127.0.0.1:8080`.
    ///
    /// # Panics
    /// There is no such account.
    #[must_use]
    pub fn key_file(&self, account: usize, host: &str) -> String {
        let accounts = lock(&self.accounts);
        let account = &accounts[account];
        key_file(&account.email, &account.key_id, &account.key, host)
    }

    /// A key file for that account whose key the service does not know.
    ///
    /// # Panics
    /// No key can be made, or there is no such account.
    #[must_use]
    pub fn wrong_key_file(&self, account: usize, host: &str) -> String {
        let key = new_key();
        let accounts = lock(&self.accounts);
        key_file(&accounts[account].email, &accounts[account].key_id, &key, host)
    }

    /// Lets the metadata server speak for this account.
    pub fn runs_as(&self, account: usize) {
        *lock(&self.machine) = Some(account);
    }

    /// The tokens that were given out and are still taken.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.taken()
    }

    /// Ends all tokens.
    pub fn end_tokens(&self) {
        self.tokens.end();
    }

    /// Somebody else adds `value` to the first set of the next change just before it.
    pub fn intrude(&self, value: &str) {
        *lock(&self.intruder) = Some(value.to_owned());
    }

    fn access(&self, asked: &Asked) -> Result<Vec<Access>, Answer> {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token";
        let account = self.tokens.owner(asked.bearer());
        let account = account.ok_or_else(|| refusal(401, "authError", message))?;
        Ok(lock(&self.accounts)[account].access.clone())
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let segments = asked.path();
        let (access, rest) = match &segments[..] {
            ["token"] if asked.method == "POST" => return Ok(self.token(asked)),
            ["computeMetadata", "v1", rest @ ..] if asked.method == "GET" => {
                return Ok(self.metadata(asked, rest));
            }
            ["dns", "v1", "projects", project, "managedZones", rest @ ..] => {
                let access = self.access(asked)?;
                if *project != PROJECT {
                    return Err(refusal(404, "notFound", "The 'parameters.project' resource does not exist"));
                }
                (access, rest)
            }
            _ => return Err(Answer::page(404, "Not Found")),
        };
        match (asked.method.as_str(), rest) {
            ("GET", []) => list_zones(asked, held, &access),
            ("GET", [zone]) => {
                let (zone, _) = entered(held, zone, &access)?;
                Ok(Answer::json(200, &shown_zone(zone)))
            }
            ("POST", [zone]) if zone.ends_with(":testIamPermissions") => {
                test_permissions(asked, held, zone.trim_end_matches(":testIamPermissions"), &access)
            }
            ("GET", [zone, "rrsets"]) => list_sets(asked, entered(held, zone, &access)?.0),
            ("GET", [zone, "changes", id]) => {
                entered(held, zone, &access)?;
                only(asked, &[])?;
                self.look_at(id)
            }
            ("POST", [zone, "changes"]) => {
                let first_id = held.next_number();
                let (zone, sets) = entered(held, zone, &access)?;
                self.change(asked, zone, sets.as_deref(), first_id)
            }
            _ => Err(Answer::page(404, "Not Found")),
        }
    }
}

impl Service for Google {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        format!("zone-{number}")
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        self.route(asked, held).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        refusal(429, "rateLimitExceeded", "Rate Limit Exceeded")
    }
}
