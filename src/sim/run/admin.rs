//! The operator's requests to the cluster: members and leader changed over the
//! wire, as an operator would.
//!
//! A change is one request or several, in order. Each is asked of one broker
//! after the other until one does it; who does not lead refuses. An operation
//! that does not come about in time is given up: the next one finds the cluster
//! as it is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;

use super::clients::add_client;
use super::operator::Action;
use super::phases::Run;
use crate::env::{ConnId, Either, Env, Net, NetEvent, Timer, either};
use crate::remoting::admin::{ChangeMembers, TransferLeadership};
use crate::remoting::{FrameDecoder, NO_BODY, ResponseCode, SerializeType, encode_request};
use crate::sim::env::SimEnv;
use crate::sim::net::NodeId;

const MS_NS: u64 = 1_000_000;
/// An unanswered request is asked of the next broker after this.
const ANSWER_NS: u64 = 500 * MS_NS;
/// Pause before the next broker is asked.
const PAUSE_NS: u64 = 20 * MS_NS;
/// An operation that takes longer is given up.
const PATIENCE_NS: u64 = 10_000 * MS_NS;

const PROMOTE: &str = "promote";
const REMOVE: &str = "remove";

/// The operator's machine.
#[derive(Debug)]
pub(super) struct Admin {
    env: SimEnv,
    lives: Vec<madsim::task::NodeId>,
    asked: Asked,
}

/// The requests, in order, and whether each was done. A request that was given up may
/// have been done all the same.
type Asked = Arc<Mutex<Vec<Answered>>>;

/// The outcome of a request, and its time.
#[derive(Debug, Clone, Copy)]
struct Answered {
    ask: Ask,
    done: bool,
    at_ns: u64,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Change {
        change: &'static str,
        node: NodeId,
        disk: u64,
    },
    Transfer {
        node: NodeId,
    },
}

/// The requests of an action, in order. `disk_of`: the name of a machine's disk.
fn asks(action: Action, disk_of: impl Fn(NodeId) -> u64) -> Vec<Ask> {
    let change = |change, node, disk| Ask::Change { change, node, disk };
    let join = |node| {
        let disk = disk_of(node);
        [change("add-learner", node, disk), change(PROMOTE, node, 0)]
    };
    match action {
        Action::Add { node } => join(node).to_vec(),
        Action::Remove { node } => vec![change(REMOVE, node, 0)],
        Action::Replace { node, by } => {
            let mut asks = join(by).to_vec();
            asks.push(change(REMOVE, node, 0));
            asks
        }
        Action::Transfer { to } => vec![Ask::Transfer { node: to }],
    }
}

impl Run<'_> {
    /// The operator has a machine of his own where the scenario gives him work.
    pub(super) fn employ_admin(&mut self) {
        if !self.plan.operations.is_empty() {
            let node = add_client(&self.world, self.seed);
            let incarnation = self.world.process_starts(node);
            self.admin = Some(Admin {
                env: SimEnv::new(Arc::clone(&self.world), node, incarnation),
                lives: Vec::new(),
                asked: Asked::default(),
            });
        }
    }

    /// Asks the cluster for a change.
    pub(super) fn ask_cluster(&mut self, action: Action) {
        let asks = asks(action, |node| self.machines[node as usize].disk_id);
        let Some(admin) = &mut self.admin else {
            return;
        };
        let madsim = self.handle.create_node().build();
        let brokers = self.setting.brokers.clone();
        let (env, asked) = (admin.env.clone(), Arc::clone(&admin.asked));
        drop(madsim.spawn(carry_out(env, brokers, asks, asked)));
        admin.lives.push(madsim.id());
    }

    /// The members for sure, as far as the operator knows.
    pub(super) fn sure_members(&self) -> BTreeSet<NodeId> {
        let mut members = (0..self.scenario.cluster.brokers).collect();
        if let Some(admin) = &self.admin {
            let asked = admin.asked.lock().unwrap_or_else(PoisonError::into_inner);
            for Answered { ask, done, .. } in &*asked {
                change(&mut members, *ask, *done);
            }
        }
        members
    }

    /// When the operator's requests were done, in the run's time.
    pub(super) fn done_ns(&self) -> Vec<u64> {
        let Some(admin) = &self.admin else {
            return Vec::new();
        };
        let asked = admin.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let done = asked.iter().filter(|it| it.done);
        done.map(|it| it.at_ns).collect()
    }

    /// Ends the operator's work.
    pub(super) fn dismiss_admin(&mut self) {
        for life in self
            .admin
            .iter_mut()
            .flat_map(|admin| admin.lives.drain(..))
        {
            self.handle.kill(life);
        }
    }
}

/// The members for sure after a request.
fn change(members: &mut BTreeSet<NodeId>, ask: Ask, done: bool) {
    match ask {
        Ask::Change { change, node, .. } if change == PROMOTE && done => {
            members.insert(node);
        }
        Ask::Change { change, node, .. } if change == REMOVE => {
            members.remove(&node);
        }
        _ => {}
    }
}

async fn carry_out(env: SimEnv, brokers: Vec<SocketAddr>, asks: Vec<Ask>, asked: Asked) {
    let note = |ask, done| {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let at_ns = env.world.now_ns();
        asked.push(Answered { ask, done, at_ns });
    };
    let until_ns = env.now_ns() + PATIENCE_NS;
    let mut broker = brokers.iter().cycle();
    for ask in asks {
        loop {
            let to = *broker.next().expect("a cluster has brokers");
            if env.now_ns() > until_ns {
                env.says(&format!("operator gives up: {ask:?}"));
                note(ask, false);
                return;
            }
            if answer(&env, to, ask).await == Some(ResponseCode::SUCCESS.0) {
                env.says(&format!("operator: done: {ask:?}"));
                note(ask, true);
                break;
            }
            let mut pause = env.timer();
            pause.reset(Some(env.now_ns() + PAUSE_NS));
            pause.fired().await;
        }
    }
}

/// The code that a broker answers with; `None`: it does not.
async fn answer(env: &SimEnv, to: SocketAddr, ask: Ask) -> Option<i32> {
    let mut net = env.net();
    let conn = net.connect(to);
    net.write(conn, frame(ask).freeze());
    let mut timer = env.timer();
    timer.reset(Some(env.now_ns() + ANSWER_NS));
    let mut decoder = FrameDecoder::new();
    loop {
        let event = match either(net.next(), timer.fired()).await {
            Either::First(event) => event,
            Either::Second(()) => return None,
        };
        if let Some(ended) = answered(&mut decoder, conn, event) {
            return ended;
        }
    }
}

/// `None` while nothing is decided.
fn answered(decoder: &mut FrameDecoder, conn: ConnId, event: NetEvent) -> Option<Option<i32>> {
    match event {
        NetEvent::Data { conn: on, bytes } if on == conn => {
            decoder.feed(bytes);
            let command = decoder.next_command().ok()?;
            command.map(|command| Some(command.code))
        }
        NetEvent::Closed { conn: on, .. } if on == conn => Some(None),
        _ => None,
    }
}

fn frame(ask: Ask) -> BytesMut {
    let (mut out, how) = (BytesMut::new(), SerializeType::Binary);
    match ask {
        Ask::Change { change, node, disk } => {
            let request = ChangeMembers {
                change,
                node: i64::from(node),
                disk: disk as i64,
            };
            encode_request(&mut out, how, 1, &request, NO_BODY);
        }
        Ask::Transfer { node } => {
            let request = TransferLeadership {
                node: i64::from(node),
            };
            encode_request(&mut out, how, 1, &request, NO_BODY);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Action, asks, change};

    #[test]
    fn a_machine_replaces_another_before_that_one_goes() {
        let shown = |action| {
            let asks = asks(action, |node| 100 + u64::from(node));
            asks.iter()
                .map(|ask| format!("{ask:?}"))
                .collect::<Vec<_>>()
        };
        let replace = shown(Action::Replace { node: 1, by: 3 });
        insta::assert_snapshot!(replace.join("\n"), @r#"
        Change { change: "add-learner", node: 3, disk: 103 }
        Change { change: "promote", node: 3, disk: 0 }
        Change { change: "remove", node: 1, disk: 0 }
        "#);
        assert_eq!(replace[..2], shown(Action::Add { node: 3 }));
        assert_eq!(replace[2..], shown(Action::Remove { node: 1 }));
        assert_eq!(shown(Action::Transfer { to: 2 }), ["Transfer { node: 2 }"]);
    }

    #[test]
    fn a_change_that_was_given_up_leaves_nobody_a_member_for_sure() {
        let after = |done: bool| {
            let mut members = BTreeSet::from([0, 1, 2]);
            for ask in asks(Action::Replace { node: 1, by: 3 }, |_| 7) {
                change(&mut members, ask, done);
            }
            members
        };
        assert_eq!(after(true), BTreeSet::from([0, 2, 3]));
        assert_eq!(after(false), BTreeSet::from([0, 2]));
    }
}
