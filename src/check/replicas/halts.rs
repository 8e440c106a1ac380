//! Halted (D16): "needless halts are a broken promise, too" (guarantee.md, section
//! 3). A replica that tells its operator that no majority of disks is left names
//! blank disks, and there are too many of them.
//!
//! One of three replicas says that it has halted, for the disks of the two others are blank:
//!
//! ```
//! use zeroloss::check::replicas::halts::{Announced, Halt, check};
//! use zeroloss::check::replicas::{Replica, Seats};
//!
//! let seats = Seats((0..3).map(|node| (node, Some(9))).collect());
//! let halt = Halt {
//!     replica: Replica { node: 0, disk: 9 },
//!     at_ns: 5_000_000_000,
//!     named: &[1, 2],
//!     seats: Some(&seats),
//!     heard: None,
//! };
//! let blank = |_node| Some(Announced { disk: 77, at_ns: 4_000_000_000 });
//! assert_eq!(check(&halt, blank), None);
//!
//! // One blank disk is none too many: two of three are a majority.
//! let needless = check(&Halt { named: &[2], ..halt }, blank).unwrap();
//! assert!(needless.lines[0].ends_with("[2] are blank: that leaves a majority of 3"));
//! ```

use super::Broken;
use super::fact::{Replica, Seats};
use crate::check::{At, Promise};

/// For so long, nanoseconds, a disk may count as blank that once said it was: others
/// may have filled it where that cannot be seen.
const STALE_NS: u64 = 10_000_000_000;

/// A blank disk said so.
#[derive(Debug, Clone, Copy)]
pub struct Announced {
    /// The disk.
    pub disk: u64,
    /// When.
    pub at_ns: u64,
}

/// The words of a replica that halts.
pub struct Halt<'a> {
    /// The replica.
    pub replica: Replica,
    /// When.
    pub at_ns: u64,
    /// The nodes whose disks it calls blank.
    pub named: &'a [u32],
    /// The newest configuration in its own log; `None`: it is blank itself.
    pub seats: Option<&'a Seats>,
    /// The leader that it hears, of its own term or a later one, and that term.
    pub heard: Option<(u32, u64)>,
}

/// Whether all that it names are blank, by what it can know, and too many; and nobody
/// leads, for a leader has a majority or steps down.
pub fn check(halt: &Halt<'_>, announced: impl Fn(u32) -> Option<Announced>) -> Option<Broken> {
    let (replica, named) = (halt.replica, halt.named);
    let whole = named
        .iter()
        .find_map(|node| why_whole(halt, *node, announced(*node)));
    let too_few = halt.seats.filter(|seats| {
        let gone = named.iter().filter(|node| seats.0.contains_key(node));
        seats.0.len() - gone.count() >= seats.quorum()
    });
    let led = halt.heard;
    let led = led.map(|(leader, term)| format!("it hears b{leader} lead term {term}"));
    let too_few = too_few.map(|seats| format!("that leaves a majority of {}", seats.0.len()));
    let why = whole.or(too_few).or(led)?;
    let line = format!("{replica} says that it has halted, for {named:?} are blank: {why}");
    Some(Broken::new(Promise::Liveness, line))
}

/// Why a node is not to be called blank.
fn why_whole(halt: &Halt<'_>, node: u32, announced: Option<Announced>) -> Option<String> {
    let seat = halt.seats.and_then(|seats| seats.0.get(&node));
    if node == halt.replica.node && halt.seats.is_none() || seat == Some(&None) {
        return None;
    }
    let Some(announced) = announced else {
        return Some(format!("b{node} never said so"));
    };
    if seat == Some(&Some(announced.disk)) {
        return Some(format!("b{node} has a vote in its own log"));
    }
    (announced.at_ns + STALE_NS < halt.at_ns)
        .then(|| format!("b{node} last said so at {}", At(announced.at_ns)))
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    /// Three of three; b2, and b1, got new disks.
    const BEGIN: &str = "write 0 1.1=0:0,1:0,2:0; sync 0 1; destroy 2; disk 2 9; destroy 1;
                         disk 1 8;";

    #[test]
    fn a_halt_that_names_two_blank_disks_of_three_is_right() {
        let both = format!("{BEGIN} blank 2 9; blank 1 8; halt 0 1 2");
        assert_eq!(findings(&both), "");
        let replaced = format!("{BEGIN} write 0 2.1=0:0,1:0,2:-; blank 1 8; halt 0 1 2");
        assert_eq!(findings(&replaced), "");
        assert_eq!(findings(&format!("{BEGIN} blank 2 9; halt 1 1 2")), "");
    }

    #[test]
    fn a_replica_knows_a_configuration_before_it_has_written_it() {
        let log = "1.1=0:0,1:0,2:0 2.1=0:0,1:-,2:0";
        let other = format!("{BEGIN} write 1 {log}; blank 2 9;");
        assert_eq!(findings(&format!("{other} halt 0 1 2 by 2")), "");
        assert!(findings(&format!("{other} halt 0 1 2 by 3")).contains("b1 never said so"));
        assert!(findings(&format!("{other} halt 0 1 2")).contains("b1 never said so"));
    }

    #[test]
    fn nobody_has_halted_who_hears_a_leader() {
        let both = format!("{BEGIN} hard 0 3; blank 2 9; blank 1 8; halt 0 1 2");
        assert!(findings(&format!("{both} hears 2 3")).contains("it hears b2 lead term 3"));
        assert_eq!(findings(&format!("{both} hears 2 2")), "", "an old one");
    }

    #[test]
    fn a_halt_that_names_too_few_or_whole_ones_is_not() {
        let one = format!("{BEGIN} blank 2 9; halt 0 2");
        assert!(findings(&one).contains("leaves a majority of 3"));
        let silent = format!("{BEGIN} blank 2 9; halt 0 1 2");
        assert!(findings(&silent).contains("b1 never said so"));
        let promoted = "write 0 2.1=0:0,1:0,2:9";
        let promoted = format!("{BEGIN} blank 2 9; blank 1 8; {promoted}; halt 0 1 2");
        assert!(findings(&promoted).contains("b2 has a vote in its own log"));
        let wait = "believe 0 1;".repeat(12);
        let stale = format!("{BEGIN} blank 2 9; {wait} blank 1 8; halt 0 1 2");
        insta::assert_snapshot!(
            findings(&stale),
            @"liveness: b0 says that it has halted, for [1, 2] are blank: b2 last said so at 7.000s"
        );
    }
}
