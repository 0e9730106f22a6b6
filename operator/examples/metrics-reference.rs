//! Writes what the operator counts into `docs/METRICS.md`. Run it with `make generate`.

use std::io;

use mudgateway_operator::metrics::Metrics;
use mudgateway_telemetry::metrics::Reference;

fn main() -> io::Result<()> {
    reference().write()
}

fn reference() -> Reference {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
    Reference::new(path, "operator", Metrics::default().book())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_reference_is_what_is_served() {
        assert!(reference().is_current().unwrap(), "docs/METRICS.md is out of date: make generate");
    }
}
