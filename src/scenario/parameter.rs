//! The parameters of fault actions: each is read from a file, drawn by a seed, and
//! written into a plan. A drawn one is the same type with nothing left to draw.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Value;

use super::random::Stream;
use super::read::{Key, MS, Problem, Table, shown};
use super::{
    Between, CutDirection, CutLinks, DiskVerb, FileClass, PartitionShape, Refusal, RotForm,
    StrayContent, StrayName, Survival, SyncErrorCache, SyncForm,
};

const NS_PER_MS: u64 = 1_000_000;
/// The word for what each fault draws anew.
const RANDOM: &str = "random";

/// The unit of times in a file: milliseconds in scenarios, nanoseconds in plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Ms,
    Ns,
}

/// A value of a fault action.
pub(super) trait Parameter: Sized {
    /// The facts that a row gives beside the type: its default and its bounds.
    type Rule;

    /// The key, of those that the row's name makes: without a unit, and in each.
    fn key(_unit: Unit, plain: &'static str, _ms: &'static str, _ns: &'static str) -> &'static str {
        plain
    }

    fn read(table: &Table<'_>, key: &str, rule: Self::Rule, unit: Unit) -> Result<Self, Problem>;

    /// With nothing left to draw.
    fn drawn(&self, stream: &mut Stream) -> Self;

    fn is_drawn(&self) -> bool;

    /// The value in a plan; `None`: left out.
    fn written(&self) -> Option<Value>;

    /// Whether it leaves nothing of its action to the hit's draw.
    fn decides_all(&self) -> bool {
        false
    }
}

/// A stretch of time, or the range that it is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    low_ns: u64,
    high_ns: u64,
}

impl Span {
    /// The time, nanoseconds.
    ///
    /// # Panics
    ///
    /// A range is left to be drawn from.
    pub fn ns(self) -> u64 {
        assert_eq!(self.low_ns, self.high_ns, "a plan has drawn it");
        self.low_ns
    }

    pub(super) fn of_ms(range: Between) -> Self {
        Self {
            low_ns: range.low * NS_PER_MS,
            high_ns: range.high * NS_PER_MS,
        }
    }
}

impl Parameter for Span {
    /// The range where nothing is said, milliseconds.
    type Rule = (u64, u64);

    fn key(unit: Unit, _: &'static str, ms: &'static str, ns: &'static str) -> &'static str {
        match unit {
            Unit::Ms => ms,
            Unit::Ns => ns,
        }
    }

    fn read(
        table: &Table<'_>,
        key: &str,
        default: (u64, u64),
        unit: Unit,
    ) -> Result<Self, Problem> {
        match unit {
            Unit::Ms => Ok(Self::of_ms(table.between(key, 1..MS.end, default)?)),
            Unit::Ns => {
                let Between { low, high } = table.require(key)?.between(0..MS.end * NS_PER_MS)?;
                Ok(Self {
                    low_ns: low,
                    high_ns: high,
                })
            }
        }
    }

    fn drawn(&self, stream: &mut Stream) -> Self {
        let ns = stream.between(self.low_ns, self.high_ns);
        Self {
            low_ns: ns,
            high_ns: ns,
        }
    }

    fn is_drawn(&self) -> bool {
        self.low_ns == self.high_ns
    }

    fn written(&self) -> Option<Value> {
        Some(Value::Integer(self.ns() as i64))
    }
}

/// The end of an action: after a while, or a word for one that does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After that time.
    After(Span),
    /// Never by itself; the word that says so.
    Never(&'static str),
}

impl Until {
    /// The time, nanoseconds; `None`: it does not end by itself.
    pub fn ns(self) -> Option<u64> {
        match self {
            Self::After(span) => Some(span.ns()),
            Self::Never(_) => None,
        }
    }
}

impl Parameter for Until {
    /// The word for never, and the range where nothing is said, milliseconds.
    type Rule = (&'static str, (u64, u64));

    fn key(unit: Unit, plain: &'static str, ms: &'static str, ns: &'static str) -> &'static str {
        Span::key(unit, plain, ms, ns)
    }

    fn read(table: &Table<'_>, key: &str, rule: Self::Rule, unit: Unit) -> Result<Self, Problem> {
        let (never, default) = rule;
        let (low, high) = default;
        let values = format!(
            "a number or [low, high], {}, or \"{never}\"",
            shown(&(1..MS.end))
        );
        table.note(key, values, Some(format!("[{low}, {high}]")));
        match table.get(key) {
            Some(field) if field.is_string() => field.word(&[(never, Self::Never(never))]),
            _ => Span::read(table, key, default, unit).map(Self::After),
        }
    }

    fn drawn(&self, stream: &mut Stream) -> Self {
        match self {
            Self::After(span) => Self::After(span.drawn(stream)),
            Self::Never(word) => Self::Never(word),
        }
    }

    fn is_drawn(&self) -> bool {
        match self {
            Self::After(span) => span.is_drawn(),
            Self::Never(_) => true,
        }
    }

    fn written(&self) -> Option<Value> {
        match self {
            Self::After(span) => span.written(),
            Self::Never(word) => Some(Value::String((*word).to_owned())),
        }
    }
}

impl Parameter for Between {
    /// Its bounds, and the range where nothing is said.
    type Rule = (Range<u64>, (u64, u64));

    fn read(table: &Table<'_>, key: &str, rule: Self::Rule, _: Unit) -> Result<Self, Problem> {
        table.between(key, rule.0, rule.1)
    }

    fn drawn(&self, stream: &mut Stream) -> Self {
        let number = self.draw(stream);
        Self {
            low: number,
            high: number,
        }
    }

    fn is_drawn(&self) -> bool {
        self.low == self.high
    }

    fn written(&self) -> Option<Value> {
        Some(Value::Integer(self.low as i64))
    }
}

/// A number that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maybe(Option<Between>);

impl Maybe {
    /// The number; 0 where it is left out.
    pub fn or_0(self) -> u64 {
        self.0.map_or(0, |number| number.low)
    }
}

impl Parameter for Maybe {
    /// Its bounds.
    type Rule = Range<u64>;

    fn read(table: &Table<'_>, key: &str, bounds: Range<u64>, _: Unit) -> Result<Self, Problem> {
        table.maybe_between(key, bounds).map(Self)
    }

    fn drawn(&self, stream: &mut Stream) -> Self {
        Self(self.0.map(|number| number.drawn(stream)))
    }

    fn is_drawn(&self) -> bool {
        self.0.is_none_or(|number| number.is_drawn())
    }

    fn written(&self) -> Option<Value> {
        self.0.and_then(|number| number.written())
    }
}

/// A type of which scenario files have words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// All of them, in the order of draws.
    fn words() -> Vec<(&'static str, Self)>;
}

macro_rules! words {
    ($($type:ty: $all:expr;)*) => {
        $(impl Word for $type {
            fn words() -> Vec<(&'static str, Self)> {
                $all
            }
        })*
    };
}

words! {
    Survival: Survival::ALL.map(|it| (it.name(), it)).to_vec();
    SyncForm: SyncForm::ALL.map(|it| (it.name(), it)).to_vec();
    RotForm: RotForm::ALL.map(|it| (it.name(), it)).to_vec();
    StrayName: StrayName::ALL.to_vec();
    StrayContent: StrayContent::ALL.to_vec();
    Refusal: Refusal::ALL.to_vec();
    DiskVerb: DiskVerb::ALL.to_vec();
    SyncErrorCache: vec![("keeps", Self::Keeps), ("reverts", Self::Reverts)];
    CutDirection: vec![
        ("both", Self::Both),
        ("inbound", Self::Inbound),
        ("outbound", Self::Outbound),
    ];
    PartitionShape: vec![
        ("isolate", Self::Isolate),
        ("split", Self::Split),
        ("bridge", Self::Bridge),
    ];
    CutLinks: vec![
        ("all", Self::All),
        ("brokers", Self::Brokers),
        ("clients", Self::Clients),
    ];
}

fn word_of<T: Word>(value: T) -> &'static str {
    let words = T::words();
    let found = words.iter().find(|(_, meaning)| *meaning == value);
    found.expect("each has a word").0
}

/// One of several words, or one that each fault draws anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<T>(Option<T>);

impl<T: Copy> Choice<T> {
    /// The one chosen.
    ///
    /// # Panics
    ///
    /// It is left to be drawn.
    pub fn get(self) -> T {
        self.0.expect("a plan has drawn it")
    }

    /// The one chosen; `None`: it is left to be drawn.
    pub fn chosen(self) -> Option<T> {
        self.0
    }
}

impl<T> From<T> for Choice<T> {
    fn from(value: T) -> Self {
        Self(Some(value))
    }
}

/// The meaning of a word that is left out.
pub(super) enum LeftOut<T> {
    /// It is drawn.
    Drawn,
    /// It is this one; `"random"` is drawn.
    This(T),
    /// It is this one, and none is ever drawn.
    Only(T),
}

impl<T: Word> Parameter for Choice<T> {
    type Rule = LeftOut<T>;

    fn read(table: &Table<'_>, key: &str, rule: LeftOut<T>, unit: Unit) -> Result<Self, Problem> {
        let (default, may_be_drawn) = match rule {
            LeftOut::Drawn => (None, true),
            LeftOut::This(value) => (Some(value), true),
            LeftOut::Only(value) => (Some(value), false),
        };
        let mut choices = Vec::new();
        if may_be_drawn && unit == Unit::Ms {
            choices.push((RANDOM, None));
        }
        choices.extend(T::words().into_iter().map(|(word, it)| (word, Some(it))));
        table.word(key, &choices, default).map(Self)
    }

    fn drawn(&self, stream: &mut Stream) -> Self {
        let drawn = || pick(&T::words(), stream).1;
        Self(Some(self.0.unwrap_or_else(drawn)))
    }

    fn is_drawn(&self) -> bool {
        self.0.is_some()
    }

    fn written(&self) -> Option<Value> {
        Some(Value::String(word_of(self.get()).to_owned()))
    }
}

/// One of two ways, forward or back; or drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    words: [&'static str; 2],
    is_first: Option<bool>,
}

impl Way {
    /// So much, forward or back.
    ///
    /// # Panics
    ///
    /// It is left to be drawn.
    pub fn signed(self, amount: u64) -> i64 {
        match self.is_first.expect("a plan has drawn it") {
            true => amount as i64,
            false => -(amount as i64),
        }
    }
}

impl Parameter for Way {
    /// The words: forward, back.
    type Rule = [&'static str; 2];

    fn read(table: &Table<'_>, key: &str, words: Self::Rule, unit: Unit) -> Result<Self, Problem> {
        let mut choices = vec![(words[0], Some(true)), (words[1], Some(false))];
        if unit == Unit::Ms {
            choices.insert(0, (RANDOM, None));
        }
        let is_first = table.word(key, &choices, None)?;
        Ok(Self { words, is_first })
    }

    fn drawn(&self, stream: &mut Stream) -> Self {
        let drawn = || pick(&[true, false], stream);
        Self {
            is_first: Some(self.is_first.unwrap_or_else(drawn)),
            ..*self
        }
    }

    fn is_drawn(&self) -> bool {
        self.is_first.is_some()
    }

    fn written(&self) -> Option<Value> {
        let [forward, back] = self.words;
        let word = if self.is_first? { forward } else { back };
        Some(Value::String(word.to_owned()))
    }
}

/// The classes that a draw takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Files that are synced.
    Files,
    /// Files, and the headers of segments: they have sectors, and no sync of their own.
    Sectors,
    /// As files; half of the time any file is meant.
    AnyOrFiles,
}

/// A class of files, or one that each fault draws anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    among: Among,
    class: Option<FileClass>,
}

impl Files {
    /// The class.
    ///
    /// # Panics
    ///
    /// It is left to be drawn.
    pub fn class(self) -> FileClass {
        self.class.expect("a plan has drawn it")
    }
}

impl Parameter for Files {
    type Rule = Among;

    fn read(table: &Table<'_>, key: &str, among: Among, unit: Unit) -> Result<Self, Problem> {
        let default = match among {
            Among::Files | Among::Sectors => FileClass::CommitLog,
            Among::AnyOrFiles => FileClass::Any,
        };
        let fits =
            |class: &FileClass| among == Among::Sectors || *class != FileClass::SegmentHeader;
        let mut words = Vec::new();
        if unit == Unit::Ms {
            words.push((RANDOM, None));
        }
        let classes = FileClass::ALL.into_iter().filter(fits);
        words.extend(classes.map(|class| (class.name(), Some(class))));
        let class = table.word(key, &words, Some(default))?;
        Ok(Self { among, class })
    }

    /// Half of all faults strike the commit log, which holds what was acknowledged; the
    /// others are shared among all other classes, but for the ages, which only expiry
    /// makes, and refusals, which hardly any run has.
    fn drawn(&self, stream: &mut Stream) -> Self {
        let drawn = || {
            if self.among == Among::AnyOrFiles && stream.below(2) == 0 {
                return FileClass::Any;
            }
            if stream.below(2) == 0 {
                return FileClass::CommitLog;
            }
            let apart = |file: &FileClass| match file {
                FileClass::CommitLog
                | FileClass::Ages
                | FileClass::Quarantined
                | FileClass::Any => false,
                FileClass::SegmentHeader => self.among == Among::Sectors,
                _ => true,
            };
            let others: Vec<FileClass> = FileClass::ALL.into_iter().filter(apart).collect();
            pick(&others, stream)
        };
        Self {
            class: Some(self.class.unwrap_or_else(drawn)),
            ..*self
        }
    }

    fn is_drawn(&self) -> bool {
        self.class.is_some()
    }

    fn written(&self) -> Option<Value> {
        Some(Value::String(self.class().name().to_owned()))
    }
}

/// The part that a power loss leaves of writes that were not synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survivors {
    /// Each fault draws the way anew.
    Any,
    /// In this way; the pieces follow from the hit's draw.
    InThisWay(Survival),
    /// These pieces and no others. Pending pieces are counted from 0 in the order of the
    /// operations: each sector of a write, then the size where it grew, each change of a
    /// name.
    Kept(BTreeSet<usize>),
}

const KEEP_PENDING: &str = "keep_pending";
const KEPT: &[Key] = &[Key {
    name: KEEP_PENDING,
    meaning: "Exactly these pieces survive, counted from 0 in the order of the operations.",
}];

impl Parameter for Survivors {
    type Rule = ();

    fn read(table: &Table<'_>, key: &str, (): (), unit: Unit) -> Result<Self, Problem> {
        if unit == Unit::Ns
            && let Some(field) = table.get(key).filter(|field| !field.is_string())
        {
            let table = field.table("`survival`", KEPT)?;
            let kept = table.require(KEEP_PENDING)?.integers(0..1 << 40)?;
            return Ok(Self::Kept(kept.into_iter().map(|it| it as usize).collect()));
        }
        let way = Choice::read(table, key, LeftOut::Drawn, unit)?;
        Ok(way.chosen().map_or(Self::Any, Self::InThisWay))
    }

    fn drawn(&self, stream: &mut Stream) -> Self {
        match self {
            Self::Any => Self::InThisWay(pick(&Survival::ALL, stream)),
            other => other.clone(),
        }
    }

    fn is_drawn(&self) -> bool {
        *self != Self::Any
    }

    fn written(&self) -> Option<Value> {
        match self {
            Self::Any => None,
            Self::InThisWay(survival) => Some(Value::String(survival.name().to_owned())),
            Self::Kept(kept) => {
                let kept = kept.iter().map(|it| Value::Integer(*it as i64)).collect();
                let pair = (KEEP_PENDING.to_owned(), Value::Array(kept));
                Some(Value::Table([pair].into_iter().collect()))
            }
        }
    }

    fn decides_all(&self) -> bool {
        matches!(self, Self::Kept(_))
    }
}

fn pick<T: Copy>(among: &[T], stream: &mut Stream) -> T {
    among[stream.below(among.len() as u64) as usize]
}
