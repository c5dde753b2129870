//! Images that are fetched by a tag while a plan is carried out: the first pull of a tag decides which
//! image is meant, and every other host gets just that, although the tag may move in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tally_graph::ImageRef;
use tally_reconcile::digest_of;

use super::Permit;
use super::operation::Step;
use crate::{Host, HostError, HostRead, PullProgress};

/// What tags were found to stand for. Copies share what they know: plans that are carried out beside
/// each other get the same images.
#[derive(Debug, Clone, Default)]
pub struct Fetched(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The registry's digest of each name that was fetched: `app:1` and `app@sha256:…`.
    digests: BTreeMap<String, String>,
    /// Where a name stands for something else, or nothing: host and name, and what is meant.
    elsewhere: BTreeMap<(String, String), String>,
}

impl PartialEq for Fetched {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Fetched {}

impl Fetched {
    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fetches an image for a host. One that is named by its tag is the one that the first host got;
    /// of two hosts that ask at the same time the later one asks again where it got another.
    pub(super) async fn fetch(
        &self,
        host: &dyn Host,
        image: &str,
        permit: &Permit,
        heard: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<Step, HostError> {
        let Some(by_tag) = ImageRef::parse(image).ok().filter(|image| image.digest.is_none())
        else {
            return permit.during(host.pull(image, heard)).await;
        };
        let mut meant = self.known(|known| known.digests.get(image).cloned());
        if meant.is_none() {
            if let Step::Withheld(why) = permit.during(host.pull(image, heard)).await? {
                return Ok(Step::Withheld(why));
            }
            let Some(own) = digest(host, image, &by_tag).await else {
                return Ok(Step::Done(None));
            };
            let first = self.known(|known| {
                known.digests.entry(image.to_owned()).or_insert_with(|| own.clone()).clone()
            });
            meant = (first != own).then_some(first);
        }
        if let Some(meant) = meant {
            if let Step::Withheld(why) = permit.during(host.pull(&meant, heard)).await? {
                return Ok(Step::Withheld(why));
            }
            let key = (host.name().to_owned(), image.to_owned());
            self.known(|known| known.elsewhere.insert(key, meant));
        }
        Ok(Step::Done(None))
    }

    /// The name by which a host has the image that `image` was fetched for.
    pub(super) fn name_on(&self, host: &dyn Host, image: &str) -> String {
        let key = (host.name().to_owned(), image.to_owned());
        self.known(|known| known.elsewhere.get(&key).cloned()).unwrap_or_else(|| image.to_owned())
    }
}

/// The registry's digest of an image that was just fetched; `None` where the engine does not tell one.
async fn digest(host: &dyn Host, image: &str, by_tag: &ImageRef) -> Option<String> {
    let reader: &dyn HostRead = host;
    let images = reader.images().await.ok()?;
    digest_of(&images, images.get(image)?, by_tag)
}
