//! dns01: TLS certificates through DNS-01 alone.
mod args;
mod errors;
mod output;
mod providers;
fn main() {
    let _ = (args::parse(), providers::PLUGINS);
}
