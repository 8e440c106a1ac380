//! A column for each broker of several, in the manner of TigerBeetle: who acts, and
//! how the others are.
//!
//! ```text
//!   b2   . . /  write commitlog/…        / acts     . runs
//!   b0   ! . .  power lost               ! is hit   x has no process
//!   b1   # / .  ack 9120                            # is without power
//! ```

use crate::sim::world::{TraceKind, TraceLine};

/// How each broker is, as far as the lines so far tell.
#[derive(Debug, Clone)]
pub(super) struct Columns(Vec<char>);

impl Columns {
    /// Of so many brokers; a single one has no column.
    pub(super) fn of(brokers: u32) -> Self {
        let shown = if brokers > 1 { brokers } else { 0 };
        Self(vec!['x'; shown as usize])
    }

    /// Characters that the columns take, and what separates them from the text.
    pub(super) fn width(&self) -> usize {
        match self.0.len() {
            0 => 0,
            columns => 2 * columns + 1,
        }
    }

    /// The columns of the next line.
    pub(super) fn show(&mut self, line: &TraceLine) -> String {
        let node = line.node as usize;
        if let (Some(state), TraceKind::Node) = (self.0.get_mut(node), line.kind) {
            match line.text.as_str() {
                "starts" => *state = '.',
                "process dies" => *state = 'x',
                "machine goes down" => *state = '#',
                _ => {}
            }
        }
        let mark = match line.kind {
            TraceKind::Fault => '!',
            _ => '/',
        };
        let shown = self.0.iter().enumerate();
        let shown =
            shown.map(
                |(column, state)| match column == node && (mark == '!' || *state != '#') {
                    true => mark,
                    false => *state,
                },
            );
        let mut text: String = shown.flat_map(|symbol| [symbol, ' ']).collect();
        if !text.is_empty() {
            text.push(' ');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Columns;
    use crate::sim::world::{TraceKind, TraceLine};

    fn shown(brokers: u32) -> String {
        let mut columns = Columns::of(brokers);
        let lines = [
            (0, TraceKind::Node, "starts"),
            (1, TraceKind::Node, "starts"),
            (0, TraceKind::Answer, "ack 9120"),
            (0, TraceKind::Node, "machine goes down"),
            (0, TraceKind::Fault, "power lost"),
            (1, TraceKind::Fault, "rot"),
            (7, TraceKind::Deliver, "40 bytes"),
        ];
        let lines = lines.map(|(node, kind, text)| {
            let line = TraceLine {
                event: 0,
                at_ns: 0,
                node,
                kind,
                text: text.to_owned(),
            };
            let columns = columns.show(&line);
            format!("b{node} {columns}{text}")
        });
        lines.join("\n")
    }

    #[test]
    fn each_broker_has_a_column() {
        insta::assert_snapshot!(shown(3), @r"
        b0 / x x  starts
        b1 . / x  starts
        b0 / . x  ack 9120
        b0 # . x  machine goes down
        b0 ! . x  power lost
        b1 # ! x  rot
        b7 # . x  40 bytes
        ");
    }

    #[test]
    fn a_single_one_has_none() {
        assert!(shown(1).starts_with("b0 starts\n"));
    }
}
