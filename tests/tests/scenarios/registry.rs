//! Pulls from a real registry, and from one with failures: a failure of a registry never stops running containers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tally_docker::ConnectOptions;
use tally_graph::HostAddress;
use tally_host::{FailureKind, Host, HostError};
use tally_reconcile::LOCAL_HOST;
use tally_tests::registry::{Does, Proxy, Registry, Request, TestImage};

use crate::world::{World, only_real, runtime};

const WHY: &str = "the simulator's registries have every image";
/// The messages by which registries limit the rate, if they state a duration. Docker passes the message on and
/// drops the header.
const PATIENCE: Does = Does::Answer(
    429,
    "Retry-After: 2\r\nContent-Type: application/json\r\n",
    r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 2s, allowed: 10/minute"}]}"#,
);
const BROKEN: Does = Does::Answer(503, "", "");

/// Short pauses, so that their tests are short.
fn options() -> ConnectOptions {
    ConnectOptions {
        pull_idle: Duration::from_secs(2),
        pull_backoff: Duration::from_millis(300),
        ..ConnectOptions::default()
    }
}

struct Pulls {
    registry: Registry,
    host: Arc<dyn Host>,
    _folder: tempfile::TempDir,
}

/// Runs a test that pulls from a registry on the real engine.
fn pulls<F: Future<Output = ()>>(name: &str, test: impl Fn(Pulls) -> F) {
    if std::env::var("TALLY_TEST_DOCKER").as_deref() != Ok("1") {
        eprintln!("SKIPPED on the real engine: {name} (TALLY_TEST_DOCKER is not 1)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(folder.path(), false) else { return };
    runtime().block_on(async {
        let socket = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = socket.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned();
        let address = HostAddress::Unix(socket);
        let host = tally_docker::connect(LOCAL_HOST, &address, &options()).await.unwrap();
        test(Pulls { registry, host, _folder: folder }).await;
    });
}

/// An image that is removed afterwards; Tally itself removes no images.
struct Pulled(String);

impl Pulled {
    fn new(address: &str, image: &TestImage) -> Self {
        Self(format!("{address}/{}", image.name))
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        let mut rmi = std::process::Command::new("docker");
        // It does not exist if the test was about an unavailable image.
        let _ = rmi.args(["image", "rm", "-f", &self.0]).output();
    }
}

impl Pulls {
    async fn pull(&self, image: &Pulled) -> Result<(), HostError> {
        self.host.pull(&image.0, &|_| {}).await
    }

    async fn has(&self, image: &Pulled) -> bool {
        self.host.images().await.unwrap().contains_key(&image.0)
    }
}

fn message(result: Result<(), HostError>) -> (bool, String) {
    match result {
        Err(HostError::Image { missing, message, .. }) => (missing, message),
        other => panic!("{other:?}"),
    }
}

/// Checks whether an engine is configured to retry nothing. If not, it may retry, and continues at once.
fn in_one_try(asked: &[Request]) -> bool {
    let mut pauses = asked.windows(2).map(|two| two[1].at - two[0].at);
    !asked.is_empty() && pauses.all(|pause| pause < options().pull_backoff)
}

/// Checks whether images are in containerd's store. It uses HEAD only, passes no body of an answer on, and retries
/// a refused request once itself.
fn in_containerds_store() -> bool {
    let mut info = std::process::Command::new("docker");
    let said = info.args(["info", "--format", "{{.DriverStatus}}"]).output().unwrap();
    String::from_utf8_lossy(&said.stdout).contains("io.containerd.snapshotter")
}

#[test]
fn an_image_is_pulled_from_a_registry_with_progress() {
    pulls("good", |test| async move {
        let image = TestImage::new(&test.registry, "good", 400_000);
        let image = Pulled::new(&test.registry.address(), &image);
        let last = std::sync::Mutex::new(None);
        test.host.pull(&image.0, &|at| *last.lock().unwrap() = Some(at)).await.unwrap();
        assert!(test.has(&image).await);
        let last = last.into_inner().unwrap().expect("progress is reported");
        assert_eq!((last.layers_done, last.layers), (1, 1));
    });
}

#[test]
fn a_missing_tag_is_reported_as_missing_and_requested_once() {
    pulls("missing", |test| async move {
        let proxy = Proxy::start(&test.registry, |_, _| Does::Pass);
        let image = TestImage { name: "nothing:1".to_owned() };
        let (missing, said) = message(test.pull(&Pulled::new(&proxy.address(), &image)).await);
        assert!(missing, "{said}");
        assert!(in_one_try(&proxy.seen("/v2/nothing/manifests/1")));
    });
}

#[test]
fn a_registry_that_requires_a_login_is_not_asked_again() {
    pulls("login", |test| async move {
        let folder = tempfile::tempdir().unwrap();
        let guarded = Registry::start(folder.path(), true).unwrap();
        let proxy = Proxy::start(&guarded, |_, _| Does::Pass);
        let image = TestImage { name: "guarded:1".to_owned() };
        let (missing, said) = message(test.pull(&Pulled::new(&proxy.address(), &image)).await);
        assert!(!missing && said.contains("no basic auth credentials"), "{said}");
        assert!(in_one_try(&proxy.seen("/v2/")), "Docker asks what is needed, and has it not");
    });
}

#[test]
fn only_the_rate_limiting_registry_is_paused() {
    pulls("patience", |test| async move {
        let by_head = in_containerds_store();
        let busy = Proxy::start(&test.registry, move |line, before| match line {
            "GET /v2/busy/manifests/1" if before < 2 => PATIENCE,
            "HEAD /v2/busy/manifests/1" if by_head && before < 12 => PATIENCE,
            "HEAD /v2/busy/manifests/1" if !by_head => BROKEN,
            _ => Does::Pass,
        });
        let image = TestImage::new(&test.registry, "busy", 1_000);
        let busy_image = Pulled::new(&busy.address(), &image);
        let other = TestImage::new(&test.registry, "other", 1_000);
        let other_image = Pulled::new(&test.registry.address(), &other);
        let began = Instant::now();
        let other = async {
            test.pull(&other_image).await.unwrap();
            began.elapsed()
        };
        let (pulled, other_took) = tokio::join!(test.pull(&busy_image), other);
        pulled.unwrap();
        assert!(test.has(&busy_image).await);
        assert!(other_took < Duration::from_secs(2), "{other_took:?}");
        if by_head {
            let asked = busy.seen("HEAD /v2/busy/manifests/1");
            let pauses = asked.windows(2).map(|two| two[1].at - two[0].at);
            let pauses = pauses.filter(|pause| *pause >= options().pull_backoff).count();
            assert!((1..=2).contains(&pauses), "{asked:?}");
            return;
        }
        let asked = busy.seen("GET /v2/busy/manifests/1");
        let gaps: Vec<Duration> = asked.windows(2).map(|two| two[1].at - two[0].at).collect();
        assert!(gaps.len() >= 2, "{gaps:?}");
        assert!(gaps.iter().take(2).all(|gap| *gap >= Duration::from_secs(2)), "{gaps:?}");
    });
}

#[test]
fn all_images_of_a_rate_limiting_registry_share_one_pause() {
    pulls("shared", |test| async move {
        // A registry that returns only its status.
        let busy = Proxy::start(&test.registry, |line, _| {
            if line.contains("/manifests/") { Does::Answer(429, "", "") } else { Does::Pass }
        });
        let image = |nth: usize| {
            let image = TestImage { name: format!("many{nth}:1") };
            Pulled::new(&busy.address(), &image)
        };
        let images: Vec<Pulled> = (0..6).map(image).collect();
        let all = futures_util::future::join_all(images.iter().map(|image| test.pull(image))).await;
        for result in all {
            let (missing, said) = message(result);
            // Docker 28 has its own message, older versions pass the number on.
            let busy = said.contains("429") || said.contains("toomanyrequests");
            assert!(!missing && busy, "{said}");
        }
        // All at once, and then one after another, as often as one image would be requested.
        let asked = busy.seen("GET /v2/many").len();
        assert!(asked <= 6 + 2, "asked {asked} times");
    });
}

#[test]
fn a_registry_with_a_temporary_error_is_asked_again() {
    pulls("broken", |test| async move {
        let breaks = if in_containerds_store() { 2 } else { 1 };
        let proxy = Proxy::start(&test.registry, move |line, before| {
            if line.contains("/manifests/1") && before < breaks { BROKEN } else { Does::Pass }
        });
        let image = TestImage::new(&test.registry, "broken", 1_000);
        let image = Pulled::new(&proxy.address(), &image);
        test.pull(&image).await.unwrap();
        assert!(test.has(&image).await);
        let asked = proxy.seen("/v2/broken/manifests/");
        let pauses = asked.windows(2).map(|two| two[1].at - two[0].at);
        assert!(pauses.max().unwrap() >= options().pull_backoff, "{asked:?}");
    });
}

#[test]
fn a_slow_download_is_waited_for_and_a_stalled_one_is_not() {
    pulls("slow", |test| async move {
        let is_layer = |line: &str| line.starts_with("GET ") && line.contains("/blobs/");
        let bytes = if in_containerds_store() { 8_000_000 } else { 400_000 };
        let slow = Proxy::start(&test.registry, move |line, _| {
            // Longer in total than a pull may make no progress. containerd's store reports each MiB.
            if is_layer(line) {
                Does::Slow(bytes / 20, Duration::from_millis(150))
            } else {
                Does::Pass
            }
        });
        let image = TestImage::new(&test.registry, "slow", bytes);
        let image = Pulled::new(&slow.address(), &image);
        let began = Instant::now();
        test.pull(&image).await.unwrap();
        assert!(began.elapsed() > options().pull_idle, "{:?}", began.elapsed());

        let stalled = Proxy::start(&test.registry, move |line, _| {
            if is_layer(line) { Does::Stall(200) } else { Does::Pass }
        });
        let image = TestImage::new(&test.registry, "stalled", 400_000);
        let image = Pulled::new(&stalled.address(), &image);
        let began = Instant::now();
        let result = test.pull(&image).await;
        assert!(matches!(result, Err(HostError::Deadline { call: "pull", .. })), "{result:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert!(!test.has(&image).await);
    });
}

#[test]
fn an_interrupted_download_is_repeated() {
    pulls("cut", |test| async move {
        let proxy = Proxy::start(&test.registry, |line, before| {
            if line.starts_with("GET ") && line.contains("/blobs/") && before == 0 {
                Does::CutOff(150)
            } else {
                Does::Pass
            }
        });
        let image = TestImage::new(&test.registry, "cut", 100_000);
        let image = Pulled::new(&proxy.address(), &image);
        // Docker waits longer than two seconds before it retries a layer, and reports that it does.
        test.pull(&image).await.unwrap();
        assert!(test.has(&image).await);
    });
}

#[test]
fn failure_19_a_registry_that_refuses_leaves_the_old_version_running() {
    refused(
        "refused",
        |_, _| PATIENCE,
        |error| match error {
            HostError::Image { missing, message, .. } => {
                let told = message.contains("retry-after");
                !missing && (told || in_containerds_store() && message.contains("429"))
            }
            _ => false,
        },
    );
}

#[test]
fn failure_20_an_image_for_another_architecture_leaves_the_old_version_running() {
    refused(
        "other-arch",
        |_, _| Does::Pass,
        |error| match error {
            HostError::Image { missing, message, .. } => {
                *missing && message.contains("no matching")
            }
            _ => false,
        },
    );
}

/// Applies a new version whose image is unavailable, and checks that the old one keeps running.
fn refused(name: &'static str, rule: fn(&str, usize) -> Does, is_right: fn(&HostError) -> bool) {
    only_real(name, WHY, |world: World| async move {
        let folder = tempfile::tempdir().unwrap();
        let Some(registry) = Registry::start(folder.path(), false) else { return };
        let proxy = Proxy::start(&registry, move |line, before| {
            if line.contains("/manifests/") { rule(line, before) } else { Does::Pass }
        });
        let image = TestImage::for_other_machines(&registry, name);
        let image = Pulled::new(&proxy.address(), &image);
        let graph = |image: &str| {
            world.graph(&format!("controller web replicas=2 {{ container c image=\"{image}\" }}"))
        };
        world.apply(&graph(crate::world::HELLO)).await;
        let before = world.ids().await;
        let new = graph(&image.0);
        let (plan, report) = world.try_apply(&new).await;
        let failures: Vec<_> = report.failures().collect();
        assert_eq!(failures.len(), 1, "{failures:?}");
        let (id, failure) = &failures[0];
        assert!(
            matches!(&failure.kind, FailureKind::Host(error) if is_right(error)),
            "{failure:?}"
        );
        let span = plan.operation(*id).unwrap().origin.unwrap();
        assert!(new.sources.text(span).contains(&image.0), "it points at the image");
        assert_eq!(world.ids().await, before, "the old version runs, untouched");
        world.assert_empty(&graph(crate::world::HELLO)).await;
    });
}
