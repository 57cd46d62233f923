//! What every program needs: the connection to the Temporal server, with its encryption ([`temporal`]), what the program says of
//! itself ([`telemetry`]), and serving HTTP ([`serving`]).

pub mod serving;
pub mod telemetry;
pub mod temporal;
