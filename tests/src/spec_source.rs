//! A source of spec changes for a loop under test.

use async_trait::async_trait;
use tally_control::{SpecChange, SpecSource};
use tokio::sync::mpsc;

/// Returns the changes that are sent to it; without a sender there are no more changes.
pub struct ChannelSpecSource(pub mpsc::UnboundedReceiver<SpecChange>);

#[async_trait]
impl SpecSource for ChannelSpecSource {
    async fn changed(&mut self) -> SpecChange {
        match self.0.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }
}
