//! The file that `init` writes.

use crate::errors::{Failure, Failures};
use crate::providers::PLUGINS;
use dns01_core::config::{Config, Domain, Flags, Sources};
use dns01_provider::{Plugin, SecretRef, ZoneName};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Everything that the file says.
pub(super) struct Answers {
    pub(super) domains: Vec<Domain>,
    pub(super) tables: Vec<Table>,
    pub(super) server: String,
    pub(super) contact: Vec<String>,
    pub(super) agree_tos: bool,
}

/// A credential with its zones.
pub(super) struct Table {
    pub(super) plugin: &'static Plugin,
    pub(super) zones: Vec<ZoneName>,
}

pub(super) fn exists(path: &Path) -> Failure {
    Failure::usage("init-file-exists", format!("`{}` is there already", path.display()))
        .with_hint("edit it, name another with `--config`, or write over it with `--force`")
}

/// Writes the file whole or not at all, for its owner alone; it is checked before it has its
/// name.
pub(super) fn write(
    path: &Path,
    answers: &Answers,
    force: bool,
    state_dir: &Path,
) -> Result<Config, Failures> {
    let failed = |error: std::io::Error| {
        let mut failure = Failure::usage("init-file", format!("`{}` cannot be written", path.display()));
        failure.causes = vec![error.to_string()];
        Failures::from(failure.with_hint("name another place with `--config`"))
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(failed)?;
    // Temporary files are readable by their owner alone.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(text(answers).as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    load(file.path(), state_dir)?;
    if force {
        file.persist(path).map_err(|error| failed(error.error))?;
    } else {
        file.persist_noclobber(path).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(path).into(),
            _ => failed(error.error),
        })?;
    }
    load(path, state_dir)
}

fn load(path: &Path, state_dir: &Path) -> Result<Config, Failures> {
    let flags = Flags::default();
    Ok(Config::load(&Sources { file: Some(path), state_dir, flags: &flags, plugins: PLUGINS })?)
}

/// The files with secrets that the configuration names and that are not there.
pub(super) fn missing_secrets(config: &Config) -> Vec<PathBuf> {
    let mut missing = Vec::new();
    for credential in &config.credentials {
        missing.extend(credential.settings.secrets().into_iter().filter_map(|(_, secret)| match secret {
            SecretRef::File(path) => Some(path),
            _ => None,
        }));
    }
    missing.retain(|path| !path.exists());
    missing
}

/// `text` as TOML writes it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

fn text(answers: &Answers) -> String {
    let mut text = String::from(
        "# The configuration of dns01. `dns01 check` says whether it works, `dns01 issue --all` obtains\n\
         # the certificates, and `dns01 renew`, run daily, keeps them fresh.\n\n",
    );
    let url = answers.server.contains("://");
    let ca = if url { "mine" } else { &answers.server };
    let _ = write!(text, "[defaults]\nca = {}\n\n[ca.{ca}]\n", quoted(ca));
    if url {
        let _ = writeln!(text, "directory = {}", quoted(&answers.server));
    }
    match answers.contact.as_slice() {
        [] => text.push_str("# contact = [\"mailto:you@example.com\"]\n"),
        contact => drop(writeln!(text, "contact = {}", list(contact))),
    }
    text.push_str("# Says that you have read the CA's terms of service and agree to them.\n");
    text.push_str(if answers.agree_tos { "agree_tos = true\n" } else { "# agree_tos = true\n" });
    for Table { plugin, zones } in &answers.tables {
        let _ = write!(
            text,
            "\n# {}\n# Secrets are named here by their place (`file`, `env` or `exec`), never written out.\n\
             [dns.{}]\nprovider = {}\nzones = {}\n{}",
            plugin.summary,
            plugin.name,
            quoted(plugin.name),
            list(zones),
            plugin.template,
        );
    }
    let _ = write!(text, "\n[[certificate]]\ndomains = {}\n", list(&answers.domains));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(plugin: &'static Plugin, server: &str) -> Answers {
        let domains = ["example.com", "*.example.com"].map(|text| Domain::parse(text).unwrap());
        Answers {
            domains: domains.to_vec(),
            tables: vec![Table { plugin, zones: vec![ZoneName::parse("example.com").unwrap()] }],
            server: server.to_owned(),
            contact: vec!["mailto:ops@example.com".to_owned()],
            agree_tos: true,
        }
    }

    #[test]
    fn the_file_of_every_provider_passes_the_check_and_says_what_was_answered() {
        let directory = tempfile::tempdir().unwrap();
        for plugin in PLUGINS {
            for server in ["letsencrypt", "https://ca.example.net/directory"] {
                let path = directory.path().join("dns01.toml");
                let config = write(&path, &answers(plugin, server), true, directory.path());
                let config = config.unwrap_or_else(|failures| panic!("{}: {failures:?}", plugin.name));
                let [credential] = config.credentials.as_slice() else { panic!("{}", plugin.name) };
                assert_eq!(credential.plugin.name, plugin.name);
                assert_eq!(credential.zones[0].zone.name.as_str(), "example.com");
                let [certificate] = config.certificates.as_slice() else { panic!("{}", plugin.name) };
                assert_eq!(certificate.domains.len(), 2);
                let ca = config.ca(&certificate.cas[0]).unwrap();
                assert_eq!((ca.contact, ca.agree_tos), (vec!["mailto:ops@example.com".to_owned()], true));
                assert!(config.warnings.is_empty(), "{}: {:?}", plugin.name, config.warnings);
            }
        }
    }

    #[test]
    fn a_file_that_is_there_is_never_written_over_unasked_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below").join("dns01.toml");
        write(&path, &answers(&PLUGINS[0], "letsencrypt"), false, directory.path()).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "mine").unwrap();
        let failures =
            write(&path, &answers(&PLUGINS[0], "letsencrypt"), false, directory.path()).unwrap_err();
        assert_eq!(failures.0[0].id, "init-file-exists");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
