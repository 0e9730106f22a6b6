//! What is wrong, and what to do about it.
//!
//! [`collect`] gathers facts with the rights of the caller; what it may not or cannot look at is a fact too. [`cluster`]
//! and [`gateway`] are the checks: pure functions that turn facts into findings, each with a remedy.

pub mod cluster;
pub mod collect;
pub mod facts;
pub mod finding;
pub mod gateway;
pub mod pod;
pub mod remedy;

pub use facts::Facts;
pub use finding::{Finding, Level};

/// All findings: those about the cluster first, then those about each MudGateway.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let gateways = facts.gateways.iter().flat_map(|one| gateway::check(one, facts.now));
    cluster::check(&facts.cluster, facts.now).into_iter().chain(gateways).collect()
}
