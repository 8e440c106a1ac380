//! The operators: a row and a function for each.

use std::ops::Range;

use syn::{BinOp, Expr, Lit, ReturnType, Stmt};

use super::places::{Node, is_without_effect, range};

/// Calls that make something durable.
const SYNCS: [&str; 3] = ["sync_all", "sync_data", "sync_dir"];
/// A literal above this is an amount, of bytes or of time: one more of it changes nothing.
const COUNTS_UP_TO: u64 = 16;

/// A way to make a mistake.
#[derive(Debug)]
pub struct Operator {
    /// The name, as in ids.
    pub name: &'static str,
    /// The mistake.
    pub mistake: &'static str,
    /// Adds the edits that it makes of a node in a file's text.
    find: Find,
}

type Find = fn(Node<'_>, &str, &mut Vec<Edit>);

impl Operator {
    /// The edits that it makes of a node in a file's text.
    pub(super) fn edits(&self, node: Node<'_>, text: &str) -> Vec<Edit> {
        let mut edits = Vec::new();
        (self.find)(node, text, &mut edits);
        edits
    }
}

/// Other text for a range of bytes.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) new: String,
}

/// All operators. A mistake that two of them make is the first one's.
pub static OPERATORS: [Operator; 7] = [
    Operator {
        name: "removed-sync",
        mistake: "a sync counts as done and is not made",
        find: removed_sync,
    },
    Operator {
        name: "removed-check",
        mistake: "a condition is not looked at, or a part of it",
        find: removed_check,
    },
    Operator {
        name: "swapped-comparison",
        mistake: "a comparison includes its bound or leaves it out, or is the opposite",
        find: swapped_comparison,
    },
    Operator {
        name: "off-by-one",
        mistake: "a count, an index or the end of a range is the next one",
        find: off_by_one,
    },
    Operator {
        name: "swallowed-error",
        mistake: "an error counts as success",
        find: swallowed_error,
    },
    Operator {
        name: "dropped-call",
        mistake: "a call for its effect is not made",
        find: dropped_call,
    },
    Operator {
        name: "early-return",
        mistake: "a function ends before it is done",
        find: early_return,
    },
];

/// Replaces a sync that is waited for.
fn removed_sync(node: Node<'_>, _: &str, edits: &mut Vec<Edit>) {
    if let Node::Expression(Expr::Await(it)) = node
        && let Expr::MethodCall(call) = &*it.base
        && SYNCS.iter().any(|name| call.method == name)
    {
        edits.push(edit(range(it), "Ok::<(), std::io::Error>(())"));
    }
}

/// Decides a condition beforehand, drops one of its operands, a guard, or a filter.
fn removed_check(node: Node<'_>, text: &str, edits: &mut Vec<Edit>) {
    match node {
        Node::Expression(Expr::If(it)) if !has_let(&it.cond) => {
            let condition = range(&it.cond);
            let otherwise = it.else_branch.is_some();
            if otherwise || !diverges(&it.then_branch) {
                edits.push(edit(condition.clone(), "true"));
            }
            if otherwise || diverges(&it.then_branch) {
                edits.push(edit(condition, "false"));
            }
        }
        Node::Expression(Expr::Match(it)) if is_of_booleans(it) => {
            edits.push(edit(range(&it.expr), "true"));
            edits.push(edit(range(&it.expr), "false"));
        }
        Node::Expression(Expr::Binary(it)) if matches!(it.op, BinOp::And(_) | BinOp::Or(_)) => {
            let sides = [(&it.left, &it.right), (&it.right, &it.left)];
            for (kept, dropped) in sides {
                if !has_let(dropped) {
                    edits.push(edit(range(it), &text[range(kept)]));
                }
            }
        }
        Node::Expression(Expr::MethodCall(it)) if it.method == "filter" => {
            edits.push(edit(range(it), &text[range(&it.receiver)]));
        }
        Node::Arm(it) => {
            if let Some((keyword, guard)) = &it.guard
                && !has_let(guard)
            {
                edits.push(edit(range(keyword).start..range(guard).end, ""));
            }
        }
        _ => {}
    }
}

/// Swaps a comparison for its neighbour, and the smaller of two for the larger.
fn swapped_comparison(node: Node<'_>, text: &str, edits: &mut Vec<Edit>) {
    let (whole, sign, other) = match node {
        Node::Expression(Expr::Binary(it)) => {
            let other = match it.op {
                BinOp::Lt(_) => "<=",
                BinOp::Le(_) => "<",
                BinOp::Gt(_) => ">=",
                BinOp::Ge(_) => ">",
                BinOp::Eq(_) => "!=",
                BinOp::Ne(_) => "==",
                _ => return,
            };
            (range(it), range(&it.op), other)
        }
        Node::Expression(Expr::MethodCall(it)) => {
            let other = match it.method.to_string().as_str() {
                "min" => "max",
                "max" => "min",
                _ => return,
            };
            (range(it), range(&it.method), other)
        }
        _ => return,
    };
    edits.push(within(whole, sign, other, text));
}

/// Leaves out the one that is added or taken away, makes a small number one larger, or has
/// a range include its end or not.
fn off_by_one(node: Node<'_>, text: &str, edits: &mut Vec<Edit>) {
    let Node::Expression(expression) = node else {
        return;
    };
    match expression {
        Expr::Binary(it) => match it.op {
            BinOp::Add(_) | BinOp::Sub(_) if number(&it.right) == Some(1) => {
                edits.push(edit(range(it), &text[range(&it.left)]));
            }
            _ => {
                for side in [&it.left, &it.right] {
                    next(range(it), side, text, edits);
                }
            }
        },
        Expr::MethodCall(it) => {
            for argument in &it.args {
                next(range(it), argument, text, edits);
            }
        }
        Expr::Call(it) => {
            for argument in &it.args {
                next(range(it), argument, text, edits);
            }
        }
        Expr::Range(it) => {
            let other = match it.limits {
                syn::RangeLimits::HalfOpen(_) => "..=",
                syn::RangeLimits::Closed(_) => "..",
            };
            if it.end.is_some() {
                edits.push(within(range(it), range(&it.limits), other, text));
            }
            for bound in [&it.start, &it.end].into_iter().flatten() {
                next(range(it), bound, text, edits);
            }
        }
        Expr::Index(it) => next(range(it), &it.index, text, edits),
        _ => {}
    }
}

/// Drops the question mark of a statement, an error that a function ends with, or what is
/// done about one.
fn swallowed_error(node: Node<'_>, text: &str, edits: &mut Vec<Edit>) {
    match node {
        Node::Statement(Stmt::Expr(Expr::Try(it), Some(_))) => {
            let inner = &text[range(&it.expr)];
            edits.push(edit(range(it), &format!("let _ = {inner}")));
        }
        Node::Function(signature, block) if ending(&signature.output) == Some("Ok(())") => {
            if let Some(Stmt::Expr(last, None)) = block.stmts.last()
                && matches!(last, Expr::Await(_) | Expr::MethodCall(_))
            {
                let inner = &text[range(last)];
                edits.push(edit(range(last), &format!("let _ = {inner}; Ok(())")));
            }
        }
        Node::Expression(Expr::If(it)) => {
            if let Expr::Let(condition) = &*it.cond
                && let syn::Pat::TupleStruct(pattern) = &*condition.pat
                && pattern.path.is_ident("Err")
                && !it.then_branch.stmts.is_empty()
            {
                edits.push(edit(range(&it.then_branch), "{}"));
            }
        }
        _ => {}
    }
}

/// Drops a statement that is a call, and the call that a function ends with.
fn dropped_call(node: Node<'_>, _: &str, edits: &mut Vec<Edit>) {
    match node {
        Node::Statement(it @ Stmt::Expr(call, Some(_))) if is_call(call) => {
            edits.push(edit(range(it), ""));
        }
        Node::Function(signature, block) if ending(&signature.output) == Some("") => {
            if let Some(it @ Stmt::Expr(call, None)) = block.stmts.last()
                && is_call(call)
            {
                edits.push(edit(range(it), ""));
            }
        }
        _ => {}
    }
}

/// Ends a function at its begin, and before each statement behind one that may have done
/// something. A `let` alone has done nothing yet: to end before it or behind it is the same.
fn early_return(node: Node<'_>, text: &str, edits: &mut Vec<Edit>) {
    let Node::Function(signature, block) = node else {
        return;
    };
    let Some(value) = ending(&signature.output) else {
        return;
    };
    let values: &[&str] = match value {
        "false" => &["false", "true"],
        _ => &[value],
    };
    let mut has_done = true;
    for (place, statement) in block.stmts.iter().enumerate() {
        let is_let = matches!(statement, Stmt::Local(_) | Stmt::Item(_));
        let has_done_before = has_done;
        has_done = has_done && place > 0 || !is_let;
        let whole = range(statement);
        let old = &text[whole.clone()];
        // An expression that is the value itself, and a call that is dropped as such.
        let is_last = block.stmts.len() == place + 1;
        let is_dropped = value.is_empty() && is_last && is_dropped_at_the_end(statement);
        let mut rest = block.stmts[place..].iter();
        let is_done = rest.all(|it| is_without_effect(it) || text[range(it)] == *value);
        if is_dropped || is_done || !has_done_before || is_let && place > 0 {
            continue;
        }
        for value in values.iter().filter(|value| **value != old) {
            let new = match value.is_empty() {
                true => format!("return; {old}"),
                false => format!("return {value}; {old}"),
            };
            edits.push(edit(whole.clone(), &new));
        }
    }
}

fn is_dropped_at_the_end(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Expr(call, _) if is_call(call))
}

/// The plainest value of a function's type, without effect; empty for none.
fn ending(output: &ReturnType) -> Option<&'static str> {
    let ReturnType::Type(_, output) = output else {
        return Some("");
    };
    let syn::Type::Path(output) = &**output else {
        return None;
    };
    let last = output.path.segments.last()?;
    match last.ident.to_string().as_str() {
        "bool" => Some("false"),
        "Option" => Some("None"),
        "Vec" => Some("Vec::new()"),
        "Result" if is_of_nothing(&last.arguments) => Some("Ok(())"),
        _ => None,
    }
}

/// `<()>` or `<(), E>`.
fn is_of_nothing(arguments: &syn::PathArguments) -> bool {
    let syn::PathArguments::AngleBracketed(arguments) = arguments else {
        return false;
    };
    let first = arguments.args.first();
    matches!(first, Some(syn::GenericArgument::Type(syn::Type::Tuple(it))) if it.elems.is_empty())
}

/// A call, waited for or not, its error passed on or not.
fn is_call(expression: &Expr) -> bool {
    match expression {
        Expr::Try(it) => is_call(&it.expr),
        Expr::Await(it) => is_call(&it.base),
        Expr::Call(_) => true,
        Expr::MethodCall(it) => SYNCS.iter().all(|name| it.method != name),
        _ => false,
    }
}

/// Whether a pattern stands in a condition: what it binds is used.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(it) => has_let(&it.left) || has_let(&it.right),
        _ => false,
    }
}

/// Whether a block ends its function or the round of a loop.
fn diverges(block: &syn::Block) -> bool {
    let last = block.stmts.last();
    matches!(
        last,
        Some(Stmt::Expr(
            Expr::Return(_) | Expr::Break(_) | Expr::Continue(_),
            _
        ))
    )
}

/// `match condition { true => …, false => … }`.
fn is_of_booleans(it: &syn::ExprMatch) -> bool {
    let is_boolean = |arm: &syn::Arm| match &arm.pat {
        syn::Pat::Lit(it) => matches!(it.lit, Lit::Bool(_)),
        _ => false,
    };
    it.arms.len() == 2 && it.arms.iter().all(is_boolean)
}

/// The number that an expression is, written in decimals.
fn number(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Lit(it) => match &it.lit {
            Lit::Int(it) if it.suffix().is_empty() => it.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The next number in place of a small one.
fn next(whole: Range<usize>, part: &Expr, text: &str, edits: &mut Vec<Edit>) {
    if let Some(number) = number(part)
        && number <= COUNTS_UP_TO
    {
        let new = (number + 1).to_string();
        edits.push(within(whole, range(part), &new, text));
    }
}

fn edit(range: Range<usize>, new: &str) -> Edit {
    let new = new.to_owned();
    Edit { range, new }
}

/// Other text for a part; the edit is of the whole, which says more to who reads it.
fn within(whole: Range<usize>, part: Range<usize>, new: &str, text: &str) -> Edit {
    let (before, behind) = (&text[whole.start..part.start], &text[part.end..whole.end]);
    Edit {
        range: whole,
        new: format!("{before}{new}{behind}"),
    }
}
