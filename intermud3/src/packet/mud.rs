//! From one mud to another, or to a router, about itself.

use crate::Value;
use crate::layout::layout;

layout! {
    /// `auth-mud-reply`: the session key that `auth-mud-req` asked for. 7 elements.
    ///
    /// `({"auth-mud-reply",5,"MudB",0,"MudA",0,42789,})`
    ///
    /// It lets the other mud open one out-of-band connection within ten minutes: see [`oob`](crate::oob).
    #[derive(Eq)]
    pub struct AuthMudReply {
        /// A random number. A secret.
        session_key: i64 = secret,
    }
}

layout! {
    /// `ping-req` and `ping-reply`: are you there? 6 elements, or 7 with a token. Not in the specification.
    ///
    /// `({"ping-req",5,"MudA",0,"MudB",0,})`
    /// `({"ping-req",5,"*coffee",0,"MudA",0,0,})`, from CoffeeMud's router to a mud silent for ten minutes
    /// `({"ping-reply",5,"MudB",0,"MudA",0,1795418241,})`, from Dead Souls
    pub struct Ping {
        /// Whatever the sender put there, if anything; a reply may repeat it.
        token: Option<Value> = trailing,
    }
}

layout! {
    /// `shutdown`: a mud leaves the network. 7 elements, target the router.
    ///
    /// `({"shutdown",5,"MudA",0,"*test",0,0,})`
    ///
    /// The router closes the connection at once. Any mud can broadcast one with target 0, which means nothing.
    #[derive(Eq)]
    pub struct Shutdown {
        /// Seconds until the mud is back: 0 unknown, 1 at once. Over 604800, a week, Dead Souls forgets the mud
        /// and its password.
        restart_delay: i64,
    }
}
