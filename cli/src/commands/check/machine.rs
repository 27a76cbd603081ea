//! This machine: its clock, and who can read its state directory.

use super::Check;
use super::report::Seen;
use crate::errors::{Exit, Failure};
use crate::output::words;
use dns01_core::acme::AcmeError;
use dns01_core::store::open_to_others;
use jiff::SignedDuration;
use std::time::Duration;
use tokio::time::Instant;

/// The most time to wait for a CA's directory.
const DIRECTORY_PATIENCE: Duration = Duration::from_secs(10);
/// TSIG allows so many seconds (RFC 8945 §10), and a certificate is young at the CA's time.
const MOST_SECONDS: u64 = 300;
/// So many deserve a word.
const NOTABLE_SECONDS: u64 = 60;

/// True if the environment names a proxy.
pub(super) fn has_proxy() -> bool {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

impl Check {
    /// The clock, by the date of the first CA's reply that has one. Every directory is fetched,
    /// since the CAA names of a CA stand in it.
    pub(super) async fn clock(&self) -> Seen {
        let began = Instant::now();
        let asked = self.authorities.values().map(async |authority| {
            let client = authority.client().until(Instant::now() + DIRECTORY_PATIENCE);
            let result = client.directory().await.map(|_| client.clock_ahead());
            (authority.name().to_string(), result)
        });
        let told = futures_util::future::join_all(asked).await;
        let dated = told.iter().find_map(|(ca, result)| Some((ca, result.as_ref().ok().copied()??)));
        let seen = match dated {
            Some((ca, ahead)) => judged(ca, ahead),
            None => untold(&told),
        };
        seen.since(began)
    }

    /// Whether others than its owner can read or write what is theirs alone.
    pub(super) fn state_directory(&self) -> Seen {
        let open = open_to_others(self.context.store.directory());
        let Some(first) = open.first() else {
            return Seen::good("state", "its files are open to nobody else");
        };
        let remedies: Vec<&str> = open.iter().map(|one| one.remedy.as_str()).collect();
        Seen::warning("state", Failure::from(first).message).with_hint(remedies.join("; "))
    }
}

fn untold(told: &[(String, Result<Option<SignedDuration>, AcmeError>)]) -> Seen {
    let reasons = told.iter().map(|(ca, result)| match result {
        Ok(_) => format!("{ca} dates no replies"),
        Err(error) => error.to_string(),
    });
    let hint = "an order needs the CA, and a clock that is less than 5 minutes wrong";
    Seen::unknown("clock", "cannot tell: no CA says what time it is")
        .with_details(reasons.collect())
        .with_hint(hint.to_owned())
}

fn judged(ca: &str, ahead: SignedDuration) -> Seen {
    let seconds = ahead.unsigned_abs().as_secs();
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    let difference = format!("{} {direction} that of {ca}", words::time(Duration::from_secs(seconds)));
    let hint = "set it by NTP: TSIG allows 300 s, and certificates are valid from now on";
    match seconds {
        0..=2 => Seen::good("clock", format!("as at {ca}")),
        3..NOTABLE_SECONDS => Seen::good("clock", difference),
        NOTABLE_SECONDS..MOST_SECONDS => Seen::warning("clock", difference).with_hint(hint.to_owned()),
        _ => {
            let message = format!("this machine's clock is {difference}");
            Seen::bad("clock", Failure::new("clock", message, Exit::SomeFailed).with_hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::State;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_wrong_it_is_in_either_direction() {
        let state = |seconds| judged("ca", SignedDuration::from_secs(seconds)).state;
        assert_eq!([0, 59, -59].map(state), [State::Good; 3]);
        assert_eq!([60, -299].map(state), [State::Warning; 2]);
        assert_eq!([300, -86_400].map(state), [State::Bad; 2]);
        assert_eq!(judged("ca", SignedDuration::from_secs(-90)).text, "90 s behind that of ca");
    }

    #[test]
    fn without_any_time_it_cannot_be_told() {
        let seen = untold(&[("ca".to_owned(), Ok(None))]);
        assert_eq!(seen.state, State::Unknown);
    }
}
