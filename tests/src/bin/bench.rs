//! `bench issue` measures `dns01 issue` beside its peers, and `bench providers` counts what batches
//! cost, inside the rig (`tests/bench/run`).

fn main() -> std::process::ExitCode {
    dns01_tests::bench::main()
}
