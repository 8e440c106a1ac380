//! A message, in words.

use super::world::Flight;
use crate::raft::Message;

/// The sender, the receiver and the words of a message.
pub(super) fn flight(flight: &Flight) -> String {
    let what = match &flight.message {
        Message::Vote { last, .. } => format!("asks for a vote, last {last}"),
        Message::VoteAnswer { granted: true } => "votes".to_owned(),
        Message::VoteAnswer { granted: false } => "does not vote".to_owned(),
        Message::Append(append) => {
            let ids: Vec<String> = append
                .heads
                .iter()
                .map(|head| head.id.to_string())
                .collect();
            let (prev, commit) = (append.prev, append.commit_index);
            format!("[{}] behind {prev}, committed {commit}", ids.join(" "))
        }
        Message::AppendAnswer(answer) => match answer.accepted {
            true => format!("has all up to {}", answer.matched_index),
            false => format!("refuses, try {}", answer.hint),
        },
        Message::Join { .. } => "is blank".to_owned(),
        Message::Challenge { .. } => "challenge".to_owned(),
        Message::Install { base, .. } => format!("base {base}"),
        Message::Ask { previous, .. } => format!("asks what is behind {previous}"),
        Message::Tail(tail) => {
            let ids: Vec<String> = tail.heads.iter().map(|head| head.id.to_string()).collect();
            match (ids.is_empty(), tail.uncertain_from) {
                (false, _) => format!("has [{}] behind {}", ids.join(" "), tail.previous),
                (true, Some(index)) => format!("may have had {index}"),
                (true, None) => format!("has nothing behind {}", tail.previous),
            }
        }
        other => format!("{other:?}"),
    };
    let (from, to, term) = (flight.from.node, flight.to.node, flight.term);
    format!("n{from} -> n{to}, term {term}: {what}:")
}
