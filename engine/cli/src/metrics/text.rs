//! The text format of Prometheus (0.0.4). All metrics are in one table, from which `docs/user/metrics.md` is made.

use std::collections::BTreeMap;

use tally_control::{HostStatus, Metrics, SharingMetrics, TICK_BUCKETS_S};
use tally_reconcile::plan::Pods;
use tally_reconcile::plan::reason::BlockedBy;

/// Maximum number of hosts, and of workloads, with a line of their own; the others share one.
const MOST_LINES: usize = 1_000;
/// The label value of the shared line.
const OTHERS: &str = "(others)";

/// One line: the suffix of the name, the labels, and the value.
struct Sample {
    suffix: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

/// A metric.
struct MetricRow {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Its labels, for the documentation.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "the page of metrics is made of it by a test")
    )]
    labels: &'static str,
    samples: fn(&Metrics) -> Vec<Sample>,
}

/// All metrics, in the order of output.
#[rustfmt::skip]
const ROWS: &[MetricRow] = &[
    MetricRow { name: "tally_build_info", kind: "gauge", labels: "version, cluster",
        help: "Always 1, with the version of Tally and the name of the cluster.", samples: build },
    MetricRow { name: "process_start_time_seconds", kind: "gauge", labels: "",
        help: "Start time of the loop, in seconds since 1970.", samples: |m| one(seconds(m.began_at_ms)) },
    MetricRow { name: "tally_cluster_tallies", kind: "gauge", labels: "",
        help: "1 if nothing differs from the spec, whether or not pods are ready.", samples: |m| one(flag(m.tallies)) },
    MetricRow { name: "tally_spec_valid", kind: "gauge", labels: "",
        help: "1 if the files of the spec compile; otherwise the last valid spec is followed.", samples: |m| one(flag(m.spec_is_good)) },
    MetricRow { name: "tally_frozen", kind: "gauge", labels: "",
        help: "1 if the cluster is frozen.", samples: |m| one(flag(m.frozen)) },
    MetricRow { name: "tally_rollouts_paused", kind: "gauge", labels: "",
        help: "Number of paused rollouts.", samples: |m| one(number(m.paused.len())) },
    MetricRow { name: "tally_leads", kind: "gauge", labels: "",
        help: "With --store: 1 if this engine leads.", samples: |m| shared(m, |s| flag(s.leads)) },
    MetricRow { name: "tally_stands_aside", kind: "gauge", labels: "",
        help: "With --store: 1 if this engine stands aside, because its spec was superseded.", samples: |m| shared(m, |s| flag(s.aside)) },
    MetricRow { name: "tally_standing_since_seconds", kind: "gauge", labels: "",
        help: "With --store: the time since which this engine leads, or follows its leader, in seconds since 1970.", samples: |m| shared(m, |s| seconds(s.since_ms)) },
    MetricRow { name: "tally_spec_epoch", kind: "gauge", labels: "",
        help: "With --store: the epoch of the spec that counts.", samples: |m| shared(m, |s| float(s.epoch)) },
    MetricRow { name: "tally_store_answers", kind: "gauge", labels: "",
        help: "With --store: 1 if the store answers.", samples: |m| shared(m, |s| flag(s.store_answers)) },
    MetricRow { name: "tally_hosts", kind: "gauge", labels: "state: ready, unknown, lost",
        help: "Hosts by status.", samples: hosts },
    MetricRow { name: "tally_host_last_look_timestamp_seconds", kind: "gauge", labels: "host",
        help: "Time of the last complete observation of a host, in seconds since 1970.", samples: last_looks },
    MetricRow { name: "tally_host_event_stream_reconnects_total", kind: "counter", labels: "host",
        help: "Number of reconnects of a host's event stream.", samples: reconnects },
    MetricRow { name: "tally_pods_desired", kind: "gauge", labels: "workload",
        help: "Pods in the spec.", samples: |m| pods(m, |p| p.desired) },
    MetricRow { name: "tally_pods_placed", kind: "gauge", labels: "workload",
        help: "Pods that exist on reachable hosts.", samples: |m| pods(m, |p| p.placed) },
    MetricRow { name: "tally_pods_ready", kind: "gauge", labels: "workload",
        help: "Pods that are ready.", samples: |m| pods(m, |p| p.ready) },
    MetricRow { name: "tally_pods_backed_off", kind: "gauge", labels: "",
        help: "Pods in backoff, because they failed repeatedly or could not be created.", samples: |m| one(number(m.backed_off)) },
    MetricRow { name: "tally_held_changes", kind: "gauge", labels: "reason",
        help: "Changes that the last plan blocked, by reason.", samples: blocked },
    MetricRow { name: "tally_round_duration_seconds", kind: "histogram", labels: "le",
        help: "Duration of planning.", samples: rounds },
    MetricRow { name: "tally_operations_total", kind: "counter", labels: "kind, outcome: done, failed, skipped, not-started",
        help: "Completed operations, by kind and outcome.", samples: operations },
    MetricRow { name: "tally_operation_failures_total", kind: "counter", labels: "reason",
        help: "Failed operations, by reason.", samples: failures },
    MetricRow { name: "tally_liveness_failures_total", kind: "counter", labels: "",
        help: "Restarts because a liveness probe failed.", samples: |m| one(float(m.unwell)) },
    MetricRow { name: "tally_rollbacks_total", kind: "counter", labels: "",
        help: "Rollouts that failed and were rolled back.", samples: |m| one(float(m.rollbacks)) },
];

/// Returns the whole text.
pub fn text(metrics: &Metrics) -> String {
    let mut text = String::new();
    for row in ROWS {
        text.push_str(&format!("# HELP {} {}\n", row.name, row.help));
        text.push_str(&format!("# TYPE {} {}\n", row.name, row.kind));
        for sample in (row.samples)(metrics) {
            let labels: Vec<String> = sample
                .labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            text.push_str(row.name);
            text.push_str(sample.suffix);
            if !labels.is_empty() {
                text.push_str(&format!("{{{}}}", labels.join(",")));
            }
            text.push_str(&format!(" {}\n", sample.value));
        }
    }
    text
}

/// Returns a label value, escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[allow(clippy::cast_precision_loss, reason = "the format has floats only")]
fn float(value: u64) -> f64 {
    value as f64
}

fn number(value: usize) -> f64 {
    float(u64::try_from(value).unwrap_or(u64::MAX))
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit for ages")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn one(value: f64) -> Vec<Sample> {
    vec![Sample { suffix: "", labels: Vec::new(), value }]
}

/// One value, if engines share a store.
fn shared(metrics: &Metrics, value: fn(&SharingMetrics) -> f64) -> Vec<Sample> {
    metrics.sharing.as_ref().map(|shared| one(value(shared))).unwrap_or_default()
}

fn labelled(labels: Vec<(&'static str, String)>, value: f64) -> Sample {
    Sample { suffix: "", labels, value }
}

/// One line for each, up to a maximum; then the sum of the others, if a sum is meaningful.
fn each<'m, T: 'm>(
    label: &'static str,
    all: &'m BTreeMap<String, T>,
    value: impl Fn(&'m T) -> Option<f64>,
    summed: bool,
) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut rest: Option<f64> = None;
    for (place, (name, of)) in all.iter().enumerate() {
        let Some(value) = value(of) else { continue };
        if place < MOST_LINES {
            samples.push(labelled(vec![(label, name.clone())], value))
        } else {
            rest = Some(rest.unwrap_or(0.0) + value)
        }
    }
    if let (Some(rest), true) = (rest, summed) {
        samples.push(labelled(vec![(label, OTHERS.to_owned())], rest));
    }
    samples
}

fn build(metrics: &Metrics) -> Vec<Sample> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    vec![labelled(vec![("version", version), ("cluster", metrics.cluster.clone())], 1.0)]
}

fn hosts(metrics: &Metrics) -> Vec<Sample> {
    let states = [
        (HostStatus::Ready, "ready"),
        (HostStatus::Unknown, "unknown"),
        (HostStatus::Lost, "lost"),
    ];
    let sample = |(state, word): (HostStatus, &str)| {
        let count = metrics.hosts.values().filter(|host| host.state == state).count();
        labelled(vec![("state", word.to_owned())], number(count))
    };
    states.into_iter().map(sample).collect()
}

fn last_looks(metrics: &Metrics) -> Vec<Sample> {
    each("host", &metrics.hosts, |host| host.looked_at_ms.map(seconds), false)
}

fn reconnects(metrics: &Metrics) -> Vec<Sample> {
    each("host", &metrics.hosts, |host| Some(float(host.reconnects)), true)
}

fn pods(metrics: &Metrics, of: fn(&Pods) -> usize) -> Vec<Sample> {
    each("workload", &metrics.pods, |pods| Some(number(of(pods))), true)
}

fn blocked(metrics: &Metrics) -> Vec<Sample> {
    let sample = |by: BlockedBy| {
        let count = metrics.blocked.get(&by).copied().unwrap_or(0);
        labelled(vec![("reason", by.word().to_owned())], float(count))
    };
    BlockedBy::ALL.into_iter().map(sample).collect()
}

fn rounds(metrics: &Metrics) -> Vec<Sample> {
    let rounds = &metrics.ticks;
    let mut below = 0;
    let bucket = |le: String, count: u64| Sample {
        suffix: "_bucket",
        labels: vec![("le", le)],
        value: float(count),
    };
    let mut samples = Vec::new();
    for (bound, count) in TICK_BUCKETS_S.iter().zip(rounds.buckets) {
        below += count;
        samples.push(bucket(bound.to_string(), below));
    }
    samples.push(bucket("+Inf".to_owned(), rounds.count));
    let whole = |suffix, value| Sample { suffix, labels: Vec::new(), value };
    samples.push(whole("_sum", rounds.took.as_secs_f64()));
    samples.push(whole("_count", float(rounds.count)));
    samples
}

fn operations(metrics: &Metrics) -> Vec<Sample> {
    let sample = |((kind, outcome), count): (&(&str, &str), &u64)| {
        let labels = vec![("kind", (*kind).to_owned()), ("outcome", (*outcome).to_owned())];
        labelled(labels, float(*count))
    };
    metrics.operations.iter().map(sample).collect()
}

fn failures(metrics: &Metrics) -> Vec<Sample> {
    let sample =
        |(why, count): (&&str, &u64)| labelled(vec![("reason", (*why).to_owned())], float(*count));
    metrics.failures.iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_metrics_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/user/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (begin, end) = ("<!-- table -->\n", "<!-- end -->");
        let (before, rest) = page.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        let mut table = String::from("| metric | type | labels | |\n|---|---|---|---|\n");
        for row in ROWS {
            let (name, kind, labels, help) = (row.name, row.kind, row.labels, row.help);
            table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
        }
        let now = format!("{before}{begin}{table}{end}{after}");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let again = "update it with UPDATE=1 cargo test -p tally-cli the_page_of_metrics";
        assert!(std::fs::read_to_string(path).unwrap() == now, "the page has drifted; {again}");
    }

    #[test]
    fn names_keep_to_what_prometheus_asks_for() {
        for row in ROWS {
            assert_eq!(row.kind == "counter", row.name.ends_with("_total"), "{}", row.name);
            assert!(row.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", row.name);
        }
    }

    #[test]
    fn a_great_many_workloads_share_a_line() {
        let one = Pods { desired: 2, placed: 1, ready: 1 };
        let pods = (0..1_500).map(|n| (format!("controller/w{n:04}"), one)).collect();
        let text = text(&Metrics { pods, ..Metrics::default() });
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with("tally_pods_desired{")).collect();
        assert_eq!(lines.len(), MOST_LINES + 1);
        assert_eq!(lines.last(), Some(&"tally_pods_desired{workload=\"(others)\"} 1000"));
    }

    #[test]
    fn values_of_labels_cannot_break_a_line() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
