//! The command line. Every doc comment here is a help text.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Keeps containers on Docker hosts as a spec declares them
#[derive(Debug, Parser)]
#[command(name = "tally", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small commented spec to start from
    Init(InitArgs),
    /// Compile a spec and report its errors
    Check(CheckArgs),
    /// Show the objects that a spec declares and their relations
    Graph(GraphArgs),
    /// Show the changes that `tally apply` would make, without making them
    Plan(PlanArgs),
    /// Make the changes and wait until all pods are ready
    Apply(ApplyArgs),
    /// Remove all objects of the spec's cluster
    Destroy(DestroyArgs),
    /// Show workloads, pods and containers with their state
    Status(StatusArgs),
    /// Keep a cluster converged with its spec until it is stopped
    Run(RunArgs),
    /// Show the actions of `tally run` and their causes
    Events(EventsArgs),
    /// Declare a host lost, or fenced (confirmed off)
    Host(HostArgs),
    /// Block all changes to a cluster, with a reason
    Freeze(FreezeArgs),
    /// Allow changes to a cluster again
    Unfreeze(UnfreezeArgs),
    /// Show, pause, resume, restart or roll back the rollout of a controller
    Rollout(RolloutArgs),
    /// Show the output of containers
    Logs(LogsArgs),
    /// Run a command in a container
    Exec(ExecArgs),
    /// Explain a diagnostic code, a field, or the origin of a value
    Explain(ExplainArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Show the version
    Version,
}

/// The spec, as a positional argument.
#[derive(Debug, ClapArgs)]
pub struct SpecArgs {
    /// The spec: a file, or a folder with a `tally.kdl`
    #[arg(value_name = "SPEC", default_value = ".")]
    pub spec: PathBuf,
}

/// The spec, as an option of commands whose positional arguments name something in it.
#[derive(Debug, ClapArgs)]
pub struct SpecOption {
    /// The spec: a file, or a folder with a `tally.kdl`
    #[arg(short, long, value_name = "SPEC", default_value = ".")]
    pub spec: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct InitArgs {
    /// The folder for `tally.kdl`, created if missing
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// Use a simulated host instead of the local Docker engine
    #[arg(long)]
    pub sim: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text for people
    Human,
    /// One JSON object per line
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct CheckArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Apply the suggested edits that are certain to be right
    #[arg(long)]
    pub fix: bool,
    /// The output format
    #[arg(long, value_enum, default_value = "human")]
    pub format: ReportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// A tree for people
    Text,
    /// Graphviz
    Dot,
    /// The whole graph as JSON
    Json,
    /// Mermaid, for Markdown pages
    Mermaid,
}

#[derive(Debug, ClapArgs)]
pub struct GraphArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: GraphFormat,
}

#[derive(Debug, ClapArgs)]
pub struct PlanArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// Save the plan for `tally apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 0 if there is nothing to do, 2 if there are changes, 1 on an error
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Change only this pod or controller (`controller/web`) and its dependencies
    #[arg(long, value_name = "ADDRESS")]
    pub target: Option<String>,
    /// Plan `tally destroy`
    #[arg(long)]
    pub destroy: bool,
    /// With `--destroy`: also remove named volumes, with all their data
    #[arg(long, requires = "destroy")]
    pub volumes: bool,
    /// Plan as if this host were lost. May be given several times
    #[arg(long, value_name = "HOST", conflicts_with = "out")]
    pub without: Vec<String>,
    /// Rebalance pods across hosts (never automatic)
    #[arg(long, conflicts_with = "destroy")]
    pub rebalance: bool,
}

#[derive(Debug, ClapArgs)]
pub struct ApplyArgs {
    /// A spec, or a plan saved with `tally plan --out`
    #[arg(value_name = "SPEC|PLAN", default_value = ".")]
    pub spec: PathBuf,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Change only this pod or controller (`controller/web`) and its dependencies
    #[arg(long, value_name = "ADDRESS")]
    pub target: Option<String>,
    /// Rebalance pods across hosts (never automatic)
    #[arg(long)]
    pub rebalance: bool,
    /// Maximum concurrent Docker API calls per host
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,
}

#[derive(Debug, ClapArgs)]
pub struct DestroyArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// Also remove named volumes, with all their data
    #[arg(long)]
    pub volumes: bool,
}

#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Print the status as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Exit when no work is left
    #[arg(long)]
    pub once: bool,
    /// The output format
    #[arg(long, value_enum, default_value = "human")]
    pub format: ReportFormat,
    /// Maximum interval between two observations of a host, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub resync: u16,
    /// Serve Prometheus metrics at this address: `127.0.0.1:9464` or `unix:///run/tally.sock`
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<crate::metrics::ListenAddress>,
    #[command(flatten)]
    pub store: StoreArgs,
}

/// The store that several engines of one cluster share.
#[derive(Debug, ClapArgs)]
pub struct StoreArgs {
    /// Share this store with other engines of the cluster, one of which leads: `etcd://HOST:PORT[,…][/PREFIX]`
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    pub store: Option<tally_store::StoreAddress>,
    /// The only certificate authority to trust for the store (PEM)
    #[arg(long, value_name = "FILE", requires = "store", requires = "store_cert")]
    pub store_ca: Option<PathBuf>,
    /// Client certificate for the store (PEM)
    #[arg(long, value_name = "FILE", requires = "store_key")]
    pub store_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "store_ca")]
    pub store_key: Option<PathBuf>,
    /// Connect to a store on another machine without TLS
    #[arg(long, requires = "store", conflicts_with = "store_ca")]
    pub store_plain: bool,
    /// Lease duration in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=300))]
    pub lease: u16,
    /// Name of this engine in the store [default: `user@machine:process`]
    #[arg(long, value_name = "NAME", requires = "store")]
    pub name: Option<String>,
    /// Publish this spec although another engine has published a newer one
    #[arg(long, requires = "store")]
    pub supersede: bool,
}

#[derive(Debug, ClapArgs)]
pub struct EventsArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Keep running and show new events
    #[arg(short, long)]
    pub follow: bool,
    /// Number of events to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub tail: usize,
    /// The output format
    #[arg(long, value_enum, default_value = "human")]
    pub format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub struct HostArgs {
    #[command(subcommand)]
    pub what: HostCommand,
}

#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Declare a host lost: its pods without data are replaced
    Lost(HostName),
    /// Declare a host fenced (confirmed off): its pods with data are replaced too, without the data
    Fence(HostName),
    /// Withdraw the declaration
    Restore(HostName),
}

#[derive(Debug, ClapArgs)]
pub struct HostName {
    /// The host's name in the spec
    pub name: String,
    #[command(flatten)]
    pub spec: SpecOption,
}

#[derive(Debug, ClapArgs)]
pub struct FreezeArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The reason, shown with each blocked change
    #[arg(short, long, value_name = "WHY")]
    pub message: String,
}

#[derive(Debug, ClapArgs)]
pub struct UnfreezeArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
}

#[derive(Debug, ClapArgs)]
pub struct RolloutArgs {
    #[command(subcommand)]
    pub what: RolloutCommand,
}

#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Show the progress of the rollout
    Status(RolloutName),
    /// Pause the rollout
    Pause(RolloutPause),
    /// Resume the rollout
    Resume(RolloutName),
    /// Restart the containers, a few pods at a time
    Restart(RolloutName),
    /// Roll back to an earlier revision until the spec of the controller changes
    Undo(RolloutUndo),
    /// Show the revisions and their times
    History(RolloutName),
}

#[derive(Debug, ClapArgs)]
pub struct RolloutName {
    /// The controller: `controller/web`, or `web`
    pub controller: String,
    #[command(flatten)]
    pub spec: SpecOption,
}

#[derive(Debug, ClapArgs)]
pub struct RolloutUndo {
    /// The controller: `controller/web`, or `web`
    pub controller: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// Roll back to this revision instead of the last one that differs
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub struct RolloutPause {
    /// The controller: `controller/web`, or `web`
    pub controller: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// The reason, shown with the paused rollout
    #[arg(short, long, value_name = "WHY", default_value = "no reason given")]
    pub message: String,
}

#[derive(Debug, ClapArgs)]
pub struct LogsArgs {
    /// The containers: `controller/web`, `pod/web-0`, `web-0` or `web-0/CONTAINER`
    pub address: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// Keep running and show new lines
    #[arg(short, long)]
    pub follow: bool,
    /// Number of lines to show of each container, from the end [default: all]
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u32>,
    /// Start each line with its time
    #[arg(short, long)]
    pub timestamps: bool,
}

#[derive(Debug, ClapArgs)]
pub struct ExecArgs {
    /// The container: `web-0`, or `web-0/CONTAINER` if the pod has several containers
    pub address: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// The command to run, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct ExplainArgs {
    /// A code (`E0301`), a field (`container.image`), or an address such as `controller/web.replicas`
    pub what: String,
    #[command(flatten)]
    pub spec: SpecOption,
}

#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
