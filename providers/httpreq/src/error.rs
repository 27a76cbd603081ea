//! What the service's refusals mean: the one place where they become a [`ProviderError`].

use dns01_provider::ProviderError;
use dns01_provider::http::Reply;

/// The error that `reply` stands for. The protocol has no error bodies, so the status decides.
pub(crate) fn refused(reply: &Reply) -> ProviderError {
    reply.error().with_optional_hint(hint(reply.status()))
}

fn hint(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "`username` and `password` must be those of the service",
        403 => "the service knows who asks, and does not let them write this name",
        404 | 405 => "`endpoint` is what stands before `/present` and `/cleanup`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_and_a_wrong_address_come_with_a_hint() {
        assert!(hint(401).unwrap().contains("password"));
        assert!(hint(404).unwrap().contains("`endpoint`"));
        assert_eq!(hint(500), None);
    }
}
