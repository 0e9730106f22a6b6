//! A client of the mudgateway API for tests and for trying things by hand.

fn main() {}
