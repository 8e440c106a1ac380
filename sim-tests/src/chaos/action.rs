//! Everything that can happen to a broker's process in a chaos run: one row each.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use zeroloss::history::FaultKind;
use zeroloss::sim::random::Stream;

use super::cluster::Cluster;

/// Connections of a client that says nothing.
const IDLE_CONNECTIONS: usize = 400;
/// A connection that is not accepted within this is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// SIGKILL, and a start with other settings.
    Kill,
    /// SIGKILL to all three at once.
    KillAll,
    /// SIGSTOP, and SIGCONT.
    Stop,
    /// SIGTERM, and a start with other settings.
    Restart,
    /// SIGKILL, the disk is gone, and a blank one is formatted and served.
    Wipe,
    /// A client's idle connections use up the descriptors.
    Descriptors,
    /// Another program fills the disk.
    DiskFull,
}

/// An action that has begun, on one broker.
#[derive(Debug)]
pub(super) struct Under {
    action: Action,
    node: usize,
    idle: Vec<TcpStream>,
    pub(super) ends_ns: u64,
}

impl Action {
    pub(super) const ALL: [Self; 7] = [
        Self::Kill,
        Self::KillAll,
        Self::Stop,
        Self::Restart,
        Self::Wipe,
        Self::Descriptors,
        Self::DiskFull,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillAll => "kill-all",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Wipe => "wipe",
            Self::Descriptors => "descriptors",
            Self::DiskFull => "disk-full",
        }
    }

    /// The kind under which a simulation's ledger counts it.
    pub(super) fn kind(self) -> FaultKind {
        match self {
            Self::Kill | Self::KillAll => FaultKind::Kill,
            Self::Stop => FaultKind::Pause,
            Self::Restart => FaultKind::Restart,
            Self::Wipe => FaultKind::DiskDestroyed,
            Self::Descriptors | Self::DiskFull => FaultKind::DiskFull,
        }
    }

    /// How long it lasts, milliseconds.
    pub(super) fn lasts_ms(self, dice: &mut Stream) -> u64 {
        match self {
            Self::Kill | Self::KillAll | Self::Restart => dice.between(0, 1_500),
            // Most are short; some outlast every timeout of the cluster.
            Self::Stop if dice.chance(0.3) => dice.between(2_000, 10_000),
            Self::Stop => dice.between(200, 2_000),
            Self::Wipe => dice.between(100, 3_000),
            Self::Descriptors | Self::DiskFull => dice.between(500, 4_000),
        }
    }

    /// Each action about as often as the next, but for the largest.
    pub(super) fn draw(dice: &mut Stream) -> Self {
        let drawn = Self::ALL[dice.below(Self::ALL.len() as u64) as usize];
        match drawn {
            Self::KillAll if dice.chance(0.5) => Self::Kill,
            drawn => drawn,
        }
    }

    pub(super) fn victims(self, dice: &mut Stream, cluster: &Cluster) -> Vec<usize> {
        let all = 0..cluster.len();
        match self {
            Self::KillAll => all.collect(),
            // Half of the time the one that leads: it has most to lose.
            _ => match cluster.leader() {
                Some(leader) if dice.chance(0.5) => vec![leader],
                _ => vec![dice.below(all.len() as u64) as usize],
            },
        }
    }

    pub(super) fn begin(
        self,
        dice: &mut Stream,
        cluster: &mut Cluster,
        victims: &[usize],
        ends_ns: u64,
    ) -> io::Result<Vec<Under>> {
        let mut under = Vec::new();
        for node in victims {
            let mut idle = Vec::new();
            cluster.nodes[*node].busy = true;
            match self {
                Self::Kill | Self::KillAll => cluster.nodes[*node].kill()?,
                Self::Stop => {
                    cluster.nodes[*node].signal("-STOP")?;
                    cluster.nodes[*node].stopped = true;
                }
                Self::Restart => cluster.stop(*node)?,
                Self::Wipe => cluster.wipe(*node, dice.chance(0.5))?,
                Self::Descriptors => idle = connections(cluster, *node),
                Self::DiskFull => cluster.nodes[*node].volume().fill()?,
            }
            under.push(Under {
                action: self,
                node: *node,
                idle,
                ends_ns,
            });
        }
        Ok(under)
    }
}

/// As many as are accepted.
fn connections(cluster: &Cluster, node: usize) -> Vec<TcpStream> {
    let address = cluster.nodes[node].client();
    let connect = |_| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok();
    (0..IDLE_CONNECTIONS).map_while(connect).collect()
}

impl Under {
    /// Takes it back; all is as before, or as it will be.
    pub(super) fn end(self, dice: &mut Stream, cluster: &mut Cluster) -> io::Result<()> {
        let node = self.node;
        match self.action {
            Action::Kill | Action::KillAll | Action::Restart | Action::Wipe => {
                cluster.start_again(node, dice);
            }
            Action::Stop => {
                cluster.nodes[node].signal("-CONT")?;
                cluster.nodes[node].stopped = false;
            }
            Action::Descriptors => drop(self.idle),
            Action::DiskFull => cluster.nodes[node].volume().empty()?,
        }
        cluster.nodes[node].busy = false;
        Ok(())
    }
}
