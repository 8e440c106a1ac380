//! Strict access to a TOML table: every key is known, every value has the type
//! and the bounds that its reader states.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::problem::Problem;
use crate::scenario::Between;

/// A table whose keys are all known.
pub(in crate::scenario) struct Table<'a> {
    /// As a user would write it: `[cluster]`.
    pub(in crate::scenario) name: String,
    pub(in crate::scenario) span: Range<usize>,
    entries: &'a DeTable<'a>,
}

/// A key that is present.
#[derive(Clone)]
pub(in crate::scenario) struct Field<'a> {
    pub(in crate::scenario) key: String,
    pub(in crate::scenario) span: Range<usize>,
    value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// Takes a table and refuses what is not in `keys`.
    pub(in crate::scenario) fn new(
        name: impl Into<String>,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        keys: &[&str],
    ) -> Result<Self, Problem> {
        let name = name.into();
        match entries
            .keys()
            .find(|key| !keys.contains(&key.get_ref().as_ref()))
        {
            Some(unknown) => Err(unknown_key(&name, unknown, keys)),
            None => Ok(Self {
                name,
                span,
                entries,
            }),
        }
    }

    /// The value of a key, where there is one.
    pub(in crate::scenario) fn get(&self, key: &str) -> Option<Field<'a>> {
        let value = self.entries.get(key)?;
        Some(Field {
            key: key.to_owned(),
            span: value.span(),
            value: value.get_ref(),
        })
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
        self.get(key)
            .map_or(Ok(default), |field| field.integer(bounds))
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
        self.get(key)
            .map_or(Ok(Between { low, high }), |field| field.between(bounds))
    }

    /// A string, or `default`.
    pub(in crate::scenario) fn string(&self, key: &str, default: &str) -> Result<String, Problem> {
        self.get(key)
            .map_or(Ok(default.to_owned()), |field| field.string())
    }

    /// A number in 0..=1, or `default`.
    pub(in crate::scenario) fn share(&self, key: &str, default: f64) -> Result<f64, Problem> {
        self.get(key).map_or(Ok(default), |field| field.share())
    }
}

/// Counts of clients, brokers, queues and faults stay below this.
const COUNT_MAX: u64 = 10_001;

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
        keys: &[&str],
    ) -> Result<Table<'a>, Problem> {
        match self.value {
            DeValue::Table(entries) => Table::new(name, self.span.clone(), entries, keys),
            _ => Err(self.wrong_type("a table")),
        }
    }

    /// As an array of tables, each with its span.
    pub(in crate::scenario) fn tables(
        &self,
    ) -> Result<Vec<(Range<usize>, &'a DeTable<'a>)>, Problem> {
        let DeValue::Array(array) = self.value else {
            let written = format!("written [[{}]]", self.key);
            return Err(self.wrong_type(&format!("an array of tables, {written}")));
        };
        let tables = array.iter().map(|item| match item.get_ref() {
            DeValue::Table(entries) => Ok((item.span(), entries)),
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

/// The keys of several shapes of one table, each once.
pub(in crate::scenario) fn union<'k>(
    shapes: impl IntoIterator<Item = &'k [&'static str]>,
) -> Vec<&'static str> {
    let mut keys = Vec::new();
    for key in shapes.into_iter().flatten() {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    keys
}
