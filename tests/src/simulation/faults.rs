//! The kinds of faults and of people's actions, as one list: each must take effect in some run.

macro_rules! kinds {
    ($($name:ident $word:literal $docs:literal)*) => {
        /// A fault, or an action of a person.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $docs] $name,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];
            /// The kinds of every run. Random draws from them must not change when other kinds are added.
            pub const OF_ALL_RUNS: &[Kind] = Kind::ALL.split_at(Kind::ALL.len() - 7).0;
            /// The kinds of runs in which engines share a store.
            pub const OF_STORES: &[Kind] = Kind::ALL.split_at(Kind::ALL.len() - 7).1;

            /// Returns the word of the kind.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Kind::$name => $word),* }
            }
        }
    };
}

kinds! {
    LostRequest "lost-request" "A request is lost; the reply never comes."
    LostReply "lost-reply" "The call takes effect; the reply is interrupted."
    HangNotApplied "hang-not-applied" "There is no answer until the deadline; the call has no effect."
    HangApplied "hang-applied" "There is no answer until the deadline; the call takes effect."
    LateWrite "late-write" "The call takes effect long after its deadline."
    Refused500 "refused-500" "The daemon rejects a call with status 500."
    Refused409 "refused-409" "The daemon rejects a call with status 409."
    Refused404 "refused-404" "The daemon reports that the object does not exist."
    Refused429 "refused-429" "A registry limits the rate of requests."
    CallUnreachable "call-unreachable" "One call cannot connect."
    BrokenList "broken-list" "A list is interrupted in the middle."
    InspectHangs "inspect-hangs" "One container's inspection hangs."
    Slow "slow" "A host answers slowly."
    HostDropped "host-dropped" "Packets to a host are lost."
    DaemonDown "daemon-down" "The daemon is killed, does not run for a while, and starts again."
    DaemonRestart "daemon-restart" "The daemon restarts."
    EventsSilent "events-silent" "The stream of events stays open and reports nothing."
    EventsEnd "events-end" "The stream of events ends repeatedly."
    EventsThrice "events-thrice" "Every event is reported three times."
    DiskFull "disk-full" "A host has no space left: nothing can be created on it."
    ImageMissing "image-missing" "The image is missing on host and registry for a while."
    Stuck "stuck" "The removal of a container is stuck."
    Crash "crash" "A container ends."
    CrashLoop "crash-loop" "A container ends repeatedly."
    HealthFlaps "health-flaps" "A health check fails, then succeeds."
    HostClockJumps "host-clock-jumps" "A host's clock jumps by seconds."
    EngineClockJumps "engine-clock-jumps" "The engine's clock jumps by up to an hour."
    Unmanaged "foreign" "A container not managed by Tally takes a name of a managed one."
    Forged "forged" "A container carries a copy of Tally's labels."
    HandStop "hand-stop" "A person stops a container."
    HandRemove "hand-remove" "A person removes a container by force."
    HandPause "hand-pause" "A person pauses a container."
    HandRename "hand-rename" "A person renames a container."
    SpecEdit "spec-edit" "The spec changes."
    SpecBroken "spec-broken" "The changed spec does not compile."
    SpecEmptied "spec-emptied" "The spec loses all its workloads."
    Freeze "freeze" "A person freezes the cluster."
    PauseRollout "pause-rollout" "A person pauses a rollout."
    DeclareLost "declare-lost" "A person declares an unreachable host lost."
    Fence "fence" "A person switches an unreachable host off and declares it fenced."
    EngineCrash "engine-crash" "The engine is killed and starts again with its memory."
    MemoryLost "memory-lost" "The engine is killed and starts again without its memory."
    EngineStalls "engine-stalls" "The engine is suspended for a while."
    SecondEngine "second-engine" "A second engine runs for a while."
    HandApply "hand-apply" "A person applies by hand while the engine runs."
    DeadForGood "dead-for-good" "A host never comes back."
    StoreDown "store-down" "The store that engines share is unreachable."
    StoreSlow "store-slow" "The store answers slowly."
    StoreLostReply "store-lost-reply" "A request to the store takes effect; the answer is lost."
    LeaderStalls "leader-stalls" "An engine is suspended while it waits for the store's answer about the lease."
    LeaderDies "leader-dies" "The leader is killed, and starts again with its memory."
    LeaderEnds "leader-ends" "The leader is asked to end, and gives its lease back."
    EngineLags "engine-lags" "An engine's files are not updated."
}
