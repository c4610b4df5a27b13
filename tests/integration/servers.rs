//! Real servers for tests: found, started on a free port, killed on drop.
//!
//! A server that is not there skips its tests by name, unless `TALLYMAN_REQUIRE_SERVERS=1`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything that works takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Mosquitto {
    program: PathBuf,
    folder: tempfile::TempDir,
    pub port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Started with these lines of configuration beside the listener. `None`: not installed.
    pub fn start(test: &str, lines: &str) -> Option<Self> {
        let server = Self::prepare(test, lines)?;
        Some(server.started())
    }

    /// Not running yet; the port is chosen.
    pub fn prepare(test: &str, lines: &str) -> Option<Self> {
        let program = find("TALLYMAN_TEST_MOSQUITTO", "mosquitto", test)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Self { program, folder, port: free_port(), child: None };
        server.configure(lines);
        Some(server)
    }

    /// Takes effect at the next start.
    pub fn configure(&self, lines: &str) {
        // Started as root it would change to a user that cannot write here.
        let text = format!("listener {} 127.0.0.1\nuser root\n{lines}\n", self.port);
        fs::write(self.path("mosquitto.conf"), text).expect("a configuration file");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lines that make sessions outlive a restart.
    pub fn persistence(&self) -> String {
        format!("persistence true\npersistence_location {}/", self.folder.path().display())
    }

    pub fn started(mut self) -> Self {
        self.run();
        self
    }

    pub fn run(&mut self) {
        assert!(self.child.is_none(), "mosquitto runs already");
        let log = fs::File::create(self.path("mosquitto.log")).expect("a log file");
        let child = Command::new(&self.program)
            .args(["-v", "-c"])
            .arg(self.path("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mosquitto starts");
        self.child = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "mosquitto does not listen: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// As a service manager does: it may write its session file.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let asked = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
        assert!(asked.success());
        child.wait().expect("mosquitto ends");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("mosquitto.log")).unwrap_or_default()
    }

    /// Publishes each line of `lines` as one message.
    pub fn publish_lines(&self, topic: &str, arguments: &[&str], lines: &str) {
        let program = find("TALLYMAN_TEST_MOSQUITTO_PUB", "mosquitto_pub", "publishing")
            .expect("mosquitto_pub comes with mosquitto's clients");
        let mut child = Command::new(program)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", topic, "-l"])
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("mosquitto_pub starts");
        let mut input = child.stdin.take().expect("its input is piped");
        std::io::Write::write_all(&mut input, lines.as_bytes()).expect("mosquitto_pub reads");
        drop(input);
        assert!(child.wait().expect("mosquitto_pub ends").success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("mosquitto is ours to kill");
            child.wait().expect("mosquitto ends");
        }
    }
}

/// A port that nothing listens on, below those that the kernel gives to outgoing connections: a test
/// that connects to a server which is not there yet must not meet itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    let start = u16::try_from(std::process::id() * 97 % u32::from(COUNT)).expect("less than COUNT");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A program by its environment variable, the search path, or where Debian puts daemons.
pub fn find(variable: &str, name: &str, test: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).collect();
    let found = named.or_else(|| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()));
    match found {
        Some(program) => {
            assert!(Path::new(&program).is_file(), "{variable} names {}", program.display());
            Some(program)
        }
        None => {
            let required = std::env::var_os("TALLYMAN_REQUIRE_SERVERS").is_some_and(|value| value == "1");
            assert!(!required, "{name} is required and not installed");
            eprintln!("skipped: {test} (no {name}; install it, or set {variable})");
            None
        }
    }
}
