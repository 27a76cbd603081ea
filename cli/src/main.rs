//! The dns01 program.

fn main() {}
