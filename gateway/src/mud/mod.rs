//! What there is to know of our mud, in plain types that all parts speak of: how it stands in the mudlist, its users,
//! how its session with the router is, and places in its log.

mod offer;
mod position;
mod status;
mod user;

pub use offer::{Offer, Service};
pub use position::Position;
pub use status::SessionStatus;
pub use user::{Gender, User};

/// The longest name of a mud, a user or a channel that is taken from another mud, in bytes. A subject must fit a line of the
/// NATS protocol, and what is remembered is bounded.
pub const NAME_BYTES: usize = 256;

/// The identity of a mud, as it stands in the mudlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mud {
    /// Its unique name.
    pub name: String,
    /// The port players connect to.
    pub port: u16,
    /// The administrator's mail address.
    pub admin_email: String,
    /// The mudlib.
    pub mudlib: String,
    /// The mudlib it is based on.
    pub base_mudlib: String,
    /// The driver.
    pub driver: String,
    /// The type, such as LP or Diku.
    pub mud_type: String,
    /// Who may play, in words.
    pub open_status: String,
    /// Services of its own, such as a website, with their ports.
    pub own_services: Vec<(String, u16)>,
    /// Further facts about it, by name.
    pub other_data: Vec<(String, String)>,
    /// What is offered out of band. A port of 0 is the one that is listened at.
    pub oob: Offer,
}
