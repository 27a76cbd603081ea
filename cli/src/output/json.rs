//! Progress as JSON lines (docs/json.md).

use crate::errors::Failure;
use dns01_core::event::Event;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
}

/// One event as one line.
pub(super) fn line(event: &Event, now: Timestamp) -> String {
    serde_json::to_string(&Line { time: now, event }).expect("events have text keys only")
}

#[derive(Serialize)]
struct Problem<'a> {
    event: &'static str,
    #[serde(flatten)]
    failure: &'a Failure,
}

/// A warning or an error as one line.
pub(super) fn problem(event: &'static str, failure: &Failure) -> String {
    serde_json::to_string(&Problem { event, failure }).expect("failures have text keys only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_core::event::{Happening, Outcome, Step};
    use std::time::Duration;

    #[test]
    fn a_line_has_the_time_first_and_the_event_flat() {
        let event = Event {
            certificate: "example.com".to_owned(),
            what: Happening::Finished {
                step: Step::Order,
                took: Duration::from_millis(412),
                outcome: Outcome::Ordered { names: 2, to_prove: 2 },
            },
        };
        let now = Timestamp::from_second(1_795_312_800).unwrap();
        assert_eq!(
            line(&event, now),
            r#"{"time":"2026-11-22T02:00:00Z","certificate":"example.com","event":"finished","step":"order","seconds":0.412,"names":2,"to_prove":2}"#
        );
    }

    #[test]
    fn a_problem_has_its_stable_id() {
        let failure = Failure::usage("usage-names", "nothing is called `x`").with_hint("see `dns01 list`");
        assert_eq!(
            problem("error", &failure),
            r#"{"event":"error","id":"usage-names","message":"nothing is called `x`","hint":"see `dns01 list`"}"#
        );
    }
}
