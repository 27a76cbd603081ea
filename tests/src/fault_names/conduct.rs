//! How a server treats questions, per transport.

use hickory_proto::op::ResponseCode;
use std::time::Duration;

/// How a server treats questions over UDP and over TCP. A transport without conduct is not
/// listened on, so that the kernel refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    pub(super) udp: Option<Conduct>,
    pub(super) tcp: Option<Conduct>,
}

impl Behaviour {
    /// The same over both transports.
    #[must_use]
    pub fn of(conduct: Conduct) -> Self {
        Self { udp: Some(conduct.clone()), tcp: Some(conduct) }
    }

    /// As a name server should.
    #[must_use]
    pub fn good() -> Self {
        Self::of(Conduct::good())
    }

    /// Otherwise over UDP.
    #[must_use]
    pub fn udp(self, conduct: Conduct) -> Self {
        Self { udp: Some(conduct), ..self }
    }

    /// Otherwise over TCP.
    #[must_use]
    pub fn tcp(self, conduct: Conduct) -> Self {
        Self { tcp: Some(conduct), ..self }
    }

    /// Does not listen on UDP.
    #[must_use]
    pub fn without_udp(self) -> Self {
        Self { udp: None, ..self }
    }

    /// Does not listen on TCP.
    #[must_use]
    pub fn without_tcp(self) -> Self {
        Self { tcp: None, ..self }
    }
}

/// How questions over one transport are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conduct {
    pub(super) basis: Basis,
    pub(super) authoritative: bool,
    pub(super) keeps_case: bool,
    pub(super) has_text: bool,
    pub(super) truncates: bool,
    pub(super) forges: bool,
    pub(super) extensions: Extensions,
    pub(super) drops_every: Option<usize>,
    pub(super) delay: Duration,
}

/// What kind of answer is given at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    Answer,
    Silence,
    Code(ResponseCode),
    UpwardReferral,
}

/// What becomes of EDNS (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extensions {
    /// Spoken.
    Spoken,
    /// Answered as if it were not there, without EDNS.
    Ignored,
    /// A question with EDNS gets this code; FORMERR and NOTIMP come without EDNS, as from
    /// servers that do not know it, BADVERS with it.
    Refused(ResponseCode),
    /// A question with EDNS gets no answer.
    Dropped,
}

impl Conduct {
    /// As it should be.
    #[must_use]
    pub fn good() -> Self {
        Self {
            basis: Basis::Answer,
            authoritative: true,
            keeps_case: true,
            has_text: true,
            truncates: false,
            forges: false,
            extensions: Extensions::Spoken,
            drops_every: None,
            delay: Duration::ZERO,
        }
    }

    /// No answer at all; TCP connections are accepted.
    #[must_use]
    pub fn silent() -> Self {
        Self { basis: Basis::Silence, ..Self::good() }
    }

    /// This code to every question.
    #[must_use]
    pub fn code(code: ResponseCode) -> Self {
        Self { basis: Basis::Code(code), ..Self::good() }
    }

    /// A lame server's referral to the root, for every question.
    #[must_use]
    pub fn upward_referral() -> Self {
        Self { basis: Basis::UpwardReferral, ..Self::good() }
    }

    /// Answers never have the AA bit.
    #[must_use]
    pub fn without_authority(self) -> Self {
        Self { authoritative: false, ..self }
    }

    /// All TXT records are missing, as in a stale copy.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self { has_text: false, ..self }
    }

    /// The question comes back in lower case.
    #[must_use]
    pub fn in_lower_case(self) -> Self {
        Self { keeps_case: false, ..self }
    }

    /// Every answer is empty and says that it was truncated.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self { truncates: true, ..self }
    }

    /// Before each answer comes one with a wrong id and without records.
    #[must_use]
    pub fn after_a_forgery(self) -> Self {
        Self { forges: true, ..self }
    }

    /// EDNS is treated so.
    #[must_use]
    pub fn extensions(self, extensions: Extensions) -> Self {
        Self { extensions, ..self }
    }

    /// Every `n`th question is lost: with 1 all, with 2 the second, the fourth …
    #[must_use]
    pub fn dropping_every(self, n: usize) -> Self {
        Self { drops_every: Some(n), ..self }
    }

    /// Answers take so long.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}
