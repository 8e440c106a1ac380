//! One broker: its disk, its process, and its settings of the day.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use zeroloss::sim::random::Stream;

use super::volume::Volume;

/// Descriptors that a broker may have: few, so that clients can use them up.
const DESCRIPTORS: u32 = 320;
/// Sizes of a segment that an operator may choose at any start, bytes.
const SEGMENT_BYTES: [u64; 4] = [64 << 10, 256 << 10, 1 << 20, 8 << 20];

/// Settings that may differ from start to start.
#[derive(Debug, Clone)]
struct Chosen {
    segment_bytes: u64,
    preferred_leader: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Node {
    id: u64,
    program: PathBuf,
    volume: Volume,
    told: PathBuf,
    peers: Vec<String>,
    client: SocketAddr,
    chosen: Chosen,
    process: Option<Child>,
    pub(super) stopped: bool,
    pub(super) busy: bool,
}

impl Node {
    pub(super) fn new(
        id: u64,
        program: &Path,
        root: &Path,
        peers: &[String],
        client: SocketAddr,
    ) -> io::Result<Self> {
        Ok(Self {
            id,
            program: program.to_owned(),
            volume: Volume::make(root.join(format!("disk-{id}")))?,
            told: root.join(format!("broker-{id}.log")),
            peers: peers.to_vec(),
            client,
            chosen: Chosen {
                segment_bytes: SEGMENT_BYTES[1],
                preferred_leader: None,
            },
            process: None,
            stopped: false,
            busy: false,
        })
    }

    fn dir(&self) -> PathBuf {
        self.volume.path().join("store")
    }

    pub(super) fn client(&self) -> SocketAddr {
        self.client
    }

    pub(super) fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Formats its disk; with `members` as a first one, else as a replacement.
    pub(super) fn format(&self, members: Option<&str>) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        let id = self.id.to_string();
        command.arg("format").arg(self.dir());
        command.args(["--broker-id", &id]);
        match members {
            Some(members) => command.args(["--members", members]),
            None => command.arg("--replacement"),
        };
        let ran = command.output()?;
        match ran.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "format: {}",
                String::from_utf8_lossy(&ran.stderr)
            ))),
        }
    }

    /// Its disk is gone.
    pub(super) fn wipe(&self) -> io::Result<()> {
        fs::remove_dir_all(self.dir())
    }

    /// Other settings, as an operator may choose them before any start.
    pub(super) fn choose(&mut self, dice: &mut Stream, nodes: u64) {
        self.chosen = Chosen {
            segment_bytes: SEGMENT_BYTES[dice.below(SEGMENT_BYTES.len() as u64) as usize],
            preferred_leader: dice.chance(0.5).then(|| dice.below(nodes)),
        };
    }

    /// Starts its process; an error where that ends before it listens.
    pub(super) fn start(&mut self) -> io::Result<()> {
        let told = File::options().create(true).append(true).open(&self.told)?;
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"");
        command.args(["-c", &limited]).arg(&self.program);
        command.arg("serve").arg(self.dir());
        command.args(["--producer-dedup", "--queues", "4", "--segment-bytes"]);
        command.arg(self.chosen.segment_bytes.to_string());
        if let Some(leader) = self.chosen.preferred_leader {
            command.args(["--preferred-leader", &leader.to_string()]);
        }
        self.peers.iter().for_each(|peer| {
            command.args(["--peer", peer]);
        });
        let mut process = command.stdout(Stdio::piped()).stderr(told).spawn()?;
        let mut line = String::new();
        let out = process.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line)?;
        if line.starts_with("listening on ") {
            self.process = Some(process);
            return Ok(());
        }
        let status = process.wait()?;
        Err(io::Error::other(format!("serve ended at once: {status}")))
    }

    pub(super) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Sends its process a signal.
    pub(super) fn signal(&self, name: &str) -> io::Result<()> {
        if let Some(process) = &self.process {
            let id = process.id().to_string();
            Command::new("kill").args([name, &id]).status()?;
        }
        Ok(())
    }

    /// Ends its process without a word.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        self.stopped = false;
        Ok(())
    }

    /// Asks its process to stop, and waits for it.
    pub(super) fn stop(&mut self) -> io::Result<Option<ExitStatus>> {
        self.signal("-TERM")?;
        let process = self.process.take();
        process.map(|mut process| process.wait()).transpose()
    }

    /// How its process ended by itself, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().ok()??;
        self.process = None;
        Some(status)
    }

    /// All that it has told its operator.
    pub(super) fn told(&self) -> io::Result<String> {
        match fs::read_to_string(&self.told) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}
