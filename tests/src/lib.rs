//! What the end-to-end tests stand on.
//!
//! [`rig`] gives a test zones, name servers and a CA of its own inside one private network
//! namespace; [`program`] runs the real `dns01` binary against them. `docs/testing.md` tells
//! how the pieces fit together.
//!
//! Everything here blocks the calling thread, so that a test reads from top to bottom. It is
//! made for tests: what cannot be done panics and says why.

pub mod program;
pub mod rig;
