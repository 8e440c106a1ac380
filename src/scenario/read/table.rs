//! Strict access to a TOML table: every key is known, every value has the type
//! and the bounds that its reader states.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::key::{Key, Note, Notes, names, quoted, shown};
use super::problem::Problem;
use crate::scenario::Between;

/// A table whose keys are all known.
pub(in crate::scenario) struct Table<'a> {
    /// As a user would write it: `[cluster]`.
    pub(in crate::scenario) name: String,
    pub(in crate::scenario) span: Range<usize>,
    entries: &'a DeTable<'a>,
    notes: Option<&'a Notes>,
}

/// A key that is present.
#[derive(Clone)]
pub(in crate::scenario) struct Field<'a> {
    pub(in crate::scenario) key: String,
    pub(in crate::scenario) span: Range<usize>,
    value: &'a DeValue<'a>,
    notes: Option<&'a Notes>,
}

/// A table whose keys are not looked at yet.
#[derive(Clone)]
pub(in crate::scenario) struct Entries<'a> {
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    notes: Option<&'a Notes>,
}

impl<'a> Entries<'a> {
    /// Of a whole file, or of what it leaves out; `notes`: where it is written down what
    /// its readers ask.
    pub(super) fn new(start: usize, entries: &'a DeTable<'a>, notes: Option<&'a Notes>) -> Self {
        let span = start..start;
        Self {
            span,
            entries,
            notes,
        }
    }

    /// Takes the table as one with `keys`, and refuses any other key.
    pub(in crate::scenario) fn table(
        self,
        name: impl Into<String>,
        keys: &[Key],
    ) -> Result<Table<'a>, Problem> {
        let name = name.into();
        let mut written = self.entries.keys();
        let is_unknown = |key: &&Spanned<std::borrow::Cow<'_, str>>| {
            let name = key.get_ref();
            keys.iter().all(|known| known.name != name)
        };
        if let Some(unknown) = written.find(is_unknown) {
            return Err(unknown_key(&name, unknown, &names(keys)));
        }
        if let Some(notes) = self.notes {
            notes.meet(&name, keys);
        }
        Ok(Table {
            name,
            span: self.span,
            entries: self.entries,
            notes: self.notes,
        })
    }
}

impl<'a> Table<'a> {
    /// The value of a key, where there is one.
    pub(in crate::scenario) fn get(&self, key: &str) -> Option<Field<'a>> {
        let value = self.entries.get(key)?;
        Some(Field {
            key: key.to_owned(),
            span: value.span(),
            value: value.get_ref(),
            notes: self.notes,
        })
    }

    /// The notes of its readers.
    pub(super) fn notes(&self) -> Option<&'a Notes> {
        self.notes
    }

    /// Writes down what is taken as the value of a key, where that is asked for.
    pub(in crate::scenario) fn note(
        &self,
        key: &str,
        values: impl Into<String>,
        default: Option<String>,
    ) {
        self.write_down(key, values.into(), default, false);
    }

    /// As [`Table::note`], of a key that must be there.
    pub(super) fn note_required(&self, key: &str, values: impl Into<String>) {
        self.write_down(key, values.into(), None, true);
    }

    fn write_down(&self, key: &str, values: String, default: Option<String>, is_required: bool) {
        if let Some(notes) = self.notes {
            notes.add(Note {
                table: self.name.clone(),
                key: key.to_owned(),
                values,
                default,
                is_required,
            });
        }
    }

    /// The value of a key that must be there.
    pub(in crate::scenario) fn require(&self, key: &str) -> Result<Field<'a>, Problem> {
        self.get(key).ok_or_else(|| {
            let message = format!("{} lacks `{key}`", self.name);
            Problem::new(self.span.clone(), message, format!("`{key}` is required"))
        })
    }

    /// An integer in `bounds`, or `default`.
    pub(in crate::scenario) fn integer(
        &self,
        key: &str,
        bounds: Range<u64>,
        default: u64,
    ) -> Result<u64, Problem> {
        self.note(key, shown(&bounds), Some(default.to_string()));
        self.get(key)
            .map_or(Ok(default), |field| field.integer(bounds))
    }

    /// An integer in `bounds`, where there is one.
    pub(in crate::scenario) fn maybe_integer(
        &self,
        key: &str,
        bounds: Range<u64>,
    ) -> Result<Option<u64>, Problem> {
        self.note(key, shown(&bounds), None);
        let field = self.get(key);
        field.map(|field| field.integer(bounds)).transpose()
    }

    /// As [`Table::integer`], for counts.
    pub(in crate::scenario) fn count(&self, key: &str, default: u32) -> Result<u32, Problem> {
        let count = self.integer(key, 1..COUNT_MAX, u64::from(default))?;
        Ok(u32::try_from(count).expect("COUNT_MAX fits"))
    }

    /// An inclusive range of integers in `bounds`, or `default`.
    pub(in crate::scenario) fn between(
        &self,
        key: &str,
        bounds: Range<u64>,
        default: (u64, u64),
    ) -> Result<Between, Problem> {
        let (low, high) = default;
        let shown_default = match low == high {
            true => low.to_string(),
            false => format!("[{low}, {high}]"),
        };
        self.note(key, range_of(&bounds), Some(shown_default));
        self.get(key)
            .map_or(Ok(Between { low, high }), |field| field.between(bounds))
    }

    /// An inclusive range of integers in `bounds`, where there is one.
    pub(in crate::scenario) fn maybe_between(
        &self,
        key: &str,
        bounds: Range<u64>,
    ) -> Result<Option<Between>, Problem> {
        self.note(key, range_of(&bounds), None);
        let field = self.get(key);
        field.map(|field| field.between(bounds)).transpose()
    }

    /// An inclusive range of integers in `bounds` that must be there.
    pub(in crate::scenario) fn required_between(
        &self,
        key: &str,
        bounds: Range<u64>,
    ) -> Result<Between, Problem> {
        self.note_required(key, range_of(&bounds));
        self.require(key)?.between(bounds)
    }

    /// A list of integers in `bounds`, where there is one.
    pub(in crate::scenario) fn maybe_integers(
        &self,
        key: &str,
        bounds: Range<u64>,
    ) -> Result<Option<Vec<u64>>, Problem> {
        self.note(
            key,
            format!("a list of numbers, each {}", shown(&bounds)),
            None,
        );
        let field = self.get(key);
        field.map(|field| field.integers(bounds)).transpose()
    }

    /// True or false; false where nothing is said, or as `default` says.
    pub(in crate::scenario) fn boolean(&self, key: &str, default: bool) -> Result<bool, Problem> {
        self.note(key, "true or false", Some(default.to_string()));
        self.get(key).map_or(Ok(default), |field| field.boolean())
    }

    /// One of several words, or `default`.
    pub(in crate::scenario) fn word<T: Copy + PartialEq>(
        &self,
        key: &str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, Problem> {
        let of_default = words.iter().find(|(_, meaning)| *meaning == default);
        let of_default = of_default.map(|(word, _)| format!("\"{word}\""));
        self.note(key, one_of(words), of_default);
        self.get(key).map_or(Ok(default), |field| field.word(words))
    }

    /// One of several words, where there is one.
    pub(in crate::scenario) fn maybe_word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        self.note(key, one_of(words), None);
        let field = self.get(key);
        field.map(|field| field.word(words)).transpose()
    }

    /// One of several words that must be there.
    pub(in crate::scenario) fn required_word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<T, Problem> {
        self.note_required(key, one_of(words));
        self.require(key)?.word(words)
    }

    /// One or several of some words; none where nothing is said.
    pub(in crate::scenario) fn words<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Vec<T>, Problem> {
        let list = quoted(words.iter().map(|(word, _)| word));
        self.note(key, format!("one or a list of {list}"), None);
        self.get(key)
            .map_or(Ok(Vec::new()), |field| field.words(words))
    }

    /// A string that must be there.
    pub(in crate::scenario) fn required_string(&self, key: &str) -> Result<String, Problem> {
        self.note_required(key, "a text");
        self.require(key)?.string()
    }

    /// A table of its own that must be there: `[key]`.
    pub(in crate::scenario) fn required_table(&self, key: &str) -> Result<Field<'a>, Problem> {
        self.note_required(key, format!("a table [{key}]"));
        self.require(key)
    }

    /// Tables of their own that must be there: `[[key]]`.
    pub(in crate::scenario) fn required_tables(
        &self,
        key: &str,
    ) -> Result<Vec<Entries<'a>>, Problem> {
        self.note_required(key, format!("tables [[{key}]]"));
        self.require(key)?.tables()
    }

    /// Tables of their own: `[[key]]`.
    pub(in crate::scenario) fn tables(&self, key: &str) -> Result<Vec<Entries<'a>>, Problem> {
        self.note(key, format!("tables [[{key}]]"), None);
        self.get(key).map_or(Ok(Vec::new()), |field| field.tables())
    }

    /// A string, or `default`.
    pub(in crate::scenario) fn string(&self, key: &str, default: &str) -> Result<String, Problem> {
        self.note(key, "a text", Some(format!("\"{default}\"")));
        self.get(key)
            .map_or(Ok(default.to_owned()), |field| field.string())
    }

    /// A number in 0..=1, or `default`.
    pub(in crate::scenario) fn share(&self, key: &str, default: f64) -> Result<f64, Problem> {
        self.note(key, "a number from 0 to 1", Some(default.to_string()));
        self.get(key).map_or(Ok(default), |field| field.share())
    }
}

fn range_of(bounds: &Range<u64>) -> String {
    format!("a number or [low, high], {}", shown(bounds))
}

fn one_of<T>(words: &[(&str, T)]) -> String {
    quoted(words.iter().map(|(word, _)| word))
}

/// Counts of clients, brokers, queues and faults stay below this.
pub(super) const COUNT_MAX: u64 = 10_001;

impl<'a> Field<'a> {
    fn wrong_type(&self, wanted: &str) -> Problem {
        let message = format!("`{}` must be {wanted}", self.key);
        let label = format!("this is {}", type_name(self.value));
        Problem::new(self.span.clone(), message, label)
    }

    /// A problem with this value.
    pub(in crate::scenario) fn problem(
        &self,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Problem {
        Problem::new(self.span.clone(), message, label)
    }

    pub(in crate::scenario) fn integer(&self, bounds: Range<u64>) -> Result<u64, Problem> {
        integer(&self.key, self.value, self.span.clone(), &bounds)
    }

    pub(in crate::scenario) fn is_string(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(in crate::scenario) fn boolean(&self) -> Result<bool, Problem> {
        match self.value {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    pub(in crate::scenario) fn string(&self) -> Result<String, Problem> {
        match self.value {
            DeValue::String(text) if text.trim().is_empty() => {
                Err(self.problem(format!("`{}` is empty", self.key), "say something"))
            }
            DeValue::String(text) => Ok(text.clone().into_owned()),
            _ => Err(self.wrong_type("a string")),
        }
    }

    pub(in crate::scenario) fn share(&self) -> Result<f64, Problem> {
        let number = match self.value {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
            _ => return Err(self.wrong_type("a number from 0 to 1")),
        };
        number
            .filter(|number| (0.0..=1.0).contains(number))
            .ok_or_else(|| {
                let message = format!("`{}` must be a number from 0 to 1", self.key);
                self.problem(message, "outside")
            })
    }

    /// `[low, high]`, or one number for both.
    pub(in crate::scenario) fn between(&self, bounds: Range<u64>) -> Result<Between, Problem> {
        let array = match self.value {
            DeValue::Integer(_) => {
                let only = self.integer(bounds)?;
                return Ok(Between {
                    low: only,
                    high: only,
                });
            }
            DeValue::Array(array) if array.len() == 2 => array,
            _ => return Err(self.wrong_type("a number or [low, high]")),
        };
        let at = |index: usize| {
            let item = array.get(index).expect("two");
            integer(&self.key, item.get_ref(), item.span(), &bounds)
        };
        let (low, high) = (at(0)?, at(1)?);
        if low > high {
            let message = format!("`{}` ends before it begins", self.key);
            return Err(self.problem(message, format!("{low} is above {high}")));
        }
        Ok(Between { low, high })
    }

    /// A list of integers in `bounds`.
    pub(in crate::scenario) fn integers(&self, bounds: Range<u64>) -> Result<Vec<u64>, Problem> {
        let DeValue::Array(array) = self.value else {
            return Err(self.wrong_type("a list of whole numbers"));
        };
        let numbers = array
            .iter()
            .map(|item| integer(&self.key, item.get_ref(), item.span(), &bounds));
        numbers.collect()
    }

    /// One of several words.
    pub(in crate::scenario) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Problem> {
        let DeValue::String(text) = self.value else {
            return Err(self.wrong_type("a string"));
        };
        let found = words.iter().find(|(word, _)| word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("`{}` cannot be \"{text}\"", self.key);
            let label = nearest(text, &names).map_or("unknown".to_owned(), |name| {
                format!("did you mean \"{name}\"?")
            });
            self.problem(message, label)
                .help(format!("one of: {}", names.join(", ")))
        })
    }

    /// As [`Field::word`], or an array of such words.
    pub(in crate::scenario) fn words<T: Copy>(
        &self,
        words: &[(&str, T)],
    ) -> Result<Vec<T>, Problem> {
        let DeValue::Array(array) = self.value else {
            return Ok(vec![self.word(words)?]);
        };
        let items = array.iter().map(|item| Field {
            key: self.key.clone(),
            span: item.span(),
            value: item.get_ref(),
            notes: self.notes,
        });
        items.map(|item| item.word(words)).collect()
    }

    /// As what serde makes of it. `text`: of the whole file.
    pub(in crate::scenario) fn decoded<T: DeserializeOwned>(
        &self,
        text: &str,
    ) -> Result<T, Problem> {
        let written = &text[self.span.clone()];
        if matches!(self.value, DeValue::Table(_)) && !written.starts_with('{') {
            let message = format!("`{}` must be written in one line", self.key);
            let label = format!("{} = {{ … }}", self.key);
            return Err(self.problem(message, label));
        }
        let decoded = ValueDeserializer::parse(written).and_then(T::deserialize);
        decoded.map_err(|error| {
            let inner = error.span().unwrap_or(0..written.len());
            let span = self.span.start + inner.start..self.span.start + inner.end;
            let message = format!("`{}` cannot be this", self.key);
            Problem::new(span, message, "here").help(error.message())
        })
    }

    /// As a table with known keys.
    pub(in crate::scenario) fn table(
        &self,
        name: &str,
        keys: &[Key],
    ) -> Result<Table<'a>, Problem> {
        self.entries()?.table(name, keys)
    }

    /// As a table whose keys are not looked at yet.
    pub(in crate::scenario) fn entries(&self) -> Result<Entries<'a>, Problem> {
        match self.value {
            DeValue::Table(entries) => Ok(Entries {
                span: self.span.clone(),
                entries,
                notes: self.notes,
            }),
            _ => Err(self.wrong_type("a table")),
        }
    }

    /// As an array of tables.
    pub(in crate::scenario) fn tables(&self) -> Result<Vec<Entries<'a>>, Problem> {
        let DeValue::Array(array) = self.value else {
            let written = format!("written [[{}]]", self.key);
            return Err(self.wrong_type(&format!("an array of tables, {written}")));
        };
        let tables = array.iter().map(|item| match item.get_ref() {
            DeValue::Table(entries) => Ok(Entries {
                span: item.span(),
                entries,
                notes: self.notes,
            }),
            _ => Err(self.wrong_type("an array of tables")),
        });
        tables.collect()
    }
}

fn integer(
    key: &str,
    value: &DeValue<'_>,
    span: Range<usize>,
    bounds: &Range<u64>,
) -> Result<u64, Problem> {
    let DeValue::Integer(written) = value else {
        let message = format!("`{key}` must be a whole number");
        let label = format!("this is {}", type_name(value));
        return Err(Problem::new(span, message, label));
    };
    let number = u64::from_str_radix(written.as_str(), written.radix());
    match number {
        Ok(number) if bounds.contains(&number) => Ok(number),
        _ if written.as_str().starts_with('-') => {
            let message = format!("`{key}` cannot be negative");
            Err(Problem::new(span, message, "below 0"))
        }
        Ok(number) if number < bounds.start => {
            let message = format!("`{key}` must be at least {}", bounds.start);
            Err(Problem::new(span, message, "too small"))
        }
        _ => {
            let message = format!("`{key}` must be at most {}", bounds.end - 1);
            Err(Problem::new(span, message, "too large"))
        }
    }
}

fn unknown_key(name: &str, key: &Spanned<std::borrow::Cow<'_, str>>, keys: &[&str]) -> Problem {
    let text = key.get_ref();
    let label = nearest(text, keys).map_or("not known here".to_owned(), |nearest| {
        format!("did you mean `{nearest}`?")
    });
    Problem::new(key.span(), format!("{name} has no key `{text}`"), label)
        .help(format!("keys of {name}: {}", keys.join(", ")))
}

/// The name that was probably meant.
fn nearest<'n>(text: &str, names: &[&'n str]) -> Option<&'n str> {
    let scored = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(text, name), *name));
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + text.chars().count() / 3).then_some(name)
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
