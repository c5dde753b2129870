//! What evening out would do, for people: the moves with their reasons, what they cost and whom they
//! disturb, and how full hosts are before and after.

use serde::{Deserialize, Serialize};
use tally_source::Span;

use crate::plan::subject::Subject;

/// Moves of pods that only even out, and what they come to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// The hosts that answer, in the spec's order.
    pub hosts: Vec<HostLoad>,
    /// The moves, by workload and pod.
    pub moves: Vec<Move>,
    /// What is not moved whatever the load, and why.
    pub fixed: Vec<Fixed>,
}

/// What this cluster's pods take of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLoad {
    /// Its name.
    pub host: String,
    /// Reserved cores, in thousandths.
    pub cpu: Share,
    /// Reserved memory, in bytes.
    pub memory: Share,
    /// Pods now.
    pub pods_before: usize,
    /// Pods when the plan has been carried out.
    pub pods_after: usize,
}

/// A part of what a host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// Now.
    pub before: u64,
    /// When the plan has been carried out.
    pub after: u64,
    /// All that it offers.
    pub of: u64,
}

/// A pod goes to another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The pod.
    pub subject: Subject,
    /// Where it is.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// What is gained, in one line.
    pub reason: String,
    /// What it reserves, in thousandths of a core.
    pub cpu: u64,
    /// What it reserves, in bytes.
    pub memory: u64,
    /// Images that the new host has to pull for it.
    pub pulls: Vec<String>,
    /// Whom it disturbs.
    pub disruption: Disruption,
    /// The workload in the spec.
    pub origin: Option<Span>,
}

/// How far the moves of a workload's pods disturb what it serves. A pod stops on its old host before
/// it starts on the new one: two of one name never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disruption {
    /// So many of its pods move at once.
    pub at_once: u32,
    /// Of so many.
    pub replicas: u32,
    /// At least so many stay ready, those that stand in among them.
    pub ready: u32,
    /// So many start before, and stand in for those that move.
    pub stand_ins: u32,
}

/// A workload whose pods stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// `controller/web`.
    pub workload: String,
    /// Why, in one line.
    pub reason: String,
    /// The workload in the spec.
    pub origin: Option<Span>,
}
