//! What holds for one mud: what its MudGateway says, on top of what its network says. Pure.

use std::collections::BTreeSet;

use mudgateway_crds::mudgateway::Router;
use mudgateway_crds::network::{AddressOf, NetworkLimits, Policies, Proxy};
use mudgateway_crds::{IntermudNetworkSpec, MudGatewaySpec};

/// The network as one mud's gateway is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// Its name on the bus.
    pub name: String,
    /// The routers, in order of preference.
    pub routers: Vec<Router>,
    /// What routers tolerate.
    pub limits: NetworkLimits,
    /// Whose address the connection comes from when there is no proxy.
    pub address_of: AddressOf,
    /// The proxy that leads to the routers.
    pub proxy: Option<Proxy>,
    /// The rules for what comes in and goes out. Whoever is banned is among those that are ignored.
    pub policies: Policies,
}

/// What holds for a mud; `network` is the IntermudNetwork that it refers to, if it does.
pub fn effective(mud: &MudGatewaySpec, network: Option<&IntermudNetworkSpec>) -> Effective {
    let own_proxy = mud.egress.as_ref().and_then(|egress| egress.proxy.clone());
    let of_network = |network: &IntermudNetworkSpec| network.policies.clone();
    let mut policies = mud.policies.clone().or_else(|| network.map(of_network)).unwrap_or_default();
    let bans = network.map_or(&[][..], |network| network.bans.as_slice());
    let banned = policies.ban.iter().map(|mud| format!("*@{mud}"));
    let ignored: BTreeSet<String> = policies.ignore.iter().chain(bans).cloned().chain(banned).collect();
    policies.ignore = ignored.into_iter().collect();
    let allowed = network.map(|network| network.limits.packets_per_second);
    let mut limits = network.map(|network| network.limits.clone()).unwrap_or_default();
    if let Some(pace) = policies.packets_per_second {
        limits.packets_per_second = allowed.map_or(pace, |allowed| allowed.min(pace));
    }
    Effective {
        name: mud.network().to_owned(),
        routers: network.map_or(&mud.routers, |network| &network.routers).clone(),
        limits,
        address_of: network.map(|network| network.egress.address_of).unwrap_or_default(),
        proxy: own_proxy.or_else(|| network.and_then(|network| network.egress.proxy.clone())),
        policies,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mud(more: &Value) -> MudGatewaySpec {
        let mut spec = json!({"mud": {"name": "Dawn"}, "networkRef": {"name": "i4"}});
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    fn network() -> IntermudNetworkSpec {
        serde_json::from_value(json!({
            "routers": [{"name": "*i4", "host": "router.example", "port": 8080}],
            "limits": {"packetsPerSecond": 7},
            "egress": {"addressOf": "Cluster", "proxy": {"host": "proxy.example"}},
            "policies": {"ignore": ["troll@*"], "maxMessageLength": 512},
            "bans": ["*@SpamMUD"],
        }))
        .unwrap()
    }

    #[test]
    fn a_mud_has_what_its_network_says() {
        let effective = effective(&mud(&json!({})), Some(&network()));
        assert_eq!((effective.name.as_str(), effective.routers[0].name.as_str()), ("i4", "*i4"));
        assert_eq!((effective.limits.packets_per_second, effective.address_of), (7, AddressOf::Cluster));
        let proxy = effective.proxy.unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 1080));
        assert_eq!(effective.policies.ignore, ["*@SpamMUD", "troll@*"]);
        assert_eq!(effective.policies.max_message_length, Some(512));
    }

    #[test]
    fn a_muds_own_rules_come_first_and_bans_stay() {
        let own =
            json!({"policies": {"ignore": ["*@Dull"]}, "egress": {"proxy": {"host": "other", "port": 9}}});
        let effective = effective(&mud(&own), Some(&network()));
        assert_eq!(effective.policies.ignore, ["*@Dull", "*@SpamMUD"]);
        assert_eq!(effective.policies.max_message_length, None);
        assert_eq!(effective.proxy.unwrap().host, "other");
    }

    #[test]
    fn who_is_banned_is_ignored_by_its_name() {
        let own = json!({"policies": {"ignore": ["troll@*"], "ban": ["Dull MUD", "SpamMUD"]}});
        let banned = effective(&mud(&own), Some(&network()));
        assert_eq!(banned.policies.ignore, ["*@Dull MUD", "*@SpamMUD", "troll@*"], "each once");
    }

    #[test]
    fn a_mud_may_be_slower_than_its_network_allows_and_not_faster() {
        let pace = |own: Value, network: Option<&IntermudNetworkSpec>| {
            let own = mud(&json!({"policies": own, "routers": [{"name": "*own", "host": "h", "port": 1}]}));
            effective(&own, network).limits.packets_per_second
        };
        let network = network();
        let cases = [
            (json!({}), 7, 8),
            (json!({"packetsPerSecond": 6}), 6, 6),
            (json!({"packetsPerSecond": 9}), 7, 9),
        ];
        for (own, with, without) in cases {
            assert_eq!(
                (pace(own.clone(), Some(&network)), pace(own.clone(), None)),
                (with, without),
                "{own}"
            );
        }
    }

    #[test]
    fn without_a_network_the_first_router_gives_its_name() {
        let mut spec = mud(&json!({"routers": [{"name": "*own", "host": "h", "port": 1}]}));
        spec.network_ref = None;
        let effective = effective(&spec, None);
        assert_eq!((effective.name.as_str(), effective.routers.len()), ("*own", 1));
        assert_eq!((effective.limits, effective.proxy), (NetworkLimits::default(), None));
    }
}
