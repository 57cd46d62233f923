//! A Temporal development server of one's own.

use std::{
    env,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use recourse_client::{Client, ClientError, Config};
use recourse_workflows::attributes;

use super::{LocalError, process::Process};

/// How long the server may take to answer. It starts in about 3 s on an idle machine.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// How often to choose ports again if another program took one in between.
const STARTS_MAX: usize = 4;

/// The oldest command line whose server can skip time.
const VERSION_MIN: (u32, u32) = (1, 9);

/// How to start a server. The default has no Web UI and stores nothing.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The Temporal command line. If absent, this program searches for it.
    pub cli: Option<PathBuf>,
    /// The port to listen on; any free one if absent.
    pub port: Option<u16>,
    /// Whether there is a Web UI.
    pub ui: bool,
    /// The port of the Web UI; any free one if absent.
    pub ui_port: Option<u16>,
    /// Where the server keeps its data; in memory if absent.
    pub database: Option<PathBuf>,
    /// Whether its data may be lost if the machine fails. Then it does not wait for the disk.
    pub hasty: bool,
    /// Whether it serves its metrics, on any free port.
    pub metrics: bool,
    /// After how many events of history it suggests that a workflow continues in a new run; the server's own default if absent.
    pub continue_as_new_after: Option<u32>,
    /// How long a connection lasts before the server closes it; the server's own default, some minutes, if absent.
    pub connections_last: Option<Duration>,
    /// Further dynamic settings of the server, as `name=value`.
    pub settings: Vec<String>,
    /// Its log level; `warn` if absent.
    pub log_level: Option<String>,
    /// The file that its log goes to.
    pub log: Option<PathBuf>,
}

/// A running server, with the search attributes registered and time skipping allowed. It ends when this is dropped.
#[derive(Debug)]
pub struct LocalServer {
    process: Process,
    ports: Ports,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    grpc: u16,
    ui: Option<u16>,
    metrics: Option<u16>,
}

impl LocalServer {
    /// Starts a server and waits until it answers.
    pub async fn start(options: ServerOptions) -> Result<Self, LocalError> {
        let cli = find_cli(options.cli.as_deref())?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&cli, &options).await {
                // Another program took the port after this one chose it.
                Err(LocalError::Ended { .. }) if attempt < STARTS_MAX && options.port.is_none() => attempt += 1,
                started => return started,
            }
        }
    }

    async fn start_once(cli: &Path, options: &ServerOptions) -> Result<Self, LocalError> {
        let ports = Ports::choose(options)?;
        let process = Process::start(cli, &arguments(options, ports), &[], options.log.as_deref(), false)?;
        let mut server = Self { process, ports };
        let started = Instant::now();
        loop {
            server.process.check_running()?;
            if server.answers().await {
                return Ok(server);
            }
            if started.elapsed() > READY_TIMEOUT {
                return Err(server.process.not_ready(READY_TIMEOUT));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn answers(&self) -> bool {
        let ready = async {
            let config =
                Config { address: Some(self.address()), namespace: Some("default".to_owned()), ..Config::default() };
            Client::connect(config).await?.missing_search_attributes().await
        };
        let ready: Result<Vec<&str>, ClientError> = ready.await;
        ready.is_ok_and(|missing| missing.is_empty())
    }

    /// Where clients and workers connect to, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.grpc)
    }

    /// The Web UI, if there is one.
    pub fn ui_url(&self) -> Option<String> {
        self.ports.ui.map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// The metrics in Prometheus' format, if it serves them.
    pub fn metrics_url(&self) -> Option<String> {
        self.ports.metrics.map(|port| format!("http://127.0.0.1:{port}/metrics"))
    }

    /// The server's process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits until the server ends by itself, and returns how it ended.
    pub async fn ended(&mut self) -> LocalError {
        self.process.ended().await
    }

    /// Stops the server and waits until it has ended.
    pub async fn stop(self) -> Result<(), LocalError> {
        self.process.stop().await
    }

    /// Ends the server at once (SIGKILL), as a crash would.
    pub async fn kill(self) -> Result<(), LocalError> {
        self.process.kill().await
    }
}

impl Ports {
    fn choose(options: &ServerOptions) -> Result<Self, LocalError> {
        // Keeps all ports open until it has chosen the last, so that they differ.
        let mut held = Vec::new();
        let mut choose = |fixed: Option<u16>| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, fixed.unwrap_or(0)));
            let listener = match (listener, fixed) {
                (Err(error), Some(port)) if error.kind() == ErrorKind::AddrInUse => {
                    return Err(LocalError::PortTaken { port });
                }
                (listener, _) => listener.map_err(LocalError::machine("choosing a port"))?,
            };
            let port = listener.local_addr().map_err(LocalError::machine("choosing a port"))?.port();
            held.push(listener);
            Ok(port)
        };
        Ok(Self {
            grpc: choose(options.port)?,
            ui: if options.ui { Some(choose(options.ui_port)?) } else { None },
            metrics: if options.metrics { Some(choose(None)?) } else { None },
        })
    }
}

fn arguments(options: &ServerOptions, ports: Ports) -> Vec<String> {
    let level = options.log_level.as_deref().unwrap_or("warn");
    let mut arguments: Vec<String> =
        ["server", "start-dev", "--ip", "127.0.0.1", "--log-level", level].map(str::to_owned).to_vec();
    arguments.extend(["--port".to_owned(), ports.grpc.to_string()]);
    match ports.ui {
        Some(port) => arguments.extend(["--ui-port".to_owned(), port.to_string()]),
        None => arguments.push("--headless".to_owned()),
    }
    if let Some(port) = ports.metrics {
        arguments.extend(["--metrics-port".to_owned(), port.to_string()]);
    }
    if let Some(database) = &options.database {
        arguments.extend(["--db-filename".to_owned(), database.display().to_string()]);
    }
    if options.hasty {
        let pragmas = ["journal_mode=WAL", "synchronous=OFF"];
        arguments.extend(pragmas.into_iter().flat_map(|pragma| ["--sqlite-pragma".to_owned(), pragma.to_owned()]));
    }
    for (name, kind) in attributes::ALL {
        arguments.extend(["--search-attribute".to_owned(), format!("{name}={kind}")]);
    }
    let mut settings = vec!["frontend.WorkflowTimeSkippingEnabled=true".to_owned()];
    settings.extend(
        options.continue_as_new_after.map(|events| format!("limit.historyCount.suggestContinueAsNew={events}")),
    );
    let seconds = |last: Duration| format!("frontend.keepAliveMaxConnectionAge=\"{}s\"", last.as_secs_f64());
    settings.extend(options.connections_last.map(seconds));
    settings.extend(options.settings.iter().cloned());
    arguments.extend(settings.into_iter().flat_map(|setting| ["--dynamic-config-value".to_owned(), setting]));
    arguments
}

/// Finds the Temporal command line: the given one, the one of the environment, in the tools of this checkout, or on the path.
fn find_cli(told: Option<&Path>) -> Result<PathBuf, LocalError> {
    let told = told.map(Path::to_owned).or_else(|| env::var_os("RECOURSE_TEMPORAL_CLI").map(PathBuf::from));
    if let Some(cli) = told {
        return check_version(&cli).map(|()| cli).map_err(|reason| LocalError::NoServer { reason });
    }
    let here = env::current_dir().map_err(LocalError::machine("reading the current directory"))?;
    let tool = here.ancestors().map(|directory| directory.join(".tools/venv/bin/temporal")).find(|path| path.is_file());
    let candidates = tool.into_iter().chain([PathBuf::from("temporal")]);
    let mut reasons = Vec::new();
    for candidate in candidates {
        match check_version(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(LocalError::NoServer { reason: reasons.join("; ") })
}

fn check_version(cli: &Path) -> Result<(), String> {
    let output = Command::new(cli).arg("--version").output();
    let output = output.map_err(|error| format!("{}: {error}", cli.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version_of(&text) {
        Some(version) if version >= VERSION_MIN => Ok(()),
        Some((major, minor)) => {
            Err(format!("{} is {major}.{minor}; {}.{} is needed", cli.display(), VERSION_MIN.0, VERSION_MIN.1))
        }
        None => Err(format!("{} does not tell its version", cli.display())),
    }
}

/// Reads `temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let version = text.strip_prefix("temporal version ")?.split_whitespace().next()?;
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_command_lines_output() {
        assert_eq!(version_of("temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)\n"), Some((1, 9)));
        assert_eq!(version_of("temporal version 1.10.0"), Some((1, 10)));
        assert_eq!(version_of("something else 1.9"), None);
    }

    #[test]
    fn the_server_is_started_with_all_search_attributes_and_time_skipping() {
        let ports = Ports { grpc: 1, ui: None, metrics: Some(3) };
        let line = arguments(&ServerOptions::default(), ports).join(" ");
        assert!(line.contains("--headless") && line.contains("--metrics-port 3"), "{line}");
        assert!(line.contains("WorkflowTimeSkippingEnabled=true"), "{line}");
        assert_eq!(line.matches("--search-attribute ").count(), attributes::ALL.len());
    }

    #[test]
    fn chosen_ports_differ() {
        let ports = Ports::choose(&ServerOptions { ui: true, metrics: true, ..ServerOptions::default() }).unwrap();
        let (ui, metrics) = (ports.ui.unwrap(), ports.metrics.unwrap());
        assert!(ports.grpc != ui && ui != metrics && ports.grpc != metrics);
    }

    #[test]
    fn a_missing_command_line_is_named() {
        let error = find_cli(Some(Path::new("/nowhere/temporal"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/temporal"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("RECOURSE_TEMPORAL_CLI")));
    }
}
