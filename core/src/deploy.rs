//! Certificates as files, where web servers find them.

mod live;

pub use live::{DeployError, FileSet, LiveDirectory};
