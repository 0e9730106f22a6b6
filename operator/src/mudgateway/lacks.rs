//! Secrets that a spec names and that do not exist, where that stops nothing: cert-manager makes one for an Ingress once that
//! is there, and nodes may have the image already.

use mudgateway_crds::MudGatewaySpec;

use super::dereference::{Facts, ingress_tls};

/// What there is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// That with the certificate of the Ingress.
    pub ingress_tls: Option<String>,
    /// One to pull the image with.
    pub pull_secret: Option<String>,
}

/// Finds out what there is not. Pure.
pub fn lacks(spec: &MudGatewaySpec, facts: &Facts) -> Lacks {
    let whole = |name: &&String| ["tls.crt", "tls.key"].iter().all(|entry| facts.has(name, entry));
    let mut pull = spec.image_pull_secrets.iter().map(|secret| &secret.name);
    Lacks {
        ingress_tls: ingress_tls(spec).filter(|name| !whole(name)).cloned(),
        pull_secret: pull.find(|name| !facts.secrets.contains_key(*name)).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::mudgateway::dereference::{SecretFacts, secrets};
    use crate::testing::gateway;

    #[test]
    fn what_nodes_and_ingresses_lack_is_named() {
        let mut spec = gateway("ns", "a", "Mud").spec;
        spec.image_pull_secrets = serde_json::from_value(json!([{"name": "registry"}])).unwrap();
        spec.expose =
            serde_json::from_value(json!({"ingress": {"host": "h", "tlsSecretName": "cert"}})).unwrap();
        let with = |entries: &[&str]| {
            let entries: BTreeSet<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
            SecretFacts { entries }
        };
        let mut facts = Facts::default();
        facts.secrets.insert("cert".to_owned(), with(&["tls.crt"]));
        let found = lacks(&spec, &facts);
        let names = (found.ingress_tls.as_deref(), found.pull_secret.as_deref());
        assert_eq!(names, (Some("cert"), Some("registry")));
        facts.secrets.insert("cert".to_owned(), with(&["tls.crt", "tls.key"]));
        facts.secrets.insert("registry".to_owned(), with(&[]));
        assert_eq!(lacks(&spec, &facts), Lacks::default());
        assert_eq!(secrets(&spec).len(), 2, "a change of them is seen");
    }
}
