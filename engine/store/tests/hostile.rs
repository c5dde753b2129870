//! A server that is no etcd, or an etcd with nonsensical answers: every call ends in time with an error, and no
//! conclusion is drawn from it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop loudly")]

use std::time::{Duration, Instant};

use tally_control::lease::{Document, Renewed, SpecRecord, Store as _, StoreError, Taken, Term};
use tally_store::{Etcd, StoreAddress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_millis(500);
const TERM: Term = Term { lease: 1, key: 2 };

/// Answers every request with these bytes.
async fn server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut piece = [0; 65_536];
                // One request is one read, as small as these are.
                let _ = stream.read(&mut piece).await;
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    address
}

async fn store(answer: Vec<u8>) -> Etcd {
    let address = format!("etcd://{}", server(answer).await).parse().unwrap();
    Etcd::new(&address, "shop", None, false, LIMIT).unwrap()
}

fn http(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// Returns the results of all calls; none of them may be used.
async fn all(store: &Etcd) -> Vec<StoreError> {
    let record = SpecRecord::default();
    let document = Document::Memory { text: "x".to_owned(), term: TERM };
    vec![
        store.look().await.unwrap_err(),
        store.take("one", Duration::from_secs(3)).await.unwrap_err(),
        store.renew(TERM).await.unwrap_err(),
        store.publish(TERM, 0, &record).await.unwrap_err(),
        store.write(&document).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_nonsensical_answer_is_an_immediate_error() {
    for answer in [
        Vec::new(),
        b"\x15\x03\x01\x00\x02\x02\x16".to_vec(),
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"succ".to_vec(),
        http(200, ""),
        http(200, "no JSON"),
        http(200, "[1,2,3]"),
        http(200, "{\"responses\": 7, \"result\": 7, \"ID\": {}}"),
        http(200, &"[".repeat(100_000)),
        http(404, "404 page not found"),
        http(503, "{\"error\":\"etcdserver: no leader\",\"code\":14}"),
    ] {
        let store = store(answer.clone()).await;
        let began = Instant::now();
        let errors = all(&store).await;
        assert!(began.elapsed() < 6 * LIMIT, "{}", String::from_utf8_lossy(&answer));
        assert_eq!(errors.len(), 5);
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_completely() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n".to_vec();
    let store = store([head, vec![b' '; 9_000_000]].concat()).await;
    let error = store.look().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(_)), "{error:?}");
}

#[tokio::test]
async fn an_empty_answer_gives_no_lease_and_publishes_nothing() {
    let store = store(http(200, "{}")).await;
    assert!(store.take("one", Duration::from_secs(3)).await.is_err(), "a lease without a number");
    assert!(store.renew(TERM).await.is_err());
    assert_eq!(store.publish(TERM, 0, &SpecRecord::default()).await, Ok(None));
    let over = http(200, "{\"result\":{\"ID\":\"1\"}}\n{\"result\":{}}");
    assert_eq!(self::store(over).await.renew(TERM).await, Ok(Renewed::Over), "no time is left");
}

#[tokio::test]
async fn a_lease_acquired_by_another_engine_meanwhile_stays_with_it() {
    // The same answer to the grant and to the transaction.
    let store = store(http(200, "{\"ID\":\"5\",\"TTL\":\"3\",\"succeeded\":false}")).await;
    let taken = store.take("one", Duration::from_secs(3)).await.unwrap();
    assert!(matches!(taken, Taken::Theirs(_)), "{taken:?}");
}

#[tokio::test]
async fn an_unreadable_record_does_not_count_as_absent() {
    let value = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    for text in ["", "{}", "{\"epoch\":0,\"hash\":\"a\"}", "{\"epoch\":-1}", "no JSON"] {
        let kvs = format!("{{\"kvs\":[{{\"value\":\"{}\",\"mod_revision\":\"4\"}}]}}", value(text));
        let body = format!("{{\"responses\":[{{}},{{\"response_range\":{kvs}}}]}}");
        let error = store(http(200, &body)).await.look().await.unwrap_err();
        assert!(matches!(error, StoreError::Unreadable(_)), "{text}: {error:?}");
    }
}

#[test]
fn plain_text_leaves_this_machine_only_where_somebody_said_so() {
    let address: StoreAddress = "etcd://127.0.0.1:1,10.9.8.7:2379".parse().unwrap();
    let refused = Etcd::new(&address, "shop", None, false, LIMIT).err().unwrap();
    assert_eq!(refused.member, "10.9.8.7:2379");
    assert!(Etcd::new(&address, "shop", None, true, LIMIT).is_ok());
}
