//! Engines behind SSH, through the plain `ssh` program, so that the user's configuration, agent and jump hosts apply.
//! One `ssh` process per host forwards a local socket to Docker's socket on the host. All calls are channels of that
//! one connection. The host needs neither Docker's client nor any other program for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::address::SshAddress;
use super::messages;
use tally_host::TransportError;

/// Runs `ssh` while our end of the shell's standard input is open. However Tally ends, even by SIGKILL, the pipe
/// closes and the shell ends `ssh`. `$1` is the folder of the sockets. The shell itself writes nothing, because a
/// write to a pipe without a reader would end it.
const GUARD: &str = r#"
exec 3<&0 </dev/null
folder=$1
shift
"$@" 3<&- &
ssh=$!
exec 2>/dev/null
{ read -r _ <&3; kill "$ssh"; } &
guard=$!
trap 'kill "$ssh"' TERM INT HUP
wait "$ssh"
code=$?
kill "$guard"
rm -f "$folder/docker" "$folder/control"
rmdir "$folder"
exit "$code"
"#;

/// Time between two checks whether `ssh` has connected.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Minimum time between a failure of `ssh` and the next attempt.
const BACKOFF: Duration = Duration::from_secs(1);
/// Maximum duration of the question to the host about its socket.
const QUESTION_LIMIT: Duration = Duration::from_secs(5);
/// Maximum number of bytes of the messages of `ssh` that are kept.
const MOST_MESSAGE_BYTES: u64 = 16 << 10;
/// Maximum length of the folder's path. The path of a socket has at most 107 bytes, and `ssh` adds 17 to that of a
/// control socket while it creates it.
const MOST_FOLDER_BYTES: usize = 107 - 17 - "/control".len();

/// The route to the Docker socket of one host through `ssh`.
pub(crate) struct Tunnel {
    to: SshAddress,
    config: Option<PathBuf>,
    limit: Duration,
    master: Mutex<Master>,
}

/// The `ssh` process of a host.
enum Master {
    /// Not started.
    None,
    /// It is connected.
    Up(RunningSsh),
    /// It failed at that time, for that reason.
    Down(Instant, TransportError),
}

/// A running `ssh`. Dropping it closes its standard input, which ends it.
struct RunningSsh {
    guard: Child,
    /// The folder of the sockets, private to this user. Dropping it removes them.
    folder: tempfile::TempDir,
}

impl Tunnel {
    /// Returns a tunnel that is not started. `config` is read instead of the user's configuration file. `limit` is the
    /// maximum duration of one attempt.
    pub(crate) fn new(to: SshAddress, config: Option<PathBuf>, limit: Duration) -> Self {
        Self { to, config, limit, master: Mutex::new(Master::None) }
    }

    /// Connects to Docker's socket on the host. Starts `ssh` when it does not run, so a host that was unreachable is
    /// connected again by the next call.
    ///
    /// # Errors
    /// Why `ssh` does not connect.
    pub(crate) async fn connect(&self) -> Result<UnixStream, TransportError> {
        let mut master = self.master.lock().await;
        if let Master::Up(running) = &mut *master
            && let Ok(None) = running.guard.try_wait()
        {
            let path = running.docker();
            drop(master);
            return UnixStream::connect(&path).await.map_err(|error| ended(&error.to_string()));
        }
        if let Master::Down(then, why) = &*master
            && then.elapsed() < BACKOFF
        {
            return Err(why.clone());
        }
        // This call may be cancelled before `ssh` has connected.
        *master = Master::None;
        match start(&self.to, self.config.as_deref(), self.limit).await {
            Ok((running, first)) => {
                *master = Master::Up(running);
                Ok(first)
            }
            Err(why) => {
                *master = Master::Down(Instant::now(), why.clone());
                Err(why)
            }
        }
    }

    /// Returns why forwarding fails although the login succeeded. The message of `ssh` is the same for a missing
    /// socket, a socket without access and an sshd that does not forward, so this asks the host. Returns `None` when
    /// the host gives no answer.
    pub(crate) async fn diagnose(&self) -> Option<TransportError> {
        let master = self.master.lock().await;
        let Master::Up(running) = &*master else { return None };
        let mut ask = Command::new("ssh");
        ask.args(["-T", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o"])
            .arg(format!("ControlPath={}", running.control().display()))
            .args(destination(&self.to, self.config.as_deref()))
            .arg(question(&self.to.socket))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(QUESTION_LIMIT, ask.output()).await.ok()?.ok()?;
        messages::socket(&String::from_utf8_lossy(&output.stdout), &self.to)
    }
}

impl RunningSsh {
    fn docker(&self) -> PathBuf {
        self.folder.path().join("docker")
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control")
    }
}

/// Starts `ssh` and waits until it has connected. Returns it with the first connection.
async fn start(
    to: &SshAddress,
    config: Option<&Path>,
    limit: Duration,
) -> Result<(RunningSsh, UnixStream), TransportError> {
    let until = Instant::now() + limit;
    let folder = private_folder()?;
    let mut command = Command::new("sh");
    command
        .args(["-c", GUARD, "sh"])
        .arg(folder.path())
        .arg("ssh")
        .args(options(folder.path(), limit))
        .arg("-L")
        .arg(format!("{}:{}", folder.path().join("docker").display(), to.socket))
        .args(destination(to, config))
        // Its messages are parsed, so they must be in one language.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C must end Tally only: it finishes the calls in flight, which need `ssh`.
        .process_group(0);
    let mut guard = command.spawn().map_err(|error| ended(&format!("no `sh`: {error}")))?;
    let words = Arc::new(Mutex::new(Vec::new()));
    let collector = collect_messages(&mut guard, &words);
    let mut running = RunningSsh { guard, folder };
    loop {
        if let Ok(first) = UnixStream::connect(running.docker()).await {
            return Ok((running, first));
        }
        let over = match running.guard.try_wait() {
            Ok(None) => Instant::now() >= until,
            Ok(Some(_)) | Err(_) => {
                // Its last messages may not have been read yet.
                let _ = timeout(QUESTION_LIMIT, collector).await;
                let words = words.lock().await;
                return Err(messages::ending(&String::from_utf8_lossy(&words), to));
            }
        };
        if over {
            return Err(TransportError::Unreachable {
                reason: format!("ssh has not connected within {limit:?}"),
            });
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Keeps the first bytes of its messages. All later ones are read and dropped, so that it never blocks on the pipe.
fn collect_messages(guard: &mut Child, words: &Arc<Mutex<Vec<u8>>>) -> tokio::task::JoinHandle<()> {
    let stderr = guard.stderr.take();
    let words = Arc::clone(words);
    tokio::spawn(async move {
        let Some(mut stderr) = stderr else { return };
        let mut piece = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut piece).await {
            let mut words = words.lock().await;
            let room = usize::try_from(MOST_MESSAGE_BYTES).unwrap_or(0).saturating_sub(words.len());
            words.extend_from_slice(piece.get(..count.min(room)).unwrap_or_default());
        }
    })
}

/// Returns the options that override the user's configuration. All other settings are the user's.
fn options(folder: &Path, limit: Duration) -> Vec<String> {
    // A little less than our own deadline, so that its message arrives before that.
    let seconds = limit.as_secs().saturating_sub(1).max(1);
    let settings = [
        // Nobody can answer questions.
        "BatchMode=yes".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        // A connection of its own: a shared one may end with the other process.
        "ControlMaster=yes".to_owned(),
        format!("ControlPath={}", folder.join("control").display()),
        "ControlPersist=no".to_owned(),
        "ExitOnForwardFailure=yes".to_owned(),
        "StreamLocalBindUnlink=yes".to_owned(),
        "StreamLocalBindMask=0177".to_owned(),
        // Detects an unreachable host within 15 seconds.
        "ServerAliveInterval=5".to_owned(),
        "ServerAliveCountMax=3".to_owned(),
        format!("ConnectTimeout={seconds}"),
        // No agent or display is forwarded to the host, and no other command runs there or here.
        "ForwardAgent=no".to_owned(),
        "ForwardX11=no".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        "RemoteCommand=none".to_owned(),
        "ForkAfterAuthentication=no".to_owned(),
        // Its errors are parsed.
        "LogLevel=INFO".to_owned(),
    ];
    let mut all = vec!["-N".to_owned(), "-T".to_owned()];
    for setting in settings {
        all.push("-o".to_owned());
        all.push(setting);
    }
    all
}

fn destination(to: &SshAddress, config: Option<&Path>) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    if let Some(config) = config {
        all.extend(["-F".into(), config.into()]);
    }
    if let Some(port) = to.port {
        all.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = &to.user {
        all.extend(["-l".into(), user.into()]);
    }
    all.extend(["--".into(), OsString::from(&to.host)]);
    all
}

/// Returns the command that checks the socket on the host. The path needs no quotes (see [`SshAddress`]).
fn question(socket: &str) -> String {
    format!(
        "sh -c 'id -un; if [ ! -S {socket} ]; then echo missing; elif [ ! -w {socket} ]; then echo \
         denied; else echo fine; fi'"
    )
}

/// Creates a folder that only this user can access, with a path that is short enough for the sockets.
fn private_folder() -> Result<tempfile::TempDir, TransportError> {
    use std::os::unix::fs::PermissionsExt as _;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let bases = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    let mut why = "there is no folder for it".to_owned();
    for base in bases {
        // `ssh` expands `%` and `$` in paths, and a path ends at `:` or a space.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@,=".contains(&byte);
        let text = base.as_os_str().as_encoded_bytes();
        if !base.is_absolute()
            || !text.iter().copied().all(plain)
            || text.len() + "/tally-ssh-123456".len() > MOST_FOLDER_BYTES
        {
            continue;
        }
        let made = tempfile::Builder::new()
            .prefix("tally-ssh-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(&base);
        match made {
            Ok(folder) => return Ok(folder),
            Err(error) => why = error.to_string(),
        }
    }
    Err(ended(&format!("it needs a folder for its sockets: {why}")))
}

fn ended(reason: &str) -> TransportError {
    TransportError::SshEnded { reason: tally_host::clean::line(reason) }
}
