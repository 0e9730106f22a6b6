//! The one table of settings: each has a flag, an environment variable and a place in the YAML file.

/// A scalar setting and where it can come from.
#[derive(Debug)]
pub struct Setting {
    /// Its place in the YAML file, dots between the levels. It also names the setting in error messages.
    pub path: &'static str,
    /// The command line flag, without the dashes.
    pub flag: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What it is, with its default.
    pub help: &'static str,
}

const fn setting(path: &'static str, flag: &'static str, env: &'static str, help: &'static str) -> Setting {
    Setting { path, flag, env, help }
}

/// Every scalar setting. Names of variables and paths are the Python gateway's where it had them.
pub const SETTINGS: &[Setting] = &[
    setting("mud.name", "mud-name", "MUD_NAME", "The MUD's name on the network (required)"),
    setting("mud.port", "mud-port", "MUD_PORT", "The port players connect to [default: 4000]"),
    setting("mud.admin_email", "mud-admin-email", "MUD_ADMIN_EMAIL", "The administrator's address"),
    setting("mud.mudlib", "mudlib", "MUD_MUDLIB", "The MUD library [default: Custom]"),
    setting(
        "mud.base_mudlib",
        "base-mudlib",
        "MUD_BASE_MUDLIB",
        "The library it is based on [default: Custom]",
    ),
    setting("mud.driver", "mud-driver", "MUD_DRIVER", "The driver [default: Custom]"),
    setting("mud.mud_type", "mud-type", "MUD_TYPE", "The type, such as LP or Diku [default: LP]"),
    setting("mud.open_status", "mud-status", "MUD_STATUS", "Who may play [default: open]"),
    setting("mud.oob_services.mail", "oob-mail", "ENABLE_OOB_MAIL", "Take mail of other MUDs [default: 0]"),
    setting("mud.oob_services.news", "oob-news", "ENABLE_OOB_NEWS", "Serve news to other MUDs [default: 0]"),
    setting("mud.oob_services.file", "oob-file", "ENABLE_OOB_FILE", "Serve files to other MUDs [default: 0]"),
    setting(
        "oob.enabled",
        "oob-enabled",
        "OOB_ENABLED",
        "Let other MUDs connect to us for mail, news and files [default: false]",
    ),
    setting("oob.host", "oob-host", "OOB_HOST", "Where other MUDs are waited for [default: api.host]"),
    setting("oob.port", "oob-port", "OOB_PORT", "The port they are waited for at [default: 4003]"),
    setting(
        "oob.advertised_port",
        "oob-advertised-port",
        "OOB_ADVERTISED_PORT",
        "The port they are told of [default: oob.port]",
    ),
    setting(
        "oob.advertised_address",
        "oob-advertised-address",
        "OOB_ADVERTISED_ADDRESS",
        "The IP address they are told of, if it is not the one the router sees",
    ),
    setting(
        "oob.allow_private",
        "oob-allow-private",
        "OOB_ALLOW_PRIVATE",
        "Connect to MUDs at private addresses, too [default: false]",
    ),
    setting(
        "router.primary.name",
        "router-name",
        "I3_ROUTER_NAME",
        "The router's exact name, such as *i4 (required)",
    ),
    setting("router.primary.host", "router-host", "I3_ROUTER_HOST", "The router's host (required)"),
    setting("router.primary.port", "router-port", "I3_ROUTER_PORT", "The router's port [default: 8080]"),
    setting(
        "router.primary.password",
        "router-password",
        "I3_ROUTER_PASSWORD",
        "The password the router gave this MUD before, a number; a stored one wins",
    ),
    setting(
        "router.packets_per_second",
        "packets-per-second",
        "ROUTER_PACKETS_PER_SECOND",
        "The most packets sent to the router in a second, 6 to 9; it ignores a MUD that sends more than ten [default: 8]",
    ),
    setting(
        "egress.proxy",
        "egress-proxy",
        "EGRESS_PROXY",
        "A SOCKS5 proxy that leads to the routers, as socks5://host:port; it resolves their names",
    ),
    setting(
        "egress.proxy_username",
        "egress-proxy-username",
        "EGRESS_PROXY_USERNAME",
        "The user name for the proxy",
    ),
    setting(
        "egress.proxy_password",
        "egress-proxy-password",
        "EGRESS_PROXY_PASSWORD",
        "The password for the proxy",
    ),
    setting(
        "egress.login_folder",
        "egress-login-folder",
        "EGRESS_LOGIN_FOLDER",
        "In place of both: a folder with the files username and password",
    ),
    setting(
        "egress.address",
        "egress-address",
        "EGRESS_ADDRESS",
        "What names the address that routers see, by which the operator counts MUDs [default: direct]",
    ),
    setting(
        "network",
        "network",
        "I3_NETWORK",
        "The network's name on the bus [default: the first router's name]",
    ),
    setting(
        "api.host",
        "ws-host",
        "API_WS_HOST",
        "Where HTTP and WebSocket listen; :: is everywhere, by IPv4 and IPv6 [default: ::]",
    ),
    setting("api.port", "ws-port", "API_WS_PORT", "The HTTP and WebSocket port [default: 8080]"),
    setting("api.websocket.enabled", "enable-websocket", "API_WS_ENABLED", "Serve WebSocket [default: true]"),
    setting("api.tcp.host", "tcp-host", "API_TCP_HOST", "Where TCP lines listen [default: api.host]"),
    setting("api.tcp.port", "tcp-port", "API_TCP_PORT", "The TCP port [default: 8081]"),
    setting("api.tcp.enabled", "enable-tcp", "API_TCP_ENABLED", "Serve TCP lines [default: true]"),
    setting(
        "api.auth.require_tls",
        "require-tls",
        "API_REQUIRE_TLS",
        "Do not start without TLS for clients [default: false]",
    ),
    setting(
        "api.tls.certificate_file",
        "tls-certificate",
        "API_TLS_CERTIFICATE_FILE",
        "A certificate (PEM): WebSocket and TCP lines are served under TLS",
    ),
    setting("api.tls.key_file", "tls-key", "API_TLS_KEY_FILE", "Its private key (PEM)"),
    setting(
        "api.tls.client_ca_file",
        "tls-client-ca",
        "API_TLS_CLIENT_CA_FILE",
        "Clients must show a certificate signed by one of these (PEM)",
    ),
    setting(
        "gateway.auth.secret",
        "secret",
        "I3_GATEWAY_SECRET",
        "An API key that clients authenticate with",
    ),
    setting(
        "api.rate_limits.default.per_minute",
        "requests-per-minute",
        "API_REQUESTS_PER_MINUTE",
        "Requests a minute for keys without a limit of their own [default: 100]",
    ),
    setting(
        "api.rate_limits.default.burst",
        "request-burst",
        "API_REQUEST_BURST",
        "Requests at once for such keys [default: a third of a minute's, at least 20]",
    ),
    setting(
        "api.limits.connections",
        "max-connections",
        "API_MAX_CONNECTIONS",
        "Client connections [default: 1000]",
    ),
    setting(
        "api.limits.message_bytes",
        "max-message-bytes",
        "API_MAX_MESSAGE_BYTES",
        "The largest message of a client [default: 65536]",
    ),
    setting(
        "api.limits.queue_bytes",
        "max-queue-bytes",
        "API_MAX_QUEUE_BYTES",
        "How much may wait for one client before it counts as too slow [default: 1048576]",
    ),
    setting(
        "api.limits.authentication_seconds",
        "authentication-seconds",
        "API_AUTHENTICATION_SECONDS",
        "How long a client may take to show a key [default: 10]",
    ),
    setting(
        "api.limits.write_seconds",
        "write-seconds",
        "API_WRITE_SECONDS",
        "How long a write to a client may stall [default: 10]",
    ),
    setting(
        "api.limits.drain_seconds",
        "drain-seconds",
        "API_DRAIN_SECONDS",
        "How long the closing of many clients may take at the end [default: 5]",
    ),
    setting(
        "api.websocket.ping_interval",
        "ping-seconds",
        "API_PING_SECONDS",
        "Seconds between pings [default: 30]",
    ),
    setting(
        "channels.history_size",
        "history-size",
        "CHANNEL_HISTORY_SIZE",
        "Messages of each channel that are remembered [default: 100]",
    ),
    setting(
        "channels.max_message_length",
        "max-message-length",
        "MAX_MESSAGE_LENGTH",
        "The longest text that is sent, in characters [default: 2048]",
    ),
    setting(
        "channels.filter_default",
        "filter-default",
        "CHANNEL_FILTER_DEFAULT",
        "What becomes of a message on a filtered channel of ours that no client decides about: pass or drop [default: pass]",
    ),
    setting(
        "services.announce_users",
        "announce-users",
        "ANNOUNCE_USERS",
        "Tell all muds the names of our users as they come or change (ucache-update) [default: false]",
    ),
    setting(
        "api.status_page",
        "status-page",
        "STATUS_PAGE",
        "Serve a page at /status that shows, to who has an API key, how the mud is connected [default: false]",
    ),
    setting(
        "nats.url",
        "nats-url",
        "NATS_URL",
        "The NATS servers, with commas between; none: standalone, state in local files",
    ),
    setting(
        "nats.credentials_file",
        "nats-credentials",
        "NATS_CREDENTIALS_FILE",
        "Credentials for NATS: its own form with JWT and key, or one line with user:password or a token",
    ),
    setting(
        "nats.ca_file",
        "nats-ca",
        "NATS_CA_FILE",
        "TLS to NATS, whose certificate must be signed by one of these (PEM)",
    ),
    setting(
        "nats.certificate_file",
        "nats-certificate",
        "NATS_CERTIFICATE_FILE",
        "A certificate to show to NATS (PEM)",
    ),
    setting("nats.key_file", "nats-key", "NATS_KEY_FILE", "Its private key (PEM)"),
    setting(
        "kubernetes.namespace",
        "kubernetes-namespace",
        "MUDGATEWAY_NAMESPACE",
        "The MudGateway's namespace",
    ),
    setting("kubernetes.name", "kubernetes-name", "MUDGATEWAY_NAME", "The MudGateway's name"),
    setting("holder", "holder", "POD_NAME", "This process' name in reports [default: the host's name]"),
    setting("state.directory", "state-dir", "STATE_DIR", "Where state is kept without NATS [default: state]"),
    setting(
        "metrics.enabled",
        "enable-metrics",
        "ENABLE_METRICS",
        "Serve /metrics and health [default: true]",
    ),
    setting("metrics.host", "metrics-host", "METRICS_HOST", "Where metrics listen [default: api.host]"),
    setting(
        "metrics.port",
        "metrics-port",
        "METRICS_PORT",
        "The port of /metrics and health [default: 9090]",
    ),
    setting(
        "logging.level",
        "log-level",
        "LOG_LEVEL",
        "What to log: off, error, warn, info, debug or trace, and MODULE=LEVEL, with commas between [default: info]",
    ),
    setting("logging.format", "log-format", "LOG_FORMAT", "json or text [default: json]"),
    setting(
        "otlp.endpoint",
        "otlp-endpoint",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "An OpenTelemetry collector to send traces to (OTLP over HTTP), as in http://collector:4318; none: no traces",
    ),
    setting("development.debug", "debug", "DEBUG", "Log at debug level at least [default: false]"),
    setting(
        "development.websocket_echo",
        "websocket-echo",
        "WEBSOCKET_ECHO",
        "For tests of the protocol only: /echo sends every WebSocket message back, to anybody [default: false]",
    ),
];

/// Lists and mappings, which only the file can hold.
pub const LISTS: &[&str] = &[
    "router.fallback",
    "channels.default_channels",
    "api.auth.api_keys",
    "api.auth.key_files",
    "api.rate_limits.by_method",
    "policies.ignore",
    "policies.bans",
    "mud.own_services",
    "mud.other_data",
];

/// Numbers of a Python gateway's file that count as settings of ours, where those are not given.
pub const ORIGINALS: &[&str] =
    &["api.websocket.max_connections", "api.websocket.max_frame_size", "api.tcp.max_connections"];

/// What a Python gateway's file may hold besides and why it changes nothing here: accepted with a warning, so that its
/// files work as they are. The first path that covers an entry counts.
pub const IGNORED: &[(&str, &str)] = &[
    ("mud.services", "the gateway announces the services that it has"),
    ("mud.oob_services", "of these only mail, news and file are offered out of band"),
    ("router.connection", "the link to the router keeps its own times, and tries for ever"),
    ("gateway.auth", "clients always need an API key, and keys end as api.auth says"),
    ("gateway.host", "muds connect to the API; nothing else listens"),
    ("gateway.port", "muds connect to the API; nothing else listens"),
    ("gateway", "the link to the router has limits of its own; those of clients are in api.limits"),
    ("api.enabled", "the API is what the gateway is for, so it is always on"),
    (
        "api.websocket.ping_timeout",
        "a client is gone when nothing came from one ping to the next: api.websocket.ping_interval",
    ),
    (
        "api.websocket.compression",
        "messages are short, and compression takes more memory for a client than all else",
    ),
    ("api.tcp.buffer_size", "the buffer is as large as the line: api.limits.message_bytes"),
    ("api.auth.enabled", "clients always need an API key"),
    ("api.session.max_queue_size", "what waits for a client is bounded in bytes: api.limits.queue_bytes"),
    ("api.session", "a session ends with its connection, and can be resumed for ten minutes"),
    ("api.metrics", "metrics are always exact and complete when they are read"),
    ("state.save_interval", "state is saved when it changes"),
    ("state.backup_enabled", "state files are replaced whole, and the version before is kept"),
    ("state.backup_count", "state files are replaced whole, and the version before is kept"),
    ("metrics.path", "it is always /metrics"),
    ("logging.file", "logs go to standard error: redirect it"),
    ("logging.max_size", "logs go to standard error: whatever keeps them bounds them"),
    ("logging.backup_count", "logs go to standard error: whatever keeps them bounds them"),
    ("logging.components", "levels of parts are in logging.level, as in info,mudgateway::router=debug"),
    ("development.reload", "the gateway is one program: start it again"),
    ("development.profile", "there is no profiler in it"),
];
