//! What the steps showed, for people and for machines.

use crate::errors::Failure;
use crate::output::words;
use crate::program::Program;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// How a step turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Good,
    /// Not as it should be; certificates can be had nevertheless.
    Warning,
    /// Cannot be told from here.
    Unknown,
    /// No certificate can be had so.
    Bad,
}

impl State {
    fn mark(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Unknown => "?",
            Self::Bad => "✗",
        }
    }
}

/// What one step showed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    pub(super) step: &'static str,
    pub(super) state: State,
    /// False for [`State::Bad`] alone.
    good: bool,
    pub(super) text: String,
    /// Lines that tell more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
    /// Records that would mend it, as master files write them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    create: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Seen {
    pub(super) fn new(step: &'static str, state: State, text: impl Into<String>) -> Self {
        Self {
            step,
            state,
            good: state != State::Bad,
            text: text.into(),
            details: Vec::new(),
            create: Vec::new(),
            hint: None,
            seconds: None,
            error: None,
        }
    }

    pub(super) fn good(step: &'static str, text: impl Into<String>) -> Self {
        Self::new(step, State::Good, text)
    }

    pub(super) fn warning(step: &'static str, text: impl Into<String>) -> Self {
        Self::new(step, State::Warning, text)
    }

    pub(super) fn unknown(step: &'static str, text: impl Into<String>) -> Self {
        Self::new(step, State::Unknown, text)
    }

    pub(super) fn bad(step: &'static str, failure: Failure) -> Self {
        Self { error: Some(failure.clone()), ..Self::new(step, State::Bad, failure.message) }
    }

    pub(super) fn since(self, began: Instant) -> Self {
        self.took(began.elapsed())
    }

    pub(super) fn took(self, time: Duration) -> Self {
        Self { seconds: Some(time.as_secs_f64()), ..self }
    }

    pub(super) fn with_hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub(super) fn with_details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    pub(super) fn creating(self, create: Vec<String>) -> Self {
        Self { create, ..self }
    }

    fn lines(&self) -> Vec<String> {
        let mark = self.state.mark();
        let time = self.seconds.map_or_else(String::new, |seconds| {
            format!("  {}", words::time(Duration::from_secs_f64(seconds)))
        });
        let mut lines = vec![format!(" {mark} {:13} {}{time}", self.step, words::printable(&self.text))];
        let indent = " ".repeat(17);
        lines.extend(self.details.iter().map(|line| format!("{indent}{}", words::printable(line))));
        if !self.create.is_empty() {
            lines.push(format!("{indent}create:"));
            lines.extend(self.create.iter().map(|record| format!("{indent}  {}", words::printable(record))));
        }
        lines.extend(self.hint.iter().map(|hint| format!("{indent}hint: {}", words::printable(hint))));
        lines
    }
}

/// The steps of one subject.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// `machine`, `credential`, `zone` or `name`.
    kind: &'static str,
    subject: String,
    /// The certificates that want the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<String>,
    pub(super) steps: Vec<Seen>,
}

impl Report {
    pub(super) fn new(kind: &'static str, subject: impl Into<String>, steps: Vec<Seen>) -> Self {
        Self { kind, subject: subject.into(), certificates: Vec::new(), steps }
    }

    pub(super) fn wanted_by(self, certificates: Vec<String>) -> Self {
        Self { certificates, ..self }
    }

    fn heading(&self) -> String {
        let subject = match self.kind {
            "machine" => "this machine".to_owned(),
            "name" => self.subject.clone(),
            kind => format!("{kind} {}", self.subject),
        };
        match self.certificates.as_slice() {
            [] => subject,
            [one] if *one == self.subject => subject,
            certificates => format!("{subject} · certificate {}", certificates.join(", ")),
        }
    }
}

/// All reports: the document of the command.
#[derive(Default, Serialize)]
pub(super) struct Reports {
    checks: Vec<Report>,
}

impl Reports {
    /// Keeps `report`, and shows it at once.
    pub(super) fn add(&mut self, program: &Program, report: Report) {
        program.output.say(&format!("   {}", report.heading()));
        for step in &report.steps {
            step.lines().iter().for_each(|line| program.output.say(line));
            if let Some(failure) = &step.error {
                program.output.failure(failure);
            }
        }
        self.checks.push(report);
    }

    /// True if nothing stands in the way of a certificate.
    pub(super) fn all_good(&self) -> bool {
        self.checks.iter().flat_map(|report| &report.steps).all(|step| step.good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_shows_its_mark_and_below_it_what_to_do() {
        let seen = Seen::warning("name server", "ns1 192.0.2.53: UDP only, nothing over TCP")
            .took(Duration::from_secs(3))
            .creating(vec!["a.test. 3600 IN NS ns1.test.".to_owned()])
            .with_hint("let TCP to port 53 in".to_owned());
        assert_eq!(
            seen.lines().join("\n"),
            " ! name server   ns1 192.0.2.53: UDP only, nothing over TCP  3.0 s\n                 \
             create:\n                   a.test. 3600 IN NS ns1.test.\n                 hint: let TCP to port 53 in"
        );
    }

    #[test]
    fn only_a_cross_stands_in_the_way() {
        let failure = Failure::new("clock", "the clock is wrong", crate::errors::Exit::SomeFailed);
        let all =
            [Seen::good("a", ""), Seen::warning("b", ""), Seen::unknown("c", ""), Seen::bad("d", failure)];
        let good: Vec<bool> = all.iter().map(|seen| seen.good).collect();
        assert_eq!(good, [true, true, true, false]);
    }
}
