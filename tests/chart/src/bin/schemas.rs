//! Writes the schemas for kubeconform: `schemas FOLDER SWAGGER DEFINITION...`.

use std::path::{Path, PathBuf};

use mudgateway_chart::schemas::{of_definitions, of_kubernetes};
use mudgateway_chart::{Error, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(swagger)) = (arguments.next(), arguments.next()) else {
        return Err(Error::Content {
            what: "the command line".to_owned(),
            why: "usage: schemas FOLDER SWAGGER DEFINITION...".to_owned(),
        });
    };
    let mut schemas = of_kubernetes(&read(&swagger)?)?;
    for definition in arguments {
        schemas.extend(of_definitions(&read(&definition)?)?);
    }
    std::fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    for (name, schema) in &schemas {
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, schema.to_string()).map_err(|source| Error::File { path, source })?;
    }
    println!("wrote {} schemas", schemas.len());
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}
