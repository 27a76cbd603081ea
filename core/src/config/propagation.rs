//! `propagation = { … }`: who has to show a zone's values before the CA is told to look.

use super::ca::parse_proxy;
use super::check::{Check, TextOr, at_most_a_year};
use super::file::{KeyPath, Part};
use super::mistake::{Mistake, MistakeKind};
use super::zone::Quorum;
use crate::dns::{CheckMode, Resolver};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// Resolvers are first asked so long after the values were written, unless `wait` says
/// otherwise: one that is asked before they are served remembers for long that they are not.
pub const FIRST_LOOK: Duration = Duration::from_secs(10);

/// When a zone's values count as seen everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationConfig {
    /// Who has to show them.
    pub check: CheckMode,
    /// How long nobody is asked after they were written.
    pub wait: Duration,
    /// When all is seen, it must still be so after this time.
    pub settle: Duration,
    /// The time it may take.
    pub timeout: Duration,
    /// The name servers that must confirm.
    pub quorum: Quorum,
    /// The resolvers to look for aliases with where the zone's servers are not asked.
    pub alias_resolvers: Vec<Resolver>,
}

impl Default for PropagationConfig {
    /// The authoritative servers, at least half of them, three minutes.
    fn default() -> Self {
        PropagationSettings::default().finish().expect("the defaults fit each other")
    }
}

/// The modes as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckWord {
    /// [`CheckMode::Authoritative`]
    Authoritative,
    /// [`CheckMode::Recursive`]
    Recursive,
    /// [`CheckMode::Provider`]
    Provider,
    /// [`CheckMode::Unwatched`]
    None,
}

impl CheckWord {
    const ALL: [(&'static str, Self); 4] = [
        ("authoritative", Self::Authoritative),
        ("recursive", Self::Recursive),
        ("provider", Self::Provider),
        ("none", Self::None),
    ];

    /// Reads one.
    ///
    /// # Errors
    /// In words, which there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, check)| *check);
        found.ok_or_else(|| format!("`{text}` is not one of {}", Self::ALL.map(|(word, _)| word).join(", ")))
    }
}

/// What is said of a zone's propagation, before it is held against itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropagationSettings {
    /// `check`
    pub check: Option<CheckWord>,
    /// `wait`
    pub wait: Option<Duration>,
    /// `settle`
    pub settle: Option<Duration>,
    /// `timeout`
    pub timeout: Option<Duration>,
    /// `quorum`
    pub quorum: Option<Quorum>,
    /// `resolvers`
    pub resolvers: Option<Vec<Resolver>>,
    /// `alias_resolvers`
    pub alias_resolvers: Option<Vec<Resolver>>,
}

/// Settings that do not fit each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong.
    pub message: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

impl PropagationSettings {
    /// These over `outer` ones.
    #[must_use]
    pub fn over(self, outer: Self) -> Self {
        Self {
            check: self.check.or(outer.check),
            wait: self.wait.or(outer.wait),
            settle: self.settle.or(outer.settle),
            timeout: self.timeout.or(outer.timeout),
            quorum: self.quorum.or(outer.quorum),
            resolvers: self.resolvers.or(outer.resolvers),
            alias_resolvers: self.alias_resolvers.or(outer.alias_resolvers),
        }
    }

    /// What they come to: `wait` alone is a mode of its own.
    ///
    /// # Errors
    /// [`Misfit`]: a mode lacks what it needs, or has what it cannot use.
    pub fn finish(self) -> Result<PropagationConfig, Misfit> {
        let misfit = |key, message, hint| Err(Misfit { key, message, hint });
        let check = match (self.check, self.wait) {
            (Some(check), _) => check,
            (None, Some(_)) => CheckWord::None,
            (None, None) => CheckWord::Authoritative,
        };
        let resolvers = self.resolvers.unwrap_or_default();
        let alias_resolvers = self.alias_resolvers.unwrap_or_default();
        if check == CheckWord::Recursive && resolvers.is_empty() {
            return misfit(
                "check",
                "the check `recursive` needs resolvers to ask",
                "name them: `resolvers = [\"192.0.2.1\", \"https://dns.example.net/dns-query\"]`",
            );
        }
        if check != CheckWord::Recursive && !resolvers.is_empty() {
            return misfit(
                "resolvers",
                "only the check `recursive` asks these resolvers",
                "add `check = \"recursive\"`; those to find things out with stand beside `zones`",
            );
        }
        if check == CheckWord::None && self.wait.is_none() {
            return misfit(
                "check",
                "the check `none` needs a time to wait",
                "say how long: `wait = \"60s\"`",
            );
        }
        if check == CheckWord::Authoritative && !alias_resolvers.is_empty() {
            return misfit(
                "alias_resolvers",
                "the check `authoritative` looks for aliases at the name servers",
                "leave them out",
            );
        }
        if alias_resolvers.iter().any(|resolver| resolvers.contains(resolver)) {
            return misfit(
                "alias_resolvers",
                "a resolver that checks must not be asked before the values stand: it would remember that there are none",
                "name another one, or write the `aliases` down",
            );
        }
        let first_look = if check == CheckWord::Recursive { FIRST_LOOK } else { Duration::ZERO };
        Ok(PropagationConfig {
            check: match check {
                CheckWord::Authoritative => CheckMode::Authoritative,
                CheckWord::Recursive => CheckMode::Recursive(resolvers),
                CheckWord::Provider => CheckMode::Provider,
                CheckWord::None => CheckMode::Unwatched,
            },
            wait: self.wait.unwrap_or(first_look),
            settle: self.settle.unwrap_or_default(),
            timeout: self.timeout.unwrap_or(Duration::from_secs(180)),
            quorum: self.quorum.unwrap_or_default(),
            alias_resolvers,
        })
    }
}

/// The settings that come to this.
impl From<PropagationConfig> for PropagationSettings {
    fn from(config: PropagationConfig) -> Self {
        let (check, resolvers) = match config.check {
            CheckMode::Recursive(resolvers) => (CheckWord::Recursive, Some(resolvers)),
            CheckMode::Provider => (CheckWord::Provider, None),
            CheckMode::Unwatched => (CheckWord::None, None),
            _ => (CheckWord::Authoritative, None),
        };
        Self {
            check: Some(check),
            wait: Some(config.wait),
            settle: Some(config.settle),
            timeout: Some(config.timeout),
            quorum: Some(config.quorum),
            resolvers,
            alias_resolvers: Some(config.alias_resolvers),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPropagation {
    check: Option<CheckWord>,
    wait: Option<String>,
    settle: Option<String>,
    timeout: Option<String>,
    quorum: Option<Quorum>,
    resolvers: Option<Vec<TextOr<RawResolver>>>,
    alias_resolvers: Option<Vec<TextOr<RawResolver>>>,
}

impl RawPropagation {
    /// The settings of this table alone.
    pub(super) fn settings(&self, check: &mut Check, path: &KeyPath) -> PropagationSettings {
        let timeout = self.timeout.as_ref().and_then(|text| check.duration(&path.join("timeout"), text));
        let mut pause = |key: &str, text: &Option<String>| {
            text.as_ref().and_then(|text| check.parse(&path.join(key), text, parse_pause))
        };
        let (wait, settle) = (pause("wait", &self.wait), pause("settle", &self.settle));
        let mut resolvers = |key: &str, raw: &Option<Vec<TextOr<RawResolver>>>| {
            raw.as_ref().map(|raw| read_resolvers(check, &path.join(key), raw))
        };
        PropagationSettings {
            check: self.check,
            wait,
            settle,
            timeout,
            quorum: self.quorum,
            resolvers: resolvers("resolvers", &self.resolvers),
            alias_resolvers: resolvers("alias_resolvers", &self.alias_resolvers),
        }
    }
}

/// What `settings` come to; a misfit is noted below `path`.
pub(super) fn finish(
    check: &mut Check,
    path: &KeyPath,
    settings: PropagationSettings,
) -> Option<PropagationConfig> {
    match settings.finish() {
        Ok(config) => Some(config),
        Err(Misfit { key, message, hint }) => {
            let mistake = Mistake::new(MistakeKind::Value, message).with_hint(hint.to_owned());
            check.wrong(&path.join(key), Part::Value, mistake);
            None
        }
    }
}

/// A resolver as a text, or with what it takes to trust and to reach it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawResolver {
    url: String,
    ca_bundle: Option<PathBuf>,
    proxy: Option<String>,
}

impl From<String> for RawResolver {
    fn from(url: String) -> Self {
        Self { url, ca_bundle: None, proxy: None }
    }
}

/// The resolvers of a list; what is wrong with one is noted.
pub(super) fn read_resolvers(
    check: &mut Check,
    path: &KeyPath,
    raw: &[TextOr<RawResolver>],
) -> Vec<Resolver> {
    let each = raw.iter().enumerate();
    each.filter_map(|(index, TextOr(raw))| raw.read(check, &path.join(index))).collect()
}

impl RawResolver {
    fn read(&self, check: &mut Check, path: &KeyPath) -> Option<Resolver> {
        let resolver = check.parse_either(path, "url", &self.url, Resolver::parse)?;
        let proxy = match &self.proxy {
            Some(text) => Some(check.parse(&path.join("proxy"), text, parse_proxy)?),
            None => None,
        };
        let mut refuse = |key: &str, message: String| {
            check.wrong(&path.join(key), Part::Value, Mistake::new(MistakeKind::Value, message));
        };
        if proxy.is_some() && !self.url.trim().starts_with("https://") {
            refuse("proxy", "only an `https://` resolver can be reached through a proxy".to_owned());
            return None;
        }
        let ca_bundle = self.ca_bundle.as_ref().map(|bundle| check.beside(bundle));
        if let Some(bundle) = &ca_bundle {
            let mut refuse = |message: String| {
                let mistake = Mistake::new(MistakeKind::Value, message);
                check.wrong(&path.join("ca_bundle"), Part::Value, mistake);
            };
            if !resolver.is_secured() {
                refuse("only a `tls://` or `https://` resolver has a certificate to trust".to_owned());
                return None;
            }
            if let Err(error) = File::open(bundle) {
                refuse(format!("`{}` cannot be read: {error}", bundle.display()));
                return None;
            }
        }
        Some(resolver.with_ca_bundle(ca_bundle).with_proxy(proxy))
    }
}

/// A length of time, none among them.
///
/// # Errors
/// In words, what is wrong.
pub fn parse_pause(text: &str) -> Result<Duration, String> {
    let span = text.trim().parse::<jiff::SignedDuration>().ok();
    let pause = span
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| format!("`{text}` is not a length of time such as `10s` or `1m`"))?;
    at_most_a_year(text, pause)
}
