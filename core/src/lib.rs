//! dns01-core runs ACME orders (RFC 8555) that use only DNS challenges.
//!
//! It knows no provider, no command line and no HTTP server. The whole story of a certificate
//! reads in [`issue`]; each step stands in a room of its own:
//!
//! | room | what it does | knows nothing of |
//! |---|---|---|
//! | [`acme`] | speaks to the CA | DNS |
//! | [`dns`] | aliases, zone cuts, propagation, CAA | ACME |
//! | [`records`] | writes TXT values and takes every one away again | ACME |
//! | [`store`] | what must survive a crash | |
//! | [`config`] | `dns01.toml`, read once, checked once | |
//! | [`keys`], [`deploy`] | keys and requests; files in `live/` | |
//! | [`authority`] | a CA and our account there | DNS |
//! | [`scope`] | what each credential is needed for, and what it can do beyond | ACME |
//! | [`plan`], [`inventory`] | what is due, and why; pure, and the store's side of it | |
//! | [`event`], [`clock`] | what is told to the outside; what time it is | |

pub mod acme;
pub mod authority;
pub mod clock;
pub mod config;
pub mod deploy;
pub mod dns;
pub mod event;
pub mod inventory;
pub mod issue;
pub mod keys;
pub mod plan;
pub mod records;
pub mod scope;
pub mod store;
