//! Sonde's host: runs sandboxed checks for a monitoring agent and prints InfluxDB line protocol.
//!
//! config → job → schedule → sandbox ⇄ net → report → alarm → line → output

pub mod catalogue;
pub mod description;
pub mod report;
