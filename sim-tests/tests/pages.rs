//! The pages name files and functions that are there, and the reference is of today.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Words that stand for a name of the reader's own.
const PLACEHOLDERS: &[&str] = &["KIND.rs", "NAME.rs", "ID-name.patch"];
/// The folders from which pages name files.
const FOLDERS: &[&str] = &["", "src", "src/product", "scenarios"];
const ENDINGS: &[&str] = &[".rs", ".toml", ".md", ".patch", ".snap", ".jsonl"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("src")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// The file of that name, seen from one of [`FOLDERS`].
fn file(name: &str) -> Option<PathBuf> {
    let mut paths = FOLDERS.iter().map(|folder| root().join(folder).join(name));
    paths.find(|path| path.is_file())
}

fn is_file_name(word: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    word.contains('/')
        && word.chars().all(is_plain)
        && ENDINGS.iter().any(|ending| word.ends_with(ending))
        && !PLACEHOLDERS
            .iter()
            .any(|placeholder| word.ends_with(placeholder))
}

/// A page's words in backticks, blocks of code left out.
fn code_words(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside
        .flat_map(|part| part.split('`').skip(1).step_by(2))
        .collect()
}

/// The name of the function in `Store::commit()`.
fn function(word: &str) -> Option<&str> {
    let name = word.strip_suffix("()")?;
    let name = name.rsplit("::").next().unwrap_or(name);
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

#[test]
fn files_that_pages_name_are_there() {
    let mut missing = Vec::new();
    let mut named = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for word in code_words(&text)
            .into_iter()
            .filter(|word| is_file_name(word))
        {
            named += 1;
            if file(word).is_none() {
                missing.push(format!("{}: {word}", page.display()));
            }
        }
    }
    assert!(
        named > 200,
        "{named} files are named: the pages are not read"
    );
    assert!(missing.is_empty(), "no such files:\n{}", missing.join("\n"));
}

/// Of `f()` and, right behind it in parentheses, a file: the file has that function.
#[test]
fn functions_that_pages_name_with_their_file_are_there() {
    let mut missing = Vec::new();
    let mut named = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let parts: Vec<&str> = text.split('`').collect();
        for three in parts.windows(3) {
            let [word, between, name] = three else {
                continue;
            };
            // A line may end between the two.
            let (Some(function), "(") = (function(word), between.trim()) else {
                continue;
            };
            let Some(path) = is_file_name(name).then(|| file(name)).flatten() else {
                continue;
            };
            named += 1;
            let code = fs::read_to_string(path).expect("it is there");
            let ways = ["(", "<"].map(|behind| format!("fn {function}{behind}"));
            if !ways.iter().any(|way| code.contains(way)) {
                missing.push(format!("{}: {function}() in {name}", page.display()));
            }
        }
    }
    assert!(
        named > 40,
        "{named} functions are named: the pages are not read"
    );
    assert!(
        missing.is_empty(),
        "no such functions:\n{}",
        missing.join("\n")
    );
}

/// The page of the documentation is what `zeroloss keys` prints.
#[test]
fn the_reference_of_keys_is_up_to_date() {
    let path = root().join("src/scenario/keys.txt");
    let text = zeroloss::report::keys("");
    if std::env::var_os("UPDATE_PAGES").is_some() {
        let written = File::create(&path).and_then(|mut page| page.write_all(text.as_bytes()));
        written.expect("the page is written");
    }
    let page = fs::read_to_string(&path).expect("the page");
    assert!(
        page == text,
        "make it again: UPDATE_PAGES=1 cargo test -p sim-tests --test pages"
    );
}
