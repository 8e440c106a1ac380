//! The files that are scenarios, and their names.

use std::path::{Component, Path, PathBuf};

use super::ScenarioError;

/// Every scenario file in `paths`, directories searched to any depth; ordered
/// by path, each once.
///
/// # Errors
///
/// A path that cannot be read, or a directory without any scenario.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ScenarioError> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        collect(path, &mut found)?;
        if found.len() == before {
            return Err(ScenarioError::NoneThere { path: path.clone() });
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), ScenarioError> {
    let unreadable = |source| ScenarioError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let inner = entry.map_err(unreadable)?.path();
        let is_scenario = inner.extension().is_some_and(|end| end == "toml");
        if is_scenario || inner.is_dir() {
            collect(&inner, found)?;
        }
    }
    Ok(())
}

/// The path under the innermost `scenarios/`, without `.toml`; the file's name
/// where there is no such directory.
pub(super) fn id(path: &Path) -> String {
    let stem = path.with_extension("");
    join(
        under_scenarios(&stem)
            .unwrap_or_else(|| stem.iter().next_back().map_or(stem.as_path(), Path::new)),
    )
}

/// The file as a user of the checkout would name it: of a path only the part from
/// `scenarios/` on is shown, so that reports are equal on every machine. Any other path
/// is shown as it was given, for the command that shows a run again needs it.
pub(super) fn display(path: &Path) -> String {
    match under_scenarios(path) {
        Some(inner) => format!("scenarios/{}", join(inner)),
        None if path.is_absolute() => path.display().to_string(),
        None => join(path),
    }
}

fn under_scenarios(path: &Path) -> Option<&Path> {
    let mut inner = path;
    let mut found = None;
    while let Some(first) = inner.components().next() {
        let mut rest = inner.components();
        rest.next();
        inner = rest.as_path();
        if first == Component::Normal("scenarios".as_ref()) && inner != Path::new("") {
            found = Some(inner);
        }
    }
    found
}

/// With `/` on every system, and without a leading `./`.
fn join(path: &Path) -> String {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{display, find, id};

    #[test]
    fn a_file_of_the_checkout_has_one_name_on_every_machine() {
        let name = |path: &str| (id(Path::new(path)), display(Path::new(path)));
        let pair = |id: &str, file: &str| (id.to_owned(), file.to_owned());
        let named = pair("raft/quorum", "scenarios/raft/quorum.toml");
        assert_eq!(name("scenarios/raft/quorum.toml"), named);
        assert_eq!(name("./scenarios/raft/quorum.toml"), named);
        assert_eq!(name("/home/me/scenarios/raft/quorum.toml"), named);
        assert_eq!(name("/tmp/x.toml"), pair("x", "/tmp/x.toml"));
        assert_eq!(name("mine/x.toml"), pair("x", "mine/x.toml"));
    }

    #[test]
    fn directories_are_searched_and_ordered() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path();
        std::fs::create_dir(root.join("b")).expect("created");
        for name in ["c.toml", "b/a.toml", "b/notes.md"] {
            std::fs::copy("Cargo.toml", root.join(name)).expect("copied");
        }
        let found = find(&[root.to_owned(), root.join("c.toml")]).expect("found");
        assert_eq!(found, [root.join("b/a.toml"), root.join("c.toml")]);
        std::fs::remove_file(root.join("b/a.toml")).expect("removed");
        let error = find(&[root.join("b")]).expect_err("nothing left");
        assert!(error.to_string().starts_with("error: no scenario under"));
    }
}
