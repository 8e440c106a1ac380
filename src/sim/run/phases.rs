//! The run's own steps: starts, faults, ticks, and the two phases.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use madsim::runtime::Handle;

use super::admin::Admin;
use super::budget::Outstanding;
use super::clients::{self, Client, LastReader, Probe, Setting};
use super::cluster::{Machine, queues};
use super::cuts::Links;
use super::follower::Follower;
use super::links;
use super::process::Operator;
use super::recovery::Recovery;
use super::strangers::Stranger;
use super::watch;
use super::windows::Window;
use crate::check::Ending;
use crate::history::{Ledger, Recorder};
use crate::scenario::random::{Purpose, Stream};
use crate::scenario::{FaultPlan, RunOptions, Scenario, Workload, plan};
use crate::sim::disk::DiskImage;
use crate::sim::world::World;

/// Pause between two looks at the run, nanoseconds.
const TICK_NS: u64 = 10_000_000;
pub(super) const SECOND_NS: u64 = 1_000_000_000;
pub(super) const MS_NS: u64 = 1_000_000;
/// The lane of [`Purpose::Operator`] from which on each machine has its own.
const FIRST_STARTS: u32 = 200;

/// Something the run does at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunStep {
    /// A broker starts, unless another start was planned since: machine, number
    /// of the start.
    StartBroker(usize, u64),
    /// A client starts.
    StartClient(usize),
    /// A planned fault may fire.
    Fault(usize),
    /// A planned fault's trap was sprung: it fires.
    Sprung(usize),
    /// The budget's word for a trap, by its step.
    Room(u64),
    /// The second action after a hit: fault, hit, machine.
    Then(usize, usize, usize),
    /// Images are taken of the disks that a planned hit may roll back: fault,
    /// hit.
    TakeImages(usize, usize),
    /// The operator changes members or leader.
    Operate(usize),
    /// A lasting fault ends.
    Close(u64),
    /// Somebody crashed at a boundary.
    BoundaryCrash,
    /// A look at everything.
    Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Workloads under faults.
    Safety,
    /// Everything healed; the cluster has to serve again.
    Healing,
    /// The last reader is at work.
    Reading,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) seed: u64,
    pub(super) world: Arc<World>,
    pub(super) handle: Handle,
    pub(super) recorder: Recorder,
    pub(super) ledger: Ledger,
    pub(super) plan: FaultPlan,
    pub(super) machines: Vec<Machine>,
    pub(super) clients: Vec<Client>,
    pub(super) setting: Setting,
    pub(super) ending: Ending,
    /// Lasting faults that have not ended.
    pub(super) windows: Vec<Window>,
    pub(super) windows_opened: u64,
    /// Lasting faults that held somebody up: index into the ledger, when they
    /// ended.
    pub(super) lasted: Vec<(usize, u64)>,
    /// Writes that never arrived: index into the ledger, machine, and how much
    /// was acknowledged on lies before.
    pub(super) unseen: Vec<(usize, usize, u64)>,
    /// How far the log was believed durable when the power went: by index into
    /// the ledger.
    pub(super) believed: BTreeMap<usize, u64>,
    /// The images that planned rollbacks set disks back to, by planned fault,
    /// hit and machine.
    pub(super) images: BTreeMap<(usize, usize, usize), DiskImage>,
    /// The planned faults that had to wait, and the hits whose second action had.
    pub(super) postponed: BTreeSet<(usize, Option<usize>)>,
    /// Since when planned faults have been waiting for room or for something to
    /// take.
    pub(super) waiting: BTreeMap<usize, u64>,
    /// The content that power losses left, where it was asked for, each in one number.
    pub(super) left: Vec<u64>,
    /// How many crashes of a crash point happened.
    pub(super) crashes: usize,
    /// The links that are cut.
    pub(super) cuts: Links,
    pub(super) outstanding: Outstanding,
    /// Where transactions stand.
    pub(super) follower: Follower,
    pub(super) admin: Option<Admin>,
    /// The recovery that is not over.
    pub(super) recovering: Option<Recovery>,
    pub(super) has_been_recovered: bool,
    pub(super) stranger: Option<Stranger>,
    pub(super) probe: Probe,
    pub(super) last_reader: LastReader,
    steps: Vec<RunStep>,
    pub(super) phase: Phase,
    pub(super) healed_ns: u64,
    pub(super) probed_ns: Option<u64>,
    /// When all replicas of the core held the same.
    pub(super) level_ns: Option<u64>,
    second: (u64, u64),
}

impl<'a> Run<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        seed: u64,
        options: &RunOptions,
        handle: Handle,
    ) -> Self {
        let brokers = scenario.cluster.machines();
        let tap = watch::tap_on(scenario);
        let network = links::config(&scenario.network);
        let world = Arc::new(World::new(seed, network, options.timeline, tap));
        let machines: Vec<Machine> = (0..brokers)
            .map(|broker| Machine::new(&world, scenario, seed, broker))
            .collect();
        let clock = Arc::clone(&world);
        let recorder = Recorder::on_clock(move || clock.now_ns());
        let setting = Setting {
            world: Arc::clone(&world),
            handle: handle.clone(),
            recorder: recorder.clone(),
            brokers: machines.iter().map(Machine::address).collect(),
            seed,
            stop_at_ns: scenario.run.duration_ms * MS_NS,
        };
        let clients = clients::all(scenario, &setting);
        let beyond = clients.len() as u32;
        let queues = u64::from(queues(scenario));
        let probe = Probe::new(&setting, scenario, beyond, queues);
        let last_reader = LastReader::new(&setting, beyond + 1);
        links::set_up(&world, scenario);
        if let Some(speed) = scenario.cluster.cpu {
            world.charge_cpu(speed);
        }
        Self {
            probe,
            last_reader,
            plan: plan(scenario, seed),
            ledger: Ledger::default(),
            ending: Ending::Completed,
            windows: Vec::new(),
            windows_opened: 0,
            lasted: Vec::new(),
            unseen: Vec::new(),
            believed: BTreeMap::new(),
            images: BTreeMap::new(),
            postponed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            left: Vec::new(),
            crashes: 0,
            cuts: Links::new(),
            outstanding: Outstanding::default(),
            follower: Follower::new(scenario),
            admin: None,
            recovering: None,
            has_been_recovered: false,
            stranger: None,
            steps: Vec::new(),
            phase: Phase::Safety,
            healed_ns: 0,
            probed_ns: None,
            level_ns: None,
            second: (0, 0),
            scenario,
            seed,
            world,
            handle,
            recorder,
            machines,
            clients,
            setting,
        }
    }

    /// Plans everything that is known from the start.
    pub(super) fn begin(&mut self) {
        for machine in 0..self.machines.len() {
            let mut drawn =
                Stream::lane(self.seed, Purpose::Operator, FIRST_STARTS + machine as u32);
            let at_ns = self.scenario.cluster.first_start_ms.draw(&mut drawn) * MS_NS;
            self.plan_start(machine, at_ns, Operator::None);
        }
        for client in 0..self.clients.len() {
            self.at(0, RunStep::StartClient(client));
        }
        for fault in 0..self.plan.faults.len() {
            self.arm(fault);
        }
        self.employ_admin();
        self.let_stranger_in();
        for operation in 0..self.plan.operations.len() {
            let at_ns = self.plan.operations[operation].at_ns;
            self.at(at_ns, RunStep::Operate(operation));
        }
        self.at(TICK_NS, RunStep::Tick);
    }

    /// Plans one step.
    pub(super) fn at(&mut self, at_ns: u64, step: RunStep) {
        let number = self.number(step);
        self.world.plan_control(at_ns, number);
    }

    /// The number of a step that is taken when something asks for it.
    pub(super) fn number(&mut self, step: RunStep) -> u64 {
        self.steps.push(step);
        self.steps.len() as u64 - 1
    }

    /// The step of that number.
    pub(super) fn step_of(&self, number: u64) -> RunStep {
        self.steps[number as usize].clone()
    }

    /// Does the step of that number.
    pub(super) fn step(&mut self, number: u64) -> ControlFlow<()> {
        match self.step_of(number) {
            RunStep::StartBroker(machine, start) => self.start_broker(machine, start),
            RunStep::StartClient(client) => self.start_client(client),
            RunStep::Fault(fault) => self.try_fault(fault),
            RunStep::Sprung(fault) => self.sprung(fault),
            RunStep::Room(trap) => self.look_for_room(trap),
            RunStep::Then(fault, hit, machine) => self.then(fault, hit, machine),
            RunStep::TakeImages(fault, hit) => self.take_images(fault, hit),
            RunStep::Operate(operation) => self.operate(operation),
            // A fault that outlasts the safety phase does so for good.
            RunStep::Close(window) if self.phase == Phase::Safety => self.close_window(window),
            RunStep::Close(_) => {}
            RunStep::BoundaryCrash => self.hear_of_crash(),
            RunStep::Tick => {
                self.at(self.world.now_ns() + TICK_NS, RunStep::Tick);
                return self.tick();
            }
        }
        ControlFlow::Continue(())
    }

    fn start_client(&mut self, client: usize) {
        if !self.clients[client].is_up() {
            self.clients[client].start(self.scenario, &self.setting);
        }
    }

    fn tick(&mut self) -> ControlFlow<()> {
        self.note_exits();
        self.format_again();
        self.watch_recovery();
        self.note_fired();
        self.watch_windows();
        if self.storms() {
            return ControlFlow::Break(());
        }
        let now_ns = self.world.now_ns();
        match self.phase {
            Phase::Safety if now_ns >= self.setting.stop_at_ns => self.heal(now_ns),
            Phase::Healing => return self.watch_healing(now_ns),
            Phase::Reading => return self.watch_reading(now_ns),
            Phase::Safety => {}
        }
        ControlFlow::Continue(())
    }

    /// Every topic, with the groups that consume it.
    pub(super) fn topics(&self) -> Vec<(String, Vec<String>)> {
        let mut topics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for workload in &self.scenario.workloads {
            let groups = topics.entry(workload.topic().to_owned()).or_default();
            if let Some(consume) = workload.consumers() {
                groups.insert(consume.group.clone());
            }
        }
        topics.entry(self.probe_topic().to_owned()).or_default();
        topics
            .into_iter()
            .map(|(topic, groups)| (topic, groups.into_iter().collect()))
            .collect()
    }

    /// Where the probe sends to: who gives a red packet for every message of a
    /// topic is not to be sent others there.
    pub(super) fn probe_topic(&self) -> &'a str {
        let workloads = &self.scenario.workloads;
        let first = workloads.iter().map(Workload::topic).min();
        match self.scenario.producer_groups().is_empty() {
            true => first.expect("a scenario has a workload"),
            false => "probes",
        }
    }

    /// Sends begun and not ended.
    pub(super) fn sends_in_flight(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| client.progress.in_flight())
            .sum()
    }

    fn storms(&mut self) -> bool {
        let now_ns = self.world.now_ns();
        let events = self.world.agenda_events();
        let (since_ns, before) = self.second;
        if now_ns - since_ns < SECOND_NS {
            return false;
        }
        self.second = (now_ns, events);
        let stormed = events - before > self.scenario.run.events_per_s_max;
        if stormed {
            self.ending = Ending::Storm {
                at_ns: now_ns,
                event: events,
                events_per_s: events - before,
            };
        }
        stormed
    }

    /// How the run ended where the driver gave up.
    pub(super) fn storm(&self) -> Ending {
        let event = self.world.agenda_events();
        Ending::Storm {
            at_ns: self.world.now_ns(),
            event,
            events_per_s: event,
        }
    }

    /// More events than any run within its budget can have.
    pub(super) fn events_max(&self) -> u64 {
        let seconds = self.scenario.run.duration_ms / 1_000 + 4 * self.bound_ns() / SECOND_NS + 120;
        self.scenario.run.events_per_s_max.saturating_mul(seconds)
    }

    pub(super) fn bound_ns(&self) -> u64 {
        self.scenario.expect.converge_within_ms * MS_NS
    }

    /// Ends every process, and lets what they held go: a runtime that is dropped
    /// with live tasks leaks them.
    pub(super) async fn end(&mut self) {
        for machine in &mut self.machines {
            machine.kill(&self.handle);
        }
        for client in &mut self.clients {
            client.kill(&self.handle);
        }
        self.dismiss_admin();
        self.show_stranger_out();
        self.probe.kill(&self.handle);
        self.last_reader.kill(&self.handle);
        madsim::time::sleep(Duration::from_millis(5)).await;
    }
}
