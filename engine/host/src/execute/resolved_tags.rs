//! Images that are pulled by a tag while a plan is carried out: the first pull of a tag decides which image it
//! resolves to, and every other host gets that image, although the tag may move in between.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tally_graph::ImageRef;
use tally_reconcile::digest_of;

use super::permit::Permit;
use super::step::OperationStep;
use crate::error::HostError;
use crate::host::{Host, HostRead, PullProgress};

/// The images that tags were resolved to. Copies share one state, so that plans that are carried out at the same
/// time get the same images.
#[derive(Debug, Clone, Default)]
pub struct ResolvedTags(Arc<Mutex<KnownDigest>>);

#[derive(Debug, Default)]
struct KnownDigest {
    /// The registry's digest by pulled name: `app:1` and `app@sha256:…`.
    digests: BTreeMap<String, String>,
    /// The resolved image by host and name, where the name refers to another image on that host or to none.
    elsewhere: BTreeMap<(String, String), String>,
}

impl PartialEq for ResolvedTags {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ResolvedTags {}

impl ResolvedTags {
    fn known<T>(&self, access: impl FnOnce(&mut KnownDigest) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Pulls an image on a host. An image that is named by a tag is the one that the first host got. Of two hosts that
    /// pull at the same time, the later one pulls again if it got another image.
    pub(super) async fn fetch(
        &self,
        host: &dyn Host,
        image: &str,
        permit: &Permit,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<OperationStep, HostError> {
        let Some(by_tag) = ImageRef::parse(image).ok().filter(|image| image.digest.is_none())
        else {
            return while_permitted(permit, host.pull(image, progress)).await;
        };
        let mut resolved = self.known(|known| known.digests.get(image).cloned());
        if resolved.is_none() {
            if let OperationStep::Withheld(why) =
                while_permitted(permit, host.pull(image, progress)).await?
            {
                return Ok(OperationStep::Withheld(why));
            }
            let Some(own) = digest(host, image, &by_tag).await else {
                return Ok(OperationStep::Done(None));
            };
            let first = self.known(|known| {
                known.digests.entry(image.to_owned()).or_insert_with(|| own.clone()).clone()
            });
            resolved = (first != own).then_some(first);
        }
        if let Some(resolved) = resolved {
            if let OperationStep::Withheld(why) =
                while_permitted(permit, host.pull(&resolved, progress)).await?
            {
                return Ok(OperationStep::Withheld(why));
            }
            let key = (host.name().to_owned(), image.to_owned());
            self.known(|known| known.elsewhere.insert(key, resolved));
        }
        Ok(OperationStep::Done(None))
    }

    /// Returns the name under which a host has the image that `image` was resolved to.
    pub(super) fn name_on(&self, host: &dyn Host, image: &str) -> String {
        let key = (host.name().to_owned(), image.to_owned());
        self.known(|known| known.elsewhere.get(&key).cloned()).unwrap_or_else(|| image.to_owned())
    }
}

/// Runs a pull, which may ask its registry several times over minutes. Each step of it checks the permit first; the
/// pull is cancelled when the permit does not hold.
async fn while_permitted(
    permit: &Permit,
    pull: impl Future<Output = Result<(), HostError>>,
) -> Result<OperationStep, HostError> {
    let mut pull = pin!(pull);
    std::future::poll_fn(|context| match permit.ask() {
        Ok(()) => pull.as_mut().poll(context).map(|done| done.map(|()| OperationStep::Done(None))),
        Err(why) => Poll::Ready(Ok(OperationStep::Withheld(why))),
    })
    .await
}

/// Returns the registry's digest of an image that was just pulled; `None` when the engine reports none.
async fn digest(host: &dyn Host, image: &str, by_tag: &ImageRef) -> Option<String> {
    let reader: &dyn HostRead = host;
    let images = reader.images().await.ok()?;
    digest_of(&images, images.get(image)?, by_tag)
}
