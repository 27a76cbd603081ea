//! What the tests of the configuration share: a provider, and how a mistake is shown.

mod check_modes;
mod names;
mod secrets;
mod shape;
mod values;
mod whole;

use super::*;
use dns01_provider::memory::MemoryProvider;
use dns01_provider::{SecretRef, Settings, SettingsError};

/// Stands for any provider: a server and a token.
const PLUGIN: Plugin = Plugin {
    name: "sample",
    summary: "for tests",
    keys: &["server", "api_token"],
    build,
    from_environment: |_| Ok(Settings::default()),
    name_servers: &[],
    template: "",
    recipe: |_, _| dns01_provider::Recipe::new("nothing"),
};

#[derive(Deserialize)]
struct Sample {
    server: Option<String>,
    #[allow(dead_code, reason = "its reading is what is tested")]
    api_token: Option<SecretRef>,
}

fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    let sample: Sample = settings.parse()?;
    match sample.server.as_deref() {
        Some("bad") => Err(SettingsError::new(Some("server"), "`bad` is no server").with_hint("name one")),
        _ => Ok(Arc::new(MemoryProvider::new([]))),
    }
}

fn load(text: &str) -> Result<Config, ConfigError> {
    let path = Path::new("/etc/dns01/dns01.toml");
    let document = Document::parse(path, text.to_owned())?;
    let sources = Sources {
        file: None,
        state_dir: Path::new("/var/lib/dns01"),
        flags: &Flags::default(),
        plugins: &[PLUGIN],
    };
    Config::check(Some(Arc::new(document)), &sources)
}

/// Everything that a reader would be shown of `mistake`.
fn shown(mistake: &Mistake) -> String {
    let mut text = format!("{}: {}", mistake.kind.id(), mistake.message);
    if let Some(place) = &mistake.place {
        let before = " ".repeat(place.column - 1);
        text += &format!("\n{}: {}", place.line, place.source);
        text += &format!("\n{}: {before}{}", place.line, "^".repeat(place.length));
    }
    if let Some(label) = &mistake.label {
        text += &format!(" {label}");
    }
    if let Some(hint) = &mistake.hint {
        text += &format!("\nhint: {hint}");
    }
    text
}

/// All the mistakes in `text`, as shown.
fn mistakes(text: &str) -> String {
    match load(text) {
        Ok(_) => "no mistake".to_owned(),
        Err(ConfigError::Mistakes(mistakes)) => mistakes.iter().map(shown).collect::<Vec<_>>().join("\n\n"),
        Err(error) => error.to_string(),
    }
}
