//! The product's files, read off its tree of modules: those of tests are left out with the
//! attribute that leaves them out of the build.

use std::io;

use super::super::mutant::BadMutant;
use super::super::weave::is_of_tests;
use super::PRODUCT;

/// Files of the product that no broker runs: with a mistake in them the search of
/// interleavings takes states for equal that are not, and loses nothing.
const OF_SEARCHES: &[&str] = &["raft/digest.rs"];

/// The files of the product and their texts, in the order in which modules are declared.
pub(super) fn product(
    read: impl Fn(&str) -> io::Result<String>,
) -> Result<Vec<(String, String)>, BadMutant> {
    let mut found = Vec::new();
    let root = Module {
        file: format!("{PRODUCT}lib.rs"),
        folder: PRODUCT.to_owned(),
    };
    let mut left = vec![root];
    while let Some(module) = left.pop() {
        let text = read(&module.file).map_err(|why| BadMutant::Unreadable {
            path: module.file.clone().into(),
            why,
        })?;
        let parsed = syn::parse_file(&text).map_err(|why| BadMutant::Source {
            file: module.file.clone(),
            why: why.to_string(),
        })?;
        for item in parsed.items.iter().rev() {
            if let syn::Item::Mod(it) = item
                && it.content.is_none()
                && !is_of_tests(&it.attrs)
            {
                left.push(module.inner(&it.ident.to_string(), &read));
            }
        }
        let is_of_searches = OF_SEARCHES
            .iter()
            .any(|file| module.file.strip_prefix(PRODUCT) == Some(file));
        if !is_of_searches {
            found.push((module.file, text));
        }
    }
    Ok(found)
}

/// A module with a file of its own.
struct Module {
    file: String,
    /// The folder of the files of inner modules, with a slash at its end.
    folder: String,
}

impl Module {
    fn inner(&self, name: &str, read: impl Fn(&str) -> io::Result<String>) -> Self {
        let folder = format!("{}{name}/", self.folder);
        let in_folder = format!("{folder}mod.rs");
        let file = match read(&in_folder) {
            Ok(_) => in_folder,
            Err(_) => format!("{}{name}.rs", self.folder),
        };
        Self { file, folder }
    }
}
