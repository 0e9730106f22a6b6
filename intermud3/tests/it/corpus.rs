//! The fuzz targets' checks over their corpus, on the stable toolchain.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fuzz;
use crate::vectors::{LPC, OOB, PACKETS, STREAMS, TEXTS};

type Check = fn(&[u8]);

const TARGETS: [(&str, Check); 5] = [
    ("lpc", fuzz::lpc),
    ("frame", fuzz::frame),
    ("packet", fuzz::packet),
    ("oob", fuzz::oob),
    ("text", fuzz::text),
];

fn vectors(target: &str) -> Vec<Vec<u8>> {
    let of_text = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let of_bytes = |all: &[&[u8]]| all.iter().map(|bytes| bytes.to_vec()).collect();
    match target {
        "lpc" => of_bytes(LPC),
        "frame" => of_bytes(STREAMS),
        "packet" => of_text(PACKETS),
        "oob" => of_text(OOB),
        _ => of_bytes(TEXTS),
    }
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

#[test]
fn every_check_holds_for_its_corpus() {
    for (target, check) in TARGETS {
        let files: Vec<_> =
            fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= vectors(target).len());
        for file in files {
            check(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_check_holds_for_the_input_of_every_other() {
    for (_, check) in TARGETS {
        TARGETS.iter().flat_map(|(other, _)| vectors(other)).for_each(|input| check(&input));
    }
}

/// `UPDATE_CORPUS=1 cargo test -p intermud3 corpus` writes what is missing.
#[test]
fn the_corpus_holds_every_vector() {
    for (target, _) in TARGETS {
        for (n, vector) in vectors(target).into_iter().enumerate() {
            let file = folder(target).join(format!("vector-{n:02}"));
            if std::env::var_os("UPDATE_CORPUS").is_some() {
                fs::create_dir_all(folder(target)).unwrap();
                fs::write(&file, &vector).unwrap();
            }
            assert!(
                fs::read(&file).is_ok_and(|found| found == vector),
                "{target}/{n:02} differs: UPDATE_CORPUS=1"
            );
        }
    }
}
