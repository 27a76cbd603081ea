//! `dns01 scope …`: what each credential must be able to do, and whether it can do more.

use crate::args::{ScopeArguments, ScopeCommand};
use crate::errors::{Exit, Failure, Failures};
use crate::output::words::{count, printable};
use crate::program::Program;
use crate::scope::{Scope, gather};
use crate::wanted;
use dns01_core::config::{Config, CredentialConfig};
use dns01_core::issue::IssueError;
use dns01_core::scope::{Audited, Needs, Verdict, audit};
use dns01_provider::recipe::by_zone;
use dns01_provider::{Credential, Recipe, ScopeNeed, ScopeReport};
use futures_util::stream::{StreamExt as _, iter};
use serde_json::{Value, json};

/// Credentials that are asked at the same time.
const AT_ONCE: usize = 16;
/// Names that are told one by one; of more, how many there are.
const FEW_NAMES: usize = 6;

pub(super) async fn run(program: &Program, command: ScopeCommand) -> Result<Exit, Failures> {
    match command {
        ScopeCommand::Recipe(arguments) => recipe(program, &arguments).await,
        ScopeCommand::Audit(arguments) => audits(program, &arguments).await,
    }
}

/// Without either, certificates say themselves which credentials they need.
fn names_or_provider(arguments: &ScopeArguments) -> bool {
    arguments.credential.dns.is_some() || !arguments.domains.is_empty()
}

async fn recipe(program: &Program, arguments: &ScopeArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let bundle = program.flags.resolver_ca_bundle.as_deref();
    let chosen = match names_or_provider(arguments) {
        true => wanted::credential_to_be(&arguments.credential, bundle, &config)?,
        false => None,
    };
    let scope = interruptible(program, gather(program, &config, arguments, chosen.as_ref())).await?;
    let mut documents = Vec::new();
    let mut unneeded = Vec::new();
    for credential in &scope.credentials {
        let needs = scope.needs.of(&credential.name);
        if needs.is_empty() {
            unneeded.push(credential.name.as_str());
            continue;
        }
        let recipe = (credential.plugin.recipe)(&credential.settings, needs);
        tell_recipe(program, credential, needs, &recipe);
        documents.push(recipe_document(credential, needs, &recipe));
    }
    for name in &unneeded {
        program.output.say(&format!(" {name}: no certificate needs it"));
    }
    tell_looks(program, arguments, &scope.needs);
    program.output.document(&json!({
        "credentials": documents,
        "unneeded": unneeded,
        "aliases": aliases(&scope.needs),
        "doubts": doubts(&scope.needs),
    }));
    Ok(if is_complete(&scope.needs) { Exit::Done } else { Exit::SomeFailed })
}

fn tell_recipe(program: &Program, credential: &CredentialConfig, needs: &[ScopeNeed], recipe: &Recipe) {
    let say = |line: &str| program.output.say(printable(line).trim_end());
    say(&format!(" {} ({})", credential.name, credential.plugin.name));
    told_needs(needs).iter().for_each(|line| say(&format!("   needs   {line}")));
    say(&format!("   grants  {}", recipe.grants));
    if let Some(portal) = recipe.portal {
        say(&format!("   at      {portal}"));
    }
    for (number, step) in (1..).zip(&recipe.steps) {
        say("");
        say(&format!("   {number}. {}", step.title));
        step.text.lines().for_each(|line| say(&format!("        {line}")));
    }
    say("");
}

/// `TXT at _acme-challenge.example.com in zone example.com`, a line for each zone.
fn told_needs(needs: &[ScopeNeed]) -> Vec<String> {
    let line = |zone: &dyn std::fmt::Display, needs: &[&ScopeNeed]| {
        let names: Vec<&str> = needs.iter().map(|need| need.name.as_str()).collect();
        let names = if names.len() > FEW_NAMES { count(names.len(), "name") } else { names.join(", ") };
        format!("TXT at {names} in zone {zone}")
    };
    by_zone(needs).iter().map(|(zone, needs)| line(zone, needs)).collect()
}

fn recipe_document(credential: &CredentialConfig, needs: &[ScopeNeed], recipe: &Recipe) -> Value {
    let steps = recipe.steps.iter();
    let steps: Vec<Value> = steps.map(|step| json!({ "title": step.title, "text": step.text })).collect();
    json!({
        "credential": credential.name.as_str(),
        "provider": credential.plugin.name,
        "needs": needs_document(needs),
        "grants": recipe.grants,
        "portal": recipe.portal,
        "steps": steps,
    })
}

async fn audits(program: &Program, arguments: &ScopeArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let bundle = program.flags.resolver_ca_bundle.as_deref();
    let chosen = match names_or_provider(arguments) {
        true => wanted::credential(&arguments.credential, bundle, &config)?,
        false => None,
    };
    let asked = async {
        let scope = gather(program, &config, arguments, chosen.as_ref()).await?;
        let audited = ask(&config, &scope).await?;
        Ok::<_, Failures>((scope, audited))
    };
    let (scope, audited) = interruptible(program, asked).await?;
    let mut documents = Vec::new();
    for (credential, one) in scope.credentials.iter().zip(&audited) {
        tell_audit(program, credential, one);
        documents.push(audit_document(credential, one));
    }
    tell_looks(program, arguments, &scope.needs);
    program.output.document(&json!({
        "credentials": documents,
        "aliases": aliases(&scope.needs),
        "doubts": doubts(&scope.needs),
    }));
    let verdicts: Vec<Verdict> = audited.iter().map(Audited::verdict).collect();
    Ok(exit(&verdicts, is_complete(&scope.needs)))
}

/// Asks every credential; what each says is in the order of the scope.
async fn ask(config: &Config, scope: &Scope) -> Result<Vec<Audited>, Failures> {
    let mut asked = Vec::with_capacity(scope.credentials.len());
    for credential in &scope.credentials {
        let provider = config.build_provider(credential).map_err(Failure::from)?;
        let needs = scope.needs_of(credential);
        let credential = Credential::new(credential.name.clone(), provider);
        asked.push(async move { audit(&credential, needs).await });
    }
    Ok(iter(asked).buffered(AT_ONCE).collect().await)
}

/// A credential of which nothing can be told has not passed.
fn exit(verdicts: &[Verdict], complete: bool) -> Exit {
    let all = |verdict: Verdict| verdicts.iter().all(|one| *one == verdict);
    match verdicts {
        [_, ..] if all(Verdict::NotAsked) => Exit::NothingTried,
        [_, ..] if complete && all(Verdict::ExactlyEnough) => Exit::Done,
        _ => Exit::SomeFailed,
    }
}

fn tell_audit(program: &Program, credential: &CredentialConfig, audited: &Audited) {
    let say = |line: &str| program.output.say(printable(line).trim_end());
    let (mark, verdict) = match audited.verdict() {
        Verdict::ExactlyEnough => ("✓", "exactly enough"),
        Verdict::MoreThanNeeded => ("✗", "more than needed"),
        Verdict::NotEnough => ("✗", "not enough"),
        Verdict::CannotTell => ("?", "cannot tell"),
        Verdict::NotAsked => ("✗", "could not be asked"),
    };
    say(&format!(" {mark} {} ({}): {verdict}", credential.name, credential.plugin.name));
    told_needs(&audited.needs).iter().for_each(|line| say(&format!("   needs   {line}")));
    audited.probed().iter().for_each(|probe| say(&format!("   tried   {probe}")));
    if let Some(failure) = failure(credential, audited) {
        program.output.failure(&failure);
    }
}

/// What is wrong with `credential`, unless it is exactly enough.
fn failure(credential: &CredentialConfig, audited: &Audited) -> Option<Failure> {
    let name = &credential.name;
    let failure = match &audited.report {
        Err(error) => {
            let message = format!("`{name}` was not told what it can do: {error}");
            let failure = Failure::new("scope-audit", message, Exit::SomeFailed).caused_by(error);
            return Some(Failure { hint: error.hint().map(str::to_owned), ..failure });
        }
        Ok(ScopeReport::ExactlyEnough { .. }) => return None,
        Ok(ScopeReport::MoreThanNeeded { .. }) => {
            Failure::new("scope-more", format!("`{name}` can do more than is needed"), Exit::SomeFailed)
        }
        Ok(ScopeReport::NotEnough { .. }) => {
            Failure::new("scope-less", format!("`{name}` cannot do all that is needed"), Exit::SomeFailed)
        }
        Ok(other) => {
            let reason = match other {
                ScopeReport::CannotTell { reason } => reason.as_str(),
                _ => "this version does not know the answer",
            };
            let message = format!("what `{name}` can do cannot be told: {reason}");
            return Some(Failure::new("scope-untold", message, Exit::SomeFailed));
        }
    };
    let hint = match audited.needs.as_slice() {
        [] => format!("take [dns.{name}] away, and what it refers to at the service"),
        _ => format!("`dns01 scope recipe --dns {name}` says how to make one that is just enough"),
    };
    Some(Failure { details: audited.findings().to_vec(), ..failure.with_hint(hint) })
}

fn audit_document(credential: &CredentialConfig, audited: &Audited) -> Value {
    let reason = match &audited.report {
        Ok(ScopeReport::CannotTell { reason }) => Some(reason),
        _ => None,
    };
    json!({
        "credential": credential.name.as_str(),
        "provider": credential.plugin.name,
        "needs": needs_document(&audited.needs),
        "verdict": audited.verdict().as_str(),
        "findings": audited.findings(),
        "probed": audited.probed(),
        "reason": reason,
        "error": audited.report.as_ref().err().and_then(|_| failure(credential, audited)),
    })
}

fn needs_document(needs: &[ScopeNeed]) -> Vec<Value> {
    needs.iter().map(|need| json!({ "zone": need.zone.name, "name": need.name })).collect()
}

/// Tells where names lead, and of which something is not certain.
fn tell_looks(program: &Program, arguments: &ScopeArguments, needs: &Needs) {
    for alias in &needs.aliases {
        program
            .output
            .note(&format!("note: {} is an alias: its record goes to {}", alias.name, alias.target));
    }
    if arguments.offline {
        program.output.note("note: no alias was looked up; without --offline they are");
    }
    for doubt in &needs.doubts {
        let Some(zone) = &doubt.assumed else {
            let message = format!("what `{}` needs cannot be said: {}", doubt.name, doubt.reason);
            let failure = Failure::new("scope-unknown", message, Exit::SomeFailed);
            program.output.failure(&Failure { hint: doubt.hint.clone(), ..failure });
            continue;
        };
        program.output.note(&format!(
            "note: whether {} is an alias could not be looked up; it is taken to be in zone {zone}: {}",
            doubt.name, doubt.reason
        ));
    }
}

fn is_complete(needs: &Needs) -> bool {
    needs.doubts.iter().all(|doubt| doubt.assumed.is_some())
}

fn aliases(needs: &Needs) -> Vec<Value> {
    needs.aliases.iter().map(|alias| json!({ "name": alias.name, "target": alias.target })).collect()
}

fn doubts(needs: &Needs) -> Vec<Value> {
    let document = |doubt: &dns01_core::scope::Doubt| json!({ "name": doubt.name, "reason": doubt.reason, "hint": doubt.hint, "assumed_zone": doubt.assumed });
    needs.doubts.iter().map(document).collect()
}

/// `work`, unless the program is to stop before it is done.
async fn interruptible<T>(
    program: &Program,
    work: impl Future<Output = Result<T, Failures>>,
) -> Result<T, Failures> {
    tokio::select! {
        done = work => done,
        () = program.cancel.cancelled() => Err(Failure::from(IssueError::Interrupted).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_exactly_enough_passes() {
        use Verdict::{CannotTell, ExactlyEnough, MoreThanNeeded, NotAsked, NotEnough};
        assert_eq!(exit(&[ExactlyEnough, ExactlyEnough], true), Exit::Done);
        assert_eq!(exit(&[ExactlyEnough], false), Exit::SomeFailed);
        for other in [CannotTell, MoreThanNeeded, NotAsked, NotEnough] {
            assert_eq!(exit(&[ExactlyEnough, other], true), Exit::SomeFailed, "{other:?}");
        }
        assert_eq!(exit(&[NotAsked, NotAsked], true), Exit::NothingTried);
        assert_eq!(exit(&[], false), Exit::SomeFailed);
    }
}
