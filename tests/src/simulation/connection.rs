//! The connection of one engine to one host: calls take time, are lost, delayed or rejected. Each call that changes
//! something is checked when it is sent and when it takes effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tally_host::{
    ExecRequest, ExecSession, FileToWrite, Host, HostError, HostEvent, HostRead, LogChunk,
    LogRequest, PullProgress,
};
use tally_reconcile::input::observed::{
    ContainerDetails, Engine, Live, ObservedContainer, ObservedNetwork, ObservedVolume,
};
use tally_reconcile::plan::request::{ContainerRequest, FilesPart, NetworkRequest, VolumeRequest};
use tally_simulator::{Clock as _, Model};
use tokio::sync::oneshot;

use super::faults::Kind;
use super::invariants::{self, Call};
use super::world::{Death, Events, PendingFault, Reachability, SimulatedHost, World};

/// The deadline of a call.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// The deadline of a call that reads.
const OBSERVATION_DEADLINE: Duration = Duration::from_secs(20);

/// The connection of one engine to one host.
pub struct Connection {
    world: Arc<World>,
    sim_host: Arc<SimulatedHost>,
    engine: u32,
    /// The lead of the host's clock when it was connected, in milliseconds.
    ahead_ms: i64,
}

impl Connection {
    /// Creates the connection of an engine, by its number, to a host.
    #[must_use]
    pub fn new(world: &Arc<World>, sim_host: &Arc<SimulatedHost>, engine: u32) -> Self {
        let ahead_ms = sim_host.clock.now_ms() - world.clock.now_ms();
        Self { world: Arc::clone(world), sim_host: Arc::clone(sim_host), engine, ahead_ms }
    }

    fn unreachable(&self) -> HostError {
        let address = format!("sim:{}", self.sim_host.name);
        HostError::Unreachable { address, reason: "connection refused".to_owned() }
    }

    fn fire(&self, kind: Kind, call: &str) {
        self.world.fire(kind, &format!("{call} on {}", self.sim_host.name));
    }

    /// Returns the duration of the next packet.
    fn trip(&self) -> Duration {
        let slow = self.sim_host.network().slow_ms;
        let millis = self.world.state().rng.range(1, 8) + slow;
        Duration::from_millis(millis)
    }

    /// Returns the fault of this call.
    fn fault(&self, call: &'static str, changes: bool) -> Option<Kind> {
        let mut network = self.sim_host.network();
        let first = network.pending_faults.front()?;
        let fits = match first.call {
            Some(name) => name == call,
            None => changes,
        };
        if !fits {
            return None;
        }
        let PendingFault { kind, .. } = network.pending_faults.pop_front()?;
        drop(network);
        self.fire(kind, call);
        Some(kind)
    }

    /// Waits until a packet arrives at the host, or fails.
    async fn reach(&self, call: &'static str, deadline: Duration) -> Result<(), HostError> {
        tokio::time::sleep(self.trip()).await;
        let reachability = self.sim_host.network().reachability;
        match reachability {
            Reachability::Open => Ok(()),
            Reachability::Refused => Err(self.unreachable()),
            Reachability::Dropped => {
                tokio::time::sleep(deadline).await;
                Err(HostError::Deadline { call, after: deadline })
            }
        }
    }

    /// Ends the engine.
    async fn die<T>(&self) -> T {
        self.world.died.notify_one();
        std::future::pending().await
    }

    async fn read<T>(
        &self,
        call: &'static str,
        look: impl FnOnce(&Model, i64) -> T + Send,
    ) -> Result<T, HostError> {
        self.world.state().calls += 1;
        self.reach(call, OBSERVATION_DEADLINE).await?;
        match self.fault(call, false) {
            Some(Kind::InspectHangs) => {
                tokio::time::sleep(OBSERVATION_DEADLINE).await;
                return Err(HostError::Deadline { call, after: OBSERVATION_DEADLINE });
            }
            Some(kind) => return Err(refusal(kind, call).unwrap_or_else(|| lost(call))),
            None => {}
        }
        self.sim_host.daemon.inspect(look)
    }

    /// Sends a call that changes something. A call that was sent takes effect even if its sender is gone.
    async fn change<T: Send + 'static>(
        &self,
        what: Call,
        act: impl FnOnce(&mut Model, i64) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let call = what.call;
        invariants::check_request(&self.world, &self.sim_host, self.engine, &what);
        let death = {
            let mut state = self.world.state();
            state.calls += 1;
            let number = state.changes;
            state.dies.filter(|(at, _)| *at == number).map(|(_, how)| how)
        };
        if death == Some(Death::Before) {
            return self.die().await;
        }
        let deadline = HostError::Deadline { call, after: DEADLINE };
        let fault = self.fault(call, true);
        let mut trip = self.trip();
        match fault {
            Some(Kind::LostRequest) => {
                tokio::time::sleep(trip).await;
                return Err(lost(call));
            }
            Some(Kind::HangNotApplied) => {
                tokio::time::sleep(DEADLINE).await;
                return Err(deadline);
            }
            Some(Kind::CallUnreachable) => return Err(self.unreachable()),
            Some(Kind::LateWrite) => {
                // The sender may have given up meanwhile.
                self.world.state().repairs += u64::from(call == "create_container");
                trip = DEADLINE + Duration::from_millis(self.world.state().rng.range(500, 40_000));
            }
            Some(Kind::LostReply | Kind::HangApplied) | None => {}
            Some(kind) => {
                tokio::time::sleep(trip).await;
                return Err(refusal(kind, call).unwrap_or_else(|| lost(call)));
            }
        }
        let (reply, answer) = oneshot::channel();
        let packet = Packet {
            world: Arc::clone(&self.world),
            sim_host: Arc::clone(&self.sim_host),
            engine: self.engine,
            what,
        };
        let back = self.trip();
        tokio::spawn(async move {
            tokio::time::sleep(trip).await;
            let result = packet.arrive(act);
            tokio::time::sleep(back).await;
            // The sender may be gone.
            let _ = reply.send(result);
        });
        match death {
            Some(Death::Unacknowledged) => return self.die().await,
            Some(Death::Acknowledged) => {
                // The engine ends whatever the answer is.
                let _ = answer.await;
                return self.die().await;
            }
            Some(Death::Before) | None => {}
        }
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(Some(result))) => match fault {
                Some(Kind::LostReply) => Err(lost(call)),
                Some(Kind::HangApplied) => {
                    tokio::time::sleep(DEADLINE).await;
                    Err(deadline)
                }
                _ => result,
            },
            Ok(Ok(None)) => match self.sim_host.network().reachability {
                Reachability::Refused => Err(self.unreachable()),
                _ => Err(lost(call)),
            },
            Ok(Err(_)) => Err(lost(call)),
            Err(_) => Err(deadline),
        }
    }
}

/// A call that was sent.
struct Packet {
    world: Arc<World>,
    sim_host: Arc<SimulatedHost>,
    engine: u32,
    what: Call,
}

impl Packet {
    /// Executes the call on the host; `None` if the host does not answer.
    fn arrive<T>(
        self,
        act: impl FnOnce(&mut Model, i64) -> Result<T, HostError>,
    ) -> Option<Result<T, HostError>> {
        if self.sim_host.network().reachability != Reachability::Open {
            self.world.note("vanished", self.what.call, &self.sim_host.name);
            return None;
        }
        if self.what.makes && self.sim_host.network().disk_full {
            self.world.fire(Kind::DiskFull, self.what.call);
            let message = "write /var/lib/docker: no space left on device".to_owned();
            return Some(Err(HostError::Refused { status: 500, message }));
        }
        invariants::check_arrival(&self.world, &self.sim_host, &self.what);
        let result = match self.sim_host.daemon.inject(act) {
            Ok(result) => result,
            Err(error) => return Some(Err(error)),
        };
        invariants::record_result(
            &self.world,
            &self.sim_host,
            self.engine,
            &self.what,
            result.as_ref().err(),
        );
        Some(result)
    }
}

fn lost(call: &str) -> HostError {
    HostError::Broken(format!("the reply to `{call}` broke off"))
}

fn refusal(kind: Kind, call: &str) -> Option<HostError> {
    let message = format!("{call}: simulated");
    match kind {
        Kind::Refused500 => Some(HostError::Refused { status: 500, message }),
        Kind::Refused409 => Some(HostError::Conflict(message)),
        Kind::Refused404 => Some(HostError::NotFound(message)),
        Kind::Refused429 => Some(HostError::Image {
            image: super::spec::IMAGE.to_owned(),
            missing: false,
            message: "toomanyrequests".to_owned(),
        }),
        _ => None,
    }
}

#[async_trait]
impl HostRead for Connection {
    fn name(&self) -> &str {
        &self.sim_host.name
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        self.read("engine", |model, _| model.engine()).await
    }

    async fn ahead_ms(&self) -> Result<Option<i64>, HostError> {
        Ok(Some(self.ahead_ms))
    }

    async fn containers(&self) -> Result<Vec<ObservedContainer>, HostError> {
        self.read("containers", |model, _| model.list()).await
    }

    async fn container(
        &self,
        id: &str,
        with_files: bool,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, HostError> {
        let hanging_inspect = self.sim_host.network().hanging_inspect.as_deref() == Some(id);
        if hanging_inspect {
            self.fire(Kind::InspectHangs, "container");
            tokio::time::sleep(OBSERVATION_DEADLINE).await;
            return Err(HostError::Deadline { call: "container", after: OBSERVATION_DEADLINE });
        }
        self.read("container", |model, now_ms| model.inspect(id, with_files, now_ms)).await
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, HostError> {
        self.read("volumes", |model, _| model.list_volumes()).await
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, HostError> {
        self.read("networks", |model, _| model.list_networks()).await
    }

    async fn images(&self) -> Result<BTreeMap<String, String>, HostError> {
        self.read("images", |model, _| model.list_images()).await
    }

    async fn events(
        &self,
        cluster: &str,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        self.reach("events", OBSERVATION_DEADLINE).await?;
        let events = self.sim_host.daemon.events(cluster).await?;
        let sim_host = Arc::clone(&self.sim_host);
        let world = Arc::clone(&self.world);
        let received = events.flat_map(move |event| {
            let (reachability, events) = {
                let network = sim_host.network();
                (network.reachability, network.events)
            };
            let mode = match reachability {
                Reachability::Open => events,
                // A connection that was open when packets started to be lost stays open and unreachable.
                Reachability::Dropped => Events::Silent,
                Reachability::Refused => Events::End,
            };
            let (name, one) = (sim_host.name.as_str(), Some(event.clone()));
            let all: Vec<Option<Result<HostEvent, HostError>>> = match mode {
                Events::Tell => vec![one],
                Events::Silent => {
                    world.fire(Kind::EventsSilent, name);
                    Vec::new()
                }
                Events::End => {
                    world.fire(Kind::EventsEnd, name);
                    vec![None]
                }
                Events::Thrice => {
                    world.fire(Kind::EventsThrice, name);
                    vec![one.clone(), one.clone(), one]
                }
            };
            stream::iter(all)
        });
        let open = received.take_while(|event| std::future::ready(event.is_some()));
        Ok(open.filter_map(std::future::ready).boxed())
    }

    async fn logs(
        &self,
        _: &str,
        _: LogRequest,
    ) -> Result<BoxStream<'static, Result<LogChunk, HostError>>, HostError> {
        self.reach("logs", OBSERVATION_DEADLINE).await?;
        Ok(stream::empty().boxed())
    }
}

#[async_trait]
impl Host for Connection {
    async fn pull(
        &self,
        image: &str,
        _: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), HostError> {
        let name = image.to_owned();
        self.change(Call::makes("pull", image), move |model, _| model.pull(&name)).await
    }

    async fn load_infra_image(&self) -> Result<(), HostError> {
        let load = |model: &mut Model, _| {
            model.load_infra_image();
            Ok(())
        };
        self.change(Call::makes("load_infra_image", ""), load).await
    }

    async fn create_network(&self, request: &NetworkRequest) -> Result<String, HostError> {
        let (what, request) = (Call::makes("create_network", &request.name), request.clone());
        self.change(what, move |model, _| model.create_network(&request)).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), HostError> {
        let target = id.to_owned();
        let act = move |model: &mut Model, now_ms| model.remove_network(&target, now_ms);
        self.change(Call::object("remove_network", id), act).await
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), HostError> {
        let (what, request) = (Call::makes("create_volume", &request.name), request.clone());
        self.change(what, move |model, _| model.create_volume(&request)).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), HostError> {
        let target = name.to_owned();
        let act = move |model: &mut Model, _: i64| model.remove_volume(&target);
        self.change(Call::object("remove_volume", name), act).await
    }

    async fn create_container(&self, request: &ContainerRequest) -> Result<String, HostError> {
        let (what, request) = (Call::create(request), request.clone());
        self.change(what, move |model, now_ms| model.create(&request, now_ms)).await
    }

    async fn write_files(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError> {
        let (target, files) = (id.to_owned(), files.to_vec());
        let act = move |model: &mut Model, now_ms| model.write(&target, &files, part, now_ms);
        self.change(Call::on("write_files", id), act).await
    }

    async fn write_secrets(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError> {
        let (target, files) = (id.to_owned(), files.to_vec());
        let act =
            move |model: &mut Model, now_ms| model.write_secrets(&target, &files, part, now_ms);
        self.change(Call::on("write_secrets", id), act).await
    }

    async fn start(&self, id: &str) -> Result<(), HostError> {
        let target = id.to_owned();
        let act = move |model: &mut Model, now_ms| model.start(&target, now_ms);
        self.change(Call::on("start", id), act).await
    }

    async fn stop(&self, id: &str, _: Option<Duration>) -> Result<(), HostError> {
        let target = id.to_owned();
        let act = move |model: &mut Model, now_ms| model.stop(&target, now_ms);
        self.change(Call::on("stop", id), act).await
    }

    async fn restart(&self, id: &str, _: Option<Duration>) -> Result<(), HostError> {
        let target = id.to_owned();
        let act = move |model: &mut Model, now_ms| model.restart(&target, now_ms);
        self.change(Call::on("restart", id), act).await
    }

    async fn unpause(&self, id: &str) -> Result<(), HostError> {
        let target = id.to_owned();
        let act = move |model: &mut Model, now_ms| model.unpause(&target, now_ms);
        self.change(Call::on("unpause", id), act).await
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), HostError> {
        let (target, signal) = (id.to_owned(), signal.to_owned());
        let act = move |model: &mut Model, now_ms| model.signal(&target, &signal, now_ms);
        self.change(Call::on("signal", id), act).await
    }

    async fn update(&self, id: &str, live: &Live) -> Result<(), HostError> {
        let (target, live) = (id.to_owned(), live.clone());
        let act = move |model: &mut Model, now_ms| model.update(&target, &live, now_ms);
        self.change(Call::on("update", id), act).await
    }

    async fn rename_container(&self, id: &str, name: &str) -> Result<(), HostError> {
        let (target, name) = (id.to_owned(), name.to_owned());
        let act = move |model: &mut Model, _: i64| model.rename(&target, &name);
        self.change(Call::on("rename_container", id), act).await
    }

    async fn remove_container(&self, id: &str) -> Result<(), HostError> {
        let target = id.to_owned();
        let act = move |model: &mut Model, now_ms| model.remove(&target, now_ms);
        self.change(Call::on("remove_container", id), act).await
    }

    async fn exec(&self, _: &str, _: &ExecRequest) -> Result<ExecSession, HostError> {
        Err(self.unreachable())
    }

    async fn exec_exit_code(&self, _: &str) -> Result<Option<i64>, HostError> {
        Err(self.unreachable())
    }

    async fn exec_resize(&self, _: &str, _: u16, _: u16) -> Result<(), HostError> {
        Err(self.unreachable())
    }
}
