//! `dns01 renew`: what is due, once.

use crate::args::RenewArguments;
use crate::commands::issue::{finish, tell};
use crate::errors::{Exit, Failures};
use crate::known;
use crate::orders::{self, Mood, carry_out};
use crate::program::{Program, Session};
use crate::wanted::{self, Wanted};
use dns01_core::config::parse_duration;

pub(super) async fn run(program: &Program, arguments: RenewArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let store = program.store_if_wanted(&config).await?;
    let known = known::certificates(&config, store.as_ref()).await?;
    let known = known::select(known, &arguments.names, &config)?;
    let Some(store) = store else {
        program.note_absent(&config.state_dir);
        tell(program, &[], &[]);
        return Ok(Exit::Done);
    };
    store.close().await.map_err(crate::errors::Failure::from)?;
    // What any of them has left in a zone is removed, also where nothing is to be renewed.
    let mut everything: Vec<Wanted> = known.iter().filter_map(|one| one.wanted.clone()).collect();
    everything.extend(known::of_dry_runs(program, &config).await);
    let mut senseless = Exit::Done;
    let mut wanted: Vec<Wanted> = Vec::with_capacity(known.len());
    for one in known {
        if let Some(failure) = &one.senseless {
            program.output.failure(failure);
            senseless = Exit::SomeFailed;
        }
        if one.is_kept() || !arguments.names.is_empty() {
            wanted.extend(one.wanted);
        }
    }
    if let Some(text) = &arguments.timeout {
        let timeout = wanted::flag("--timeout", text, parse_duration)?;
        wanted.iter_mut().for_each(|one| one.timeout = timeout);
    }
    let events = program.output.progress(wanted.len());
    let credentials = orders::credentials(&everything);
    let session = Session::open(program, &config, credentials, &config.state_dir, events).await?;
    session.sweep(program);
    let mood = Mood { force: arguments.force, impatient: false };
    let result = carry_out(program, &session, &config, wanted, mood).await;
    Ok(finish(program, session, Ok(result), &[]).await?.max(senseless))
}
