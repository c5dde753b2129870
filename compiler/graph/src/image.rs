//! Names of images, in Docker's grammar.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name of an image, held in the form in which Docker lists it: without `docker.io/library/`,
/// with `latest` if there is no tag. So two spellings of one image are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Registry host and port; `None` for Docker's own.
    pub registry: Option<String>,
    /// The path, without `library/`.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

/// The reason why a text is not an image name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It is empty.
    #[error("an image has a name")]
    Empty,
    /// It holds capitals, which are not allowed in a repository.
    #[error("an image name has no capitals")]
    Capitals,
    /// It holds another invalid character.
    #[error("it is no image name")]
    Malformed,
}

impl ImageRef {
    /// Reads `nginx`, `nginx:1.27`, `ghcr.io/acme/web:3`, `x@sha256:…`.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        if text.is_empty() {
            return Err(ImageError::Empty);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let hex = digest.strip_prefix("sha256:").ok_or(ImageError::Malformed)?;
                if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(ImageError::Malformed);
                }
                (rest, Some(digest.to_owned()))
            }
            None => (text, None),
        };
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
                (Some(first), path)
            }
            _ => (None, rest),
        };
        let (path, tag) = match path.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (path, None),
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ImageError::Capitals);
        }
        let tag_ok = |tag: &str| {
            (1..=128).contains(&tag.len())
                && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !tag.starts_with(['.', '-'])
        };
        let registry_ok =
            |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
        if !path.split('/').all(component_ok)
            || !tag.is_none_or(tag_ok)
            || !registry.is_none_or(registry_ok)
        {
            return Err(ImageError::Malformed);
        }
        let ours = matches!(registry, None | Some("docker.io" | "index.docker.io"));
        let repository = if ours { path.strip_prefix("library/").unwrap_or(path) } else { path };
        let implied = (tag.is_none() && digest.is_none()).then_some("latest");
        Ok(Self {
            registry: registry.filter(|_| !ours).map(str::to_owned),
            repository: repository.to_owned(),
            tag: tag.or(implied).map(str::to_owned),
            digest,
        })
    }

    /// Registry host for credentials and pulls; Docker's own is `docker.io`.
    #[must_use]
    pub fn registry_host(&self) -> &str {
        self.registry.as_deref().unwrap_or("docker.io")
    }
}

fn component_ok(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && part.starts_with(|c: char| c.is_ascii_alphanumeric())
        && part.ends_with(|c: char| c.is_ascii_alphanumeric())
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageError;
    fn try_from(text: String) -> Result<Self, ImageError> {
        Self::parse(&text)
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> String {
        image.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_image_are_equal() {
        for (text, canonical) in [
            ("nginx", "nginx:latest"),
            ("docker.io/library/nginx:1", "nginx:1"),
            ("ghcr.io/acme/web:3", "ghcr.io/acme/web:3"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("acme/web", "acme/web:latest"),
        ] {
            assert_eq!(ImageRef::parse(text).map(|i| i.to_string()), Ok(canonical.to_owned()));
        }
        assert_eq!(ImageRef::parse("Acme/Web:1"), Err(ImageError::Capitals));
        for text in ["a b", "a:", "/a", "a//b", "x@sha256:12", "-a", "a:b:c"] {
            assert_eq!(ImageRef::parse(text), Err(ImageError::Malformed), "{text}");
        }
    }
}
