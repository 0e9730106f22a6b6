//! What the operator asked of the API server, by the API server's own account.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Sub;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;

/// The audit log.
pub struct Audit(PathBuf);

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    #[serde(default)]
    object_ref: Object,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
}

/// Requests that have been answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All but the renewals of a Lease.
    pub total: usize,
    /// Those of them that change something.
    pub writes: usize,
    /// Renewals of a Lease, which say that somebody leads.
    pub renewals: usize,
    /// All, by verb and resource.
    pub by: BTreeMap<String, usize>,
}

impl Audit {
    /// The log in a file.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// All requests so far.
    pub fn count(&self) -> Result<Requests> {
        let mut requests = Requests::default();
        for line in BufReader::new(File::open(&self.0)?).lines() {
            // The last line may not be whole yet.
            if let Ok(line) = serde_json::from_str::<Line>(&line?) {
                requests.add(&line);
            }
        }
        Ok(requests)
    }
}

impl Requests {
    fn add(&mut self, Line { verb, object_ref }: &Line) {
        let is_write = matches!(verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        if object_ref.resource == "leases" {
            self.renewals += usize::from(is_write);
        } else {
            self.total += 1;
            self.writes += usize::from(is_write);
        }
        let slash = if object_ref.subresource.is_empty() { "" } else { "/" };
        let what = format!("{verb} {}{slash}{}", object_ref.resource, object_ref.subresource);
        *self.by.entry(what).or_default() += 1;
    }
}

impl Sub for Requests {
    type Output = Self;

    fn sub(mut self, before: Self) -> Self {
        for (what, count) in &before.by {
            if let Some(now) = self.by.get_mut(what) {
                *now -= count;
            }
        }
        self.by.retain(|_, count| *count > 0);
        Self {
            total: self.total - before.total,
            writes: self.writes - before.writes,
            renewals: self.renewals - before.renewals,
            by: self.by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |verb: &str, object: &str| format!("{{\"verb\": {verb:?}, \"objectRef\": {object}}}\n");
        let log = [
            line("get", r#"{"resource": "secrets"}"#),
            line("patch", r#"{"resource": "mudgateways", "subresource": "status"}"#),
            line("update", r#"{"resource": "leases"}"#),
            "{\"verb\": \"get\"}\n".to_owned(),
            "{\"verb\": \"pat".to_owned(),
        ];
        std::fs::write(file.path(), log.concat()).unwrap();
        let requests = Audit::new(file.path()).count().unwrap();
        assert_eq!((requests.total, requests.writes, requests.renewals), (3, 1, 1));
        assert_eq!(requests.by["patch mudgateways/status"], 1);
        let none = requests.clone() - requests;
        assert_eq!(none, Requests::default());
    }
}
