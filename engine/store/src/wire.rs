//! Requests and responses of etcd's JSON gateway. Keys and values are in base64, 64-bit numbers are text. Every field
//! of a response may be missing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tally_control::lease::StoreError;

/// Encodes a key or a value in base64.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A number that etcd writes as text, and omits when it is 0.
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

/// The response to a transaction.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TxnReply {
    pub succeeded: bool,
    pub header: Header,
    pub responses: Vec<OpReply>,
}

/// The header of every response.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    pub revision: Number,
}

/// The result of one operation of a transaction.
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
    /// Returns the value as text.
    pub fn text(&self) -> Result<String, StoreError> {
        let bytes = STANDARD.decode(&self.value).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| StoreError::Unreadable("it holds a value that is no text".to_owned()))
    }
}

/// The response to granting or renewing a lease.
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

/// The body of a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    error: Value,
}

/// Returns the error for a refusal.
pub(crate) fn refusal(status: u16, body: &[u8]) -> StoreError {
    let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let words = match (&said.error, said.message.is_empty()) {
        (_, false) => said.message,
        (Value::String(error), true) => error.clone(),
        _ => format!("status {status}"),
    };
    StoreError::Refused(tally_host::clean::line(&words))
}

/// Parses a response.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body)
        .map_err(|_| StoreError::Unreadable("its response is not that of etcd".to_owned()))
}

/// Returns the operation that reads a key.
pub(crate) fn range(key: &str) -> Value {
    json!({ "request_range": { "key": encoded(key.as_bytes()) } })
}

/// Returns the operation that writes a key. The key is removed with `lease`.
pub(crate) fn put(key: &str, value: &str, lease: i64) -> Value {
    let (key, value) = (encoded(key.as_bytes()), encoded(value.as_bytes()));
    json!({ "request_put": { "key": key, "value": value, "lease": lease.to_string() } })
}

/// Returns the condition that the key was created at that revision; 0: that it does not exist.
pub(crate) fn made_at(key: &str, revision: i64) -> Value {
    json!({
        "key": encoded(key.as_bytes()),
        "target": "CREATE",
        "result": "EQUAL",
        "create_revision": revision.to_string(),
    })
}

/// Returns the condition that the key was last written at that revision; 0: that it does not exist.
pub(crate) fn written_at(key: &str, revision: i64) -> Value {
    json!({
        "key": encoded(key.as_bytes()),
        "target": "MOD",
        "result": "EQUAL",
        "mod_revision": revision.to_string(),
    })
}
