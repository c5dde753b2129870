//! The store over a real etcd: the guarantees of the trait, and TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![allow(missing_docs, reason = "tests stop loudly")]

use std::time::{Duration, Instant};

use tally_control::lease::{Document, Renewed, SpecRecord, Store as _, StoreError, Taken, Term};
use tally_store::Etcd;
use tally_tests::lab::{Authority, Purpose};
use tally_transport::TlsPaths;

const LIMIT: Duration = Duration::from_secs(10);
const LASTS: Duration = Duration::from_secs(3);

struct World {
    etcd: tally_tests::etcd::Etcd,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let etcd = tally_tests::etcd::Etcd::start(folder.path(), None)?;
        Some(Self { etcd, _folder: folder })
    }

    fn store(&self, cluster: &str) -> Etcd {
        let address = self.etcd.address().parse().unwrap();
        Etcd::new(&address, cluster, None, false, LIMIT).unwrap()
    }
}

async fn taken(store: &Etcd, name: &str) -> (Term, Option<String>) {
    match store.take(name, LASTS).await.unwrap() {
        Taken::Ours { term, lasts, memory, .. } => {
            assert_eq!(lasts, LASTS);
            (term, memory)
        }
        Taken::Theirs(seen) => panic!("{seen:?}"),
    }
}

fn record(epoch: u64, hash: &str) -> SpecRecord {
    SpecRecord { epoch, hash: hash.to_owned(), who: "one".to_owned(), ..SpecRecord::default() }
}

#[tokio::test]
async fn one_engine_holds_the_lease_until_it_releases_it_or_the_lease_expires() {
    let Some(world) = World::new() else { return };
    let (one, two) = (world.store("shop"), world.store("shop"));
    assert_eq!(one.look().await.unwrap().leader, None);
    let (term, _) = taken(&one, "one").await;
    let Taken::Theirs(seen) = two.take("two", LASTS).await.unwrap() else { panic!() };
    assert_eq!(seen.leader.as_deref(), Some("one"));
    let Renewed::Longer { lasts, seen } = one.renew(term).await.unwrap() else { panic!() };
    assert_eq!((lasts, seen.leader.as_deref()), (LASTS, Some("one")));
    one.give_back(term).await.unwrap();
    one.give_back(term).await.unwrap();
    assert_eq!(one.renew(term).await.unwrap(), Renewed::Over);
    // If it is not renewed, it expires.
    let (second, _) = taken(&two, "two").await;
    let began = Instant::now();
    while one.look().await.unwrap().leader.is_some() {
        assert!(began.elapsed() < Duration::from_secs(30), "it never runs out");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(2));
    assert_eq!(two.renew(second).await.unwrap(), Renewed::Over);
    let (third, _) = taken(&one, "one").await;
    assert_ne!(third.key, term.key, "terms are distinct");
}

#[tokio::test]
async fn only_the_leader_publishes_and_only_after_the_revision_it_observed() {
    let Some(world) = World::new() else { return };
    let (one, two) = (world.store("shop"), world.store("shop"));
    let (term, _) = taken(&one, "one").await;
    let first = one.publish(term, 0, &record(1, "a")).await.unwrap().unwrap();
    assert_eq!(one.publish(term, 0, &record(1, "b")).await.unwrap(), None, "it is there already");
    let second = one.publish(term, first, &record(2, "b")).await.unwrap().unwrap();
    let seen = two.look().await.unwrap();
    assert_eq!((seen.record, seen.record_revision), (Some(record(2, "b")), second));
    one.give_back(term).await.unwrap();
    assert_eq!(one.publish(term, second, &record(3, "c")).await.unwrap(), None, "it leads no more");
    let memory = Document::Memory { text: "x".to_owned(), term };
    assert_eq!(one.write(&memory).await.unwrap(), None, "nor does it leave a memory");
    assert_eq!(world.store("other").look().await.unwrap().record, None, "clusters are apart");
}

#[tokio::test]
async fn documents_are_shared_and_unobserved_ones_are_not_overwritten() {
    let Some(world) = World::new() else { return };
    let (one, two) = (world.store("shop"), world.store("shop"));
    let declared = |text: &str, after| Document::Declared { text: text.to_owned(), after };
    let frozen = r#"{"frozen":"release"}"#;
    let revision = one.write(&declared(frozen, 0)).await.unwrap().unwrap();
    assert_eq!(two.write(&declared("{}", 0)).await.unwrap(), None);
    let seen = two.look().await.unwrap();
    assert_eq!(seen.declared_revision, revision);
    assert_eq!(seen.declared.unwrap().frozen.as_deref(), Some("release"));
    two.write(&declared("no JSON", revision)).await.unwrap().unwrap();
    let seen = one.look().await.unwrap();
    assert!(seen.declared.is_none() && seen.declared_revision > revision);
    // The maximum size: a mebibyte.
    let (term, memory) = taken(&one, "one").await;
    assert_eq!(memory, None);
    let text = "m".repeat(tally_control::lease::MOST_SHARED_BYTES);
    one.write(&Document::Memory { text: text.clone(), term }).await.unwrap().unwrap();
    one.give_back(term).await.unwrap();
    assert_eq!(taken(&two, "two").await.1, Some(text));
}

#[tokio::test]
async fn a_stopped_store_is_unreachable_and_keeps_its_content() {
    let Some(mut world) = World::new() else { return };
    let store = world.store("shop");
    let (term, _) = taken(&store, "one").await;
    store.publish(term, 0, &record(1, "a")).await.unwrap().unwrap();
    world.etcd.end();
    let error = store.look().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    world.etcd.begin();
    assert_eq!(store.look().await.unwrap().record, Some(record(1, "a")));
}

#[tokio::test]
async fn one_reachable_member_is_enough() {
    let Some(world) = World::new() else { return };
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // One member where nobody listens, and one that accepts connections and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let members = format!("{dead},{},{}", mute.local_addr().unwrap(), world.etcd.authority());
    let address = format!("etcd://{members}").parse().unwrap();
    let store = Etcd::new(&address, "shop", None, false, Duration::from_secs(3)).unwrap();
    let began = Instant::now();
    assert_eq!(store.look().await.unwrap().leader, None);
    assert!(began.elapsed() < Duration::from_secs(3));
    let began = Instant::now();
    assert_eq!(store.look().await.unwrap().leader, None);
    assert!(began.elapsed() < Duration::from_millis(900), "the one that answered is asked first");
}

#[tokio::test]
async fn with_tls_only_the_given_authority_is_trusted_and_etcd_requires_our_certificate() {
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: no openssl here to make certificates with");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let authority = Authority::new(&path.join("pki"), "store").unwrap();
    let names = ["IP:127.0.0.1"];
    let (cert, key) = authority.issue("etcd", "etcd-key", Purpose::Member, &names, 30).unwrap();
    let ours = authority.issue("cert", "key", Purpose::Client, &[], 30).unwrap();
    let files = [authority.ca(), cert, key];
    let Some(etcd) = tally_tests::etcd::Etcd::start(path, Some(files)) else { return };
    let address = etcd.address().parse().unwrap();
    let paths = TlsPaths { ca: authority.ca(), cert: ours.0, key: ours.1 };
    let store = Etcd::new(&address, "shop", Some(&paths), false, LIMIT).unwrap();
    assert_eq!(store.look().await.unwrap().leader, None);
    let (term, _) = taken(&store, "one").await;
    assert!(matches!(store.renew(term).await.unwrap(), Renewed::Longer { .. }));

    let other = Authority::new(&path.join("other"), "other").unwrap();
    let theirs = other.issue("cert", "key", Purpose::Client, &[], 30).unwrap();
    let foreign = TlsPaths { ca: other.ca(), ..paths.clone() };
    let untrusted = Etcd::new(&address, "shop", Some(&foreign), false, LIMIT).unwrap();
    assert!(matches!(untrusted.look().await, Err(StoreError::Unreachable(_))), "another authority");
    let strange = TlsPaths { cert: theirs.0, key: theirs.1, ..paths };
    let refused = Etcd::new(&address, "shop", Some(&strange), false, LIMIT).unwrap();
    assert!(matches!(refused.look().await, Err(StoreError::Unreachable(_))), "another certificate");
    let plain = Etcd::new(&address, "shop", None, false, LIMIT).unwrap();
    assert!(plain.look().await.is_err(), "no TLS");
}
