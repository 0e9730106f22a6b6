//! Writes what the operator counts into `docs/METRICS.md`. Run it with `make generate`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use mudgateway_operator::metrics::Metrics;
use mudgateway_telemetry::metrics::{document, in_place};

fn main() -> Result<(), Box<dyn Error>> {
    fs::write(path(), reference()?)?;
    println!("wrote {}", path().display());
    Ok(())
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "docs", "METRICS.md"].iter().collect()
}

/// The whole file, with our part as it is to be.
fn reference() -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(path())?;
    let table = document(Metrics::default().book().rows());
    Ok(in_place(&text, "operator", &table).ok_or("docs/METRICS.md has lost its marks")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_reference_is_what_is_served() {
        let committed = fs::read_to_string(path()).unwrap_or_default();
        assert!(committed == reference().unwrap(), "docs/METRICS.md is out of date: make generate");
    }
}
