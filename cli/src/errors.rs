//! What went wrong, as it is shown: what, where, what was left, what to do about it.

use crate::output::words::{self, printable};
use dns01_core::acme::AcmeError;
use dns01_core::authority::AuthorityError;
use dns01_core::config::{Config, ConfigError, Mistake, Place};
use dns01_core::deploy::DeployError;
use dns01_core::dns::DnsError;
use dns01_core::issue::{IssueError, Request};
use dns01_core::keys::KeyError;
use dns01_core::records::RecordsError;
use dns01_core::store::{OpenToOthers, StoreError};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done, or nothing was due.
    Done = 0,
    /// Some failed.
    SomeFailed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Nothing could be tried.
    NothingTried = 3,
    /// The terminal went away (SIGHUP).
    HungUp = 129,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
    /// Told to stop by SIGTERM.
    Terminated = 143,
}

/// One thing that went wrong.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    /// The stable id (docs/errors.md).
    pub(crate) id: &'static str,
    /// The certificate it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<String>,
    /// What happened: lower case, no full stop.
    pub(crate) message: String,
    /// The file and the place in it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "place")]
    pub(crate) place: Option<Box<Place>>,
    #[serde(skip)]
    pub(crate) label: Option<String>,
    /// What lies behind it, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) causes: Vec<String>,
    /// Lines that tell more, a table of name servers for instance.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// What stands somewhere because of it, or that nothing does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) aftermath: Vec<String>,
    /// When the next try makes sense, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_at: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) exit: Exit,
}

fn place<S: serde::Serializer>(place: &Option<Box<Place>>, serializer: S) -> Result<S::Ok, S::Error> {
    match place {
        Some(place) => serializer.collect_str(place),
        None => serializer.serialize_none(),
    }
}

impl Failure {
    /// A failure that ends the program with `exit`.
    pub(crate) fn new(id: &'static str, message: impl Into<String>, exit: Exit) -> Self {
        Self {
            id,
            certificate: None,
            message: message.into(),
            place: None,
            label: None,
            causes: Vec::new(),
            details: Vec::new(),
            hint: None,
            aftermath: Vec::new(),
            retry_at: None,
            exit,
        }
    }

    /// A mistake on the command line.
    pub(crate) fn usage(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, message, Exit::Usage)
    }

    /// Says what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The last validation failed, and resolvers may remember why until `until`.
    pub(crate) fn too_soon(until: Timestamp) -> Self {
        let until_then = words::exact_moment(until);
        let message = format!(
            "the CA has just looked in vain, and its resolvers may remember what they saw until {until_then}"
        );
        let failure = Failure::new("too-soon", message, Exit::NothingTried);
        Self { retry_at: Some(until), ..failure.with_hint("wait until then, or use --force") }
    }

    /// The certificate in use `state`, and its renewal waits until `until` after failures.
    pub(crate) fn running_out(state: &str, attempts: u32, until: Timestamp, last: Option<&str>) -> Self {
        let (failures, next) = (words::count(attempts as usize, "failure"), words::moment(until));
        let message = format!(
            "the certificate in use {state}, and its renewal waits after {failures}: next try {next}"
        );
        let failure = Failure::new("running-out", message, Exit::SomeFailed)
            .with_hint("mend what failed, then `dns01 renew NAME --force` does not wait");
        Self { causes: last.into_iter().map(str::to_owned).collect(), retry_at: Some(until), ..failure }
    }

    /// A certificate that nobody gave a name would take the place of `name`, which has names
    /// that it would not have.
    pub(crate) fn names_dropped(name: &str, dropped: &[String]) -> Self {
        let names: Vec<String> = dropped.iter().map(|name| format!("`{name}`")).collect();
        let message =
            format!("the certificate `{name}` would be replaced by one without {}", names.join(", "));
        Failure::usage("usage-names-dropped", message).with_hint(format!(
            "give a second certificate a `--cert-name` of its own, or give all names of the first with -d; \
             `--cert-name {name}` replaces it"
        ))
    }

    /// Keeps what lies behind `error`.
    pub(crate) fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |error| error.source());
        self.causes.extend(causes.map(ToString::to_string));
        self
    }

    /// The failure as text, under `heading` (`error` or `warning`).
    pub(crate) fn render(&self, heading: &str, color: bool) -> String {
        let (strong, plain) = match (color, heading) {
            (false, _) => ("", ""),
            (true, "error") => ("\u{1b}[1;31m", "\u{1b}[0m"),
            (true, _) => ("\u{1b}[1;33m", "\u{1b}[0m"),
        };
        let subject = self.certificate.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        let mut text = format!("{strong}{heading}{plain}: {subject}{}", printable(&self.message));
        let mut add = |line: &str| {
            text.push('\n');
            text.push_str(line);
        };
        for cause in &self.causes {
            add(&format!("  because {}", printable(cause)));
        }
        if let Some(place) = &self.place {
            excerpt(place, self.label.as_deref()).iter().for_each(|line| add(line));
        }
        for line in &self.details {
            add(format!("  {}", printable(line)).trim_end());
        }
        if let Some(hint) = &self.hint {
            add(&format!("  hint: {}", printable(hint)));
        }
        for line in &self.aftermath {
            add(&format!("  {}", printable(line)));
        }
        text
    }
}

/// The place in the file with its line and a caret below.
fn excerpt(place: &Place, label: Option<&str>) -> Vec<String> {
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let mut caret = String::new();
    // Tabs are kept, so that the caret stands below what it means.
    for character in place.source.chars().take(place.column - 1) {
        caret.push(if character == '\t' { '\t' } else { ' ' });
    }
    let _ = write!(caret, "{} {}", "^".repeat(place.length), label.unwrap_or_default());
    vec![
        format!("{margin}--> {place}"),
        format!("{margin} |"),
        format!("{number} | {}", printable(&place.source)),
        format!("{margin} | {}", caret.trim_end()),
    ]
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self {
            place: mistake.place,
            label: mistake.label,
            hint: mistake.hint,
            ..Self::usage(mistake.kind.id(), mistake.message)
        }
    }
}

impl Failure {
    /// A failure of a room, with what it says itself.
    fn of_room(
        id: &'static str,
        error: &(dyn std::error::Error + 'static),
        hint: Option<String>,
        exit: Exit,
    ) -> Self {
        Self { hint, ..Self::new(id, error.to_string(), exit).caused_by(error) }
    }

    /// Why `request` did not lead to a certificate.
    pub(crate) fn of_order(request: &Request, error: &IssueError) -> Self {
        let root = error.root();
        let exit = match error.id() {
            "store" | "ca-unreachable" | "busy" => Exit::NothingTried,
            "terms-not-agreed" => Exit::Usage,
            _ if matches!(root, IssueError::BackOff { .. } | IssueError::NamesBackOff { .. }) => {
                Exit::NothingTried
            }
            _ => Exit::SomeFailed,
        };
        let mut failure = Self::of_room(error.id(), root, error.hint(), exit);
        failure.details = details(root);
        failure.retry_at = error.retry_at();
        if let Some(at) = failure.retry_at {
            failure.aftermath.push(format!("the next try makes sense from {}", words::exact_moment(at)));
        }
        for left in error.left_behind() {
            failure.aftermath.push(format!("left: {left}; `dns01 txt gc` tries again"));
        }
        if error.id() == "propagation" {
            // Told here only when nothing was left: a removal that failed says so above.
            let removed =
                if error.left_behind().is_empty() { "removed: all that was written for it; " } else { "" };
            let name = request.authority.name();
            failure.aftermath.push(format!("{removed}nothing was counted against you at {name}"));
        }
        failure
    }
}

impl Failure {
    /// Points at the domain in the file that no zone contains, if that is what failed.
    pub(crate) fn pointing_into(mut self, config: &Config, request: &Request, error: &IssueError) -> Self {
        let IssueError::Dns(DnsError::NotConfigured { name, .. }) = error.root() else { return self };
        let domains = request.certificate.domains.iter();
        let at_fault = domains.filter(|domain| name.is_at_or_below(&domain.base));
        if let Some(domain) = at_fault.max_by_key(|domain| domain.base.as_str().len()) {
            let mistake = config.no_credential(&request.certificate.name, domain);
            self.label = mistake.place.is_some().then_some(mistake.label).flatten();
            self.place = mistake.place;
        }
        self
    }
}

/// The lines that tell more: the table of name servers.
fn details(error: &IssueError) -> Vec<String> {
    if let IssueError::Propagation(failure) = error {
        let table = failure.render();
        return table.lines().map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned()).collect();
    }
    Vec::new()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of_room("store", &error, error.hint(), Exit::NothingTried)
    }
}

impl From<&OpenToOthers> for Failure {
    fn from(open: &OpenToOthers) -> Self {
        let OpenToOthers { path, mode, danger, remedy } = open;
        let message = format!("`{}` can {danger} by others than its owner (mode {mode:04o})", path.display());
        Failure::new("store-open", message, Exit::SomeFailed).with_hint(remedy.clone())
    }
}

impl From<RecordsError> for Failure {
    fn from(error: RecordsError) -> Self {
        Self::of_room("records", &error, error.hint(), Exit::SomeFailed)
    }
}

impl From<DnsError> for Failure {
    fn from(error: DnsError) -> Self {
        Self::of_room("dns", &error, error.hint(), Exit::SomeFailed)
    }
}

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        Self::of_room("deploy", &error, error.hint(), Exit::SomeFailed)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::of_room("key", &error, None, Exit::SomeFailed)
    }
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        Self::from(IssueError::from(error))
    }
}

impl From<AcmeError> for Failure {
    fn from(error: AcmeError) -> Self {
        Self::from(IssueError::from(error))
    }
}

/// An error outside any order; its ids are those of orders.
impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        let exit = match error.id() {
            "store" | "ca-unreachable" => Exit::NothingTried,
            "terms-not-agreed" => Exit::Usage,
            _ => Exit::SomeFailed,
        };
        let mut failure = Self::of_room(error.id(), &error, error.hint(), exit);
        failure.details = details(&error);
        failure
    }
}

/// Why a command ends early: one failure, or all the mistakes of a file.
#[derive(Debug)]
pub(crate) struct Failures(pub(crate) Vec<Failure>);

impl Failures {
    /// How the program ends.
    pub(crate) fn exit(&self) -> Exit {
        self.0.iter().map(|failure| failure.exit).max().unwrap_or(Exit::Done)
    }
}

impl<F: Into<Failure>> From<F> for Failures {
    fn from(failure: F) -> Self {
        Self(vec![failure.into()])
    }
}

impl From<ConfigError> for Failures {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Mistakes(mistakes) => Self(mistakes.into_iter().map(Failure::from).collect()),
            error => {
                let mut failure = Failure::usage(error.id(), error.to_string()).caused_by(&error);
                failure.hint = error.hint().map(str::to_owned);
                Self(vec![failure])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_core::config::MistakeKind;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn mistake() -> Mistake {
        Mistake::new(MistakeKind::NoCredential, "no credential for `shop.example.org`")
            .with_label("no [dns.*] table has a zone that contains it")
            .with_hint(
                "[dns.lab] has `example.net`; did you mean to add `example.org` to its zones?".to_owned(),
            )
            .at(Some(Place {
                file: "/etc/dns01/dns01.toml".into(),
                line: 14,
                column: 12,
                length: 18,
                source: "domains = [\"shop.example.org\"]".to_owned(),
            }))
    }

    #[test]
    fn a_mistake_is_shown_with_line_caret_and_hint() {
        assert_eq!(
            Failure::from(mistake()).render("error", false),
            "\
error: no credential for `shop.example.org`
  --> /etc/dns01/dns01.toml:14:12
   |
14 | domains = [\"shop.example.org\"]
   |            ^^^^^^^^^^^^^^^^^^ no [dns.*] table has a zone that contains it
  hint: [dns.lab] has `example.net`; did you mean to add `example.org` to its zones?"
        );
    }

    #[test]
    fn colour_is_never_the_only_signal() {
        let plain = Failure::from(mistake()).render("error", false);
        let colored = Failure::from(mistake()).render("error", true);
        assert_eq!(colored.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", ""), plain);
    }

    #[test]
    fn a_failure_says_what_lies_behind_it_and_what_is_left() {
        let mut failure = Failure::new("x", "it failed", Exit::SomeFailed).with_hint("try again");
        failure.certificate = Some("example.com".to_owned());
        failure.causes = vec!["the disk is full".to_owned()];
        failure.details = vec![String::new(), "name server  address".to_owned()];
        failure.aftermath = vec!["removed: 1 value".to_owned()];
        assert_eq!(
            failure.render("error", false),
            "error: example.com: it failed\n  because the disk is full\n\n  name server  address\n  hint: try again\n  removed: 1 value"
        );
    }

    /// The texts in `source`, before its tests, that follow one of `markers`.
    fn literals_after(source: &str, markers: &[&str]) -> BTreeSet<String> {
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let after = markers.iter().flat_map(|marker| source.split(marker).skip(1));
        let literals = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
        literals.map(|(literal, _)| literal.to_owned()).collect()
    }

    fn sources(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| match path.is_dir() {
                true => sources(&path),
                false => vec![std::fs::read_to_string(&path).unwrap()],
            })
            .collect()
    }

    #[test]
    fn the_page_of_errors_has_every_id_and_no_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
        let mut ids: BTreeSet<String> = MistakeKind::ALL.map(|kind| kind.id().to_owned()).into();
        ids.insert("config-unreadable".to_owned());
        for source in sources(&root.join("cli/src")) {
            ids.extend(literals_after(&source, &["Failure::new(", "Failure::usage(", "of_room("]));
        }
        let of_orders = read("core/src/issue/error.rs");
        let (_, id) = of_orders.split_once("pub fn id(&self)").unwrap();
        let (id, rest) = id.split_once("pub fn hint(&self)").unwrap();
        let (_, of_acme) = rest.split_once("fn acme_id(").unwrap();
        ids.extend(literals_after(id, &["=>"]).into_iter().chain(literals_after(of_acme, &["=>"])));
        let page = read("docs/errors.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let listed: BTreeSet<String> = rows.map(|(id, _)| id.to_owned()).collect();
        assert_eq!(ids, listed);
    }
}
