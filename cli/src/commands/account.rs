//! `dns01 account …`.

use crate::args::{AccountCommand, AuthorityArguments};
use crate::errors::{Exit, Failure, Failures};
use crate::program::Program;
use crate::question::agreed;
use crate::wanted;
use dns01_core::acme::{Account, AcmeError};
use dns01_core::authority::Authority;
use dns01_core::store::Store;
use serde_json::json;

pub(super) async fn run(program: &Program, command: AccountCommand) -> Result<Exit, Failures> {
    let arguments = match &command {
        AccountCommand::Register(one)
        | AccountCommand::Show(one)
        | AccountCommand::Update(one)
        | AccountCommand::Rollover(one) => &one.authority,
        AccountCommand::Deactivate(one) => &one.authority,
    };
    let config = program.config()?;
    let mut ca = wanted::authority(arguments, &config)?;
    let store = program.store(&config.state_dir).await?;
    if matches!(command, AccountCommand::Register(_)) && !ca.agree_tos && program.output.can_ask() {
        ca.agree_tos =
            agree(program, &Authority::new(ca.clone(), program.clock.clone()).map_err(Failure::from)?)
                .await?;
    }
    let authority = Authority::new(ca, program.clock.clone()).map_err(Failure::from)?;
    let done = carry_out(program, &command, arguments, &authority, &store).await;
    store.close().await.map_err(Failure::from)?;
    done.map(|()| Exit::Done).map_err(Failures::from)
}

async fn carry_out(
    program: &Program,
    command: &AccountCommand,
    arguments: &AuthorityArguments,
    authority: &Authority,
    store: &Store,
) -> Result<(), Failure> {
    match command {
        AccountCommand::Register(_) => {
            let account = authority.account_anew(store).await?;
            show(program, authority, &account).await
        }
        AccountCommand::Show(_) => {
            let account = authority.existing_account(store).await?;
            show(program, authority, &account).await
        }
        AccountCommand::Update(_) => {
            let contact = &authority.config().contact;
            if contact.is_empty() && !arguments.agree_tos {
                let failure = Failure::usage("usage-value", "no contact is given");
                return Err(failure.with_hint("give one with -m, or agree to changed terms with --agree-tos"));
            }
            if arguments.agree_tos {
                authority.agree_to_terms(store).await?;
            }
            if !contact.is_empty() {
                authority.update_contact(store, contact).await?;
            }
            let account = authority.existing_account(store).await?;
            show(program, authority, &account).await
        }
        AccountCommand::Rollover(_) => {
            let account = authority.change_key(store).await?;
            program.output.say(&format!("the account at {} has a new key", authority.name()));
            show(program, authority, &account).await
        }
        AccountCommand::Deactivate(one) => {
            let question = format!("The account at {} is given up for ever. Do it?", authority.name());
            let agreed = one.yes || program.output.can_ask() && agreed(program, &question).await?;
            if !agreed {
                return Err(Failure::usage("usage-not-confirmed", "the account was not given up")
                    .with_hint("--yes does it without asking"));
            }
            authority.deactivate(store).await?;
            program.output.say(&format!("the account at {} is given up", authority.name()));
            program.output.document(&json!({ "ca": authority.name(), "status": "deactivated" }));
            Ok(())
        }
    }
}

async fn agree(program: &Program, authority: &Authority) -> Result<bool, Failure> {
    let directory = authority.client().directory().await?;
    let Some(terms) = directory.meta.terms_of_service.clone() else { return Ok(false) };
    let question =
        format!("`{}` wants its terms of service agreed to: {terms}\nDo you agree?", authority.name());
    match program.output.can_ask() && agreed(program, &question).await? {
        true => Ok(true),
        false => Err(AcmeError::TermsNotAgreed { url: Some(terms), instance: None }.into()),
    }
}

async fn show(program: &Program, authority: &Authority, account: &Account) -> Result<(), Failure> {
    let state = account.state().await?;
    let output = &program.output;
    output.say(&format!("account     {}", account.url()));
    output.say(&format!("ca          {} ({})", authority.name(), authority.directory()));
    output.say(&format!("status      {}", state.status));
    output.say(&format!(
        "contact     {}",
        if state.contact.is_empty() { "none".to_owned() } else { state.contact.join(", ") }
    ));
    output.say(&format!("thumbprint  {}", account.thumbprint()));
    output.document(&json!({
        "ca": authority.name(),
        "directory_url": authority.directory(),
        "url": account.url().to_string(),
        "status": state.status,
        "contact": state.contact,
        "thumbprint": account.thumbprint(),
    }));
    Ok(())
}
