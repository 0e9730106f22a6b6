//! The mud: what the network learns about it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What the network learns about a mud.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mud {
    /// The name of the mud on the network. It cannot change: routers tie a password to it, so a renamed mud
    /// is another mud.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("mud.name is immutable: create another MudGateway for another name")
            .reason(kube::core::Reason::FieldValueForbidden),
        validation = Rule::new(r"self.matches('^[^\\p{C}\\s*]([^\\p{C}]*[^\\p{C}\\s])?$')")
            .message("mud.name must be printable: use no control characters, no space at either end, and no leading '*', which marks routers")
    )]
    pub name: String,
    /// The port players connect to, as the mudlist shows it.
    #[serde(default = "player_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The address of the mud's administrator, as the mudlist shows it to the whole network. Empty by default.
    #[serde(default)]
    #[schemars(length(max = 254))]
    #[x_kube(validation = crate::rule::printable())]
    pub admin_email: String,
    /// The mudlib, as the mudlist shows it.
    #[serde(default = "custom")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = crate::rule::printable())]
    pub mudlib: String,
    /// The mudlib that the mudlib is based on.
    #[serde(default = "custom")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = crate::rule::printable())]
    pub base_mudlib: String,
    /// The driver, as the mudlist shows it.
    #[serde(default = "custom")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = crate::rule::printable())]
    pub driver: String,
    /// The type of the mud, such as LP, Diku or MUSH.
    #[serde(rename = "type", default = "mud_type")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = crate::rule::printable())]
    pub mud_type: String,
    /// Who may play, in the mud's own words, such as "open" or "beta testing".
    #[serde(default = "open_status")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = crate::rule::printable())]
    pub open_status: String,
    /// What the mud serves besides Intermud, such as http or ftp, as the mudlist shows it. The services of the
    /// gateway (tell, channel, who and so on) are announced without being named here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub services: Vec<Service>,
    /// Further facts about the mud for those who read the mudlist, such as its website.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub other_data: Vec<OtherData>,
}

/// A service of the mud's own.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The name of the service, such as "http".
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = crate::rule::word())]
    #[x_kube(validation = Rule::new(
        "!(self in ['tell', 'emoteto', 'channel', 'who', 'finger', 'locate', 'ucache', 'auth', 'beep', 'mail', 'file', 'news'])"
    ).message("mud.services: the gateway announces its own services itself: leave this one out, and switch mail, file and news on in spec.oob"))]
    pub name: String,
    /// The port it is served at, on the mud's host.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// A further fact about the mud.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherData {
    /// What it is about, such as "url".
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = crate::rule::word())]
    pub name: String,
    /// The fact itself.
    #[schemars(length(max = 256))]
    #[x_kube(validation = crate::rule::printable())]
    pub value: String,
}

fn player_port() -> i32 {
    4000
}

fn custom() -> String {
    "Custom".to_owned()
}

fn mud_type() -> String {
    "LP".to_owned()
}

fn open_status() -> String {
    "open".to_owned()
}
