//! `dns01 list`.

use crate::errors::{Exit, Failure, Failures};
use crate::known::{self, Known};
use crate::output::table::Table;
use crate::output::words;
use crate::program::Program;
use dns01_core::inventory;
use dns01_core::plan;
use jiff::Timestamp;
use serde_json::json;

pub(super) async fn run(program: &Program) -> Result<Exit, Failures> {
    let config = program.config()?;
    let store = program.store_if_there(&config.state_dir).await?;
    let known = known::certificates(&config, store.as_ref()).await?;
    match store {
        Some(store) => store.close().await.map_err(Failure::from)?,
        None => program.note_absent(&config.state_dir),
    }
    let now = program.clock.now();
    let mut table = Table::new(["certificate", "names", "ca", "expires", "renewal"]);
    for one in &known {
        table.row([
            one.name.clone(),
            names_in_short(&one.names()),
            ca(one),
            expires(one, now),
            renewal(one, now),
        ]);
    }
    if table.is_empty() {
        program.output.say("there is no certificate yet; `dns01 issue -d NAME --dns PROVIDER` obtains one");
    } else {
        table.lines().iter().for_each(|line| program.output.say(line));
    }
    let documents: Vec<_> = known.iter().map(|one| document(one, now)).collect();
    program.output.document(&json!({ "certificates": documents }));
    Ok(Exit::Done)
}

fn names_in_short(names: &[String]) -> String {
    match names {
        [first, second] => format!("{first}, {second}"),
        [first, rest @ ..] if !rest.is_empty() => format!("{first} +{}", rest.len()),
        names => names.concat(),
    }
}

fn ca(one: &Known) -> String {
    match (&one.wanted, one.stored.as_ref().and_then(|stored| stored.current.as_ref())) {
        (Some(wanted), _) => wanted.ca.name.to_string(),
        (None, Some(current)) => current.account.ca.clone(),
        (None, None) => String::new(),
    }
}

fn expires(one: &Known, now: Timestamp) -> String {
    let Some(current) = one.stored.as_ref().and_then(|stored| stored.current.as_ref()) else {
        return "none yet".to_owned();
    };
    if current.revoked_at.is_some() {
        return "REVOKED".to_owned();
    }
    let distance = words::distance(current.not_after, now);
    if current.not_after <= now {
        format!("EXPIRED {distance}")
    } else {
        format!("{distance}  {}", words::date(current.not_after))
    }
}

/// When it is renewed, or what is in the way.
fn renewal(one: &Known, now: Timestamp) -> String {
    if let Some(failure) = &one.senseless {
        return failure.message.clone();
    }
    if one.wanted.is_none() {
        return "not wanted any more".to_owned();
    }
    if !one.is_kept() {
        return format!("never obtained; not tried by `renew` (dns01 show {})", one.name);
    }
    if let Some(failure) = one.stored.as_ref().and_then(|stored| stored.failure.as_ref()) {
        let error = failure.last_error.lines().next().unwrap_or_default();
        return format!("failing since {}: {error} (dns01 show {})", words::date(failure.since), one.name);
    }
    one.renewal(now, words::date)
}

fn document(one: &Known, now: Timestamp) -> serde_json::Value {
    let current = one.stored.as_ref().and_then(|stored| stored.current.as_ref());
    let renewal = one.stored.as_ref().and_then(inventory::held).map(|held| plan::renewal(&held));
    json!({
        "certificate": one.name,
        "names": one.names(),
        "ca": ca(one),
        "wanted": one.wanted.is_some(),
        "from_file": one.wanted.as_ref().is_some_and(|wanted| wanted.from_file),
        "serial": current.map(|current| current.serial.clone()),
        "not_before": current.map(|current| current.not_before),
        "not_after": current.map(|current| current.not_after),
        "expired": current.is_some_and(|current| current.not_after <= now),
        "revoked": current.is_some_and(|current| current.revoked_at.is_some()),
        "renew_from": renewal.map(|renewal| renewal.from),
        "advised": renewal.is_some_and(|renewal| renewal.advised),
        "failing_since": one.stored.as_ref().and_then(|stored| stored.failure.as_ref()).map(|failure| failure.since),
        "last_error": one.stored.as_ref().and_then(|stored| stored.failure.as_ref()).map(|failure| failure.last_error.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_names_are_counted() {
        let names = |n: usize| (0..n).map(|i| format!("n{i}.test")).collect::<Vec<_>>();
        assert_eq!(names_in_short(&names(1)), "n0.test");
        assert_eq!(names_in_short(&names(2)), "n0.test, n1.test");
        assert_eq!(names_in_short(&names(25)), "n0.test +24");
    }
}
