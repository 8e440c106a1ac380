//! `zeroloss keys`.

use std::io::Write;

use crate::check::Exit;
use crate::report;

use super::{CommandError, KeysArgs};

/// Shows the keys of scenario files.
pub(super) fn keys(args: &KeysArgs, out: &mut dyn Write) -> Result<Exit, CommandError> {
    let wanted = args.name.as_deref().unwrap_or_default();
    let text = report::keys(wanted);
    if text.is_empty() {
        return Err(CommandError::NoSuchKey(wanted.to_owned()));
    }
    out.write_all(text.as_bytes())?;
    Ok(Exit::Success)
}
