//! End-to-end behaviours, one a module. `tests/run` runs them inside the rig.

mod rig_stands;
