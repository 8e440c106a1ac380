//! Judgements of survivors by people, in a file that no measurement writes
//! (`sim-tests/mutants/judged.toml`).
//!
//! A survivor is named by its place and its text, without its line, which moves:
//!
//! ```
//! use sim_tests::mutants::judged::{Judged, Judgement, Key};
//!
//! let judged = Judged::parse(r#"
//! [[survivor]]
//! module = "log/segment"
//! function = "Segment::roll"
//! description = "`a < b` → `a <= b`"
//! judgement = "equivalent"
//! why = "They are never equal: a is even, b is odd."
//! "#)?;
//! let key = Key::new("log/segment", "Segment::roll", "`a < b` → `a <= b`");
//! assert_eq!(judged.of(&key).map(|it| it.judgement), Some(Judgement::Equivalent));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The kind of a survivor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// No run can tell it from the product.
    Equivalent,
    /// No run comes to where it matters.
    Hole,
    /// Runs come there, and no check looks.
    MissingCheck,
}

impl Judgement {
    /// The word in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::Hole => "hole in reach",
            Self::MissingCheck => "missing check",
        }
    }
}

/// The name of a mutant that outlives its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The file below `src/product`, without its ending; `patch` of one written by hand.
    pub module: String,
    /// The function; the id of one written by hand.
    pub function: String,
    /// The old and the new text; of one written by hand the promise that it breaks.
    pub description: String,
}

impl Key {
    /// A name.
    #[must_use]
    pub fn new(module: &str, function: &str, description: &str) -> Self {
        Self {
            module: module.to_owned(),
            function: function.to_owned(),
            description: description.to_owned(),
        }
    }
}

/// The judgement of a survivor, and its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasoned {
    /// Its kind.
    pub judgement: Judgement,
    /// The reason.
    pub why: String,
}

/// All judgements.
#[derive(Debug, Default)]
pub struct Judged(BTreeMap<Key, Reasoned>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    module: String,
    function: String,
    description: String,
    judgement: Judgement,
    why: String,
}

/// Entries for survivors that nobody has judged, to be filled in. Without a reason they are
/// refused.
///
/// # Errors
/// None that a name meets: all of it is plain text.
pub fn to_fill_in<'a>(keys: impl IntoIterator<Item = &'a Key>) -> io::Result<String> {
    let survivor = |key: &Key| Survivor {
        module: key.module.clone(),
        function: key.function.clone(),
        description: key.description.clone(),
        judgement: Judgement::Hole,
        why: String::new(),
    };
    let survivor: Vec<_> = keys.into_iter().map(survivor).collect();
    match survivor.is_empty() {
        true => Ok(String::new()),
        false => toml::to_string(&Page { survivor }).map_err(io::Error::other),
    }
}

impl Judged {
    /// The judgements in that file; none where it is not there.
    ///
    /// # Errors
    /// It cannot be read, or makes no sense.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let named = |why| io::Error::other(format!("{}: {why}", path.display()));
        Self::parse(&text).map_err(named)
    }

    /// Reads such a file's text.
    ///
    /// # Errors
    /// A key is unknown or missing, a survivor has no reason or is there twice.
    pub fn parse(text: &str) -> io::Result<Self> {
        let page: Page = toml::from_str(text).map_err(io::Error::other)?;
        let mut judged = BTreeMap::new();
        for it in page.survivor {
            let key = Key::new(&it.module, &it.function, &it.description);
            let shown = format!("{} {}: {}", key.module, key.function, key.description);
            if it.why.trim().is_empty() {
                return Err(io::Error::other(format!("no reason is given for {shown}")));
            }
            let Survivor { judgement, why, .. } = it;
            if judged.insert(key, Reasoned { judgement, why }).is_some() {
                return Err(io::Error::other(format!("{shown} is there twice")));
            }
        }
        Ok(Self(judged))
    }

    /// Finds the judgement of a survivor.
    #[must_use]
    pub fn of(&self, key: &Key) -> Option<&Reasoned> {
        self.0.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Judged, Key, to_fill_in};

    /// An entry that got its reason is read again, whatever stands in the text.
    #[test]
    fn entries_to_fill_in_are_of_the_file_s_form() {
        let key = Key::new("log/a", "f", "`\"a\\n\" | b` → `'c'` (2)");
        let text = to_fill_in([&key]).expect("plain text");
        let refused = Judged::parse(&text).expect_err("no reason").to_string();
        assert!(refused.contains("no reason"), "{refused}");
        let judged = Judged::parse(&text.replace("why = \"\"", "why = \"since\""));
        assert!(judged.expect("it is whole").of(&key).is_some());
        assert_eq!(to_fill_in([]).expect("no text"), "");
    }

    #[test]
    fn a_judgement_has_a_reason_and_stands_once() {
        let survivor = "[[survivor]]\nmodule = \"log/a\"\nfunction = \"f\"\ndescription = \"d\"\n\
                        judgement = \"hole\"\nwhy = \"Nobody goes there.\"\n";
        let said = |text: &str| Judged::parse(text).expect_err("refused").to_string();
        assert!(Judged::parse(survivor).is_ok());
        assert!(said(&format!("{survivor}{survivor}")).contains("twice"));
        assert!(said(&survivor.replace("Nobody goes there.", " ")).contains("no reason"));
        assert!(said(&survivor.replace("\"hole\"", "\"fine\"")).contains("fine"));
        assert!(said(&survivor.replace("why", "since")).contains("since"));
    }
}
