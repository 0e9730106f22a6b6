use super::*;
use crate::keys::{KeySource, Permissions, Rate};
use mudgateway_telemetry::log::{Format, Levels};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

fn resolve(flags: &[(&'static str, &str)], env: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
    let flags: BTreeMap<_, _> = flags.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
    let environment =
        |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned());
    let file = Layers::parse_file("config.yaml", file)?;
    Config::resolve(Layers::new(flags, &environment, file), "host-1")
}

fn given(key: &str) -> KeySpec {
    KeySpec {
        source: KeySource::Given(key.into()),
        permissions: Permissions::all(),
        rate: None,
        expires: None,
    }
}

/// The settings that have no effect.
fn settings(config: &Config) -> Vec<&str> {
    config.ignored.iter().map(|ignored| ignored.setting.as_str()).collect()
}

const MINIMAL: &[(&str, &str)] = &[
    ("MUD_NAME", "Dawn"),
    ("I3_ROUTER_NAME", "*test"),
    ("I3_ROUTER_HOST", "127.0.0.1"),
    ("I3_GATEWAY_SECRET", "key"),
];

#[test]
fn the_environment_alone_is_enough_and_the_rest_has_defaults() {
    let config = resolve(&[], MINIMAL, "").unwrap();
    assert_eq!(config.mud.name, "Dawn");
    assert_eq!(config.mud.port, 4000);
    assert_eq!(config.network, "*test");
    assert_eq!(
        config.rules.routers,
        [RouterAddress { name: "*test".into(), host: "127.0.0.1".into(), port: 8080 }]
    );
    assert_eq!(config.api.websocket.to_string(), "[::]:8080");
    assert_eq!(config.api.tcp.unwrap().to_string(), "[::]:8081");
    assert_eq!(config.metrics.unwrap().to_string(), "[::]:9090");
    assert!(config.api.keys == [given("key")]);
    assert_eq!(config.holder, "host-1");
    assert_eq!(config.log, Log { levels: Levels::default(), format: Format::Json });
    assert!(config.nats.is_none() && config.kubernetes.is_none());
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "mud: {name: FromFile, port: 1, driver: FromFile}";
    let env = [MINIMAL, &[("MUD_PORT", "2")]].concat();
    let config = resolve(&[("mud.name", "FromFlag")], &env, file).unwrap();
    assert_eq!(
        (config.mud.name.as_str(), config.mud.port, config.mud.driver.as_str()),
        ("FromFlag", 2, "FromFile")
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let env = [MINIMAL, &[("MUD_PORT", ""), ("NATS_URL", "")]].concat();
    let config = resolve(&[], &env, "mud: {port: 4100}").unwrap();
    assert_eq!(config.mud.port, 4100);
    assert!(config.nats.is_none());
}

#[test]
fn the_operators_file_is_understood() {
    let file = r#"
mud: {name: Dawn, port: 4000, admin_email: a@b.example, mudlib: L, base_mudlib: B, driver: D, mud_type: LP, open_status: open}
router: {primary: {name: "*demo", host: router.demo.svc, port: 8787}, fallback: [{name: "*b", host: b, port: 9000}]}
channels: {default_channels: [{name: imud_gossip}, {name: imud_code, scope: network}, {name: staff, scope: provider}]}
api: {port: 8080, tcp: {port: 8081}, auth: {key_files: [/etc/mudgateway/keys/0/token]}}
metrics: {enabled: true, port: 9090}
nats: {url: "nats://nats:4222"}
kubernetes: {namespace: tenant-a, name: dawn}
logging: {level: info, format: json}
"#;
    let config = resolve(&[], &[("POD_NAME", "dawn-1")], file).unwrap();
    assert_eq!(config.rules.routers.len(), 2);
    let channels: Vec<_> =
        config.channels.iter().map(|(name, one)| (name.as_str(), one.scope.as_str())).collect();
    assert_eq!(channels, [("imud_code", "network"), ("imud_gossip", "network"), ("staff", "provider")]);
    let file = KeySource::File("/etc/mudgateway/keys/0/token".into());
    assert!(config.api.keys == [KeySpec { source: file, ..given("") }]);
    assert_eq!(config.kubernetes, Some(ResourceName { namespace: "tenant-a".into(), name: "dawn".into() }));
    assert_eq!(config.holder, "dawn-1");
}

#[test]
fn a_channel_is_listened_to_and_joined_by_its_clients_themselves_unless_it_says_otherwise() {
    let file =
        "channels: {default_channels: [a, {name: b, type: 0}, {name: c, listen: false, subscribe: true},
        {name: d, subscribe: '${NONE:on}'}]}";
    let config = resolve(&[], MINIMAL, file).unwrap();
    let channels: Vec<_> =
        config.channels.iter().map(|(name, one)| (name.as_str(), one.listen, one.subscribe)).collect();
    assert_eq!(channels, [("a", true, false), ("b", true, false), ("c", false, true), ("d", true, true)]);
}

#[test]
fn what_is_wrong_with_a_channel_is_said() {
    let file = "channels: {default_channels: [a, {name: a, scope: provider}, {name: b, scope: world}, {name: c, scope: 1},
        {name: d, listen: maybe}, {name: e, subscribe: 2}]}";
    let with_bus = [MINIMAL, &[("NATS_URL", "nats://nats:4222")]].concat();
    for (environment, expected) in [
        (&with_bus[..], "entry 2 is there already with other settings: remove one of the two"),
        (&with_bus[..], "entry 3 has a scope that is neither network nor provider"),
        (&with_bus[..], "entry 4 has a scope that is neither network nor provider"),
        (&with_bus[..], "entry 5 has a listen that is neither true nor false"),
        (&with_bus[..], "entry 6 has a subscribe that is neither true nor false"),
        (MINIMAL, "entry 2 has the scope provider, which needs nats.url"),
    ] {
        let text = resolve(&[], environment, file).err().unwrap().to_string();
        assert!(
            text.contains(&format!("channels.default_channels: {expected}")),
            "{expected:?} is missing in {text}"
        );
    }
}

#[test]
fn a_python_gateways_file_is_accepted_and_says_what_it_ignores() {
    let file = "
mud: {name: Dawn, port: 4000, admin_email: a@b.example, services: {tell: 1}}
router: {primary: {name: '*test', host: h, port: 8080, password: 0}, fallback: [{host: '', port: 8080}]}
gateway: {port: 4001, auth: {enabled: true, secret: s}}
api: {websocket: {ping_interval: 30, compression: true}, auth: {api_keys: [{key: k, mud_name: Dawn, permissions: ['*']}]}}
";
    let config = resolve(&[], &[], file).unwrap();
    assert_eq!(config.rules.routers.len(), 1);
    assert!(config.api.keys == [given("s"), given("k")]);
    let ignored: Vec<_> = config.ignored.iter().map(|ignored| ignored.setting.as_str()).collect();
    assert_eq!(
        ignored,
        ["api.websocket.compression", "gateway.auth.enabled", "gateway.port", "mud.services.tell"]
    );
    assert!(config.ignored.iter().all(|ignored| ignored.reason.len() > 10));
}

#[test]
fn one_error_lists_everything_that_is_wrong() {
    let env =
        [("MUD_PORT", "abc"), ("I3_ROUTER_NAME", "i4"), ("ENABLE_METRICS", "perhaps"), ("LOG_FORMAT", "xml")];
    let file = "mud: {nmae: Dawn}\nchannels: {default_channels: [{}]}\nkubernetes: {name: x}";
    let error = resolve(&[("api.port", "70000")], &env, file).err().unwrap();
    let text = error.to_string();
    for expected in [
        "the configuration has 11 problems:",
        "mud.name: is required: use --mud-name, MUD_NAME or mud.name in the file",
        "router.primary.host: is required",
        "router.primary.name: \"i4\" is not a router's name",
        "mud.port: \"abc\" (environment variable MUD_PORT) is not a port",
        "api.port: \"70000\" (flag --ws-port) is not a port",
        "metrics.enabled: \"perhaps\" (environment variable ENABLE_METRICS) is not true or false",
        "logging.format: \"xml\" is not json or text",
        "channels.default_channels: entry 1 must be a text or have a name",
        "mud.nmae: is not a setting",
        "kubernetes.namespace: must be given together",
        "no API key is given",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

#[test]
fn a_secret_in_the_wrong_shape_is_not_repeated() {
    let env = [MINIMAL, &[("I3_ROUTER_PASSWORD", "hunter2")]].concat();
    let text = resolve(&[], &env, "").err().unwrap().to_string();
    assert!(text.contains("router.primary.password") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_that_is_no_mapping_is_refused() {
    for (file, expected) in [("- a", "must hold a mapping"), ("a: [", "is not valid YAML")] {
        let text = resolve(&[], MINIMAL, file).err().unwrap().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_file_that_is_not_yaml_is_not_repeated() {
    for secret in ["\"hunter2", "*hunter2", "@hunter2", "!hunter2 [", "[hunter2"] {
        let file = format!("gateway:\n  auth:\n    secret: {secret}\n");
        let text = resolve(&[], MINIMAL, &file).err().unwrap().to_string();
        assert!(text.contains("is not valid YAML") && text.contains("line "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn debug_raises_the_level_but_never_lowers_it() {
    let level = |level, debug| {
        let env = [MINIMAL, &[("LOG_LEVEL", level), ("DEBUG", debug)]].concat();
        resolve(&[], &env, "").unwrap().log.levels.to_string()
    };
    assert_eq!(level("warn", "true"), "debug");
    assert_eq!(level("trace", "1"), "trace");
    assert_eq!(level("warn", "false"), "warn");
}

#[test]
fn keys_have_permissions_rates_and_an_end() {
    let file = r#"
api:
  auth:
    api_keys: [{key: a, permissions: [tell], rate_limit_override: 600}]
    key_files: [/keys/b, {file: /keys/c, permissions: [channels, info], requests_per_minute: 30, expires: "2027-01-01T00:00:00Z"}]
  rate_limits: {default: {per_minute: 60}, by_method: {who: 6}}
"#;
    let env: Vec<_> = MINIMAL.iter().copied().filter(|(name, _)| *name != "I3_GATEWAY_SECRET").collect();
    let api = resolve(&[], &env, file).unwrap().api;
    let rate = |per_minute| Rate::per_minute(NonZeroU32::new(per_minute).unwrap());
    assert!(
        api.keys[0].permissions == Permissions::parse(["tell"]).unwrap()
            && api.keys[0].rate == Some(rate(600))
    );
    assert!(api.keys[1] == KeySpec { source: KeySource::File("/keys/b".into()), ..given("") });
    assert_eq!(api.keys[2].rate, Some(rate(30)));
    assert_eq!(api.keys[2].expires.unwrap().to_string(), "2027-01-01T00:00:00Z");
    assert_eq!((api.rates.default, api.rates.by_method["who"]), (rate(60), rate(6)));
}

#[test]
fn a_key_that_is_wrong_in_any_way_is_a_problem() {
    let file = r#"
policies: {ignore: ["nobody"]}
api:
  auth: {api_keys: [{key: a, permissions: [root]}, {mud_name: Dawn}], key_files: [{file: /k, expires: tomorrow, requests_per_minute: 0}]}
  rate_limits: {by_method: {who: often}}
  limits: {connections: 0}
"#;
    let text = resolve(&[], MINIMAL, file).err().unwrap().to_string();
    for expected in [
        "api.auth.api_keys: entry 1: \"root\" is not a permission",
        "api.auth.api_keys: entry 2 has no key",
        "api.auth.key_files: entry 1: expires must be a time",
        "api.auth.key_files: entry 1: requests_per_minute must be a whole number, at least 1",
        "policies.ignore: \"nobody\" is not of the form user@mud",
        "api.rate_limits.by_method: who must be a whole number, at least 1",
        "api.limits.connections: \"0\" (file) is not a whole number, at least 1",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

#[test]
fn what_is_told_and_let_through_is_careful_unless_said_otherwise() {
    let config = resolve(&[], MINIMAL, "").unwrap();
    assert_eq!((config.announce_users, config.filter_default), (false, FilterDefault::Pass));
    let file = "{channels: {filter_default: drop}, services: {announce_users: true}}";
    let config = resolve(&[], MINIMAL, file).unwrap();
    assert_eq!((config.announce_users, config.filter_default), (true, FilterDefault::Drop));
    let env = [MINIMAL, &[("CHANNEL_FILTER_DEFAULT", "maybe")]].concat();
    let problems = resolve(&[], &env, "").err().unwrap().to_string();
    assert!(problems.contains("\"maybe\" is not pass or drop"), "{problems}");
}

#[test]
fn what_is_offered_out_of_band_is_chosen_and_off_by_default() {
    let config = resolve(&[], MINIMAL, "").unwrap();
    assert_eq!((config.oob, config.mud.oob), (Settings::default(), Offer::default()));
    let file = "
mud: {oob_services: {mail: 1, news: 0, file: 1, http: 1}}
oob: {enabled: true, host: 127.0.0.1, port: 5000, advertised_port: 6000, advertised_address: 203.0.114.9}
";
    let config = resolve(&[], MINIMAL, file).unwrap();
    assert_eq!(config.oob, Settings { listen: Some(([127, 0, 0, 1], 5000).into()), allow_private: false });
    let address = Some([203, 0, 114, 9].into());
    assert_eq!(config.mud.oob, Offer { port: 6000, address, mail: true, file: true, news: false });
    assert_eq!(settings(&config), ["mud.oob_services.http"]);
    let env =
        [MINIMAL, &[("OOB_ENABLED", "true"), ("ENABLE_OOB_NEWS", "1"), ("OOB_ALLOW_PRIVATE", "1")]].concat();
    let config = resolve(&[], &env, "").unwrap();
    assert_eq!(
        (config.oob.listen.unwrap().to_string().as_str(), config.oob.allow_private),
        ("[::]:4003", true)
    );
    assert_eq!(config.mud.oob, Offer { port: 4003, news: true, ..Offer::default() });
}

#[test]
fn what_would_be_offered_but_is_not_is_told() {
    let config = resolve(&[], MINIMAL, "mud: {oob_services: {mail: 1, file: 0}}").unwrap();
    assert_eq!(settings(&config), ["mud.oob_services.mail"]);
    assert_eq!(config.ignored[0].reason, "oob.enabled is off");
    assert_eq!(config.mud.oob, Offer::default());
    let env = [MINIMAL, &[("OOB_ENABLED", "1"), ("OOB_ADVERTISED_ADDRESS", "mud.example")]].concat();
    let text = resolve(&[], &env, "").err().unwrap().to_string();
    assert!(text.contains("oob.enabled: offers nothing: switch ENABLE_OOB_MAIL"), "{text}");
    assert!(text.contains("oob.advertised_address: \"mud.example\""), "{text}");
}

/// A file in the form of the Python gateway's own, with the variables that one has.
const ORIGINAL: &str = include_str!("testdata/python-gateway.yaml");

#[test]
fn the_python_gateways_file_needs_only_a_key_that_is_not_public() {
    let text = resolve(&[], &[], ORIGINAL).err().unwrap().to_string();
    assert!(text.contains("1 problem:") && text.contains("one of those published"), "{text}");
    for secret in ["luminari-i3", "demo-key", "admin-key"] {
        assert!(!text.contains(secret), "{text}");
    }
    let env = [
        ("API_KEY_LUMINARI", "mine"),
        ("MUD_PORT", "4321"),
        ("LOG_LEVEL", ""),
        ("I3_FALLBACK_ROUTER_PORT", "9000"),
    ];
    let config = resolve(&[], &env, ORIGINAL).unwrap();
    assert_eq!((config.mud.name.as_str(), config.mud.port), ("LuminariMUD", 4321));
    assert!(
        config.api.keys
            == [KeySpec { rate: Some(Rate::per_minute(NonZeroU32::new(500).unwrap())), ..given("mine") }]
    );
    assert_eq!(config.api.limits.connections, 1500);
    assert_eq!(config.rules.routers.len(), 1, "a fallback without a host is none");
    assert_eq!(config.api.websocket.to_string(), "0.0.0.0:8080");
    assert_eq!(config.metrics.unwrap().to_string(), "0.0.0.0:9090", "the API has the port that metrics had");
    let reason = |setting: &str| config.ignored.iter().filter(|ignored| ignored.setting == setting).count();
    assert_eq!((reason("api.auth.api_keys"), reason("metrics.port"), reason("mud.services.tell")), (2, 1, 1));
}

#[test]
fn a_fallback_router_may_come_from_variables() {
    let file = "router: {fallback: [{name: '*b', host: '${B_HOST}', port: '${B_PORT:9000}'}]}";
    let router = |env: &[(&str, &str)]| resolve(&[], &[MINIMAL, env].concat(), file);
    let expected = RouterAddress { name: "*b".into(), host: "b.example".into(), port: 9000 };
    assert_eq!(router(&[("B_HOST", "b.example")]).unwrap().rules.routers[1], expected);
    let text = router(&[]).err().unwrap().to_string();
    assert!(text.contains("router.fallback.1.host: the variable B_HOST is not set"), "{text}");
}

#[test]
fn a_variable_that_is_not_set_is_a_problem_only_where_it_matters() {
    let file = "mud: {name: '${NOBODY}', services: {tell: '${NOBODY}'}}\napi: {port: '${NOBODY}'}";
    let text = resolve(&[], MINIMAL, file).err().unwrap().to_string();
    assert!(
        text.contains("1 problem:") && text.contains("api.port: the variable NOBODY is not set"),
        "{text}"
    );
    let env = [MINIMAL, &[("API_WS_PORT", "8000")]].concat();
    assert_eq!(resolve(&[], &env, file).unwrap().mud.name, "Dawn");
}

#[test]
fn known_keys_and_keys_of_other_muds_are_never_used() {
    for key in ["demo-key-123", "admin-key-456", "luminari-i3-gateway-2025"] {
        let text = resolve(&[("gateway.auth.secret", key)], MINIMAL, "").err().unwrap().to_string();
        assert!(text.contains("api.auth: a key is one of those published") && !text.contains(key), "{text}");
    }
    let file = "api: {auth: {api_keys: [{key: ours, mud_name: dawn}, {key: theirs, mud_name: Dusk}]}}";
    let config = resolve(&[], MINIMAL, file).unwrap();
    assert!(config.api.keys == [given("key"), given("ours")]);
    assert_eq!(config.ignored[0].reason, "entry 2 is for the mud \"Dusk\", and this gateway is for \"Dawn\"");
}

#[test]
fn tls_that_is_required_must_be_there() {
    let env = [MINIMAL, &[("API_REQUIRE_TLS", "true")]].concat();
    let text = resolve(&[], &env, "").err().unwrap().to_string();
    assert!(text.contains("api.auth.require_tls: is on, but there is no TLS"), "{text}");
    let env = [&env[..], &[("API_TLS_CERTIFICATE_FILE", "c"), ("API_TLS_KEY_FILE", "k")]].concat();
    assert!(resolve(&[], &env, "").unwrap().api.tls.is_some());
}

#[test]
fn limits_of_the_python_gateway_count_unless_ours_are_given() {
    let file = "api: {websocket: {max_connections: 20, max_frame_size: 1000}, tcp: {max_connections: '30', enabled: false}}";
    let api = resolve(&[], MINIMAL, file).unwrap().api;
    assert_eq!((api.limits.connections, api.limits.message_bytes, api.tcp), (50, 1000, None));
    let env = [MINIMAL, &[("API_MAX_CONNECTIONS", "7")]].concat();
    assert_eq!(resolve(&[], &env, file).unwrap().api.limits.connections, 7);
    let text = resolve(&[], MINIMAL, "api: {tcp: {max_connections: many}}").err().unwrap().to_string();
    assert!(text.contains("api.tcp.max_connections: is not a whole number, at least 1"), "{text}");
}

#[test]
fn parts_may_have_levels_of_their_own_and_a_wrong_one_is_named() {
    let levels = |text| {
        let env = [MINIMAL, &[("LOG_LEVEL", text)]].concat();
        resolve(&[], &env, "").map(|config| config.log.levels.to_string())
    };
    assert_eq!(levels("WARNING").unwrap(), "warn");
    assert_eq!(levels("info,mudgateway::router=debug").unwrap(), "info,mudgateway::router=debug");
    let error = levels("info,mudgateway::router=loud").unwrap_err().to_string();
    assert!(error.contains("logging.level: \"mudgateway::router=loud\" is neither a level"), "{error}");
}

#[test]
fn a_mud_may_say_more_of_itself() {
    let file = "mud: {name: Dawn, own_services: [{name: http, port: 80}], other_data: [{name: url, value: 'https://d'}]}
router: {primary: {name: '*x', host: h}}
gateway: {auth: {secret: s}}
api: {websocket: {enabled: false}}";
    let config = resolve(&[], &[], file).unwrap();
    assert_eq!(config.mud.own_services, [("http".to_owned(), 80)]);
    assert_eq!(config.mud.other_data, [("url".to_owned(), "https://d".to_owned())]);
    assert!(!config.api.served.websocket);

    let wrong =
        "mud: {name: Dawn, own_services: [{name: tell, port: 1}, {name: x}], other_data: [{name: url}]}
router: {primary: {name: '*x', host: h}}
gateway: {auth: {secret: s}}";
    let error = resolve(&[], &[], wrong).err().unwrap().to_string();
    for problem in [
        "mud.own_services: \"tell\" is announced by the gateway",
        "mud.own_services: entry 2 must have a name and a port",
        "mud.other_data: entry 1 must have a name and a value",
    ] {
        assert!(error.contains(problem), "no {problem:?} in {error}");
    }
}
