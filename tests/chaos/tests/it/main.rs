//! The fault proxy against real sockets.

mod proxy;
