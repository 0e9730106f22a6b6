//! What other muds may bring and fetch.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What other muds may bring and fetch over connections of their own, from mud to mud (OOB).
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mail || self.news || self.file")
    .message("oob offers nothing: set oob.mail, oob.news or oob.file to true, or remove oob"))]
pub struct Oob {
    /// Take letters.
    #[serde(default)]
    pub mail: bool,
    /// Serve news.
    #[serde(default)]
    pub news: bool,
    /// Serve files.
    #[serde(default)]
    pub file: bool,
    /// The port that other muds are told to connect to, at the address the router sees the mud come from, or at
    /// oob.advertisedAddress. It is a port of the gateway's Service: see to it that it can be reached from outside.
    #[serde(default = "oob_port")]
    #[schemars(range(min = 1024, max = 65535))]
    #[x_kube(validation = Rule::new("!(self in [8080, 8081, 9090])")
        .message("the gateway itself listens at 8080, 8081 and 9090: choose another port, such as 4003"))]
    pub port: i32,
    /// The IP address that other muds are told, if it is not the one the router sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    #[x_kube(validation = crate::rule::address())]
    pub advertised_address: Option<String>,
}

fn oob_port() -> i32 {
    4003
}
