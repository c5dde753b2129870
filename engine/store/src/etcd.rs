//! etcd as a store: its keys, and the transactions on them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tally_control::lease::{
    Document, MOST_SHARED_BYTES, Renewed, SpecRecord, Store, StoreError, StoreView, Taken, Term,
};
use tally_host::{TransportError, clean};
use tally_reconcile::memory::Declarations;
use tally_transport::TlsPaths;
use tracing::debug;

use crate::address::StoreAddress;
use crate::channel::{Channel, ChannelError, Reply};
use crate::wire::{
    KeyValue, LeaseReply, OpReply, Streamed, TxnReply, made_at, put, range, read, refusal,
    written_at,
};

/// Maximum size of a response, in bytes: all documents in base64.
const MOST_BYTES: usize = 4 * MOST_SHARED_BYTES;

/// Why a store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store's member {member}: {fault}")]
pub struct OpenError {
    /// Which member.
    pub member: String,
    /// Why.
    pub fault: TransportError,
}

/// The keys of one cluster.
struct Keys {
    leader: String,
    spec: String,
    declared: String,
    memory: String,
}

/// etcd, for one cluster. Its members are tried in turn, starting with the one that answered last.
pub struct Etcd {
    members: Vec<Channel>,
    next: AtomicUsize,
    keys: Keys,
}

impl Etcd {
    /// Returns the store of a cluster. Nothing is sent yet. All members together have `limit` to answer.
    ///
    /// # Errors
    /// Invalid addresses, TLS files that cannot be used, and plain text that would leave this machine although
    /// `allow_plain` is not set.
    pub fn new(
        address: &StoreAddress,
        cluster: &str,
        tls: Option<&TlsPaths>,
        allow_plain: bool,
        limit: Duration,
    ) -> Result<Self, OpenError> {
        let count = u32::try_from(address.members.len()).unwrap_or(u32::MAX).max(1);
        let limit = limit / count;
        let open = |member: &String| {
            let found = Channel::new(&format!("tcp://{member}"), tls, allow_plain, limit);
            found.map_err(|fault| OpenError { member: clean::line(member), fault })
        };
        let key = |what: &str| format!("/{}/{cluster}/{what}", address.prefix);
        Ok(Self {
            members: address.members.iter().map(open).collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
            keys: Keys {
                leader: key("leader"),
                spec: key("spec"),
                declared: key("declared"),
                memory: key("memory"),
            },
        })
    }

    /// Sends a request to one member after the other until one answers. A request may be sent twice: each names its
    /// precondition, and a lease that nobody knows expires.
    async fn post(&self, path: &str, request: &Value) -> Result<Vec<u8>, StoreError> {
        let body = request.to_string().into_bytes();
        let first = self.next.load(Ordering::Relaxed);
        let mut last_error = StoreError::Unreachable("it has no members".to_owned());
        for turn in 0..self.members.len() {
            let number = first.wrapping_add(turn) % self.members.len();
            let Some(member) = self.members.get(number) else { continue };
            // When this call is cancelled, the next one starts with another member.
            self.next.store(number.wrapping_add(1), Ordering::Relaxed);
            let (name, started) = (member.authority(), Instant::now());
            debug!(member = name, path, "store request started");
            let answer = member.post(path, body.clone(), MOST_BYTES).await;
            let (status, took) =
                (answer.as_ref().ok().map(|reply| reply.status), started.elapsed());
            debug!(member = name, path, status, ?took, "store request ended");
            match answer {
                Ok(Reply { status: 200, body }) => {
                    self.next.store(number, Ordering::Relaxed);
                    return Ok(body);
                }
                // This member is cut off from the others, or has no leader: another one may answer.
                Ok(Reply { status: status @ 500.., body }) => last_error = refusal(status, &body),
                Ok(Reply { status, body }) => return Err(refusal(status, &body)),
                Err(error @ ChannelError::TooLarge(_)) => {
                    return Err(StoreError::Unreadable(error.to_string()));
                }
                Err(error) => {
                    last_error =
                        StoreError::Unreachable(format!("{}: {error}", member.authority()));
                }
            }
        }
        Err(last_error)
    }

    async fn txn(
        &self,
        compare: &[Value],
        success: &[Value],
        failure: &[Value],
    ) -> Result<TxnReply, StoreError> {
        let request = json!({ "compare": compare, "success": success, "failure": failure });
        read(&self.post("/v3/kv/txn", &request).await?)
    }

    /// Returns the reads of an observation, in this order.
    fn reads(&self) -> [Value; 3] {
        [range(&self.keys.leader), range(&self.keys.spec), range(&self.keys.declared)]
    }

    async fn revoke(&self, lease: i64) -> Result<(), StoreError> {
        let request = json!({ "ID": lease.to_string() });
        match self.post("/v3/lease/revoke", &request).await {
            // A lease that has ended is not found.
            Ok(_) | Err(StoreError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Returns the first key that an operation read.
fn first(reply: Option<&OpReply>) -> Option<&KeyValue> {
    reply?.response_range.as_ref()?.kvs.first()
}

/// Returns the results of the three reads of an observation.
fn seen(replies: &[OpReply]) -> Result<StoreView, StoreError> {
    let leader = first(replies.first()).map(KeyValue::text).transpose()?;
    let record = first(replies.get(1));
    let declared = first(replies.get(2));
    let readable = |text: String| -> Result<SpecRecord, StoreError> {
        let record: SpecRecord = serde_json::from_str(&text)
            .map_err(|_| StoreError::Unreadable("its record of specs cannot be read".to_owned()))?;
        if record.epoch > 0 && !record.hash.is_empty() {
            Ok(record)
        } else {
            Err(StoreError::Unreadable("its record of specs is none".to_owned()))
        }
    };
    let known = |text: String| -> Option<Declarations> { serde_json::from_str(&text).ok() };
    Ok(StoreView {
        leader,
        record: record.map(|record| record.text().and_then(readable)).transpose()?,
        record_revision: record.map_or(0, |record| record.mod_revision.0),
        declared: declared.and_then(|declared| declared.text().ok().and_then(known)),
        declared_revision: declared.map_or(0, |declared| declared.mod_revision.0),
    })
}

/// Returns the duration of a lease as etcd reports it, in whole seconds.
fn lasts(reply: &LeaseReply) -> Duration {
    Duration::from_secs(u64::try_from(reply.ttl_s.0).unwrap_or(0))
}

#[async_trait]
impl Store for Etcd {
    async fn look(&self) -> Result<StoreView, StoreError> {
        seen(&self.txn(&[], &self.reads(), &[]).await?.responses)
    }

    async fn take(&self, name: &str, wanted: Duration) -> Result<Taken, StoreError> {
        let request = json!({ "TTL": wanted.as_secs().max(1).to_string() });
        let body = self.post("/v3/lease/grant", &request).await?;
        let granted: LeaseReply = read(&body)?;
        let lease = granted.id.0;
        if lease == 0 {
            return Err(StoreError::Unreadable("it granted a lease without a number".to_owned()));
        }
        let mut success = vec![put(&self.keys.leader, name, lease), range(&self.keys.memory)];
        success.extend(self.reads());
        let free = made_at(&self.keys.leader, 0);
        let taken = self.txn(&[free], &success, &self.reads()).await;
        match taken {
            Ok(reply) if reply.succeeded => {
                // This transaction created the key, so its revision identifies the term.
                let term = Term { lease, key: reply.header.revision.0 };
                let memory = first(reply.responses.get(1)).and_then(|memory| memory.text().ok());
                let seen = seen(reply.responses.get(2..).unwrap_or_default())?;
                Ok(Taken::Ours { term, lasts: lasts(&granted), seen, memory })
            }
            other => {
                // If this fails, the lease expires by itself.
                let _ = self.revoke(lease).await;
                Ok(Taken::Theirs(seen(&other?.responses)?))
            }
        }
    }

    async fn renew(&self, term: Term) -> Result<Renewed, StoreError> {
        let request = json!({ "ID": term.lease.to_string() });
        let body = self.post("/v3/lease/keepalive", &request).await?;
        // A stream; only its first message matters.
        let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let streamed: Streamed = read(line)?;
        let Some(renewed) = streamed.result.filter(|_| streamed.error.is_none()) else {
            return Err(refusal(200, line));
        };
        if renewed.ttl_s.0 <= 0 {
            return Ok(Renewed::Over);
        }
        // Read through a quorum, because the member that answered may no longer lead without knowing it.
        let ours = made_at(&self.keys.leader, term.key);
        let reply = self.txn(&[ours], &self.reads(), &[]).await?;
        if reply.succeeded {
            Ok(Renewed::Longer { lasts: lasts(&renewed), seen: seen(&reply.responses)? })
        } else {
            Ok(Renewed::Over)
        }
    }

    async fn give_back(&self, term: Term) -> Result<(), StoreError> {
        self.revoke(term.lease).await
    }

    async fn publish(
        &self,
        term: Term,
        after: i64,
        record: &SpecRecord,
    ) -> Result<Option<i64>, StoreError> {
        let text = serde_json::to_string(record).unwrap_or_default();
        let compare = [made_at(&self.keys.leader, term.key), written_at(&self.keys.spec, after)];
        let reply = self.txn(&compare, &[put(&self.keys.spec, &text, 0)], &[]).await?;
        Ok(reply.succeeded.then_some(reply.header.revision.0))
    }

    async fn write(&self, document: &Document) -> Result<Option<i64>, StoreError> {
        let (compare, write) = match document {
            Document::Declared { text, after } => {
                (written_at(&self.keys.declared, *after), put(&self.keys.declared, text, 0))
            }
            Document::Memory { text, term } => {
                (made_at(&self.keys.leader, term.key), put(&self.keys.memory, text, 0))
            }
        };
        let reply = self.txn(&[compare], &[write], &[]).await?;
        Ok(reply.succeeded.then_some(reply.header.revision.0))
    }
}
