//! Tokens that a fake gives out for something else: a signed assertion, a secret.

use super::lock;
use std::sync::Mutex;

/// All tokens that were given out.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Vec<Given>>);

#[derive(Debug)]
struct Given {
    token: String,
    /// The number of whom it was given to.
    owner: usize,
    ended: bool,
}

impl Tokens {
    /// A new one for `owner`; `form` makes it from its number.
    pub(super) fn issue(&self, owner: usize, form: impl Fn(usize) -> String) -> String {
        let mut given = lock(&self.0);
        let token = form(given.len());
        given.push(Given { token: token.clone(), owner, ended: false });
        token
    }

    /// Whose it is, if it is still taken.
    pub(super) fn owner(&self, token: Option<&str>) -> Option<usize> {
        let given = lock(&self.0);
        let found = given.iter().find(|one| !one.ended && Some(one.token.as_str()) == token);
        found.map(|one| one.owner)
    }

    /// Whether it was taken once.
    pub(super) fn has_ended(&self, token: Option<&str>) -> bool {
        lock(&self.0).iter().any(|one| one.ended && Some(one.token.as_str()) == token)
    }

    /// Those that are still taken, oldest first.
    pub(super) fn taken(&self) -> Vec<String> {
        lock(&self.0).iter().filter(|one| !one.ended).map(|one| one.token.clone()).collect()
    }

    /// Ends all.
    pub(super) fn end(&self) {
        lock(&self.0).iter_mut().for_each(|one| one.ended = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_numbered_on_and_an_ended_one_has_no_owner() {
        let tokens = Tokens::default();
        let first = tokens.issue(7, |number| format!("token-{number}"));
        assert_eq!((tokens.owner(Some(&first)), tokens.has_ended(Some(&first))), (Some(7), false));
        tokens.end();
        assert_eq!((tokens.owner(Some(&first)), tokens.has_ended(Some(&first))), (None, true));
        let second = tokens.issue(8, |number| format!("token-{number}"));
        assert_eq!(tokens.taken(), [second.as_str()]);
        assert_eq!((first.as_str(), second.as_str()), ("token-0", "token-1"));
        assert!(tokens.owner(None).is_none() && !tokens.has_ended(None));
    }
}
