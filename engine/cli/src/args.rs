//! What can be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Keeps Docker hosts as a spec says.
#[derive(Debug, Parser)]
#[command(name = "tally", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small commented spec to begin with
    Init(Init),
    /// Compile a spec and say what is wrong with it
    Check(Check),
    /// Show what a spec declares and how it hangs together
    Graph(Graph),
    /// Show what would be changed; change nothing
    Plan(Plan),
    /// Change what differs, and wait until it is ready
    Apply(Apply),
    /// Remove everything of a spec's cluster
    Destroy(Destroy),
    /// Show what runs
    Status(Status),
    /// Keep a cluster as its spec says, until told to stop
    Run(Run),
    /// Show what `tally run` did, and why
    Events(Events),
    /// Say what only people know of a host: that it is lost, or surely off
    Host(HostArgs),
    /// Let nothing be changed, and say why
    Freeze(Freeze),
    /// Let changes through again
    Unfreeze(Unfreeze),
    /// Look after the rollout of a controller
    Rollout(Rollout),
    /// Show what containers print
    Logs(Logs),
    /// Run a command in a container
    Exec(Exec),
    /// Explain an error's code, a field, or where a value came from
    Explain(Explain),
    /// Write completions for a shell
    Completions(Completions),
    /// Show the version
    Version,
}

/// The spec a command is about.
#[derive(Debug, ClapArgs)]
pub struct Spec {
    /// A spec: a file, or a folder with a `tally.kdl`
    #[arg(value_name = "SPEC", default_value = ".")]
    pub spec: PathBuf,
}

/// The spec, for commands whose words name something in it.
#[derive(Debug, ClapArgs)]
pub struct SpecOption {
    /// A spec: a file, or a folder with a `tally.kdl`
    #[arg(short, long, value_name = "SPEC", default_value = ".")]
    pub spec: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct Init {
    /// The folder to write `tally.kdl` into
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// Use a simulated host instead of the local Docker engine
    #[arg(long)]
    pub sim: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct Check {
    #[command(flatten)]
    pub spec: Spec,
    /// Apply the edits that are certain
    #[arg(long)]
    pub fix: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "human")]
    pub format: ReportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For people
    Text,
    /// For Graphviz
    Dot,
    /// The whole graph as data
    Json,
    /// For Markdown pages
    Mermaid,
}

#[derive(Debug, ClapArgs)]
pub struct Graph {
    #[command(flatten)]
    pub spec: Spec,
    /// In which form
    #[arg(long, value_enum, default_value = "text")]
    pub format: GraphFormat,
}

#[derive(Debug, ClapArgs)]
pub struct Plan {
    #[command(flatten)]
    pub spec: Spec,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// Save the plan for `tally apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 0 when nothing differs, 2 when something does, 1 on an error
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Only this pod or controller, and what it needs (`controller/web`)
    #[arg(long, value_name = "ADDRESS")]
    pub target: Option<String>,
    /// Plan what `tally destroy` would do
    #[arg(long)]
    pub destroy: bool,
    /// With `--destroy`: plan to remove named volumes too, with all their data
    #[arg(long, requires = "destroy")]
    pub volumes: bool,
    /// What if this host were lost? May be given several times
    #[arg(long, value_name = "HOST", conflicts_with = "out")]
    pub without: Vec<String>,
    /// Move pods to even out how full hosts are, what never happens unasked
    #[arg(long, conflicts_with = "destroy")]
    pub rebalance: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Apply {
    /// A spec, or a plan saved with `tally plan --out`
    #[arg(value_name = "SPEC|PLAN", default_value = ".")]
    pub spec: PathBuf,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Only this pod or controller, and what it needs (`controller/web`)
    #[arg(long, value_name = "ADDRESS")]
    pub target: Option<String>,
    /// Move pods to even out how full hosts are, what never happens unasked
    #[arg(long)]
    pub rebalance: bool,
    /// So many Docker calls at once on a host
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,
}

#[derive(Debug, ClapArgs)]
pub struct Destroy {
    #[command(flatten)]
    pub spec: Spec,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Remove named volumes too, with all their data
    #[arg(long)]
    pub volumes: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Status {
    #[command(flatten)]
    pub spec: Spec,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Run {
    #[command(flatten)]
    pub spec: Spec,
    /// End when nothing is left to do
    #[arg(long)]
    pub once: bool,
    /// How to tell what happens
    #[arg(long, value_enum, default_value = "human")]
    pub format: ReportFormat,
    /// Look at each host at least so often, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub resync: u16,
    /// Serve metrics for Prometheus there: `127.0.0.1:9464` or `unix:///run/tally.sock`
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<crate::metrics::Address>,
    #[command(flatten)]
    pub store: Store,
}

/// What several engines of one cluster share.
#[derive(Debug, ClapArgs)]
pub struct Store {
    /// Share a store with other engines of this cluster; one of them leads: `etcd://HOST:PORT[,…][/PREFIX]`
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    pub store: Option<tally_store::Address>,
    /// The only authority that is trusted for the store
    #[arg(long, value_name = "FILE", requires = "store", requires = "store_cert")]
    pub store_ca: Option<PathBuf>,
    /// Our certificate for the store
    #[arg(long, value_name = "FILE", requires = "store_key")]
    pub store_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "store_ca")]
    pub store_key: Option<PathBuf>,
    /// Speak to a store on another machine without TLS
    #[arg(long, requires = "store", conflicts_with = "store_ca")]
    pub store_plain: bool,
    /// Lead until so many seconds after the lease was renewed last
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=300))]
    pub lease: u16,
    /// What this engine is called there; `user@machine:process` if not said
    #[arg(long, value_name = "NAME", requires = "store")]
    pub name: Option<String>,
    /// These files are meant, although another spec was published after them
    #[arg(long, requires = "store")]
    pub supersede: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Events {
    #[command(flatten)]
    pub spec: Spec,
    /// Stay, and show what comes
    #[arg(short, long)]
    pub follow: bool,
    /// The last N
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub tail: usize,
    /// How to show them
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
    /// It will not come back soon: its pods without data are replaced
    Lost(HostName),
    /// It is surely off: its pods with data are replaced too, without the data
    Fence(HostName),
    /// It is as any other host again
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
pub struct Freeze {
    #[command(flatten)]
    pub spec: Spec,
    /// Why; whoever is held back reads it
    #[arg(short, long, value_name = "WHY")]
    pub message: String,
}

#[derive(Debug, ClapArgs)]
pub struct Unfreeze {
    #[command(flatten)]
    pub spec: Spec,
}

#[derive(Debug, ClapArgs)]
pub struct Rollout {
    #[command(subcommand)]
    pub what: RolloutCommand,
}

#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Show how far it is
    Status(RolloutName),
    /// Let it go no further
    Pause(RolloutPause),
    /// Let it go on
    Resume(RolloutName),
    /// Restart its containers, a few pods at a time
    Restart(RolloutName),
    /// Go back to what it was before, until the spec asks for something new
    Undo(RolloutUndo),
    /// Show what it was, and when
    History(RolloutName),
}

#[derive(Debug, ClapArgs)]
pub struct RolloutName {
    /// `controller/web`, or `web`
    pub controller: String,
    #[command(flatten)]
    pub spec: SpecOption,
}

#[derive(Debug, ClapArgs)]
pub struct RolloutUndo {
    /// `controller/web`, or `web`
    pub controller: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// To this entry of its history, instead of the last one that differs
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub struct RolloutPause {
    /// `controller/web`, or `web`
    pub controller: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// Why; whoever is held back reads it
    #[arg(short, long, value_name = "WHY", default_value = "somebody paused it")]
    pub message: String,
}

#[derive(Debug, ClapArgs)]
pub struct Logs {
    /// `controller/web`, `pod/web-0`, `web-0` or `web-0/CONTAINER`
    pub address: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// Stay, and show what comes
    #[arg(short, long)]
    pub follow: bool,
    /// The last N lines of each container
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u32>,
    /// Begin each line with its time
    #[arg(short, long)]
    pub timestamps: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Exec {
    /// `web-0`, or `web-0/CONTAINER` where a pod has several
    pub address: String,
    #[command(flatten)]
    pub spec: SpecOption,
    /// The command, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// `E0301`, `container.image`, or an address such as `controller/web.replicas`
    pub what: String,
    #[command(flatten)]
    pub spec: SpecOption,
}

#[derive(Debug, ClapArgs)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
