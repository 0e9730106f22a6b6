//! Writes the custom resource definitions where they are shipped from: plain beside this crate, and as templates
//! of the chart. Run it with `cargo run -p mudgateway-crds --example generate`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, ResourceExt};
use mudgateway_crds::{IntermudNetwork, MudGateway};

const NOTICE: &str =
    "# Generated from the Rust types by `cargo run -p mudgateway-crds --example generate`. Do not edit.\n";

fn main() -> Result<(), Box<dyn Error>> {
    for (path, content) in files()? {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Every generated file and its content.
fn files() -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for definition in [MudGateway::crd(), IntermudNetwork::crd()] {
        files.extend(files_of(&definition)?);
    }
    Ok(files)
}

fn files_of(definition: &CustomResourceDefinition) -> Result<[(PathBuf, String); 2], Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = format!("{}.yaml", definition.name_any());
    let yaml = serde_saphyr::to_string(definition)?;
    Ok([
        (here.join(&name), format!("{NOTICE}{yaml}")),
        (here.join("../charts/mudgateway/templates/crds").join(&name), chart_template(&yaml)?),
    ])
}

/// The definition as a template: a switch to leave it out, and an annotation so that helm never deletes it and
/// every object of its kind with it.
fn chart_template(yaml: &str) -> Result<String, Box<dyn Error>> {
    let (head, tail) = yaml.split_once("metadata:\n").ok_or("the definition has no metadata")?;
    Ok(format!(
        "{NOTICE}{{{{- if .Values.crds.enabled }}}}\n{head}metadata:\n  \
         labels:\n    app.kubernetes.io/part-of: mudgateway\n    {{{{- include \"mudgateway.labels\" . | nindent 4 }}}}\n  \
         {{{{- if .Values.crds.keep }}}}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{{{- end }}}}\n\
         {tail}{{{{- end }}}}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_what_the_types_say() {
        for (path, content) in files().unwrap() {
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == content,
                "{} is out of date: cargo run -p mudgateway-crds --example generate",
                path.display()
            );
        }
    }
}
