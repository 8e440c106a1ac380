//! Every public module shows how it is used: an example in its documentation, which
//! `cargo test --doc` compiles and runs, and which asserts something.
//!
//! The modules are read off the text of both crates, from their roots on: `pub mod` all
//! the way. In pages, which are modules without content, nothing can be called.

use std::fs;
use std::path::{Path, PathBuf};

/// A public module.
#[derive(Debug, PartialEq)]
struct Module {
    /// As a program names it.
    name: String,
    /// Its file, below the root of the checkout.
    file: PathBuf,
    /// Its documentation, without the marks of comments.
    doc: String,
}

/// A `pub mod` as it is declared.
struct Declared<'a> {
    name: &'a str,
    /// The comment in front of it.
    doc: String,
    /// Its text, where that is not a file of its own.
    inline: Option<String>,
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crate whose root is that file, and every public module in it.
fn public_modules(krate: &str, root: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    of_file(krate.to_owned(), String::new(), root.into(), &mut modules);
    modules
}

/// `doc` is what stands before the declaration.
fn of_file(name: String, doc: String, file: PathBuf, out: &mut Vec<Module>) {
    let text = fs::read_to_string(checkout().join(&file));
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    of_text(name, doc, &file, &text, out);
}

fn of_text(name: String, doc: String, file: &Path, text: &str, out: &mut Vec<Module>) {
    out.push(Module {
        name: name.clone(),
        file: file.to_owned(),
        doc: format!("{doc}\n{}", comment(text.lines(), "//!")),
    });
    for child in declared(text) {
        let name = format!("{name}::{}", child.name);
        match child.inline {
            Some(text) if is_of_pages(&text) => {}
            Some(text) => of_text(name, child.doc, file, &text, out),
            None => of_file(name, child.doc, file_of(file, child.name), out),
        }
    }
}

/// Whether a module has nothing in it, or nothing but such modules: pages, whose text is
/// included.
fn is_of_pages(text: &str) -> bool {
    let mut items = text
        .lines()
        .filter(|line| line.starts_with(char::is_alphabetic));
    let is_page = |child: &Declared<'_>| child.inline.as_deref().is_some_and(is_of_pages);
    items.all(|line| line.starts_with("pub mod ")) && declared(text).iter().all(is_page)
}

/// The file of a module that is declared in `parent`.
fn file_of(parent: &Path, name: &str) -> PathBuf {
    let folder = match parent.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "mod") => parent.with_file_name(""),
        _ => parent.with_extension(""),
    };
    let files = [format!("{name}.rs"), format!("{name}/mod.rs")].map(|file| folder.join(file));
    let found = files.iter().find(|file| checkout().join(file).is_file());
    let found = found.unwrap_or_else(|| panic!("{}: where is {name}?", parent.display()));
    found.clone()
}

/// The public modules that a text declares itself; not those of modules in it.
fn declared(text: &str) -> Vec<Declared<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let Some(rest) = line.strip_prefix("pub mod ") else {
            continue;
        };
        let before = lines[..place].iter().rev();
        let before = before.take_while(|line| line.starts_with("///") || line.starts_with("#["));
        let mut before: Vec<&str> = before.copied().collect();
        before.reverse();
        if before.contains(&"#[cfg(test)]") {
            continue;
        }
        let body = lines[place + 1..].iter().take_while(|line| **line != "}");
        let body = body.map(|line| line.strip_prefix("    ").unwrap_or(line));
        found.push(Declared {
            name: rest.trim_end_matches([';', '{', '}', ' ']),
            doc: comment(before.iter().copied(), "///"),
            inline: match rest {
                _ if rest.ends_with(';') => None,
                _ if rest.ends_with("{}") => Some(String::new()),
                _ => Some(body.collect::<Vec<_>>().join("\n")),
            },
        });
    }
    found
}

/// The lines of a comment, without their marks.
fn comment<'a>(lines: impl Iterator<Item = &'a str>, mark: &str) -> String {
    let lines = lines.filter_map(|line| line.strip_prefix(mark));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a block is code of Rust that is run and asserts something. One that is marked
/// `ignore`, `no_run` or `compile_fail` is not run.
fn has_example(doc: &str) -> bool {
    let mut lines = doc.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
        // The whole block is read, whatever it is.
        let asserts = code.filter(|line| line.contains("assert")).count() > 0;
        if asserts && matches!(language, "" | "rust") {
            return true;
        }
    }
    false
}

#[test]
fn every_public_module_has_an_example_that_is_run() {
    let mut modules = public_modules("zeroloss", "src/lib.rs");
    modules.extend(public_modules("zeroloss_broker", "src/product/lib.rs"));
    let without = modules.iter().filter(|module| !has_example(&module.doc));
    let without = without.map(|Module { name, file, .. }| {
        let file = file.display();
        format!("{name}, {file}: no block of Rust in its documentation is run and asserts")
    });
    let without: Vec<_> = without.collect();
    assert!(without.is_empty(), "\n{}", without.join("\n"));
    // The walk goes all the way down.
    for deep in [
        "zeroloss::check::replicas::served",
        "zeroloss_broker::remoting::transaction::sys_flag",
    ] {
        assert!(modules.iter().any(|module| module.name == deep), "{deep}");
    }
}

#[test]
fn a_diagram_and_code_that_is_not_run_are_no_examples() {
    let block = |language: &str| format!("Words.\n\n```{language}\nassert!(true);\n```\n");
    assert!(has_example(&block("")) && has_example(&block("rust")));
    for language in ["text", "ignore", "no_run", "compile_fail", "sh"] {
        assert!(!has_example(&block(language)), "{language}");
    }
    assert!(has_example(&format!("{}{}", block("text"), block(""))));
    assert!(!has_example("```\nuse zeroloss::check;\n```"), "hollow");
}

#[test]
fn modules_are_found_where_they_are_declared() {
    let text = [
        "//! Top.",
        "mod private;",
        "/// Inner.",
        "pub mod inner {",
        "    //! More.",
        "    pub mod deep {",
        "        pub const A: u8 = 1;",
        "    }",
        "}",
        "#[cfg(test)]",
        "pub mod tests {",
        "    pub fn helper() {}",
        "}",
        "pub mod pages {",
        "    pub mod page {}",
        "}",
    ]
    .join("\n");
    let mut found = Vec::new();
    of_text(
        "top".to_owned(),
        String::new(),
        Path::new("x.rs"),
        &text,
        &mut found,
    );
    let found = found.iter().map(|it| (&*it.name, &*it.doc));
    let found: Vec<_> = found.collect();
    assert_eq!(
        found,
        [
            ("top", "\nTop."),
            ("top::inner", "Inner.\nMore."),
            ("top::inner::deep", "\n")
        ]
    );
}
