//! The mudlist.

use std::collections::BTreeMap;

use intermud3::Value as Lpc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Example, Method};
use crate::api::rpc::RpcError;
use crate::keys::Permission;
use crate::services::MudInfo;

/// `mudlist`.
pub(super) struct Mudlist;

/// Parameters of `mudlist`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct MudlistParams {
    /// Only these.
    #[serde(default)]
    filter: Filter,
}

/// Which muds.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Filter {
    /// `up`, `down`, `reboot` or `unknown`.
    status: Option<String>,
    /// With this driver.
    driver: Option<String>,
    /// That offer this service.
    has_service: Option<String>,
}

/// Result of `mudlist`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Listed {
    /// Always `success`.
    status: &'static str,
    /// How many muds.
    count: usize,
    /// The muds.
    muds: Vec<Mud>,
}

/// A mud in `mudlist`. Some fields stand under two names, as clients differ.
#[derive(Serialize, JsonSchema)]
struct Mud {
    /// Its name.
    name: String,
    /// `up`, `down`, `reboot` or `unknown`.
    status: &'static str,
    /// Its address.
    host: String,
    /// The same as `host`.
    address: String,
    /// Where players connect.
    port: i64,
    /// Where out-of-band services connect.
    tcp_port: i64,
    /// The same as `tcp_port`, by UDP.
    udp_port: i64,
    /// The driver.
    driver: String,
    /// The mudlib.
    mudlib: String,
    /// The same as `mudlib`.
    lib: String,
    /// The type.
    mud_type: String,
    /// Who may play.
    open_status: String,
    /// The administrator.
    admin_email: String,
    /// What it offers: 1, or a port.
    services: BTreeMap<String, i64>,
}

impl Method for Mudlist {
    const NAME: &'static str = "mudlist";
    const SUMMARY: &'static str = "The muds of the network.";
    const PERMISSION: Option<Permission> = Some(Permission::Info);
    const EXAMPLE: Example = Example {
        params: r#"{"filter": {"status": "up"}}"#,
        result: r#"{"status": "success", "count": 2, "muds": [
            {"name": "Dawn", "status": "up", "host": "127.0.0.1", "address": "127.0.0.1", "port": 4000, "tcp_port": 4003, "udp_port": 0,
             "driver": "Custom", "mudlib": "Custom", "lib": "Custom", "mud_type": "LP", "open_status": "open", "admin_email": "",
             "services": {"tell": 1, "emoteto": 1, "channel": 1, "who": 1, "finger": 1, "locate": 1, "ucache": 1, "beep": 1,
                          "auth": 1, "mail": 1, "file": 1, "news": 1, "oob": 4003}},
            {"name": "Dusk", "status": "up", "host": "127.0.0.1", "address": "127.0.0.1", "port": 4000, "tcp_port": 4003, "udp_port": 0,
             "driver": "Custom", "mudlib": "Custom", "lib": "Custom", "mud_type": "LP", "open_status": "open", "admin_email": "",
             "services": {"tell": 1, "emoteto": 1, "channel": 1, "who": 1, "finger": 1, "locate": 1, "ucache": 1, "beep": 1,
                          "auth": 1, "mail": 1, "file": 1, "news": 1, "oob": 4003}}]}"#,
    };
    type Params = MudlistParams;
    type Output = Listed;

    async fn call(context: Context<'_>, params: MudlistParams) -> Result<Listed, RpcError> {
        let filter = params.filter;
        let muds: Vec<_> = context
            .services()
            .muds()
            .into_iter()
            .map(Mud::from)
            .filter(|mud| {
                filter.status.as_ref().is_none_or(|status| mud.status == status)
                    && filter.driver.as_ref().is_none_or(|driver| mud.driver == *driver)
                    && filter
                        .has_service
                        .as_ref()
                        .is_none_or(|service| mud.services.get(service).is_some_and(|port| *port != 0))
            })
            .collect();
        Ok(Listed { status: "success", count: muds.len(), muds })
    }
}

impl From<MudInfo> for Mud {
    fn from(mud: MudInfo) -> Self {
        let status = mud.status();
        let MudInfo { name, entry } = mud;
        let services = entry.services.iter().filter_map(|(key, value)| match (key, value) {
            (Lpc::String(name), Lpc::Int(port)) => Some((name.clone(), *port)),
            _ => None,
        });
        Self {
            name,
            status,
            address: entry.address.clone(),
            port: entry.player_port,
            tcp_port: entry.imud_tcp_port,
            udp_port: entry.imud_udp_port,
            driver: entry.driver,
            lib: entry.mudlib.clone(),
            mud_type: entry.mud_type,
            open_status: entry.open_status,
            admin_email: entry.admin_email,
            services: services.collect(),
            host: entry.address,
            mudlib: entry.mudlib,
        }
    }
}
