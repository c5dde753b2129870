//! Engines behind SSH, through the plain `ssh` program: so the user's configuration, agent and jump
//! hosts are what they are anywhere else. One `ssh` a host forwards a socket of ours to Docker's
//! socket there; all calls are channels of that one connection. The host needs neither Docker's
//! client nor any other program for it.

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

/// Runs `ssh` for as long as our end of its standard input is open. However Tally ends (a signal
/// and SIGKILL too), the pipe closes and `ssh` is ended. `$1` is the folder of the sockets. The shell
/// itself says nothing: its words would go to a pipe that nobody reads, and end it.
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

/// How often we look whether `ssh` has come through.
const LOOK: Duration = Duration::from_millis(10);
/// `ssh` that has failed is not tried again before that.
const REST: Duration = Duration::from_secs(1);
/// How long asking the host about its socket may take.
const ASK: Duration = Duration::from_secs(5);
/// What `ssh` says is kept up to so many bytes.
const MOST_WORDS: u64 = 16 << 10;
/// A socket's path may be 107 bytes; `ssh` adds 17 to a control socket's while it makes it.
const LONGEST_FOLDER: usize = 107 - 17 - "/control".len();

/// The way to one host's Docker socket through `ssh`.
pub(crate) struct Tunnel {
    to: SshAddress,
    config: Option<PathBuf>,
    limit: Duration,
    master: Mutex<Master>,
}

enum Master {
    /// Never begun.
    None,
    /// It has come through.
    Up(Running),
    /// It has failed, then, for that reason.
    Down(Instant, TransportError),
}

/// An `ssh`. Dropping it closes its standard input, at which it ends.
struct Running {
    guard: Child,
    /// Private to this user. Kept for its end: the sockets go with it.
    folder: tempfile::TempDir,
}

impl Tunnel {
    /// A way that is not begun yet. `config` is read instead of the user's; `limit` bounds each
    /// attempt.
    pub(crate) fn new(to: SshAddress, config: Option<PathBuf>, limit: Duration) -> Self {
        Self { to, config, limit, master: Mutex::new(Master::None) }
    }

    /// A connection to Docker's socket there. `ssh` is begun where none runs, so a host that was
    /// away is reached again without anything else to do.
    ///
    /// # Errors
    /// Why `ssh` does not come through.
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
            && then.elapsed() < REST
        {
            return Err(why.clone());
        }
        // Until it has come through there is none: this call may be given up half way.
        *master = Master::None;
        match begin(&self.to, self.config.as_deref(), self.limit).await {
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

    /// Why nothing comes through although we are logged in: `ssh` has the same words for a socket
    /// that is not there, one that may not be used and an sshd that does not forward, so the host
    /// is asked. `None` when it does not say.
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
        let output = timeout(ASK, ask.output()).await.ok()?.ok()?;
        messages::socket(&String::from_utf8_lossy(&output.stdout), &self.to)
    }
}

impl Running {
    fn docker(&self) -> PathBuf {
        self.folder.path().join("docker")
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control")
    }
}

/// Begins an `ssh` and waits until it has come through; gives the first connection with it.
async fn begin(
    to: &SshAddress,
    config: Option<&Path>,
    limit: Duration,
) -> Result<(Running, UnixStream), TransportError> {
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
        // Its words are read, so they are to be in one language.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A Ctrl-C is for Tally, which finishes the calls in flight; they need their ssh.
        .process_group(0);
    let mut guard = command.spawn().map_err(|error| ended(&format!("no `sh`: {error}")))?;
    let words = Arc::new(Mutex::new(Vec::new()));
    let listener = listen(&mut guard, &words);
    let mut running = Running { guard, folder };
    loop {
        if let Ok(first) = UnixStream::connect(running.docker()).await {
            return Ok((running, first));
        }
        let over = match running.guard.try_wait() {
            Ok(None) => Instant::now() >= until,
            Ok(Some(_)) | Err(_) => {
                // What it said last is still on its way.
                let _ = timeout(ASK, listener).await;
                let words = words.lock().await;
                return Err(messages::ending(&String::from_utf8_lossy(&words), to));
            }
        };
        if over {
            return Err(TransportError::Unreachable {
                reason: format!("ssh has not come through within {limit:?}"),
            });
        }
        sleep(LOOK).await;
    }
}

/// Keeps the first of what it says; the rest is read and dropped, so that it never waits for us.
fn listen(guard: &mut Child, words: &Arc<Mutex<Vec<u8>>>) -> tokio::task::JoinHandle<()> {
    let stderr = guard.stderr.take();
    let words = Arc::clone(words);
    tokio::spawn(async move {
        let Some(mut stderr) = stderr else { return };
        let mut piece = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut piece).await {
            let mut words = words.lock().await;
            let room = usize::try_from(MOST_WORDS).unwrap_or(0).saturating_sub(words.len());
            words.extend_from_slice(piece.get(..count.min(room)).unwrap_or_default());
        }
    })
}

/// What must be so whatever the user's configuration says. All else is the user's.
fn options(folder: &Path, limit: Duration) -> Vec<String> {
    // A little less than our own bound, so that its words come before we give up.
    let seconds = limit.as_secs().saturating_sub(1).max(1);
    let settings = [
        // Nobody is there to answer questions.
        "BatchMode=yes".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        // A connection of its own: one that others share may end with them.
        "ControlMaster=yes".to_owned(),
        format!("ControlPath={}", folder.join("control").display()),
        "ControlPersist=no".to_owned(),
        "ExitOnForwardFailure=yes".to_owned(),
        "StreamLocalBindUnlink=yes".to_owned(),
        "StreamLocalBindMask=0177".to_owned(),
        // A host that is gone is noticed within 15 seconds.
        "ServerAliveInterval=5".to_owned(),
        "ServerAliveCountMax=3".to_owned(),
        format!("ConnectTimeout={seconds}"),
        // Nothing of ours is lent to the host, and nothing else is begun there or here.
        "ForwardAgent=no".to_owned(),
        "ForwardX11=no".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        "RemoteCommand=none".to_owned(),
        "ForkAfterAuthentication=no".to_owned(),
        // Its errors are read.
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

/// What the host is asked about its socket. The path is plain (see [`SshAddress`]).
fn question(socket: &str) -> String {
    format!(
        "sh -c 'id -un; if [ ! -S {socket} ]; then echo missing; elif [ ! -w {socket} ]; then echo \
         denied; else echo fine; fi'"
    )
}

/// A folder that only this user sees, with room for the sockets' names.
fn private_folder() -> Result<tempfile::TempDir, TransportError> {
    use std::os::unix::fs::PermissionsExt as _;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let bases = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    let mut why = "there is no folder for it".to_owned();
    for base in bases {
        // ssh expands `%` and `$` in paths, and ends them at `:` and spaces.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@,=".contains(&byte);
        let text = base.as_os_str().as_encoded_bytes();
        if !base.is_absolute()
            || !text.iter().copied().all(plain)
            || text.len() + "/tally-ssh-123456".len() > LONGEST_FOLDER
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
