//! Names of the Python gateway's own metrics and of its alert rules, for what has another name or form here.

use mudgateway_telemetry::metrics::{Book, Gauge};

use super::{ClientMetrics, Now, gauge};
use crate::hub::Transport;

/// The gauges under those names.
#[derive(Debug)]
pub(super) struct Names {
    status: Gauge,
    websocket: Gauge,
    sessions: Gauge,
    connections: Gauge,
}

impl Names {
    pub(super) fn new(book: &mut Book, mud: &str) -> Self {
        Self {
            status: book.labelled_gauge(
                "mud_connection_status",
                "1 while the mud is on the network; the Python gateway's name for i3_router_connected",
                &["mud_name"],
                [mud.to_owned()],
            ),
            websocket: book.gauge(
                "api_websocket_connections",
                "Authenticated WebSocket sessions; the Python gateway's name for one of api_sessions",
            ),
            sessions: book.gauge(
                "api_active_sessions",
                "Authenticated sessions; the Python gateway's name for the sum of api_sessions",
            ),
            connections: book.gauge(
                "api_active_connections",
                "Client connections; the Python gateway's name for the sum of api_connections",
            ),
        }
    }

    pub(super) fn read(&self, now: &Now, clients: &ClientMetrics) {
        self.status.set(i64::from(now.status.is_connected()));
        let [websocket, tcp] = now.sessions;
        self.websocket.set(gauge(websocket));
        self.sessions.set(gauge(websocket + tcp));
        let open = Transport::ALL.map(|transport| clients.connections.of([transport.as_str()]).get());
        self.connections.set(open.iter().sum());
    }
}
