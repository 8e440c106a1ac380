//! One replica alone: a test says what it hears, and sees what it does.

use crate::raft::{
    Append, AppendAnswer, Configuration, EntryHead, EntryId, HardState, Input, LogView, Message,
    Output, Raft, ReplicaId, Role, Settings, Start, UncertainTail, Unreadable,
};

pub(super) const fn replica(node: u64) -> ReplicaId {
    ReplicaId {
        node,
        disk: 10 + node,
    }
}

pub(super) fn id(index: u64, term: u64) -> EntryId {
    EntryId { term, index }
}

/// Node 0 of `n`, whose durable log has entries of these terms, in term 5.
pub(super) struct Lone {
    pub(super) raft: Raft,
    pub(super) now_ns: u64,
}

impl Lone {
    pub(super) fn new(n: u64, terms: &[u64], uncertain_tail: Option<UncertainTail>) -> Self {
        Self::with(Settings::default(), n, terms, uncertain_tail)
    }

    pub(super) fn with(
        settings: Settings,
        n: u64,
        terms: &[u64],
        uncertain_tail: Option<UncertainTail>,
    ) -> Self {
        let configuration = Configuration::of_voters((0..n).map(replica));
        Self::of(settings, configuration, terms, uncertain_tail)
    }

    pub(super) fn of(
        settings: Settings,
        configuration: Configuration,
        terms: &[u64],
        uncertain_tail: Option<UncertainTail>,
    ) -> Self {
        Self::holed(settings, configuration, terms, uncertain_tail, Vec::new())
    }

    pub(super) fn holed(
        settings: Settings,
        configuration: Configuration,
        terms: &[u64],
        uncertain_tail: Option<UncertainTail>,
        holes: Vec<Unreadable>,
    ) -> Self {
        let peers = configuration.members().map(|it| it.node).collect();
        let mut log = LogView::new(EntryId::ZERO, Vec::new(), 0);
        for (at, term) in terms.iter().enumerate() {
            log.push(id(at as u64 + 1, *term));
        }
        let hard = HardState {
            term: 5,
            vote: None,
            uncertain_tail,
        };
        let raft = Raft::new(Start {
            me: replica(0),
            settings,
            hard,
            durable_index: log.last().index,
            log,
            configurations: vec![(0, configuration)],
            commit_index: 0,
            holes,
            peers,
            now_ns: 0,
            entropy: 1,
        });
        Self { raft, now_ns: 0 }
    }

    /// The leader of term 6 of three, with its no-op durable here alone.
    pub(super) fn leading(terms: &[u64]) -> Self {
        let mut lone = Self::new(3, terms, None);
        lone.wait();
        let next_term = 6;
        let granted = true;
        lone.hear(1, 5, Message::PreVoteAnswer { next_term, granted });
        lone.hear(1, 6, Message::VoteAnswer { granted });
        assert_eq!(lone.raft.role(), Role::Leader);
        lone
    }

    pub(super) fn wait(&mut self) -> Vec<Output> {
        self.now_ns = self.raft.deadline_ns();
        self.step(Input::Timeout)
    }

    pub(super) fn hear(&mut self, from: u64, term: u64, message: Message) -> Vec<Output> {
        let from = replica(from);
        self.step(Input::Message {
            from,
            term,
            message,
        })
    }

    /// Steps, with a disk that is done at once.
    pub(super) fn step(&mut self, input: Input) -> Vec<Output> {
        self.raft.step(self.now_ns, input);
        let mut outputs = Vec::new();
        while let Some(output) = self.raft.next_output() {
            let done = match &output {
                Output::SaveHardState(hard) => Some(Input::HardStateSaved(*hard)),
                Output::AppendNoOp { term } => Some(self.proposed(*term, None)),
                Output::AppendConfiguration {
                    term,
                    configuration,
                } => Some(self.proposed(*term, Some(configuration.clone()))),
                _ => None,
            };
            outputs.push(output);
            if let Some(done) = done {
                self.raft.step(self.now_ns, done);
            }
        }
        outputs
    }

    pub(super) fn proposed(&self, term: u64, configuration: Option<Configuration>) -> Input {
        let id = id(self.raft.last().index + 1, term);
        Input::Proposed(EntryHead { id, configuration })
    }

    pub(super) fn append(
        &mut self,
        term: u64,
        prev: EntryId,
        entries: &[EntryId],
        commit: u64,
    ) -> Vec<Output> {
        let heads = entries.iter().copied().map(EntryHead::from).collect();
        let append = Append {
            request: 1,
            prev,
            commit_index: commit,
            heads,
        };
        self.hear(1, term, Message::Append(append))
    }

    /// The leader of term 5 adds a configuration behind entry 1 of term 1.
    pub(super) fn append_configuration(&mut self, configuration: Configuration) {
        let head = EntryHead {
            id: id(2, 5),
            configuration: Some(configuration),
        };
        let append = Append {
            request: 1,
            prev: id(1, 1),
            commit_index: 0,
            heads: vec![head],
        };
        self.hear(1, 5, Message::Append(append));
    }

    /// A leader of `term` is heard; its entries come once the term is saved.
    pub(super) fn enter(&mut self, term: u64) {
        let outputs = self.append(term, EntryId::ZERO, &[], 0);
        assert!(!answer(&outputs).accepted);
    }

    pub(super) fn durable(&mut self, id: EntryId) -> Vec<Output> {
        self.step(Input::Durable(id))
    }
}

pub(super) fn answer(outputs: &[Output]) -> AppendAnswer {
    let mut answers = outputs.iter().filter_map(|output| match output {
        Output::Send {
            message: Message::AppendAnswer(answer),
            ..
        } => Some(*answer),
        _ => None,
    });
    answers.next_back().expect("an answer")
}

pub(super) fn granted(outputs: &[Output]) -> Option<bool> {
    outputs.iter().find_map(|output| match output {
        Output::Send {
            message: Message::VoteAnswer { granted } | Message::PreVoteAnswer { granted, .. },
            ..
        } => Some(*granted),
        _ => None,
    })
}

pub(super) fn asked(outputs: &[Output]) -> Option<u64> {
    outputs.iter().find_map(|output| match output {
        Output::Send {
            message: Message::Ask { request, .. },
            ..
        } => Some(*request),
        _ => None,
    })
}

pub(super) fn accepted(request: u64, matched_index: u64) -> Message {
    Message::AppendAnswer(AppendAnswer {
        request,
        accepted: true,
        matched_index,
        last_index: matched_index,
        hint: EntryId::ZERO,
        is_uncertain: false,
    })
}
