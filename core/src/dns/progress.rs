//! How far a wait is, for whoever shows it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How far a wait is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Addresses of name servers that show everything.
    pub confirmed: usize,
    /// Addresses asked.
    pub total: usize,
    /// Resolvers that show everything.
    pub resolvers_confirmed: usize,
    /// Resolvers asked.
    pub resolvers: usize,
    /// One that does not yet, and what it says.
    pub waiting: Option<Waiting>,
    /// Why nobody is asked at the moment: `looking again in 8 s`.
    pub note: Option<String>,
}

/// Somebody who is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The name server, or the resolver.
    pub server: String,
    /// Its address, where that is known.
    pub address: Option<SocketAddr>,
    /// What it says, as a clause: `has 1 of 2 values`.
    pub answer: String,
}

impl Progress {
    /// Nobody is asked, and why.
    #[must_use]
    pub fn noting(note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..Self::default() }
    }

    /// Progress of several waits as one.
    #[must_use]
    pub fn sum(parts: &[Self]) -> Self {
        Self {
            confirmed: parts.iter().map(|part| part.confirmed).sum(),
            total: parts.iter().map(|part| part.total).sum(),
            resolvers_confirmed: parts.iter().map(|part| part.resolvers_confirmed).sum(),
            resolvers: parts.iter().map(|part| part.resolvers).sum(),
            waiting: parts.iter().find_map(|part| part.waiting.clone()),
            note: parts.iter().find_map(|part| part.note.clone()),
        }
    }
}

/// `7 of 8 addresses answer · waiting for ns2.example.net 2001:db8::53, which has 1 of 2 values`.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.total > 0 || (self.resolvers == 0 && self.note.is_none()) {
            parts.push(format!("{} of {} addresses answer", self.confirmed, self.total));
        }
        if self.resolvers > 0 {
            let (confirmed, resolvers) = (self.resolvers_confirmed, self.resolvers);
            let (noun, verb) = if resolvers == 1 { ("resolver", "shows") } else { ("resolvers", "show") };
            parts.push(format!("{confirmed} of {resolvers} {noun} {verb} it"));
        }
        parts.extend(self.waiting.as_ref().map(|waiting| format!("waiting for {waiting}")));
        parts.extend(self.note.clone());
        f.write_str(&parts.join(" · "))
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) if self.server == address.ip().to_string() => {
                write!(f, "{}, which {}", shown_address(address), self.answer)
            }
            Some(address) => write!(f, "{} {}, which {}", self.server, shown_address(address), self.answer),
            None => write!(f, "{}, which {}", self.server, self.answer),
        }
    }
}

/// An address as people know it: the port is left out where it is DNS's own.
pub(super) fn shown_address(address: SocketAddr) -> String {
    if address.port() == 53 { address.ip().to_string() } else { address.to_string() }
}

/// Waits for `time`, and tells `show` the seconds that are left as they go by.
pub async fn count_down(time: Duration, show: impl Fn(u64)) {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        show(seconds_up(left));
        sleep_until(Instant::now() + until_next_second(left)).await;
    }
}

/// Whole seconds, the last begun one counted.
pub(super) fn seconds_up(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

/// The time until the number of seconds that are left is worth showing anew.
pub(super) fn until_next_second(left: Duration) -> Duration {
    const SELDOM: Duration = Duration::from_secs(10);
    if left > SELDOM * 6 {
        return SELDOM;
    }
    match left.subsec_nanos() {
        0 => left.min(Duration::from_secs(1)),
        nanos => Duration::from_nanos(u64::from(nanos)),
    }
}

/// A time as people say it: `40 s`, `3 min`, `2 min 5 s`.
pub(super) fn span(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn the_seconds_that_are_left_are_counted_down() {
        let shown = Mutex::new(Vec::new());
        let started = Instant::now();
        count_down(Duration::from_millis(2500), |left| shown.lock().unwrap().push(left)).await;
        assert_eq!(*shown.lock().unwrap(), [3, 2, 1]);
        assert_eq!(started.elapsed().as_millis(), 2500);
    }

    #[test]
    fn each_kind_of_observer_is_counted_by_itself() {
        let servers = Progress { confirmed: 7, total: 8, ..Progress::default() };
        let resolvers = Progress { resolvers: 2, resolvers_confirmed: 1, ..Progress::default() };
        let time = Progress::noting("another 8 s, as configured");
        assert_eq!(
            Progress::sum(&[servers, resolvers, time.clone()]).to_string(),
            "7 of 8 addresses answer · 1 of 2 resolvers show it · another 8 s, as configured"
        );
        assert_eq!(time.to_string(), "another 8 s, as configured");
    }
}
