//! What is typed by people who come from other clients, answered with how it is said here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The commands that obtain a certificate elsewhere.
const OBTAIN: [&str; 8] = ["run", "certonly", "obtain", "--issue", "--obtain", "new", "request", "sign"];
/// Commands that take names after `-d`.
const BY_FLAG: [&str; 5] = ["issue", "init", "check", "recipe", "audit"];

/// `error` with the way to say it, where `words` (without the program) are a habit.
pub(super) fn explained(mut error: clap::Error, words: &[String]) -> clap::Error {
    if let Some(tip) = tip(&error, words) {
        // What only looks alike would lead astray.
        for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg] {
            error.remove(kind);
        }
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn tip(error: &clap::Error, words: &[String]) -> Option<String> {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return None,
    };
    let Some(ContextValue::String(strange)) = error.get(kind) else { return None };
    let no_command = words.first().is_some_and(|word| word.starts_with('-'));
    let is_flag_of_issue = ["-d", "--domain", "--domains", "--dns"].contains(&strange.as_str());
    if OBTAIN.contains(&strange.as_str()) || no_command && is_flag_of_issue {
        return Some("`dns01 issue -d NAME --dns PROVIDER` obtains a certificate".to_owned());
    }
    let command = words.iter().find(|word| BY_FLAG.contains(&word.as_str()))?;
    let is_name = !strange.starts_with('-') && strange.contains('.');
    is_name.then(|| format!("names stand after `-d`: `dns01 {command} -d {strange}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> String {
        let error = super::super::command().try_get_matches_from(line.split_whitespace()).unwrap_err();
        let words: Vec<String> = line.split_whitespace().skip(1).map(str::to_owned).collect();
        explained(error, &words).to_string()
    }

    #[test]
    fn the_commands_of_other_clients_lead_to_issue() {
        for line in [
            "dns01 run -d a.test",
            "dns01 certonly -d a.test",
            "dns01 obtain",
            "dns01 --issue -d a.test --dns dns_cf",
            "dns01 --dns cloudflare -d a.test run",
            "dns01 -d a.test --dns cloudflare",
        ] {
            let answer = answer(line);
            assert!(answer.contains("tip: `dns01 issue -d NAME --dns PROVIDER` obtains"), "{answer}");
            assert!(!answer.contains("similar"), "{answer}");
        }
    }

    #[test]
    fn a_name_without_its_flag_is_shown_with_it() {
        let name = answer("dns01 issue a.test --dns cloudflare");
        assert!(name.contains("tip: names stand after `-d`: `dns01 issue -d a.test`"), "{name}");
        for line in ["dns01 list a.test", "dns01 isue", "dns01 renew -d a.test"] {
            assert!(!answer(line).contains("dns01 issue -d"), "{line}");
        }
    }
}
