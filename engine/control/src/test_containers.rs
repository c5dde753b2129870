//! Sample inventories for unit tests.

use tally_reconcile::input::observed::{
    ContainerDetails, ContainerState, Health, Live, ObservedContainer,
};
use tally_reconcile::labels;

/// A container of pod `pod` in cluster `shop`, with when it began and when it last ended, in milliseconds since 1970.
pub fn container(
    id: &str,
    pod: &str,
    state: ContainerState,
    (started_at_ms, finished_at_ms): (i64, Option<i64>),
) -> ObservedContainer {
    let ours = [(labels::CLUSTER, "shop"), (labels::POD, pod)];
    let details = ContainerDetails {
        image_id: "i".to_owned(),
        health: Health::None,
        exit_code: None,
        error: None,
        started_at_ms: Some(started_at_ms),
        finished_at_ms,
        restart_count: 0,
        live: Live::default(),
        joined: None,
        files: None,
        secrets: None,
        addresses: [].into(),
    };
    ObservedContainer {
        id: id.to_owned(),
        name: "c".to_owned(),
        labels: ours.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        image: "i".to_owned(),
        state,
        published: Vec::new(),
        details: Some(details),
    }
}
