//! The rules for a [`Disk`](super::Disk) path, decided once for every implementation:
//! relative, `/`-separated, naming nothing outside the tree.
//!
//! A path leads to a directory and a name, or nowhere:
//!
//! ```
//! use zeroloss_broker::env::path::{components, split};
//!
//! let (directory, name) = split("commitlog/00000000000000000000")?;
//! assert_eq!((directory, name), (vec!["commitlog"], "00000000000000000000"));
//!
//! // The root is a directory that has no name.
//! assert!(components("")?.is_empty() && split("").is_err());
//! for outside in ["/etc/passwd", "../other-broker", "commitlog//x"] {
//!     assert!(components(outside).is_err());
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;

/// The components of `path`; none for `""`, the root.
///
/// # Errors
/// `InvalidInput` for an absolute path, an empty component, `.` or `..`, and a
/// NUL byte.
pub fn components(path: &str) -> io::Result<Vec<&str>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = path.split('/').collect();
    let bad = |part: &&str| matches!(*part, "" | "." | "..") || part.contains('\0');
    match parts.iter().any(bad) {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{path:?} is no path inside the disk: give relative components without `.` and `..`"
            ),
        )),
        false => Ok(parts),
    }
}

/// The parent directory and the last component of `path`.
///
/// # Errors
/// As [`components`]; `InvalidInput` for the root, which has neither.
pub fn split(path: &str) -> io::Result<(Vec<&str>, &str)> {
    let mut parts = components(path)?;
    match parts.pop() {
        Some(name) => Ok((parts, name)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the root of the disk is no file",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_paths_inside_the_tree() {
        assert!(components("").unwrap().is_empty());
        assert_eq!(components("a/b.c").unwrap(), ["a", "b.c"]);
        assert_eq!(split("a/b/c").unwrap(), (vec!["a", "b"], "c"));
        for bad in ["/a", "a//b", "a/", "..", "a/../b", "./a", "a\0"] {
            let error = components(bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad:?}");
        }
        assert!(split("").is_err());
    }
}
