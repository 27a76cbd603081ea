//! References to secrets: where one is kept, never the secret itself.

use secrecy::SecretString;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a secret is kept. It is read at each use, so that a rotated file or a renewed lease
/// takes effect without a restart.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum SecretRef {
    /// A file; one trailing line break is not part of the secret.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A program and its arguments; standard output is the secret.
    Exec(Vec<String>),
    /// The secret itself, written out. Meant for trials only.
    Literal(SecretString),
}

/// Why a secret could not be read. It names the place, never the content; where the place may be
/// the secret itself, put there by mistake, it is [`HIDDEN`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file could not be read.
    #[error("the secret file `{}` cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The variable is not set or not text.
    #[error("the environment variable `{0}` is not set")]
    Env(String),
    /// The program failed.
    #[error("the secret program `{program}` failed: {reason}")]
    Exec {
        /// The program, without its arguments.
        program: String,
        /// How it failed.
        reason: String,
    },
    /// The place was there, but held nothing.
    #[error("the secret in {0} is empty")]
    Empty(String),
}

/// What is shown of a place that may be the secret itself.
const HIDDEN: &str = "…";
/// A program that prints a secret has this long.
const EXEC_TIMEOUT: Duration = Duration::from_secs(10);
/// A secret larger than this is a mistake (a device, a log file).
const LARGEST: usize = 64 * 1024;
/// A shorter word of letters and digits can be the name of a file or variable.
const SHORTEST_TOKEN: usize = 16;
/// The same where `-`, `_` or `.` part it, as in names that programs make up.
const SHORTEST_PARTED: usize = 24;
/// What follows the last dot of a file's name, where it is an extension.
const LONGEST_EXTENSION: usize = 5;

impl SecretRef {
    /// Reads the secret.
    ///
    /// # Errors
    /// [`SecretError`] names the place that failed.
    pub async fn read(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::File(path) => read_file(path)
                .await
                .map_err(|source| SecretError::File { path: self.shown().as_ref().into(), source })?,
            Self::Env(name) => {
                std::env::var(name).map_err(|_| SecretError::Env(self.shown().into_owned()))?
            }
            Self::Exec(command) => read_program(command, &self.shown()).await?,
            Self::Literal(secret) => return Ok(secret.clone()),
        };
        let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        if text.is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(SecretString::from(text))
    }

    /// Looks whether the secret can be read, without using up what can be read but once: a pipe is
    /// not opened, and a program, which may ask somebody, is not run.
    ///
    /// # Errors
    /// [`SecretError`] names the place that failed.
    pub async fn look(&self) -> Result<(), SecretError> {
        match self {
            Self::Exec(_) | Self::Literal(_) => Ok(()),
            Self::File(path) if path.exists() && !path.is_file() && !path.is_dir() => Ok(()),
            Self::File(_) | Self::Env(_) => self.read().await.map(drop),
        }
    }
}

impl SecretError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { path, .. } if path.as_os_str() == HIDDEN => Some(misplaced()),
            Self::Env(name) if name == HIDDEN => Some(misplaced()),
            Self::File { path, source } => {
                let path = path.display();
                match source.kind() {
                    std::io::ErrorKind::NotFound => Some(format!("put the secret into `{path}`")),
                    std::io::ErrorKind::PermissionDenied => {
                        Some(format!("let the user that dns01 runs as read `{path}`"))
                    }
                    std::io::ErrorKind::IsADirectory => {
                        Some("name the file that holds the secret".to_owned())
                    }
                    _ => None,
                }
            }
            Self::Env(name) => Some(format!("set `{name}`")),
            Self::Exec { .. } | Self::Empty(_) => None,
        }
    }
}

fn misplaced() -> String {
    "what stands there may be the secret itself and is not shown: name the place where the secret is kept"
        .to_owned()
}

impl SecretRef {
    /// True if it can be the place of a secret: not if it looks as if somebody wrote the secret
    /// itself there, which must not be shown.
    #[must_use]
    pub fn is_place(&self) -> bool {
        match self {
            Self::File(path) => is_path(path),
            Self::Env(name) => is_variable(name),
            Self::Exec(command) => !command.first().is_some_and(|program| is_like_a_token(program)),
            Self::Literal(_) => true,
        }
    }

    /// The place without a secret that was put there by mistake.
    fn shown(&self) -> Cow<'_, str> {
        match self {
            _ if !self.is_place() => HIDDEN.into(),
            Self::File(path) => path.to_string_lossy(),
            Self::Env(name) => name.as_str().into(),
            Self::Exec(command) => command.first().map_or("", String::as_str).into(),
            Self::Literal(_) => "the configuration".into(),
        }
    }
}

/// A path that leads somewhere, or that looks like one and not like a token.
fn is_path(path: &Path) -> bool {
    if path.exists() {
        return true;
    }
    let Some(text) = path.to_str() else { return false };
    let has_extension = path.extension().is_some_and(|extension| extension.len() <= LONGEST_EXTENSION);
    !text.split('/').any(is_like_a_token) && (text.contains('/') || has_extension)
}

/// A name in the usual form of variables that does not look like a token.
fn is_variable(name: &str) -> bool {
    if std::env::var_os(name).is_some() {
        return true;
    }
    let usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty()
        && name.chars().all(usual)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !is_like_a_token(name)
}

/// Signs of base64, or long with letters and digits in no order that people give names.
fn is_like_a_token(text: &str) -> bool {
    let has = |test: fn(&char) -> bool| text.chars().any(|c| test(&c));
    let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    let unparted = !text.contains(['-', '_', '.']);
    let long = |shortest| text.len() >= shortest && has(char::is_ascii_digit);
    text.contains(['=', '+']) || long(SHORTEST_TOKEN) && unparted || long(SHORTEST_PARTED) && mixed
}

async fn read_file(path: &Path) -> std::io::Result<String> {
    use tokio::io::AsyncReadExt as _;
    let file = tokio::fs::File::open(path).await?;
    let mut text = String::new();
    file.take(LARGEST as u64).read_to_string(&mut text).await?;
    Ok(text)
}

async fn read_program(command: &[String], shown: &str) -> Result<String, SecretError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(SecretError::Exec { program: String::new(), reason: "no program is named".to_owned() });
    };
    let failed = |reason: String| SecretError::Exec { program: shown.to_owned(), reason };
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(EXEC_TIMEOUT, child)
        .await
        .map_err(|_| failed(format!("no result after {} s", EXEC_TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    if output.stdout.len() > LARGEST {
        return Err(failed(format!("it printed more than {LARGEST} octets")));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("it printed something that is not text".to_owned()))
}

/// The place, as it may be shown.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => write!(f, "file `{}`", self.shown()),
            Self::Env(_) => write!(f, "environment variable `{}`", self.shown()),
            Self::Exec(_) => write!(f, "program `{}`", self.shown()),
            Self::Literal(_) => f.write_str("the configuration"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: [&str; 5] = [
        "AmhWES4nx0pN0bXzK1vB3hPq0l7mWq9kqJ3m1sP1KHA==",
        "Zm9v+YmFy/abc",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "Sn3lZAmhWES4nqXr-8Dq_T0k9Qw",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    ];

    #[tokio::test]
    async fn a_secret_that_stands_where_its_place_should_is_never_shown() {
        let bare = ["hunter2", "swordfish"];
        let under = TOKENS.map(|token| format!("/etc/dns01/{token}"));
        let texts = TOKENS.iter().copied().chain(under.iter().map(String::as_str));
        let files = texts.chain(bare).map(|text| (text, SecretRef::File(text.into())));
        let names = TOKENS.iter().copied().chain(bare).chain(["JBSWY3DPEHPK3PXPJBSW"]);
        let names = names.map(|text| (text, SecretRef::Env(text.to_owned())));
        for (text, reference) in files.chain(names) {
            let error = reference.read().await.unwrap_err();
            assert!(error.hint().unwrap().contains("may be the secret itself"), "{text}");
            let shown = format!("{reference} {reference:?} {error} {error:?} {:?}", error.hint());
            let part = text.rsplit('/').next().unwrap();
            assert!(!shown.contains(part), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_look_finds_what_is_missing_and_runs_no_program() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let reference = SecretRef::File(file.clone());
        assert!(matches!(reference.look().await, Err(SecretError::File { .. })));
        std::fs::write(&file, "").unwrap();
        assert!(matches!(reference.look().await, Err(SecretError::Empty(_))));
        std::fs::write(&file, "hunter2").unwrap();
        assert!(reference.look().await.is_ok());
        assert!(SecretRef::Exec(vec!["/nonexistent/program".to_owned()]).look().await.is_ok());
    }

    #[tokio::test]
    async fn a_place_is_named_with_what_to_do_about_it() {
        for path in ["/run/credentials/dns01-example-com", "secrets/cloudflare", "./tsig", "tsig.key"] {
            let error = SecretRef::File(path.into()).read().await.unwrap_err();
            assert_eq!(error.hint().unwrap(), format!("put the secret into `{path}`"));
            assert!(error.to_string().contains(path), "{error}");
        }
        let error = SecretRef::Env("DNS01_TSIG_SECRET_OF_NOBODY".to_owned()).read().await.unwrap_err();
        assert_eq!(error.hint().unwrap(), "set `DNS01_TSIG_SECRET_OF_NOBODY`");
        let there = SecretRef::File(env!("CARGO_MANIFEST_DIR").into());
        assert!(there.is_place() && there.to_string().contains("providers/sdk"));
    }
}
