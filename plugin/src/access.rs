//! The rights each request needs, so that a refusal can say which one is missing.

use std::fmt;

use kube::client::UpgradeConnectionError;

use crate::error::{Error, Result};

/// What a request does, as RBAC sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The API group; empty for the core one.
    pub group: &'static str,
    /// The resource, with the subresource if there is one.
    pub resource: &'static str,
    /// The verbs.
    pub verbs: &'static [&'static str],
}

/// The needs of all requests the plug-in makes.
pub mod needs {
    use super::Need;

    const fn need(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Need {
        Need { group, resource, verbs }
    }

    /// Reading MudGateways.
    pub const GATEWAYS: Need = need("intermud.dev", "mudgateways", &["get", "list"]);
    /// Reading pods.
    pub const PODS: Need = need("", "pods", &["get", "list"]);
    /// Reaching a pod's port. Newer API servers want `create`, others `get`, for one and the same request.
    pub const FORWARD: Need = need("", "pods/portforward", &["get", "create"]);
    /// Evicting a pod.
    pub const EVICT: Need = need("", "pods/eviction", &["create"]);
    /// Reading a Secret.
    pub const SECRET: Need = need("", "secrets", &["get"]);
    /// Changing a Secret.
    pub const SECRET_CHANGE: Need = need("", "secrets", &["patch"]);
    /// Reading Deployments.
    pub const DEPLOYMENTS: Need = need("apps", "deployments", &["get", "list"]);
    /// Changing a Deployment.
    pub const DEPLOYMENT_CHANGE: Need = need("apps", "deployments", &["patch"]);
    /// Reading definitions.
    pub const DEFINITIONS: Need = need("apiextensions.k8s.io", "customresourcedefinitions", &["get"]);
    /// Reading Leases.
    pub const LEASES: Need = need("coordination.k8s.io", "leases", &["list"]);
    /// Reading the addresses behind a Service.
    pub const SLICES: Need = need("discovery.k8s.io", "endpointslices", &["list"]);
    /// Reading quotas.
    pub const QUOTAS: Need = need("", "resourcequotas", &["list"]);
}

/// A right that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// For what.
    pub need: Need,
    /// Where; none: in all namespaces.
    pub namespace: Option<String>,
}

impl std::error::Error for Forbidden {}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Need { group, resource, verbs } = self.need;
        let (place, kind) = match &self.namespace {
            Some(namespace) => (format!("namespace {namespace}"), "Role"),
            None => ("the whole cluster".to_owned(), "ClusterRole"),
        };
        write!(
            f,
            "you have no right to {} {resource} in {place}.\nAsk for a {kind} with this rule, and its binding:\n  \
             - apiGroups: [{group:?}]\n    resources: [{resource:?}]\n    verbs: {verbs:?}",
            verbs.join(" or "),
        )
    }
}

impl Need {
    /// What a failed request means. `doing` names the request for errors that have no name of their own.
    pub fn failed(self, namespace: Option<&str>, doing: &str, error: kube::Error) -> Error {
        let forbidden = || Forbidden { need: self, namespace: namespace.map(str::to_owned) }.into();
        match error {
            kube::Error::Api(status) if status.code == 403 && !status.message.contains("exceeded quota") => {
                forbidden()
            }
            kube::Error::Api(status) if status.code == 401 => Error::Unauthorized(status.message.clone()),
            // The answer for an unknown kind is not even JSON, so it has no reason.
            kube::Error::Api(status)
                if status.code == 404 && !status.is_not_found() && self.group == "intermud.dev" =>
            {
                Error::NoDefinition
            }
            kube::Error::Api(status) => {
                Error::Api { doing: doing.to_owned(), message: status.message.clone() }
            }
            kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) if code == 403 => {
                forbidden()
            }
            kube::Error::Service(error) => Error::Unreachable(root(&*error)),
            kube::Error::HyperError(error) => Error::Unreachable(root(&error)),
            other => Error::Api { doing: doing.to_owned(), message: other.to_string() },
        }
    }

    /// The result of a request.
    ///
    /// # Errors
    /// See [`Need::failed`].
    pub fn check<T>(self, namespace: Option<&str>, doing: &str, result: kube::Result<T>) -> Result<T> {
        result.map_err(|error| self.failed(namespace, doing, error))
    }
}

/// The innermost cause: "connection refused" says more than "error sending request".
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api(code: u16, reason: &str, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status::failure(message, reason).with_code(code)))
    }

    #[test]
    fn a_refusal_says_which_rule_is_missing_and_where() {
        let error = needs::FORWARD.failed(Some("tenant-a"), "", api(403, "Forbidden", "no"));
        let expected = "you have no right to get or create pods/portforward in namespace tenant-a.\n\
            Ask for a Role with this rule, and its binding:\n  - apiGroups: [\"\"]\n    resources: \
            [\"pods/portforward\"]\n    verbs: [\"get\", \"create\"]";
        assert_eq!(error.to_string(), expected);
        let everywhere = needs::GATEWAYS.failed(None, "", api(403, "Forbidden", "no")).to_string();
        assert!(
            everywhere.contains("in the whole cluster") && everywhere.contains("ClusterRole"),
            "{everywhere}"
        );
    }

    #[test]
    fn other_answers_are_told_apart() {
        let unknown = needs::GATEWAYS.failed(None, "", api(404, "", "404 page not found"));
        assert!(matches!(unknown, Error::NoDefinition));
        let missing =
            needs::GATEWAYS.failed(Some("a"), "reading", api(404, "NotFound", "mudgateways \"x\" not found"));
        assert_eq!(missing.to_string(), "reading: mudgateways \"x\" not found");
        assert!(matches!(
            needs::PODS.failed(None, "", api(401, "Unauthorized", "no")),
            Error::Unauthorized(_)
        ));
    }
}
