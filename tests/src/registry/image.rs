//! Images that no engine has yet: created here, and pushed to a registry through its API.

use sha2::{Digest as _, Sha256};

use super::Registry;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// An image with one layer of one file, in a registry.
pub struct TestImage {
    /// The name in the registry, with its tag: `things:1`.
    pub name: String,
}

impl TestImage {
    /// Creates an image whose layer has about `bytes` bytes, and pushes it to `registry` as `name`. It has no program:
    /// it can be pulled and not run.
    ///
    /// # Panics
    /// If the registry rejects it.
    #[must_use]
    pub fn new(registry: &Registry, name: &str, bytes: usize) -> Self {
        let image = Image::new(name, bytes, machine());
        put_blobs(registry, name, &image);
        put_manifest(registry, name, MANIFEST, &image.manifest);
        Self { name: format!("{name}:1") }
    }

    /// Creates an image for another platform only, as a multi-platform image is published.
    ///
    /// # Panics
    /// If the registry rejects it.
    #[must_use]
    pub fn for_other_machines(registry: &Registry, name: &str) -> Self {
        let image = Image::new(name, 1_000, "s390x");
        put_blobs(registry, name, &image);
        let digest = digest(image.manifest.as_bytes());
        let path = format!("/v2/{name}/manifests/{digest}");
        let answer = registry.call("PUT", &path, MANIFEST, image.manifest.as_bytes());
        assert_eq!(answer.status, 201);
        let list = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_LIST,
            "manifests": [{
                "mediaType": MANIFEST,
                "size": image.manifest.len(),
                "digest": digest,
                "platform": { "architecture": "s390x", "os": "linux" },
            }],
        });
        put_manifest(registry, name, MANIFEST_LIST, &list.to_string());
        Self { name: format!("{name}:1") }
    }
}

struct Image {
    layer: Vec<u8>,
    config: String,
    manifest: String,
}

impl Image {
    fn new(name: &str, bytes: usize, machine: &str) -> Self {
        let layer = layer(name, bytes);
        let layer_digest = digest(&layer);
        let config = serde_json::json!({
            "architecture": machine,
            "os": "linux",
            "config": { "Cmd": ["/none"] },
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
            "history": [{ "created_by": "a test" }],
        })
        .to_string();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": CONFIG, "size": config.len(), "digest": digest(config.as_bytes()),
            },
            "layers": [{ "mediaType": LAYER, "size": layer.len(), "digest": layer_digest }],
        })
        .to_string();
        Self { layer, config, manifest }
    }
}

/// Returns this machine's architecture, by its name in images.
fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Returns a layer that no engine has yet; an engine does not pull a layer that it has.
fn layer(name: &str, bytes: usize) -> Vec<u8> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut piece = Sha256::digest(format!("{name} {} {since:?}", std::process::id())).to_vec();
    let mut content = Vec::with_capacity(bytes + 32);
    while content.len() < bytes {
        content.extend_from_slice(&piece);
        piece = Sha256::digest(&piece).to_vec();
    }
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "content", content.as_slice()).unwrap();
    archive.into_inner().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let hex = tally_graph::sha256(bytes);
    format!("sha256:{hex}")
}

fn put_blobs(registry: &Registry, name: &str, image: &Image) {
    for blob in [image.layer.as_slice(), image.config.as_bytes()] {
        let upload = registry.call("POST", &format!("/v2/{name}/blobs/uploads/"), "", &[]);
        assert_eq!(upload.status, 202);
        let location = upload.headers.get("location").expect("the upload has a location");
        let path = location.find("/v2/").and_then(|at| location.get(at..)).unwrap();
        let path = format!("{path}&digest={}", digest(blob));
        let put = registry.call("PUT", &path, "application/octet-stream", blob);
        assert_eq!(put.status, 201);
    }
}

fn put_manifest(registry: &Registry, name: &str, kind: &str, text: &str) {
    let path = format!("/v2/{name}/manifests/1");
    assert_eq!(registry.call("PUT", &path, kind, text.as_bytes()).status, 201);
}
