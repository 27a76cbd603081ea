//! End-to-end behaviours, one a module.
