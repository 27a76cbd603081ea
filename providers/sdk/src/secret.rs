//! References to secrets: where one is kept, never the secret itself.

use secrecy::SecretString;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
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

/// Why a secret could not be read. It names the place, never the content.
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

/// A program that prints a secret has this long.
const EXEC_TIMEOUT: Duration = Duration::from_secs(10);
/// A secret larger than this is a mistake (a device, a log file).
const LARGEST: usize = 64 * 1024;

impl SecretRef {
    /// Reads the secret.
    ///
    /// # Errors
    /// [`SecretError`] names the place that failed.
    pub async fn read(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::File(path) => read_file(path).await?,
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
            Self::Exec(command) => read_program(command).await?,
            Self::Literal(secret) => return Ok(secret.clone()),
        };
        let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        if text.is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(SecretString::from(text))
    }
}

async fn read_file(path: &PathBuf) -> Result<String, SecretError> {
    use tokio::io::AsyncReadExt as _;
    let failed = |source| SecretError::File { path: path.clone(), source };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut text = String::new();
    file.take(LARGEST as u64).read_to_string(&mut text).await.map_err(failed)?;
    Ok(text)
}

async fn read_program(command: &[String]) -> Result<String, SecretError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(SecretError::Exec { program: String::new(), reason: "no program is named".to_owned() });
    };
    let failed = |reason: String| SecretError::Exec { program: program.clone(), reason };
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
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::Exec(command) => write!(f, "program `{}`", command.first().map_or("", String::as_str)),
            Self::Literal(_) => f.write_str("the configuration"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}
