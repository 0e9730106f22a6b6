//! What to do about each reason. A reason that is new in the API does not compile here until somebody says.

use mudgateway_crds::report::SessionReason;
use mudgateway_crds::status::Reason;

use crate::gateway::Gateway;

/// Whether it passes by itself within seconds, as a rule, or was asked for: no fault.
pub fn passes(reason: &str) -> bool {
    matches!(
        Reason::of(reason),
        Some(
            Reason::Paused
                | Reason::Progressing
                | Reason::Deleting
                | Reason::Moving
                | Reason::ScaledToZero
                | Reason::Session(
                    SessionReason::Connecting
                        | SessionReason::WaitingForPermit
                        | SessionReason::Redirected
                        | SessionReason::Standby
                        | SessionReason::ShuttingDown
                )
        )
    )
}

/// What to do about a condition of this reason that does not hold. `message` is the operator's.
pub fn of(reason: &str, message: &str, gateway: &Gateway) -> String {
    let Gateway { name, namespace, .. } = gateway;
    if message.contains("exceeded quota") {
        return format!("raise the quota or free some of it: kubectl describe resourcequota -n {namespace}");
    }
    if message.contains("PodSecurity") || message.contains("violates") {
        return "the namespace's policy refuses the pod: see what the message names".to_owned();
    }
    match Reason::of(reason) {
        Some(reason) => known(reason, message, gateway),
        // The operator is newer than we are.
        None => format!("see: kubectl describe mudgateway {name} -n {namespace}"),
    }
}

/// What to do about what the operator found.
fn known(reason: Reason, message: &str, gateway: &Gateway) -> String {
    let Gateway { name, namespace, .. } = gateway;
    let text = match reason {
        Reason::SecretNotFound => return secret(message, gateway),
        Reason::Paused => {
            return format!(
                "let the operator go on: kubectl patch mudgateway {name} -n {namespace} --type merge -p '{{\"spec\":{{\"paused\":false}}}}'"
            );
        }
        Reason::ScaledToZero => {
            return format!(
                "if it is to be on the network: kubectl scale mudgateway {name} -n {namespace} --replicas=1"
            );
        }
        Reason::WaitingForGateway => {
            return format!(
                "the pod does not report. Look at NATS, and at the pod's log: kubectl logs deployment/{name}-gateway -n {namespace}"
            );
        }
        Reason::InvalidSpec => {
            "correct the spec as the message says, or upgrade the operator if it is older than the object"
        }
        Reason::NetworkNotFound => {
            "correct spec.networkRef: the provider knows the network's exact name (networks belong to no namespace, so \
             kubectl get intermudnetworks needs a right in the whole cluster); or name the routers in spec.routers instead"
        }
        Reason::NetworkUnavailable => {
            "the provider must give the operator the right to list IntermudNetworks, or correct the one that the message names"
        }
        Reason::NameConflict => {
            "another MudGateway or namespace has this mud name: delete one of the two, or give this one another \
             mud name (in a new object, for the name cannot change)"
        }
        Reason::ImageNotAllowed => {
            "use the operator's image (no spec.image), or have the provider allow this one"
        }
        Reason::KeyExpiring | Reason::KeyExpired => "give the mud a new key: change spec.api.keys",
        Reason::GatewayApiMissing => {
            "install the Gateway API's definitions with that kind, or choose another spec.expose"
        }
        Reason::GatewayNotFound | Reason::RouteNotAccepted => {
            "correct spec.expose.gateway, or have the Gateway's owner admit routes of this namespace"
        }
        Reason::AddressPending => {
            "a load balancer, or the controller of the Gateway or Ingress, must give the address: see that one runs"
        }
        Reason::EndpointConflict => {
            "the older MudGateway that the message names leads there: give this one another host name, path or \
             listener in spec.expose"
        }
        Reason::ImmutableField => "delete the object that the message names: the operator makes it anew",
        Reason::ObjectExists => {
            "an object of that name belongs to someone else: delete it, or name the MudGateway otherwise"
        }
        Reason::ApplyFailed => {
            "the API server refuses the operator, or fails: grant what the message names, or upgrade the chart, whose \
             role may be older than the operator; what fails is tried again by itself"
        }
        Reason::NatsLoginUnavailable => {
            "the provider must mend the operator's way into NATS: the Secret or file that the message names (docs/NATS.md)"
        }
        Reason::Deleting => {
            "in a minute at most it should be gone; if not, see the checks of the operator above"
        }
        Reason::Moving => {
            "in a minute at most it should be on the other network; if not, look at NATS (checks of the cluster above)"
        }
        Reason::Progressing | Reason::ProgressDeadlineExceeded => "the check of the pods below says why",
        Reason::BusUnavailable => "look at NATS (checks of the cluster above); the mud may well be connected",
        Reason::StateLeft | Reason::PasswordRestored => {
            "nothing, if NATS is well again (checks of the cluster above)"
        }
        Reason::Accepted | Reason::MinimumReplicasAvailable | Reason::FailedOver => {
            "nothing: this is as it should be"
        }
        Reason::Session(reason) => return session(reason, gateway),
    };
    text.to_owned()
}

/// What to do about what the gateway says of its router session.
fn session(reason: SessionReason, gateway: &Gateway) -> String {
    let routers = "the routers in the spec, or of its network (their exact names, hosts and ports)";
    match reason {
        SessionReason::RouterUnreachable => format!(
            "check {routers}, and that the cluster lets pods reach them (NetworkPolicy, firewall, egress proxy)"
        ),
        SessionReason::RouterRefused => format!(
            "routers refuse without a word. Check {routers}; if the mud was known under another gateway, its password \
             must be restored; if the router counts addresses, wait or use another egress; else ask the router's operator"
        ),
        SessionReason::AddressFull => format!(
            "let the mud leave by another address: spec.egress.proxy of {}, or egress.proxy of its network. If the router \
             lets more in, the provider may raise limits.mudsPerAddress of the IntermudNetwork",
            gateway.name
        ),
        SessionReason::ProxyFailed => {
            "see that the SOCKS5 proxy runs, lets pods reach it and takes the login of its Secret: spec.egress.proxy, or \
             else egress.proxy of the network"
                .to_owned()
        }
        SessionReason::SessionLost | SessionReason::RouterSilent | SessionReason::ProtocolError => {
            "the gateway tries again by itself; if it stays so, ask the router's operator".to_owned()
        }
        SessionReason::StateUnavailable => {
            "the password cannot be read or kept: look at NATS (checks of the cluster above)".to_owned()
        }
        SessionReason::WaitingForPermit => {
            "wait: routers take one connection a second, and other muds are before this one".to_owned()
        }
        SessionReason::SessionEstablished => "nothing: the mud is on the network".to_owned(),
        SessionReason::Connecting
        | SessionReason::Redirected
        | SessionReason::Standby
        | SessionReason::ShuttingDown => "in a moment it should be connected; if not, run this again".to_owned(),
    }
}

/// What to do about a Secret that is missing, or lacks an entry. The message begins with its name, and the spec says
/// what it is for.
fn secret(message: &str, gateway: &Gateway) -> String {
    let Gateway { namespace, keys, raw, .. } = gateway;
    let entry_is_named = |entry: &str| message.contains(&format!("{entry:?}"));
    let named = message.strip_prefix("Secret ").and_then(|rest| rest.split([' ', ':']).next());
    let Some(name) = named else {
        return format!("create the Secret that the message names in namespace {namespace}");
    };
    let create =
        format!("create it, or add what it lacks: kubectl create secret generic {name} -n {namespace}");
    let tls = &raw.data["spec"]["api"]["tls"];
    if tls["secretName"] == name {
        let ca = if gateway.wants_certificate { " --from-file=ca.crt" } else { "" };
        return format!("{create} --from-file=tls.crt --from-file=tls.key{ca}");
    }
    if raw.data["spec"]["expose"]["ingress"]["tlsSecretName"] == name {
        return format!(
            "have cert-manager make it, or: kubectl create secret tls {name} -n {namespace} --cert=tls.crt --key=tls.key"
        );
    }
    let mut pull = raw.data["spec"]["imagePullSecrets"].as_array().into_iter().flatten();
    if pull.any(|secret| secret["name"] == name) {
        return format!(
            "kubectl create secret docker-registry {name} -n {namespace} --docker-server=REGISTRY …"
        );
    }
    let meant = keys.iter().filter(|key| key.name == name).max_by_key(|key| entry_is_named(&key.key));
    if let Some(key) = meant {
        return format!("{create} --from-literal={}=KEY", key.key);
    }
    if name == format!("{}-api-key", gateway.name) {
        return format!(
            "let the operator make a new key, which the mud must be given: kubectl delete secret {name} -n {namespace}"
        );
    }
    format!(
        "{create} --type=kubernetes.io/basic-auth --from-literal=username=USER --from-literal=password=PASSWORD"
    )
}
