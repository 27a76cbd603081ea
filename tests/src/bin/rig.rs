//! `rig [--keep DIRECTORY] [--zone NAME] -- COMMAND…`: runs a command beside real name servers
//! and a real CA, in a network of its own.

fn main() -> std::process::ExitCode {
    dns01_tests::rig::launch::main()
}
