//! Pulling images, with progress, credentials and a limited number of tries.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt as _;
use tally_graph::ImageRef;

use crate::classify::{Call, classify};
use crate::credentials;
use crate::docker_host::{DockerHost, within};
use crate::registries::TRIES;
use tally_host::{HostError, PullProgress, traced};

/// Maximum number of layers whose progress is tracked; no image has more.
const MOST_LAYERS: usize = 1_000;

/// Pulls an image.
pub(crate) async fn pull(
    host: &DockerHost,
    image: &str,
    progress: &(dyn Fn(PullProgress) + Send + Sync),
) -> Result<(), HostError> {
    let whole = async {
        let credentials = credentials_for(image).await?;
        let name = ImageRef::parse(image).map(|image| image.registry_host().to_owned());
        let registry = host.registries.of(&name.unwrap_or_default());
        let mut tries_left = TRIES;
        loop {
            let turn = registry.turn().await.map_err(|said| given_up(image, said))?;
            tries_left -= 1;
            match once(host, image, credentials.clone(), progress).await {
                Err(error) if worth_another_try(&error) => {
                    let said = error.to_string();
                    registry.refused(&turn, retry_after(&said), host.options.pull_backoff, said);
                    if tries_left == 0 {
                        return Err(error);
                    }
                }
                other => {
                    registry.answered(&turn);
                    return other;
                }
            }
        }
    };
    let bounded = async { within("pull", host.options.pull_total, whole).await? };
    traced(&host.name, "pull", bounded).await
}

/// Returns the error for a registry that refused too often, for this image or another.
fn given_up(image: &str, message: String) -> HostError {
    HostError::Image { image: image.to_owned(), missing: false, message }
}

async fn credentials_for(image: &str) -> Result<Option<DockerCredentials>, HostError> {
    let Ok(image) = ImageRef::parse(image) else {
        return Ok(None);
    };
    let Some(folder) = credentials::config_folder() else {
        return Ok(None);
    };
    let found = credentials::find(&folder, image.registry_host()).await?;
    Ok(found.map(|found| {
        let token = found.username.is_empty();
        DockerCredentials {
            username: (!token).then_some(found.username),
            password: (!token).then(|| found.secret.clone()),
            identitytoken: token.then_some(found.secret),
            serveraddress: Some(found.server),
            ..DockerCredentials::default()
        }
    }))
}

async fn once(
    host: &DockerHost,
    image: &str,
    credentials: Option<DockerCredentials>,
    progress: &(dyn Fn(PullProgress) + Send + Sync),
) -> Result<(), HostError> {
    let call = Call { name: "pull", address: &host.address, image: Some(image) };
    let options =
        CreateImageOptions { from_image: Some(image.to_owned()), ..CreateImageOptions::default() };
    let mut stream = host.docker.create_image(Some(options), None, credentials);
    let mut layers = Layers::default();
    while let Some(info) = within("pull", host.options.pull_idle, stream.next()).await? {
        let info = info.map_err(|error| classify(call, error))?;
        if layers.add(&info) {
            progress(layers.sum());
        }
    }
    Ok(())
}

/// The progress of each layer.
#[derive(Default)]
struct Layers(BTreeMap<String, Layer>);

#[derive(Default)]
struct Layer {
    done: bool,
    bytes: u64,
    total: u64,
}

impl Layers {
    /// Applies a message. Returns whether it was about a layer.
    fn add(&mut self, info: &CreateImageInfo) -> bool {
        let (Some(id), Some(status)) = (&info.id, &info.status) else {
            return false;
        };
        let known = matches!(
            status.as_str(),
            "Pulling fs layer"
                | "Waiting"
                | "Downloading"
                | "Verifying Checksum"
                | "Download complete"
                | "Extracting"
                | "Pull complete"
                | "Already exists"
        );
        if !known || (self.0.len() >= MOST_LAYERS && !self.0.contains_key(id)) {
            return false;
        }
        let layer = self.0.entry(id.clone()).or_default();
        let detail = info.progress_detail.clone().unwrap_or_default();
        let bytes = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        match status.as_str() {
            "Downloading" => {
                layer.bytes = bytes(detail.current).unwrap_or(layer.bytes);
                layer.total = bytes(detail.total).unwrap_or(layer.total);
            }
            "Download complete" | "Extracting" => layer.bytes = layer.total,
            "Pull complete" | "Already exists" => {
                layer.bytes = layer.total;
                layer.done = true;
            }
            _ => {}
        }
        true
    }

    fn sum(&self) -> PullProgress {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        PullProgress {
            layers_done: count(self.0.values().filter(|layer| layer.done).count()),
            layers: count(self.0.len()),
            bytes: self.0.values().map(|layer| layer.bytes).sum(),
            bytes_total: self.0.values().map(|layer| layer.total).sum(),
        }
    }
}

/// Checks whether a retry may succeed: the registry is temporarily busy or broken, or the stream broke off. A retry does
/// not help when the image is missing or access is denied.
fn worth_another_try(error: &HostError) -> bool {
    let message = match error {
        HostError::Broken(_) => return true,
        HostError::Image { missing: false, message, .. } => message.to_lowercase(),
        _ => return false,
    };
    if let Some(status) = status_in(&message) {
        return matches!(status, 408 | 429 | 500..=599);
    }
    [
        "toomanyrequests",
        "too many requests",
        // A registry that sends only a status.
        "error parsing http 429 response body",
        "unexpected http status: 5",
        "unexpected status code 5",
        "internal server error",
        "bad gateway",
        "service unavailable",
        "gateway timeout",
        "unexpected eof",
        "connection reset by peer",
    ]
    .iter()
    .any(|saying| message.contains(saying))
}

/// Returns the status that a registry answered, as containerd's image store reports it:
/// `unexpected status from HEAD request to https://…/manifests/1: 503 Service Unavailable`.
fn status_in(lower: &str) -> Option<u16> {
    let (_, after) = lower.split_once("unexpected status from ")?;
    let (_, after) = after.split_once(" request to ")?;
    let (_, status) = after.split_once(": ")?;
    status.split(' ').next()?.parse().ok()
}

/// Returns the backoff that a registry requests, if the engine passes it on: `retry-after: 1.5s`, or a
/// bare number of seconds.
fn retry_after(message: &str) -> Option<Duration> {
    let lower = message.to_lowercase();
    let (_, after) = lower.split_once("retry-after: ")?;
    let word = after.split([',', ' ', ';']).next()?;
    let split = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (number, unit) = word.split_at(split);
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "µs" | "us" => 1e-6,
        "m" => 60.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * factor;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_change_is_tried_again() {
        let image = |missing, message: &str| HostError::Image {
            image: "a:1".into(),
            missing,
            message: message.into(),
        };
        for (error, again) in [
            (image(false, "toomanyrequests: You have reached your pull rate limit"), true),
            (image(false, "received unexpected HTTP status: 503 Service Unavailable"), true),
            (image(false, "unexpected EOF"), true),
            (image(false, "error parsing HTTP 429 response body: unexpected end of JSON"), true),
            (
                image(
                    false,
                    "unknown: failed to resolve reference \"a:1\": unexpected status from HEAD request to http://a/v2/a/manifests/1: 503 Service Unavailable",
                ),
                true,
            ),
            (image(false, "unexpected status from HEAD request to https://a/v2/: 429 X"), true),
            (image(false, "unexpected status from GET request to https://a/v2/: 400 X"), false),
            (image(false, "unauthorized: authentication required"), false),
            (image(false, "dial tcp: lookup nowhere: no such host"), false),
            (image(true, "manifest unknown"), false),
            (HostError::Broken("x".into()), true),
            (HostError::NotFound("x".into()), false),
        ] {
            assert_eq!(worth_another_try(&error), again, "{error}");
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_read() {
        for (message, expected) in [
            ("toomanyrequests: retry-after: 171.5µs, allowed: 44000/minute", Some(0)),
            ("429 Retry-After: 30", Some(30_000)),
            ("retry-after: 1.5s", Some(1_500)),
            ("retry-after: soon", None),
            ("nothing", None),
        ] {
            let found = retry_after(message).map(|wait| wait.as_millis());
            assert_eq!(found, expected, "{message}");
        }
    }

    #[test]
    fn progress_adds_layers_up() {
        let message = |id: &str, status: &str, current, total| CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: Some(bollard::models::ProgressDetail { current, total }),
            ..Default::default()
        };
        let mut layers = Layers::default();
        assert!(!layers.add(&message("1.27", "Pulling from library/nginx", None, None)));
        layers.add(&message("a", "Downloading", Some(5), Some(10)));
        layers.add(&message("b", "Already exists", None, None));
        let sum = layers.sum();
        assert_eq!((sum.layers_done, sum.layers, sum.bytes, sum.bytes_total), (1, 2, 5, 10));
    }
}
