//! Agreeing on a version of Docker's API.

use std::time::Duration;

use bollard::Docker;
use tally_host::{HostError, clean};

use super::requests::modifier;
use crate::classify::{Call, classify};
use crate::docker_host::within;

/// The API version that Tally speaks with every engine that supports it: that of Docker 20.10. With one version the
/// answers of all engines have one form.
pub(super) const SPOKEN: (usize, usize) = (1, 41);
const SPOKEN_TEXT: &str = "1.41";

/// Returns the version to speak with an engine. Nearly all engines speak ours, and a ping in it checks that in a
/// twentieth of the time that an engine takes to report its versions.
pub(super) async fn agreed(
    docker: &Docker,
    address: &str,
    limit: Duration,
) -> Result<String, HostError> {
    let call = |name| Call { name, address, image: None };
    let ping = docker.clone().with_request_modifier(modifier(SPOKEN_TEXT));
    match within("ping", limit, ping.ping()).await? {
        Ok(text) if text.trim() == "OK" => return Ok(SPOKEN_TEXT.to_owned()),
        // It answers, and may require another version.
        Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { .. }) => {}
        Err(error) => return Err(classify(call("ping"), error)),
    }
    // Without a version, because an engine refuses versions that it does not support.
    let answer = within("version", limit, docker.version()).await?;
    let answer = answer.map_err(|error| classify(call("version"), error))?;
    let newest = answer.api_version.unwrap_or_default();
    let oldest = answer.min_api_version.unwrap_or_default();
    agree(&newest, &oldest)
}

/// Returns the version to speak with an engine that supports the versions from `oldest` to `newest`.
fn agree(newest: &str, oldest: &str) -> Result<String, HostError> {
    let newest_parts = parts(newest).ok_or_else(|| {
        HostError::Broken(format!(
            "the server is not a Docker engine: it reports `{}` as its API version",
            clean::line(newest)
        ))
    })?;
    if newest_parts < SPOKEN {
        return Err(HostError::TooOld { found: newest.to_owned(), needed: SPOKEN_TEXT });
    }
    match parts(oldest) {
        Some(least) if least > SPOKEN => Ok(format!("{}.{}", least.0, least.1)),
        _ => Ok(SPOKEN_TEXT.to_owned()),
    }
}

fn parts(version: &str) -> Option<(usize, usize)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_is_spoken_wherever_the_engine_still_does() {
        for (newest, oldest, spoken) in [
            ("1.41", "1.12", "1.41"),
            ("1.50", "1.24", "1.41"),
            ("1.52", "1.44", "1.44"),
            ("1.41", "", "1.41"),
        ] {
            assert_eq!(agree(newest, oldest), Ok(spoken.to_owned()), "{newest} {oldest}");
        }
    }

    #[test]
    fn an_engine_too_old_is_refused_in_a_sentence() {
        let error = agree("1.40", "1.12").map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("the Docker engine speaks API 1.40; Tally needs 1.41 or later".to_owned()),
        );
        assert!(matches!(agree("", ""), Err(HostError::Broken(_))));
    }
}
