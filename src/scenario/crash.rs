//! A crash point as data: at which boundaries between disk operations who dies,
//! and what each of their disks keeps.
//!
//! ```text
//!   118:b0=prefix-3,b2=none            power, at boundary 118, of two brokers
//!   57:b0=kill/80:b0=none              a kill, and later the power
//! ```

use std::fmt;
use std::str::FromStr;

/// The crashes of one run, in the order of their boundaries. None: the run as the
/// scenario has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrashPoint {
    /// See [`BoundaryCrash`].
    pub crashes: Vec<BoundaryCrash>,
}

impl CrashPoint {
    /// This point, and one crash more.
    #[must_use]
    pub fn then(&self, crash: BoundaryCrash) -> Self {
        let mut crashes = self.crashes.clone();
        crashes.push(crash);
        Self { crashes }
    }
}

/// Crashes at one instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoundaryCrash {
    /// The boundary at which it falls: how many came before it in the run.
    pub boundary: u64,
    /// The brokers by number, and the crash of each. At least one.
    pub victims: Vec<(u32, Fate)>,
}

/// The kind of crash of one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Its process is killed; the page cache stays.
    Kill,
    /// Its machine loses power.
    Power(Kept),
}

/// The part that a power loss leaves of pending writes (guarantee.md, section 4). A
/// number tells apart several draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// The first so many pieces, in the order of the operations.
    Prefix(u32),
    /// Every size and name, and no data.
    NoData,
    /// All data and names, and no size.
    NoSize,
    /// Some of the pieces.
    Subset(u32),
    /// Some of the pieces, and some of these torn.
    Torn(u32),
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, crash) in self.crashes.iter().enumerate() {
            let separator = if number > 0 { "/" } else { "" };
            write!(f, "{separator}{crash}")?;
        }
        Ok(())
    }
}

impl fmt::Display for BoundaryCrash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = ':';
        write!(f, "{}", self.boundary)?;
        for (node, fate) in &self.victims {
            write!(f, "{separator}b{node}={fate}")?;
            separator = ',';
        }
        Ok(())
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Power(Kept::None) => f.write_str("none"),
            Self::Power(Kept::All) => f.write_str("all"),
            Self::Power(Kept::NoData) => f.write_str("no-data"),
            Self::Power(Kept::NoSize) => f.write_str("no-size"),
            Self::Power(Kept::Prefix(pieces)) => write!(f, "prefix-{pieces}"),
            Self::Power(Kept::Subset(draw)) => write!(f, "subset-{draw}"),
            Self::Power(Kept::Torn(draw)) => write!(f, "torn-{draw}"),
        }
    }
}

/// A text that is no crash point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no crash point: give BOUNDARY:bN=FATE,… as a sweep prints it")]
pub struct NoCrashPoint(String);

impl FromStr for CrashPoint {
    type Err = NoCrashPoint;

    fn from_str(text: &str) -> Result<Self, NoCrashPoint> {
        let crashes: Option<Vec<BoundaryCrash>> = text.split('/').map(crash).collect();
        let in_order =
            |crashes: &Vec<BoundaryCrash>| crashes.is_sorted_by(|a, b| a.boundary < b.boundary);
        let crashes = crashes.filter(in_order);
        let crashes = crashes.ok_or_else(|| NoCrashPoint(text.to_owned()))?;
        Ok(Self { crashes })
    }
}

fn crash(text: &str) -> Option<BoundaryCrash> {
    let (boundary, victims) = text.split_once(':')?;
    let victims: Option<Vec<_>> = victims.split(',').map(victim).collect();
    let victims = victims.filter(|victims| victims.is_sorted_by(|a, b| a.0 < b.0))?;
    Some(BoundaryCrash {
        boundary: boundary.parse().ok()?,
        victims,
    })
}

fn victim(text: &str) -> Option<(u32, Fate)> {
    let (node, fate) = text.strip_prefix('b')?.split_once('=')?;
    Some((node.parse().ok()?, self::fate(fate)?))
}

fn fate(text: &str) -> Option<Fate> {
    let kept = match text {
        "kill" => return Some(Fate::Kill),
        "none" => Kept::None,
        "all" => Kept::All,
        "no-data" => Kept::NoData,
        "no-size" => Kept::NoSize,
        _ => {
            let (mode, number) = text.split_once('-')?;
            let number = number.parse().ok()?;
            match mode {
                "prefix" => Kept::Prefix(number),
                "subset" => Kept::Subset(number),
                "torn" => Kept::Torn(number),
                _ => return None,
            }
        }
    };
    Some(Fate::Power(kept))
}

#[cfg(test)]
mod tests {
    use super::CrashPoint;

    #[test]
    fn a_point_reads_as_it_is_written() {
        for text in [
            "118:b0=prefix-3,b2=none",
            "57:b0=kill/80:b0=all,b1=no-data,b2=no-size",
            "3:b1=subset-7,b2=torn-0",
        ] {
            let point: CrashPoint = text.parse().expect("well written");
            assert_eq!(point.to_string(), text);
        }
    }

    #[test]
    fn text_that_is_no_crash_point_is_refused() {
        for text in [
            "",
            "12",
            "12:",
            "x:b0=none",
            "12:0=none",
            "12:b0=some",
            "12:b0=prefix-",
            "12:b1=none,b0=none",
            "12:b0=none/12:b0=none",
        ] {
            let error = text.parse::<CrashPoint>().expect_err(text);
            assert!(
                error.to_string().starts_with(&format!("`{text}`")),
                "{error}"
            );
        }
    }
}
