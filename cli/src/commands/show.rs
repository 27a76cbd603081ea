//! `dns01 show`: all that is known of one certificate.

use crate::args::ShowArguments;
use crate::errors::{Exit, Failure, Failures};
use crate::known::{self, Known};
use crate::output::table::Table;
use crate::output::words;
use crate::program::Program;
use dns01_core::config::Config;
use dns01_core::deploy::LiveDirectory;
use dns01_core::inventory;
use dns01_core::plan;
use dns01_core::store::{Certificate, Order, OrderState, Store, VersionSummary};
use jiff::Timestamp;
use serde_json::json;

/// Orders that are shown, newest first.
const ORDERS: usize = 10;

pub(super) async fn run(program: &Program, arguments: &ShowArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let store = program.store_if_there(&config.state_dir).await?;
    let facts = look_up(&config, store.as_ref(), &arguments.name).await?;
    match store {
        Some(store) => store.close().await.map_err(Failure::from)?,
        None => program.note_absent(&config.state_dir),
    }
    let now = program.clock.now();
    facts.table(now).lines().iter().for_each(|line| program.output.say(line));
    facts.orders_told().iter().for_each(|line| program.output.say(line));
    program.output.document(&facts.document());
    Ok(Exit::Done)
}

struct Facts {
    known: Known,
    fingerprint: Option<String>,
    versions: Vec<VersionSummary>,
    orders: Vec<Order>,
    live: LiveDirectory,
}

async fn look_up(config: &Config, store: Option<&Store>, name: &str) -> Result<Facts, Failures> {
    let mut all = known::certificates(config, store).await?;
    let Some(position) = known::position(name, &all) else {
        return Err(known::unknown(name, &all, config).into());
    };
    let known = all.swap_remove(position);
    let name = known.name.as_str();
    let live = LiveDirectory::below(&config.state_dir);
    let Some(store) = store else {
        return Ok(Facts { known, fingerprint: None, versions: Vec::new(), orders: Vec::new(), live });
    };
    let versions = store.versions(name).await.map_err(Failure::from)?;
    let mut orders = store.order_history(name).await.map_err(Failure::from)?;
    orders.sort_by_key(|order| std::cmp::Reverse(order.created));
    orders.truncate(ORDERS);
    let current = known.stored.as_ref().and_then(|stored| stored.current.as_ref());
    let fingerprint = match current {
        Some(current) => {
            let version = store.version(name, current.number).await.map_err(Failure::from)?;
            version.and_then(|version| crate::pem::fingerprint(&version.chain_pem))
        }
        None => None,
    };
    Ok(Facts { known, fingerprint, versions, orders, live })
}

impl Facts {
    fn stored(&self) -> Option<&Certificate> {
        self.known.stored.as_ref()
    }

    fn current(&self) -> Option<&VersionSummary> {
        self.stored()?.current.as_ref()
    }

    fn table(&self, now: Timestamp) -> Table {
        let mut table = Table::bare();
        let mut row = |key: &str, value: String| table.row([key.to_owned(), value]);
        row("certificate", self.known.name.clone());
        if let Some(wanted) = &self.known.wanted {
            let names: Vec<String> = wanted.certificate.domains.iter().map(ToString::to_string).collect();
            row("names", names.join(", "));
            row("ca", format!("{} ({})", wanted.ca.name, wanted.ca.directory));
            row(
                "key",
                wanted
                    .csr
                    .as_ref()
                    .map_or_else(|| wanted.certificate.key.to_string(), |_| "of the request".to_owned()),
            );
            row(
                "wanted by",
                if wanted.from_file { "the configuration" } else { "the flags of its `issue`" }.to_owned(),
            );
        }
        if let Some(failure) = &self.known.senseless {
            row("wanted by", failure.message.clone());
        }
        match self.current() {
            Some(current) => self.version_rows(current, now, &mut row),
            None => row("issued", "never".to_owned()),
        }
        if let Some(failure) = self.stored().and_then(|stored| stored.failure.as_ref()) {
            row(
                "failing",
                format!(
                    "since {}, {}",
                    words::moment(failure.since),
                    words::count(failure.attempts as usize, "try")
                ),
            );
            row("last error", failure.last_error.clone());
            row("next try", words::moment(failure.next_try));
        }
        table
    }

    fn version_rows(&self, current: &VersionSummary, now: Timestamp, row: &mut impl FnMut(&str, String)) {
        row("issuer", current.issuer.clone());
        row("serial", current.serial.clone());
        if let Some(fingerprint) = &self.fingerprint {
            row("SHA-256", fingerprint.clone());
        }
        row("issued", words::moment(current.issued_at));
        row(
            "valid",
            format!(
                "{} to {} ({})",
                words::moment(current.not_before),
                words::moment(current.not_after),
                words::distance(current.not_after, now)
            ),
        );
        if let Some(revoked) = current.revoked_at {
            row("revoked", words::moment(revoked));
        }
        if self.known.senseless.is_none() {
            row("renewal", self.known.renewal(now, words::moment));
        }
        if let Some(advice) = self.stored().and_then(|stored| stored.renewal.as_ref()) {
            row("CA's window", format!("{} to {}", words::moment(advice.start), words::moment(advice.end)));
            if let Some(url) = &advice.explanation_url {
                row("explanation", url.clone());
            }
        }
        row("files", self.live.path(&self.known.name).display().to_string());
        row("version", format!("{} of {}", current.number, self.versions.len()));
    }

    fn orders_told(&self) -> Vec<String> {
        if self.orders.is_empty() {
            return Vec::new();
        }
        let mut table = Table::new(["order", "state", "steps"]);
        for order in &self.orders {
            let steps = match &order.error {
                Some(error) => error.lines().next().unwrap_or_default().to_owned(),
                None => steps(&order.steps),
            };
            table.row([words::moment(order.created), state(order.state).to_owned(), steps]);
        }
        std::iter::once(String::new()).chain(table.lines()).collect()
    }

    fn document(&self) -> serde_json::Value {
        let wanted = self.known.wanted.as_ref();
        let renewal = self.stored().and_then(inventory::held).map(|held| plan::renewal(&held));
        json!({
            "certificate": self.known.name,
            "names": wanted.map_or_else(
                || self.stored().map(|stored| stored.names.clone()).unwrap_or_default(),
                |wanted| wanted.certificate.domains.iter().map(ToString::to_string).collect(),
            ),
            "ca": wanted.map(|wanted| wanted.ca.name.clone()),
            "directory_url": wanted.map(|wanted| wanted.ca.directory.to_string()),
            "key": wanted.filter(|wanted| wanted.csr.is_none()).map(|wanted| wanted.certificate.key),
            "from_file": wanted.is_some_and(|wanted| wanted.from_file),
            "files": self.live.path(&self.known.name),
            "current": self.current().map(|current| json!({
                "version": current.number,
                "issuer": current.issuer,
                "serial": current.serial,
                "sha256": self.fingerprint,
                "issued_at": current.issued_at,
                "not_before": current.not_before,
                "not_after": current.not_after,
                "revoked_at": current.revoked_at,
            })),
            "renew_from": renewal.map(|renewal| renewal.from),
            "advised": renewal.is_some_and(|renewal| renewal.advised),
            "advice": self.stored().and_then(|stored| stored.renewal.as_ref()).map(|advice| json!({
                "start": advice.start,
                "end": advice.end,
                "explanation_url": advice.explanation_url,
            })),
            "failure": self.stored().and_then(|stored| stored.failure.as_ref()).map(|failure| json!({
                "since": failure.since,
                "attempts": failure.attempts,
                "next_try": failure.next_try,
                "last_error": failure.last_error,
            })),
            "orders": self.orders.iter().map(|order| json!({
                "created": order.created,
                "finished": order.finished,
                "state": state(order.state),
                "url": order.url,
                "error": order.error,
                "steps": serde_json::from_str::<serde_json::Value>(&order.steps).unwrap_or_default(),
            })).collect::<Vec<_>>(),
        })
    }
}

fn state(state: OrderState) -> &'static str {
    match state {
        OrderState::Open => "open",
        OrderState::Issued => "issued",
        OrderState::Failed => "failed",
    }
}

/// `order 0.4 s, records 0.3 s`, of what the corridor wrote down.
fn steps(journal: &str) -> String {
    let entries: Vec<serde_json::Value> = serde_json::from_str(journal).unwrap_or_default();
    let told = entries.iter().filter_map(|entry| {
        Some(format!("{} {:.1} s", entry.get("step")?.as_str()?, entry.get("seconds")?.as_f64()?))
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_an_order_are_told_with_their_times() {
        let journal = r#"[{"step":"order","seconds":0.412,"outcome":{}},{"step":"records","seconds":1.0}]"#;
        assert_eq!(steps(journal), "order 0.4 s, records 1.0 s");
        assert_eq!(steps("nonsense"), "");
    }
}
