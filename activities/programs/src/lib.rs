//! What every program needs: the connection to the Temporal server, with its encryption ([`temporal`]), its log and
//! traces ([`telemetry`]), and serving HTTP ([`serving`]).

pub mod serving;
pub mod telemetry;
pub mod temporal;
