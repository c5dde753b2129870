//! Output for people and programs.

pub mod balance;
pub mod blocked;
pub mod converge;
pub mod destroy;
pub mod failure;
pub mod graph;
pub mod plan;
pub mod plan_json;
pub mod progress;
pub mod report;
pub mod status;
pub mod terminal;
pub mod values;
