//! Many mutants in one build: each function that some mutant changes chooses its body
//! by a number that the process reads once (mutant schemata: Untch, Offutt and Harrold,
//! ISSTA 1993).
//!
//! ```text
//!   fn f(…) -> R { old }        fn f(…) -> R { match mutant_number() {
//!   patch 3: { new }      ──▶       3 => { new }
//!   patch 7: { other }              7 => { other }
//!                                   _ => { old } } }
//! ```
//!
//! A mutant that changes anything but bodies of functions cannot be a switch and is
//! built by itself, and so is one whose body the compiler refuses beside the others:
//! [`Woven::apart`] says which and why.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::ops::Range;

use syn::visit::Visit;

use super::mutant::{BadMutant, Mutant};

/// The environment variable that holds the number of the mutant that is switched on.
pub const NUMBER_VARIABLE: &str = "ZEROLOSS_MUTANT";
/// The crate that the switch stands in, and its sources.
const SWITCH_FILE: &str = "src/product/lib.rs";
const PRODUCT_FOLDER: &str = "src/product/";
const TESTBED_FOLDER: &str = "src/";
const OTHER_PROGRAM: &str = "src/product/main.rs";

/// The sources with all mutants that can be switches.
#[derive(Debug, Default)]
pub struct Woven {
    files: BTreeMap<String, Weave>,
    /// By the mutant's id, from 1 on.
    numbers: BTreeMap<String, u32>,
    apart: BTreeMap<String, String>,
}

/// A file, and the other bodies of its functions.
#[derive(Debug)]
struct Weave {
    source: Source,
    /// By the function's place in the file: the mutant's number and its body.
    bodies: BTreeMap<usize, Vec<(u32, String)>>,
}

/// A file's text, and where the bodies of its functions stand in it.
#[derive(Debug)]
struct Source {
    text: String,
    functions: Vec<Function>,
}

#[derive(Debug)]
struct Function {
    /// Bytes of the text, both braces included.
    body: Range<usize>,
    /// Why the body cannot be a switch.
    unfit: Option<&'static str>,
}

/// A woven file: its text, and which of its lines are of which mutant.
#[derive(Debug)]
pub struct WovenFile {
    /// From the workspace's root.
    pub file: String,
    /// The new contents.
    pub text: String,
    /// Lines, from 1 on, and the mutant's number.
    pub lines: Vec<(Range<usize>, u32)>,
}

impl Woven {
    /// Weaves `mutants` into the files that `read` gives, by their names from the
    /// workspace's root.
    ///
    /// # Errors
    /// A mutant does not apply.
    pub fn of(
        mutants: &[Mutant],
        read: impl Fn(&str) -> io::Result<String>,
    ) -> Result<Self, BadMutant> {
        let mut woven = Self::default();
        for (mutant, number) in mutants.iter().zip(1..) {
            let changed = mutant.apply(&read)?;
            match woven.bodies_of(changed, &read) {
                Ok(bodies) => {
                    woven.numbers.insert(mutant.id.clone(), number);
                    for (file, place, body) in bodies {
                        let weave = woven.files.get_mut(&file).expect("it was read");
                        weave.bodies.entry(place).or_default().push((number, body));
                    }
                }
                Err(why) => {
                    woven.apart.insert(mutant.id.clone(), why);
                }
            }
        }
        Ok(woven)
    }

    /// The number of a mutant that is a switch.
    #[must_use]
    pub fn number(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The mutants that are not in it, and why.
    #[must_use]
    pub fn apart(&self) -> &BTreeMap<String, String> {
        &self.apart
    }

    /// Takes a mutant out again that the compiler refuses.
    pub fn take_out(&mut self, number: u32, why: &str) {
        let named = self.numbers.iter().find(|(_, it)| **it == number);
        let Some(id) = named.map(|(id, _)| id.clone()) else {
            return;
        };
        self.numbers.remove(&id);
        self.apart.insert(id, why.to_owned());
        for weave in self.files.values_mut() {
            for bodies in weave.bodies.values_mut() {
                bodies.retain(|(it, _)| *it != number);
            }
        }
    }

    /// The files that differ from the sources.
    #[must_use]
    pub fn files(&self) -> Vec<WovenFile> {
        let mut files: Vec<WovenFile> = self
            .files
            .iter()
            .map(|(file, weave)| weave.render(file))
            .collect();
        let switch = format!(
            "\n/// The number of the mutant that is switched on; 0 for none.\n\
             #[doc(hidden)]\n\
             pub fn mutant_number() -> u32 {{\n\
             \x20   static NUMBER: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {{\n\
             \x20       let number = std::env::var(\"{NUMBER_VARIABLE}\").ok();\n\
             \x20       number.and_then(|number| number.parse().ok()).unwrap_or(0)\n\
             \x20   }});\n\
             \x20   *NUMBER\n\
             }}\n"
        );
        for woven in &mut files {
            if woven.file == SWITCH_FILE {
                woven.text.push_str(&switch);
            }
        }
        files
    }

    /// The bodies of functions that a mutant changes; or why it changes more than those.
    fn bodies_of(
        &mut self,
        changed: Vec<(String, String)>,
        read: impl Fn(&str) -> io::Result<String>,
    ) -> Result<Vec<(String, usize, String)>, String> {
        self.read(SWITCH_FILE, &read)?;
        let mut bodies = Vec::new();
        for (file, text) in changed {
            if !is_in_the_build(&file) {
                return Err(format!("{file} is no source of `zeroloss`"));
            }
            self.read(&file, &read)?;
            let new = Source::of(text).map_err(|why| format!("{file}: {why}"))?;
            let old = &self.files[&file].source;
            let differ = old
                .bodies_that_differ(&new)
                .map_err(|why| format!("{file}: {why}"))?;
            bodies.extend(
                differ
                    .into_iter()
                    .map(|(place, body)| (file.clone(), place, body)),
            );
        }
        Ok(bodies)
    }

    fn read(
        &mut self,
        file: &str,
        read: impl Fn(&str) -> io::Result<String>,
    ) -> Result<(), String> {
        if !self.files.contains_key(file) {
            let text = read(file).map_err(|why| format!("{file}: {why}"))?;
            let weave = Weave {
                source: Source::of(text).map_err(|why| format!("{file}: {why}"))?,
                bodies: BTreeMap::new(),
            };
            self.files.insert(file.to_owned(), weave);
        }
        Ok(())
    }
}

impl Weave {
    fn render(&self, file: &str) -> WovenFile {
        let switch = match file.starts_with(PRODUCT_FOLDER) {
            true => "crate::mutant_number()",
            false => "zeroloss_broker::mutant_number()",
        };
        let (mut text, mut lines) = (String::new(), Vec::new());
        let mut copied = 0;
        for (place, bodies) in &self.bodies {
            let body = self.source.functions[*place].body.clone();
            if bodies.is_empty() {
                continue;
            }
            text.push_str(&self.source.text[copied..body.start]);
            let _ = write!(text, "{{ match {switch} {{");
            for (number, new) in bodies {
                let _ = write!(text, "\n{number} => ");
                let first = text.lines().count();
                text.push_str(new);
                lines.push((first..text.lines().count() + 1, *number));
            }
            let _ = write!(text, "\n_ => {}\n}} }}", &self.source.text[body.clone()]);
            copied = body.end;
        }
        text.push_str(&self.source.text[copied..]);
        WovenFile {
            file: file.to_owned(),
            text,
            lines,
        }
    }
}

impl Source {
    fn of(text: String) -> Result<Self, String> {
        let parsed = syn::parse_file(&text).map_err(|why| why.to_string())?;
        let mut found = Functions::default();
        found.visit_file(&parsed);
        Ok(Self {
            text,
            functions: found.found,
        })
    }

    /// The functions whose bodies are others in `new`, where nothing else differs.
    fn bodies_that_differ(&self, new: &Self) -> Result<Vec<(usize, String)>, &'static str> {
        if self.outside() != new.outside() {
            return Err("more than bodies of functions differ");
        }
        let pairs = self.functions.iter().zip(&new.functions).enumerate();
        let mut differ = Vec::new();
        for (place, (before, after)) in pairs {
            let body = &new.text[after.body.clone()];
            if self.text[before.body.clone()] == *body {
                continue;
            }
            if let Some(why) = before.unfit {
                return Err(why);
            }
            differ.push((place, body.to_owned()));
        }
        Ok(differ)
    }

    /// The text between the bodies.
    fn outside(&self) -> Vec<&str> {
        let ends = self.functions.iter().map(|function| function.body.end);
        let begins = self.functions.iter().map(|function| function.body.start);
        let begins = begins.chain([self.text.len()]);
        let from = std::iter::once(0).chain(ends);
        from.zip(begins)
            .map(|(from, to)| &self.text[from..to])
            .collect()
    }
}

/// The functions of a file, those within others left out.
#[derive(Default)]
struct Functions {
    found: Vec<Function>,
    /// They are tests, or what tests need.
    in_tests: bool,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let braces = &block.brace_token.span;
        let body = braces.open().byte_range().start..braces.close().byte_range().end;
        let unfit = match self.in_tests {
            true => Some("tests are not in the build"),
            false => unfit(signature),
        };
        self.found.push(Function { body, unfit });
    }
}

/// Whether a file is of the program that runs; another program, and tests, are not.
fn is_in_the_build(file: &str) -> bool {
    let is_of_tests =
        file.ends_with("tests.rs") || file.contains("/tests/") || file.contains("/testing/");
    file.starts_with(TESTBED_FOLDER) && file != OTHER_PROGRAM && !is_of_tests
}

/// The reason that a function with that signature cannot choose its body, if there is one.
pub(super) fn unfit(signature: &syn::Signature) -> Option<&'static str> {
    let mut hidden = HiddenType(false);
    hidden.visit_return_type(&signature.output);
    match (signature.constness, hidden.0) {
        (Some(_), _) => Some("a const function cannot read a number"),
        (None, true) => Some("two bodies are two types where one is hidden by `impl`"),
        (None, false) => None,
    }
}

/// Whether attributes leave something out of every build but that of tests.
pub(super) fn is_of_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = |meta: syn::Path| meta.is_ident("test");
        attribute.path().is_ident("cfg") && attribute.parse_args().is_ok_and(is_test)
    })
}

impl Visit<'_> for Functions {
    fn visit_item_mod(&mut self, it: &syn::ItemMod) {
        let before = self.in_tests;
        self.in_tests |= is_of_tests(&it.attrs);
        syn::visit::visit_item_mod(self, it);
        self.in_tests = before;
    }

    fn visit_item_fn(&mut self, it: &syn::ItemFn) {
        self.add(&it.sig, &it.block);
    }

    fn visit_impl_item_fn(&mut self, it: &syn::ImplItemFn) {
        self.add(&it.sig, &it.block);
    }

    fn visit_trait_item_fn(&mut self, it: &syn::TraitItemFn) {
        if let Some(block) = &it.default {
            self.add(&it.sig, block);
        }
    }
}

/// Whether `impl` stands in a type.
struct HiddenType(bool);

impl Visit<'_> for HiddenType {
    fn visit_type_impl_trait(&mut self, _: &syn::TypeImplTrait) {
        self.0 = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::patch;
    use super::{Mutant, Woven};
    use std::path::Path;

    const BEFORE: &str = "const N: u8 = 1;\n\nfn f() -> u8 {\n    1\n}\n\nimpl T {\n    fn g() -> impl Fn() {\n        || ()\n    }\n}\n";

    fn mutant(id: &str, hunk: &str) -> Mutant {
        let text = format!(
            "id: {id}\nbreaks: b\nexposed-by: e\nlevel: easy\nexpect: killed\nscenarios: s.toml\n\
             seeds: 0..8\ncap-cpu-s: 1\n\n--- a/src/product/a.rs\n+++ b/src/product/a.rs\n{hunk}"
        );
        patch::parse(Path::new("x.patch"), &text).expect("a whole header")
    }

    fn read(file: &str) -> std::io::Result<String> {
        Ok(match file {
            "src/product/lib.rs" => "mod a;\n".to_owned(),
            _ => BEFORE.to_owned(),
        })
    }

    /// Two bodies of one function, and two mutants that cannot be switches.
    #[test]
    fn bodies_become_arms_and_all_else_stays_apart() {
        let mutants = [
            mutant(
                "B1",
                "@@ -3,3 +3,3 @@\n fn f() -> u8 {\n-    1\n+    2\n }\n",
            ),
            mutant(
                "B2",
                "@@ -3,3 +3,3 @@\n fn f() -> u8 {\n-    1\n+    N\n }\n",
            ),
            mutant("C1", "@@ -1 +1 @@\n-const N: u8 = 1;\n+const N: u8 = 2;\n"),
            mutant(
                "I1",
                "@@ -8,3 +8,3 @@\n     fn g() -> impl Fn() {\n-        || ()\n+        || drop(1)\n     }\n",
            ),
        ];
        let mut woven = Woven::of(&mutants, read).expect("all apply");
        let numbers = ["B1", "B2", "C1", "I1"].map(|id| woven.number(id));
        assert_eq!(numbers, [Some(1), Some(2), None, None]);
        let files = woven.files();
        let names: Vec<_> = files.iter().map(|woven| woven.file.as_str()).collect();
        assert_eq!(names, ["src/product/a.rs", "src/product/lib.rs"]);
        let body = "{ match crate::mutant_number() {\n1 => {\n    2\n}\n2 => {\n    N\n}\n_ => {\n    1\n}\n} }";
        let wanted = BEFORE.replacen("{\n    1\n}", body, 1);
        assert_eq!(files[0].text, wanted);
        assert_eq!(files[0].lines, [(4..7, 1), (7..10, 2)]);
        assert!(files[1].text.contains("ZEROLOSS_MUTANT"));

        for apart in [
            "src/product/main.rs",
            "src/sim/run/tests.rs",
            "src/product/raft/testing/random.rs",
        ] {
            assert!(!super::is_in_the_build(apart), "{apart}");
        }
        assert!(super::is_in_the_build("src/product/a.rs"));

        woven.take_out(2, "it does not build");
        assert_eq!(woven.number("B2"), None);
        assert_eq!(woven.apart()["B2"], "it does not build");
        assert!(!woven.files()[0].text.contains("2 => "));
    }
}
