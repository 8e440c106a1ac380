//! Panics of runs, caught with their place and kept off the terminal.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic in it is returned as text, `message\nat file:line`.
/// Panics elsewhere go to the hook that was installed before.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install();
    CATCHING.set(true);
    // Nothing that the work has touched is used after a panic.
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(false);
    result.map_err(|payload| {
        let message = message(payload.as_ref());
        match PLACE.take() {
            Some(place) => format!("{message}\nat {place}"),
            None => message,
        }
    })
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| match CATCHING.get() {
            true => note(info),
            false => before(info),
        }));
    });
}

/// Keeps the first place: later ones are panics on the way out.
fn note(info: &PanicHookInfo<'_>) {
    let place = info.location().map(|place| {
        let (file, line) = (portable(place.file()), place.line());
        format!("{file}:{line}")
    });
    PLACE.with_borrow_mut(|first| {
        if first.is_none() {
            *first = place;
        }
    });
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

/// A source path without what differs between machines: where the registry and
/// the toolchain lie.
fn portable(file: &str) -> String {
    let file = file.replace('\\', "/");
    for mark in ["/registry/src/", "/rustc/"] {
        if let Some((_, inner)) = file.split_once(mark) {
            let inner = inner.split_once('/').map_or(inner, |(_, inner)| inner);
            return inner.to_owned();
        }
    }
    match file.starts_with('/') {
        true => file.rsplit('/').next().unwrap_or_default().to_owned(),
        false => file,
    }
}

#[cfg(test)]
mod tests {
    use super::{caught, portable};

    #[test]
    fn a_panic_is_text_with_its_place() {
        let panic = caught(|| -> u32 { panic!("two and two are {}", 5) });
        let text = panic.expect_err("it panicked");
        let (message, place) = text.split_once('\n').expect("two lines");
        assert_eq!(message, "two and two are 5");
        assert!(place.starts_with("at src/explore/panics.rs:"), "{place}");
        assert_eq!(caught(|| 4), Ok(4));
    }

    #[test]
    fn places_hold_no_path_of_the_machine() {
        let cases = [
            ("src/log/mod.rs", "src/log/mod.rs"),
            (
                "/home/me/.cargo/registry/src/index-1/madsim-0.2/src/task.rs",
                "madsim-0.2/src/task.rs",
            ),
            (
                "/rustc/0123/library/core/src/option.rs",
                "library/core/src/option.rs",
            ),
            ("/home/me/zeroloss/src/x.rs", "x.rs"),
        ];
        for (file, shown) in cases {
            assert_eq!(portable(file), shown);
        }
    }
}
