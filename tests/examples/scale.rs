//! Measures the pure core at scale: placing pods, planning a cluster that is up to date, and rebalancing after a tenth
//! of the hosts was added.
//!
//! `scale place|reconcile|rebalance PODS HOSTS`; prints one line or two with the durations.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs,
    reason = "an example panics on errors"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use tally_graph::{Graph, Place};
use tally_lang::MemoryLoader;
use tally_reconcile::input::observed::{
    ContainerDetails, ContainerState, Engine, Health, HostState, HostView, Observed,
    ObservedContainer, ObservedNetwork,
};
use tally_reconcile::memory::Memory;
use tally_reconcile::placement::{HostCapacity, Offer, PodRequest};
use tally_reconcile::plan::Action;
use tally_reconcile::{Options, labels, reconcile};

/// The number of pods of one controller.
const REPLICAS: usize = 100;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |at: usize| args.get(at).and_then(|n| n.parse::<usize>().ok());
    let (Some(what), Some(pods), Some(hosts)) = (args.get(1), number(2), number(3)) else {
        println!("usage: scale place|reconcile|rebalance PODS HOSTS");
        return;
    };
    match what.as_str() {
        "place" => place(pods, hosts),
        "rebalance" => plan(pods, hosts, hosts.div_ceil(10)),
        _ => plan(pods, hosts, 0),
    }
}

/// Places pods with reservations, spread over zones.
fn place(pods: usize, hosts: usize) {
    let labels: Vec<BTreeMap<String, String>> = (0..hosts)
        .map(|host| {
            BTreeMap::from([
                ("host".to_owned(), format!("h{host}")),
                ("zone".to_owned(), format!("z{}", host % 7)),
            ])
        })
        .collect();
    let names: Vec<String> = (0..hosts).map(|host| format!("h{host}")).collect();
    let each = (pods / hosts + 2) as u64;
    let offers = (0..hosts).map(|host| Offer {
        name: &names[host],
        labels: &labels[host],
        cpu: each * 100,
        memory: each << 20,
        cores: None,
        closed: None,
    });
    let mut seats = HostCapacity::new(offers.collect());
    let spread = Place { spread: Some("zone".to_owned()), ..Place::default() };
    let begun = Instant::now();
    let mut placed = 0;
    for workload in 0..pods.div_ceil(REPLICAS) {
        let need = PodRequest {
            workload,
            cpu: 100,
            memory: 1 << 20,
            max_cpu: 0,
            ports: Vec::new(),
            place: &spread,
            pinned: None,
            avoid: [].into(),
            near: [].into(),
        };
        let count = REPLICAS.min(pods - workload * REPLICAS);
        placed += seats.give(&need, count).into_iter().flatten().count();
    }
    let took = begun.elapsed().as_secs_f64();
    println!(
        "placed {placed} of {pods} pods on {hosts} hosts in {took:.3} s: {:.0} pods/s",
        pods as f64 / took
    );
    assert_eq!(placed, pods);
}

/// Plans an up-to-date cluster after `added` empty hosts joined it.
fn plan(pods: usize, hosts: usize, added: usize) {
    let graph = spec(pods, hosts);
    let empty: BTreeMap<String, HostView> =
        (0..hosts).map(|host| (format!("h{host}"), HostView::Ready(Box::new(bare())))).collect();
    let mut observed = Observed { hosts: empty };
    let memory = {
        let mut memory = Memory::default();
        memory.learn("big", &observed, 0);
        memory
    };
    let options = Options { now_ms: 100_000, ..Options::default() };
    let first = reconcile(&graph, &observed, &memory, &options);
    make(&first, &mut observed);
    if added > 0 {
        let new =
            (hosts..hosts + added).map(|n| (format!("h{n}"), HostView::Ready(Box::new(bare()))));
        observed.hosts.extend(new);
        let options = Options { rebalance: true, ..options };
        let graph = spec(pods, hosts + added);
        let begun = Instant::now();
        let plan = reconcile(&graph, &observed, &memory, &options);
        let moves = plan.balance.map_or(0, |balance| balance.moves.len());
        println!(
            "planned {moves} moves of {pods} pods to {added} new hosts beside {hosts} in {:.2} s",
            begun.elapsed().as_secs_f64()
        );
        return;
    }
    let mut times = Vec::new();
    for _ in 0..7 {
        let begun = Instant::now();
        let plan = reconcile(&graph, &observed, &memory, &options);
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        assert!(
            plan.operations.is_empty() && plan.blocked.is_empty(),
            "{:?}",
            plan.changes.first()
        );
    }
    times.sort_by(f64::total_cmp);
    println!(
        "planned {pods} pods on {hosts} hosts, nothing to do: {:.1} ms (median of 7, worst {:.1})",
        times[3], times[6]
    );
    look(&observed);
}

/// Measures the loop's work in the steady state, when an observation of a host shows no change.
fn look(observed: &Observed) {
    let again = observed.clone();
    let begun = Instant::now();
    for (name, view) in &again.hosts {
        assert!(observed.hosts.get(name) == Some(view));
    }
    let each = begun.elapsed().as_secs_f64() * 1_000.0 / again.hosts.len() as f64;
    println!("detected that one of those hosts has not changed: {each:.3} ms");
}

/// Returns a graph of controllers with small reservations, on this number of hosts.
fn spec(pods: usize, hosts: usize) -> Graph {
    let mut text = String::from("cluster big {\n");
    for host in 0..hosts {
        text.push_str(&format!("host h{host} \"sim:h{host}\"\n"));
    }
    text.push_str("}\n");
    for workload in 0..pods.div_ceil(REPLICAS) {
        let count = REPLICAS.min(pods - workload * REPLICAS);
        text.push_str(&format!(
            "controller w{workload} replicas={count} {{ container c image=\"tally.local/hello:1\" {{ env A=1 B=2; resources memory=\"8MiB\" }} }}\n"
        ));
    }
    let compiled = tally_lang::compile("tally.kdl", &mut MemoryLoader::single("tally.kdl", &text));
    compiled.graph.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics.first()))
}

fn bare() -> HostState {
    HostState {
        engine: Engine { cpus: 64, memory: tally_graph::Bytes(1 << 40), ..Engine::default() },
        ..HostState::default()
    }
}

/// Returns the observation of the hosts after a plan was applied.
fn make(plan: &tally_reconcile::plan::Plan, observed: &mut Observed) {
    for operation in &plan.operations {
        let Some(HostView::Ready(state)) = observed.hosts.get_mut(&operation.host) else {
            continue;
        };
        match &operation.action {
            Action::CreateNetwork(network) => state.networks.push(ObservedNetwork {
                id: operation.host.clone(),
                name: network.name.clone(),
                driver: "bridge".to_owned(),
                labels: network.labels.clone(),
            }),
            Action::CreateContainer(request) => {
                let mut all = request.labels.clone();
                all.entry(labels::GENERATION.to_owned()).or_insert_with(|| "1".to_owned());
                state.containers.push(ObservedContainer {
                    id: format!("{:064x}", operation.id.0),
                    name: request.name.clone(),
                    labels: all,
                    image: request.image.clone(),
                    state: ContainerState::Running,
                    published: Vec::new(),
                    details: Some(ContainerDetails {
                        image_id: "i".to_owned(),
                        health: Health::None,
                        exit_code: None,
                        error: None,
                        started_at_ms: Some(1),
                        finished_at_ms: None,
                        restart_count: 0,
                        live: request.live.clone(),
                        joined: None,
                        files: None,
                        secrets: None,
                        addresses: BTreeMap::new(),
                    }),
                });
            }
            _ => {}
        }
    }
}
