//! The contract that every DNS provider plugin of dns01 implements.
//!
//! A plugin is one crate with one type that implements [`DnsProvider`]. It knows this crate
//! and nothing else of dns01.
//!
//! | module | what stands there |
//! |---|---|
//! | [`name`] | [`Fqdn`] and [`ZoneName`], checked once |
//! | [`record`] | [`Zone`], [`TxtValue`], [`TxtChange`]; a value's presentation format |
//! | [`rate`] | [`Rate`] and [`Pace`]: how often a service may be called |
//! | [`recipe`] | [`Recipe`]: the smallest credential that will do |
//! | [`record_ids`] | [`RecordIds`]: ids of records that were created |
//! | [`rrset`] | single values at services that know whole RRsets only |
//! | [`provider`] | [`DnsProvider`], its [`Limits`] and its answers |
//! | [`credential`] | [`Credential`]: the one layer through which providers are called |
//! | [`http`] | [`HttpClient`](http::HttpClient), shared by all HTTP plugins |
//! | [`memory`] | [`MemoryProvider`]: the reference, able to misbehave |
//! | [`conformance`] | the suite that proves the promises for a provider |
//! | [`error`] | [`ProviderError`] and its kinds |
//! | [`pattern`] | patterns with `*`, in which services tell what is allowed |
//! | [`plugin`] | [`Plugin`]: name, settings, constructor |
//! | [`process`] | [`Program`](process::Program): a program of somebody else, run safely |
//! | [`secret`] | [`SecretRef`]: where a secret is kept |
//! | [`zone_ids`] | [`ZoneIds`]: ids that were looked up |
//! | [`zone_turns`] | [`ZoneTurns`]: one writer in a zone at a time |

pub mod conformance;
pub mod credential;
pub mod error;
pub mod http;
pub mod memory;
pub mod name;
pub mod pattern;
pub mod plugin;
mod presentation;
pub mod process;
pub mod provider;
pub mod rate;
pub mod recipe;
pub mod record;
pub mod record_ids;
pub mod rrset;
pub mod secret;
pub mod zone_ids;
pub mod zone_turns;

pub use credential::{Credential, CredentialName, CredentialNameError};
pub use error::{ProviderError, ProviderErrorKind};
pub use memory::MemoryProvider;
pub use name::{Fqdn, NameError, ZoneName};
pub use plugin::{Environment, Plugin, Settings, SettingsError};
pub use provider::{
    Applied, Batch, DnsProvider, Limits, Listing, Published, Receipt, ScopeNeed, ScopeReport,
};
pub use rate::{Pace, Rate};
pub use recipe::Recipe;
pub use record::{TxtChange, TxtRecords, TxtValue, TxtValueError, Zone};
pub use record_ids::RecordIds;
pub use rrset::{Rrset, RrsetRecord};
pub use secret::{SecretError, SecretRef};
pub use zone_ids::ZoneIds;
pub use zone_turns::ZoneTurns;
