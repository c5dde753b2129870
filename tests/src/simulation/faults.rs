//! The kinds of faults and of people's actions, as one list: each must be seen to come to pass.

macro_rules! kinds {
    ($($name:ident $word:literal $docs:literal)*) => {
        /// A fault, or an action of a person.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $docs] $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];
            /// Those of every run. What is drawn from them must not change when others are added.
            pub const OF_ALL_RUNS: &[Kind] = Kind::ALL.split_at(Kind::ALL.len() - 7).0;
            /// Those of runs in which engines share a store.
            pub const OF_STORES: &[Kind] = Kind::ALL.split_at(Kind::ALL.len() - 7).1;

            /// One word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Kind::$name => $word),* }
            }
        }
    };
}

kinds! {
    LostRequest "lost-request" "A request is lost; the reply never comes."
    LostReply "lost-reply" "What was asked for happens; the reply breaks off."
    HangNotApplied "hang-not-applied" "No answer until the deadline, and nothing happened."
    HangApplied "hang-applied" "No answer until the deadline, and it happened."
    LateWrite "late-write" "It happens long after its deadline."
    Refused500 "refused-500" "The daemon refuses with status 500."
    Refused409 "refused-409" "The daemon refuses with status 409."
    Refused404 "refused-404" "The daemon says that it is not there."
    Refused429 "refused-429" "A registry has had enough of us."
    CallUnreachable "call-unreachable" "One call finds nobody."
    BrokenList "broken-list" "A list breaks off in the middle."
    InspectHangs "inspect-hangs" "One container's inspection hangs."
    Slow "slow" "A host takes its time."
    HostDropped "host-dropped" "Packets to a host vanish."
    DaemonDown "daemon-down" "The daemon is killed, is away for a while, and comes back."
    DaemonRestart "daemon-restart" "The daemon ends and is back at once."
    EventsSilent "events-silent" "The stream of events stays open and says nothing."
    EventsEnd "events-end" "The stream of events ends, again and again."
    EventsThrice "events-thrice" "Every event comes three times."
    DiskFull "disk-full" "Nothing can be made on a host."
    ImageMissing "image-missing" "The image is gone from host and registry for a while."
    Stuck "stuck" "The removal of a container is stuck."
    Crash "crash" "A container ends."
    CrashLoop "crash-loop" "A container ends again and again."
    HealthFlaps "health-flaps" "A health check says bad, then good."
    HostClockJumps "host-clock-jumps" "A host's clock jumps by seconds."
    EngineClockJumps "engine-clock-jumps" "The engine's clock jumps by up to an hour."
    Foreign "foreign" "Somebody else takes a name of ours."
    Forged "forged" "A container carries a copy of our labels."
    HandStop "hand-stop" "Somebody stops a container."
    HandRemove "hand-remove" "Somebody removes a container by force."
    HandPause "hand-pause" "Somebody freezes a container."
    HandRename "hand-rename" "Somebody renames a container."
    SpecEdit "spec-edit" "The spec changes."
    SpecBroken "spec-broken" "The changed spec does not compile."
    SpecEmptied "spec-emptied" "The spec loses all its workloads."
    Freeze "freeze" "Somebody freezes the cluster."
    PauseRollout "pause-rollout" "Somebody pauses a rollout."
    DeclareLost "declare-lost" "Somebody declares a silent host lost."
    Fence "fence" "Somebody switches a silent host off and says so."
    EngineCrash "engine-crash" "The engine is killed and begins again with what it kept."
    MemoryLost "memory-lost" "The engine is killed and begins again knowing nothing."
    EngineStalls "engine-stalls" "The engine is stopped for a while, and goes on."
    SecondEngine "second-engine" "A second engine is at work for a while."
    HandApply "hand-apply" "Somebody applies by hand beside the engine."
    DeadForGood "dead-for-good" "A host never comes back."
    StoreDown "store-down" "The store that engines share cannot be reached."
    StoreSlow "store-slow" "The store takes its time."
    StoreLostReply "store-lost-reply" "The store does what it is asked; the answer is lost."
    LeaderStalls "leader-stalls" "An engine is stopped while it waits for the store, which gives it the lease, or has."
    LeaderDies "leader-dies" "The engine that leads is killed, and begins again with what it kept."
    LeaderEnds "leader-ends" "The engine that leads is told to end, and gives its lease back."
    EngineLags "engine-lags" "An engine's files are not brought up to date."
}
