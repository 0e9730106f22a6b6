//! How the programs are watched. It knows nothing of MUDs or of Kubernetes; each program says what it counts.

pub mod hangup;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod probe;
pub mod traces;
