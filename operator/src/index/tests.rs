use super::*;
use crate::testing::{gateway, guarded, undecodable};

fn key(name: &str) -> Key {
    Key::new("ns", name)
}

/// A MudGateway `ns/<name>` that claims `mud`, created `second` seconds after the epoch.
fn claiming(name: &str, mud: &str, second: i64) -> Guarded {
    let mut gateway = gateway("ns", name, mud);
    gateway.metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::from_second(second).unwrap()));
    guarded(gateway)
}

#[test]
fn the_older_has_the_name_and_the_younger_gets_it_after_it() {
    let mut index = Index::default();
    assert_eq!(index.apply(&claiming("young", "Mud", 20)), []);
    assert_eq!(index.apply(&claiming("old", "Mud", 10)), [key("young")]);
    assert_eq!(index.senior(&key("young")), Some(key("old")));
    assert_eq!(index.senior(&key("old")), None);

    assert_eq!(index.remove(&key("old")), [key("young")]);
    assert_eq!(index.senior(&key("young")), None);
}

#[test]
fn only_who_comes_first_concerns_the_others() {
    let mut index = Index::default();
    index.apply(&claiming("a", "Mud", 10));
    index.apply(&claiming("b", "Mud", 20));
    assert_eq!(index.apply(&claiming("c", "Mud", 30)), [], "it has nothing to take from them");
    assert_eq!(index.apply(&claiming("a", "Mud", 10)), [], "nothing new");
    assert_eq!(index.remove(&key("b")), []);
    assert_eq!(index.remove(&key("a")), [key("c")]);
}

#[test]
fn of_two_of_one_second_the_first_by_name_has_it() {
    let mut index = Index::default();
    index.apply(&claiming("b", "Mud", 10));
    index.apply(&claiming("a", "Mud", 10));
    assert_eq!(index.senior(&key("b")), Some(key("a")));
}

#[test]
fn names_are_claimed_on_one_network_only() {
    let mut index = Index::default();
    index.apply(&claiming("a", "Mud", 10));
    let mut elsewhere = gateway("ns", "b", "Mud");
    elsewhere.spec.routers[0].name = "*other".to_owned();
    index.apply(&guarded(elsewhere));
    assert_eq!(index.senior(&key("b")), None);
}

#[test]
fn moving_to_another_network_frees_the_name() {
    let mut index = Index::default();
    index.apply(&claiming("a", "Mud", 10));
    index.apply(&claiming("b", "Mud", 20));
    let Guarded { 0: Ok(mut moved) } = claiming("a", "Mud", 10) else { panic!() };
    moved.spec.routers[0].name = "*other".to_owned();
    assert_eq!(index.apply(&guarded(moved)), [key("b")]);
    assert_eq!(index.senior(&key("b")), None);
}

#[test]
fn an_object_that_became_undecodable_keeps_its_claim() {
    let mut index = Index::default();
    index.apply(&claiming("a", "Mud", 10));
    index.apply(&claiming("b", "Mud", 20));
    index.apply(&undecodable("ns", "a"));
    assert_eq!(index.senior(&key("b")), Some(key("a")));
    assert_eq!(index.undecodable(), 1);
}

/// The same, and it asks for a path at a Gateway, by a listener if that is named.
fn exposed(name: &str, mud: &str, second: i64, path: &str, section: Section) -> Guarded {
    let Guarded { 0: Ok(mut gateway) } = claiming(name, mud, second) else { panic!() };
    let parent = serde_json::json!({"name": "edge"});
    let way = serde_json::json!({"parentRef": parent, "path": path, "sectionName": section});
    gateway.spec.expose = serde_json::from_value(serde_json::json!({"gateway": way})).unwrap();
    guarded(gateway)
}

#[test]
fn the_older_has_the_way_in_and_the_younger_gets_it_after_it() {
    let at = |name: &str, mud: &str, second: i64, path: &str| exposed(name, mud, second, path, None);
    let mut index = Index::default();
    index.apply(&at("young", "Young", 20, "/ws"));
    assert_eq!(index.apply(&at("old", "Old", 10, "/ws")), [key("young")]);
    let (endpoint, holder) = index.taken_endpoint(&key("young")).unwrap();
    assert_eq!((endpoint.to_string().as_str(), holder), ("the path /ws at Gateway ns/edge", key("old")));
    assert_eq!((index.taken_endpoint(&key("old")), index.senior(&key("young"))), (None, None));

    assert_eq!(index.apply(&at("old", "Old", 10, "/old")), [key("young")]);
    assert_eq!(index.taken_endpoint(&key("young")), None);
    index.apply(&at("old", "Old", 10, "/ws"));
    assert_eq!(index.remove(&key("old")), [key("young")]);
    assert_eq!(index.taken_endpoint(&key("young")), None);
}

#[test]
fn who_names_no_listener_asks_for_all_of_them() {
    let at = |name: &str, second: i64, section: &str| {
        let section = (section != "all").then(|| section.to_owned());
        exposed(name, name, second, "/ws", section)
    };
    let taken = |index: &Index, name: &str| index.taken_endpoint(&key(name)).map(|(_, holder)| holder);
    for [older, younger] in [["all", "http"], ["http", "all"], ["all", "all"], ["http", "http"]] {
        let mut index = Index::default();
        index.apply(&at("young", 20, younger));
        assert_eq!(index.apply(&at("old", 10, older)), [key("young")], "{older} {younger}");
        assert_eq!(taken(&index, "young"), Some(key("old")), "{older} {younger}");
        assert_eq!(index.remove(&key("old")), [key("young")]);
        assert_eq!(taken(&index, "young"), None);
    }

    // Who has nothing takes nothing from others, until it has.
    let mut index = Index::default();
    for (name, second, section) in [("a", 1, "http"), ("b", 2, "all"), ("c", 3, "https"), ("d", 4, "https")] {
        index.apply(&at(name, second, section));
    }
    let all = |index: &Index| ["a", "b", "c", "d"].map(|name| taken(index, name));
    assert_eq!(all(&index), [None, Some(key("a")), None, Some(key("c"))]);
    assert_eq!(index.remove(&key("a")), ["b", "c", "d"].map(key));
    assert_eq!(all(&index), [None, None, Some(key("b")), Some(key("b"))]);
}

/// The same at `/ws`, where it names a host or, if not, its status tells which one it came to.
fn at_host(name: &str, second: i64, hostname: Option<&str>, told: Option<&str>) -> Guarded {
    let Guarded { 0: Ok(mut gateway) } = exposed(name, name, second, "/ws", None) else { panic!() };
    gateway.spec.expose.gateway.as_mut().unwrap().hostname = hostname.map(str::to_owned);
    let url = told.map(|host| format!("wss://{host}/ws"));
    gateway.status = serde_json::from_value(serde_json::json!({"endpoints": {"websocket": url}})).unwrap();
    guarded(gateway)
}

#[test]
fn the_host_of_a_listener_is_a_way_in_that_others_may_name() {
    let host = "muds.example";
    let way = || {
        let gateway = Key::new("ns", "edge");
        let http = Endpoint::Http { gateway, hostname: Some(host.to_owned()), path: "/ws".to_owned() };
        vec![(http, Some("https".to_owned()))]
    };
    let taken = |index: &Index, name: &str| index.taken_endpoint(&key(name)).map(|(_, holder)| holder);
    for (nameless, [by_listener, by_name]) in [("old", ["old", "young"]), ("young", ["young", "old"])] {
        let second = |name: &str| if name == "old" { 10 } else { 20 };
        let mut index = Index::default();
        index.apply(&at_host(by_listener, second(by_listener), None, None));
        index.apply(&at_host(by_name, second(by_name), Some(host), None));
        assert_eq!(taken(&index, "young"), None, "nobody has looked at the Gateway");
        let concerned = index.imply(&key(by_listener), way());
        assert_eq!(concerned, if nameless == "old" { vec![key("young")] } else { vec![] });
        assert_eq!((taken(&index, "young"), taken(&index, "old")), (Some(key("old")), None), "{nameless}");

        // It stays so when its own change comes by the watch, and ends with the listener's host.
        index.apply(&at_host(by_listener, second(by_listener), None, None));
        assert_eq!(index.imply(&key(by_listener), way()), [], "nothing new");
        assert_eq!(taken(&index, "young"), Some(key("old")), "{nameless}");
        index.imply(&key(by_listener), Vec::new());
        assert_eq!(taken(&index, "young"), None);
    }
}

#[test]
fn until_its_gateway_is_looked_at_a_way_in_is_as_its_status_tells() {
    let mut index = Index::default();
    index.apply(&at_host("old", 10, None, Some("muds.example")));
    index.apply(&at_host("young", 20, Some("muds.example"), None));
    assert_eq!(index.taken_endpoint(&key("young")).map(|(_, holder)| holder), Some(key("old")));
    index.imply(&key("old"), Vec::new());
    index.apply(&at_host("old", 10, None, Some("muds.example")));
    assert_eq!(index.taken_endpoint(&key("young")), None, "what was seen counts for more");
}

#[test]
fn who_asks_for_standbys_and_has_none_is_counted() {
    let mut index = Index::default();
    for (name, replicas, standbys) in [("a", 1, 0), ("b", 2, 0), ("c", 2, 1)] {
        let mut gateway = gateway("ns", name, name);
        gateway.spec.replicas = replicas;
        let status = format!(r#"{{"standbys": {standbys}}}"#);
        gateway.status = serde_json::from_str(&status).unwrap();
        index.apply(&guarded(gateway));
    }
    assert_eq!(index.without_standby(), 1);
}

#[test]
fn secrets_lead_to_their_users() {
    let mut index = Index::default();
    let mut user = gateway("ns", "a", "Mud");
    user.spec.api.keys = serde_json::from_str(r#"[{"secretRef": {"name": "bot"}}]"#).unwrap();
    index.apply(&guarded(user));
    assert_eq!(index.users_of(&key("bot")), [key("a")]);
    assert_eq!(index.users_of(&Key::new("other", "bot")), []);

    index.apply(&claiming("a", "Mud", 10));
    assert_eq!(index.users_of(&key("bot")), []);
    assert!(index.secrets.is_empty());
}

#[test]
fn a_network_leads_to_its_muds() {
    let mut index = Index::default();
    let mut on_it = gateway("ns", "a", "First");
    on_it.spec.routers.clear();
    on_it.spec.network_ref = serde_json::from_str(r#"{"name": "i4"}"#).unwrap();
    on_it.spec.egress =
        serde_json::from_str(r#"{"proxy": {"host": "h", "secretRef": {"name": "login"}}}"#).unwrap();
    index.apply(&guarded(on_it));
    index.apply(&claiming("b", "Second", 10));
    assert_eq!(index.on_network("i4"), [key("a")]);
    assert_eq!(index.mud_of(&key("a")), Some(("i4", "First")));
    assert!(index.is_claimed("i4", "First") && !index.is_claimed("i4", "Second"));
    assert_eq!(index.users_of(&key("login")), [key("a")]);
}

#[test]
fn what_a_new_list_lacks_is_gone() {
    let mut index = Index::new([Some("ns".to_owned()), Some("other".to_owned())]);
    index.apply(&claiming("a", "Mud", 10));
    index.apply(&claiming("b", "Mud", 20));
    index.apply(&guarded(gateway("other", "c", "Third")));
    assert!(!index.is_complete());

    let (gone, concerned) = index.complete(&Some("ns".to_owned()), &HashSet::from([key("b")]));
    assert_eq!((gone, concerned), (vec![key("a")], vec![key("b")]));
    assert!(!index.is_complete());
    index.complete(&Some("other".to_owned()), &HashSet::from([Key::new("other", "c")]));
    assert!(index.is_complete());
    assert_eq!(index.len(), 2);
}
