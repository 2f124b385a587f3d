//! Runs a binary of the project as a separate process.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Its address: `http://127.0.0.1:PORT`.
    pub base_url: String,
    lines: Mutex<mpsc::Receiver<String>>,
}

/// Returns a port of 127.0.0.1 on which nothing listens.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Process {
    /// Starts `command` as an HTTP server on a free port, passed as `PORT`, and waits until it answers.
    pub async fn serve(command: Command) -> anyhow::Result<Self> {
        let mut process = Self::start_server(command)?;
        process.wait_until_it_answers("/healthz").await?;
        Ok(process)
    }

    /// Like [`Process::serve`], with the output in `log`: reading the output takes time, which a benchmark
    /// would measure.
    pub async fn serve_with_log(mut command: Command, log: File) -> anyhow::Result<Self> {
        let base_url = give_port(&mut command)?;
        command.stdout(log);
        let mut process = Self::spawn(command, base_url)?;
        process.wait_until_it_answers("/healthz").await?;
        Ok(process)
    }

    /// Starts `command` as an HTTP server on a free port, passed as `PORT`.
    pub fn start_server(mut command: Command) -> anyhow::Result<Self> {
        let base_url = give_port(&mut command)?;
        Self::start(command, base_url)
    }

    /// Starts `command`, which will answer at `base_url`.
    pub fn start(mut command: Command, base_url: String) -> anyhow::Result<Self> {
        command.stdout(Stdio::piped());
        Self::spawn(command, base_url)
    }

    fn spawn(mut command: Command, base_url: String) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let (sender, lines) = mpsc::channel();
        let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] = [
            child.stdout.take().map(|output| Box::new(output) as _),
            child.stderr.take().map(|output| Box::new(output) as _),
        ];
        for output in outputs.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Ok(Self { child, base_url, lines: Mutex::new(lines) })
    }

    /// Waits until `path` is answered, with any status.
    pub async fn wait_until_it_answers(&mut self, path: &str) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.base_url);
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("the process ended with {status} before it answered:\n{}", self.output());
            }
            if reqwest::get(&url).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{url} was not answered within 30 seconds:\n{}", self.output())
    }

    /// What the process has printed since the last call.
    pub fn output(&self) -> String {
        thread::sleep(Duration::from_millis(50)); // other threads read the pipes
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory that the process uses (its resident set).
    pub fn megabytes(&self) -> anyhow::Result<f64> {
        megabytes_of(self.id())
    }

    /// The memory that its child processes use.
    pub(crate) fn megabytes_of_children(&self) -> anyhow::Result<f64> {
        self.children()?.into_iter().map(megabytes_of).sum()
    }

    /// The processor time of the process and its children so far, in user and system mode.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        [self.id()].into_iter().chain(self.children()?).map(processor_time_of).sum()
    }

    fn children(&self) -> anyhow::Result<Vec<u32>> {
        let mut children = Vec::new();
        // Linux lists a child under the thread that started it.
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
            for child in std::fs::read_to_string(thread?.path().join("children"))?.split_whitespace() {
                children.push(child.parse()?);
            }
        }
        Ok(children)
    }

    /// Asks the process to stop (SIGTERM) and waits for it. Returns its exit code.
    pub fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        anyhow::ensure!(status.success(), "kill -TERM did not succeed");
        Ok(self.child.wait()?.code())
    }

    /// Kills the process (SIGKILL).
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

fn megabytes_of(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.context("a process has a size")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

fn processor_time_of(process: u32) -> anyhow::Result<Duration> {
    let mut time = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // Nanoseconds on a processor, nanoseconds of waiting for one, and the number of time slices.
        let spent = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let computing = spent.split_whitespace().next().context("a thread has computed")?;
        time += Duration::from_nanos(computing.parse()?);
    }
    Ok(time)
}

/// Passes a free port to `command` as `PORT`. Returns the address of the server.
fn give_port(command: &mut Command) -> anyhow::Result<String> {
    let port = free_port()?;
    command.env("PORT", port.to_string()).env("HOST", "127.0.0.1");
    Ok(format!("http://127.0.0.1:{port}"))
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` until it ends. Returns its exit code, its standard output and its standard error.
pub fn run(mut command: Command) -> anyhow::Result<(Option<i32>, String, String)> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}
