//! The ledger: every value that may exist because of us, and who needs it. A row is durable
//! before its record is created and goes after the record's removal is confirmed.

use super::Place;
use super::hold::HoldId;
use crate::store::{OrderId, OwnerId, Store, StoreError};
use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use dns01_provider::{CredentialName, Fqdn, TxtValue, Zone, ZoneName};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::collections::{HashMap, HashSet};

/// The owner and hold of what people add by hand.
const MANUAL: &str = "manual";
/// How many rows one statement names.
const CHUNK: usize = 250;

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The credential that wrote it.
    pub credential: CredentialName,
    /// The zone.
    pub zone: Zone,
    /// Where it stands.
    pub name: Fqdn,
    /// What stands there.
    pub value: TxtValue,
    /// Seconds.
    pub ttl: u32,
    /// When it was written down.
    pub created: Timestamp,
    /// When the provider confirmed it first.
    pub confirmed: Option<Timestamp>,
    /// Who needs it; nobody when it waits for its removal.
    pub holders: Vec<Holder>,
}

/// Who needs a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An order of a process.
    Order {
        /// The process.
        owner: OwnerId,
        /// Whether it lives.
        alive: bool,
        /// The order.
        order: OrderId,
    },
    /// A person, until `txt remove`.
    Manual,
}

impl Holder {
    /// False for an order whose process is gone.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Manual | Self::Order { alive: true, .. })
    }
}

/// One value as a writer handles it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) name: Fqdn,
    pub(super) value: TxtValue,
    pub(super) ttl: u32,
    pub(super) persistent: bool,
}

/// A row's key: a digest of credential, zone, name and value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RowId(String);

impl RowId {
    pub(super) fn new(place: &Place, name: &Fqdn, value: &TxtValue) -> Self {
        let mut context = Context::new(&SHA256);
        // None of them has a line break in it.
        for part in [place.0.as_str(), place.1.as_str(), name.as_str(), value.as_str()] {
            context.update(part.as_bytes());
            context.update(b"\n");
        }
        Self(HEXLOWER.encode(&context.finish().as_ref()[..16]))
    }
}

/// Whose hold on a value is meant.
#[derive(Clone, Debug)]
pub(super) enum Claim {
    /// A hold of this process.
    Hold(HoldId),
    /// A person's, on these rows.
    Manual(Vec<RowId>),
    /// Those of processes that are gone.
    Dead(Vec<OwnerId>),
}

/// A row to be made, with its holder.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: RowId,
    pub(super) value: Value,
    /// `None` for a person's.
    pub(super) holder: Option<(HoldId, OrderId)>,
}

/// What a writer wants the ledger to have before it calls its provider.
#[derive(Clone, Debug)]
pub(super) struct Preparation {
    pub(super) place: Place,
    pub(super) zone_id: Option<String>,
    pub(super) owner: OwnerId,
    pub(super) now: i64,
    pub(super) entries: Vec<Entry>,
    pub(super) dropped: Vec<Claim>,
}

/// What the ledger has after that.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepared {
    /// Rows that were not there before.
    pub(super) fresh: HashSet<RowId>,
    /// All rows of the zone that nobody holds.
    pub(super) orphans: Vec<(RowId, Value)>,
}

/// Writes down what is about to be created and who lets go, in one transaction.
pub(super) async fn prepare(
    connection: &mut AnyConnection,
    preparation: &Preparation,
) -> Result<Prepared, StoreError> {
    let mut prepared = Prepared::default();
    for entry in &preparation.entries {
        if enter(connection, preparation, entry).await? {
            prepared.fresh.insert(entry.id.clone());
        }
    }
    for claim in &preparation.dropped {
        drop_claim(connection, preparation, claim).await?;
    }
    if !preparation.dropped.is_empty() {
        prepared.orphans = orphans(connection, &preparation.place).await?;
    }
    Ok(prepared)
}

/// True if the row was not there.
async fn enter(
    connection: &mut AnyConnection,
    preparation: &Preparation,
    entry: &Entry,
) -> Result<bool, StoreError> {
    let (credential, zone) = &preparation.place;
    let row = sqlx::query(
        "INSERT INTO ledger (id, credential, zone, zone_id, name, value, ttl, created) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
    )
    .bind(entry.id.0.clone())
    .bind(credential.as_str().to_owned())
    .bind(zone.as_str().to_owned())
    .bind(preparation.zone_id.clone())
    .bind(entry.value.name.as_str().to_owned())
    .bind(entry.value.value.as_str().to_owned())
    .bind(i64::from(entry.value.ttl))
    .bind(preparation.now)
    .execute(&mut *connection)
    .await?;
    let (owner, hold, order) = match &entry.holder {
        Some((hold, order)) => {
            (preparation.owner.as_str().to_owned(), hold.text(), order.as_str().to_owned())
        }
        None => (MANUAL.to_owned(), MANUAL.to_owned(), MANUAL.to_owned()),
    };
    sqlx::query(
        "INSERT INTO ledger_holders (ledger_id, owner, hold, order_id) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (ledger_id, owner, hold) DO NOTHING",
    )
    .bind(entry.id.0.clone())
    .bind(owner)
    .bind(hold)
    .bind(order)
    .execute(connection)
    .await?;
    Ok(row.rows_affected() > 0)
}

async fn drop_claim(
    connection: &mut AnyConnection,
    preparation: &Preparation,
    claim: &Claim,
) -> Result<(), StoreError> {
    match claim {
        Claim::Hold(hold) => {
            sqlx::query("DELETE FROM ledger_holders WHERE owner = $1 AND hold = $2")
                .bind(preparation.owner.as_str().to_owned())
                .bind(hold.text())
                .execute(connection)
                .await?;
        }
        Claim::Manual(rows) => {
            for row in rows {
                drop_holder(connection, row, MANUAL, MANUAL).await?;
            }
        }
        Claim::Dead(owners) => {
            for owner in owners {
                sqlx::query(
                    "DELETE FROM ledger_holders WHERE owner = $1 AND ledger_id IN \
                     (SELECT id FROM ledger WHERE credential = $2 AND zone = $3)",
                )
                .bind(owner.as_str().to_owned())
                .bind(preparation.place.0.as_str().to_owned())
                .bind(preparation.place.1.as_str().to_owned())
                .execute(&mut *connection)
                .await?;
            }
        }
    }
    Ok(())
}

async fn drop_holder(
    connection: &mut AnyConnection,
    row: &RowId,
    owner: &str,
    hold: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM ledger_holders WHERE ledger_id = $1 AND owner = $2 AND hold = $3")
        .bind(row.0.clone())
        .bind(owner.to_owned())
        .bind(hold.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

async fn orphans(connection: &mut AnyConnection, place: &Place) -> Result<Vec<(RowId, Value)>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, name, value, ttl FROM ledger WHERE credential = $1 AND zone = $2 \
         AND NOT EXISTS (SELECT 1 FROM ledger_holders h WHERE h.ledger_id = ledger.id)",
    )
    .bind(place.0.as_str().to_owned())
    .bind(place.1.as_str().to_owned())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let id = RowId(row.try_get(0)?);
            let value = Value {
                name: parse(Fqdn::parse, &row.try_get::<String, _>(1)?)?,
                value: parse(TxtValue::parse, &row.try_get::<String, _>(2)?)?,
                ttl: seconds(row.try_get(3)?),
                persistent: false,
            };
            Ok((id, value))
        })
        .collect()
}

/// Values held at each name of a zone, for providers that can hold only so many.
pub(super) async fn held_at_names(
    store: &Store,
    place: &Place,
) -> Result<HashMap<String, HashSet<String>>, StoreError> {
    let rows = sqlx::query(
        "SELECT name, value FROM ledger WHERE credential = $1 AND zone = $2 \
         AND EXISTS (SELECT 1 FROM ledger_holders h WHERE h.ledger_id = ledger.id)",
    )
    .bind(place.0.as_str().to_owned())
    .bind(place.1.as_str().to_owned())
    .fetch_all(store.reads())
    .await
    .map_err(|error| store.failed(error))?;
    let mut names: HashMap<String, HashSet<String>> = HashMap::new();
    for row in rows {
        names.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?);
    }
    Ok(names)
}

/// What the provider's answers mean for the ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Conclusion {
    /// Written, as the provider confirmed.
    pub(super) confirmed: Vec<RowId>,
    /// Removed, as the provider confirmed, or never written.
    pub(super) gone: Vec<RowId>,
    /// Holds on rows that were refused, and ended by that; `None` is a person's.
    pub(super) refused: Vec<(RowId, Option<HoldId>)>,
}

pub(super) async fn conclude(
    connection: &mut AnyConnection,
    conclusion: Conclusion,
    owner: &OwnerId,
    now: i64,
) -> Result<(), StoreError> {
    for rows in conclusion.confirmed.chunks(CHUNK) {
        let sql = format!(
            "UPDATE ledger SET confirmed = $1 WHERE confirmed IS NULL AND id IN ({})",
            placeholders(2, rows.len())
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(now);
        rows.iter().fold(query, |query, row| query.bind(row.0.clone())).execute(&mut *connection).await?;
    }
    for (row, hold) in &conclusion.refused {
        match hold {
            Some(hold) => drop_holder(connection, row, owner.as_str(), &hold.text()).await?,
            None => drop_holder(connection, row, MANUAL, MANUAL).await?,
        }
    }
    for rows in conclusion.gone.chunks(CHUNK) {
        // Somebody may have come to hold it meanwhile; then it will be written again.
        let sql = format!(
            "DELETE FROM ledger WHERE id IN ({}) \
             AND NOT EXISTS (SELECT 1 FROM ledger_holders h WHERE h.ledger_id = ledger.id)",
            placeholders(1, rows.len())
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        rows.iter().fold(query, |query, row| query.bind(row.0.clone())).execute(&mut *connection).await?;
    }
    Ok(())
}

fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// The whole ledger with its holders, by zone and name.
pub(super) async fn rows(store: &Store) -> Result<Vec<LedgerRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT l.credential, l.zone, l.zone_id, l.name, l.value, l.ttl, l.created, l.confirmed, \
         h.owner, h.order_id FROM ledger l LEFT JOIN ledger_holders h ON h.ledger_id = l.id \
         ORDER BY l.credential, l.zone, l.name, l.value, l.id",
    )
    .fetch_all(store.reads())
    .await
    .map_err(|error| store.failed(error))?;
    let mut alive = HashMap::new();
    let mut ledger: Vec<LedgerRow> = Vec::new();
    for row in &rows {
        let mut next = row_from(row)?;
        let holder = holder_from(store, row, &mut alive)?;
        match ledger.last_mut() {
            Some(last) if last.is_same_as(&next) => last.holders.extend(holder),
            _ => {
                next.holders.extend(holder);
                ledger.push(next);
            }
        }
    }
    Ok(ledger)
}

impl LedgerRow {
    fn is_same_as(&self, other: &Self) -> bool {
        self.credential == other.credential
            && self.zone == other.zone
            && self.name == other.name
            && self.value == other.value
    }

    /// True if no process and no person needs it.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        !self.holders.iter().any(Holder::is_alive)
    }

    /// The processes that hold it.
    pub(super) fn owners(&self) -> impl Iterator<Item = &OwnerId> {
        self.holders.iter().filter_map(|holder| match holder {
            Holder::Order { owner, .. } => Some(owner),
            Holder::Manual => None,
        })
    }

    pub(super) fn is_held_by(&self, owner: &OwnerId) -> bool {
        self.owners().any(|holder| holder == owner)
    }

    pub(super) fn place(&self) -> Place {
        (self.credential.clone(), self.zone.name.clone())
    }
}

fn row_from(row: &AnyRow) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow {
        credential: parse(CredentialName::parse, &row.try_get::<String, _>(0)?)?,
        zone: Zone { name: parse(ZoneName::parse, &row.try_get::<String, _>(1)?)?, id: row.try_get(2)? },
        name: parse(Fqdn::parse, &row.try_get::<String, _>(3)?)?,
        value: parse(TxtValue::parse, &row.try_get::<String, _>(4)?)?,
        ttl: seconds(row.try_get(5)?),
        created: crate::store::timestamp(row.try_get(6)?),
        confirmed: row.try_get::<Option<i64>, _>(7)?.map(crate::store::timestamp),
        holders: Vec::new(),
    })
}

fn holder_from(
    store: &Store,
    row: &AnyRow,
    alive: &mut HashMap<OwnerId, bool>,
) -> Result<Option<Holder>, StoreError> {
    let Some(owner) = row.try_get::<Option<String>, _>(8)? else { return Ok(None) };
    if owner == MANUAL {
        return Ok(Some(Holder::Manual));
    }
    let owner = OwnerId::from_text(&owner);
    let alive = match alive.get(&owner) {
        Some(alive) => *alive,
        None => {
            let lives = store.is_alive(&owner)?;
            alive.insert(owner.clone(), lives);
            lives
        }
    };
    Ok(Some(Holder::Order { owner, alive, order: OrderId::from_text(&row.try_get::<String, _>(9)?) }))
}

fn parse<T, E: std::fmt::Display>(parse: fn(&str) -> Result<T, E>, text: &str) -> Result<T, StoreError> {
    parse(text).map_err(|error| StoreError::malformed("ledger", error))
}

fn seconds(ttl: i64) -> u32 {
    u32::try_from(ttl).unwrap_or(u32::MAX)
}
