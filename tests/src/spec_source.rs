//! SpecChange for a loop under test, one after another.

use async_trait::async_trait;
use tally_control::{SpecChange, SpecSource};
use tokio::sync::mpsc;

/// Gives what is sent to it; without a sender nothing changes any more.
pub struct ChannelSpecSource(pub mpsc::UnboundedReceiver<SpecChange>);

#[async_trait]
impl SpecSource for ChannelSpecSource {
    async fn changed(&mut self) -> SpecChange {
        match self.0.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}
