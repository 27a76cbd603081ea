//! dns01: TLS certificates through DNS-01 alone.
mod args;
mod providers;
fn main() {
    let _ = (args::parse(), providers::PLUGINS);
}
