//! What etcd's JSON gateway is asked and what it answers. Keys and values travel in base64, numbers of 64
//! bits as text. Everything it says may be missing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tally_control::lease::StoreError;

/// A key or a value in base64.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A number that etcd writes as text, and that may be left out where it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Number(pub i64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        number.map(Self).ok_or_else(|| serde::de::Error::custom("a number was expected"))
    }
}

/// An answer to a transaction.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TxnReply {
    pub succeeded: bool,
    pub header: Header,
    pub responses: Vec<OpReply>,
}

/// What stands above every answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    pub revision: Number,
}

/// What one operation of a transaction gave.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OpReply {
    pub response_range: Option<RangeReply>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RangeReply {
    pub kvs: Vec<KeyValue>,
}

/// A key and its value.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct KeyValue {
    pub mod_revision: Number,
    value: String,
}

impl KeyValue {
    /// The value as text.
    pub fn text(&self) -> Result<String, StoreError> {
        let bytes = STANDARD.decode(&self.value).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| StoreError::Unreadable("it holds a value that is no text".to_owned()))
    }
}

/// An answer to asking for a lease, or for a longer one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LeaseReply {
    #[serde(rename = "ID")]
    pub id: Number,
    #[serde(rename = "TTL")]
    pub ttl_s: Number,
}

/// One message of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Streamed {
    pub result: Option<LeaseReply>,
    pub error: Option<Value>,
}

/// What it says when it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    error: Value,
}

/// The words of a refusal.
pub(crate) fn refusal(status: u16, body: &[u8]) -> StoreError {
    let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let words = match (&said.error, said.message.is_empty()) {
        (_, false) => said.message,
        (Value::String(error), true) => error.clone(),
        _ => format!("status {status}"),
    };
    StoreError::Refused(tally_host::clean::line(&words))
}

/// Reads an answer.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body)
        .map_err(|_| StoreError::Unreadable("what it answers is not what etcd answers".to_owned()))
}

/// Reads a key.
pub(crate) fn range(key: &str) -> Value {
    json!({ "request_range": { "key": encoded(key.as_bytes()) } })
}

/// Writes a key; `lease`: it goes with that one.
pub(crate) fn put(key: &str, value: &str, lease: i64) -> Value {
    let (key, value) = (encoded(key.as_bytes()), encoded(value.as_bytes()));
    json!({ "request_put": { "key": key, "value": value, "lease": lease.to_string() } })
}

/// Holds if the key was made at that revision; 0: if there is none.
pub(crate) fn made_at(key: &str, revision: i64) -> Value {
    json!({
        "key": encoded(key.as_bytes()),
        "target": "CREATE",
        "result": "EQUAL",
        "create_revision": revision.to_string(),
    })
}

/// Holds if the key was written last at that revision; 0: if there is none.
pub(crate) fn written_at(key: &str, revision: i64) -> Value {
    json!({
        "key": encoded(key.as_bytes()),
        "target": "MOD",
        "result": "EQUAL",
        "mod_revision": revision.to_string(),
    })
}
