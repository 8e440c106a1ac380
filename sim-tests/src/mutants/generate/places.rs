//! The places at which operators look: functions whose body can be a switch, and the nodes
//! of their bodies.

use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::super::mutant::Replacement;
use super::super::weave::{is_of_tests, unfit};
use super::operators::{Edit, OPERATORS};

/// Traits whose implementations make text for people.
const FOR_PEOPLE: [&str; 3] = ["Debug", "Display", "Error"];
/// Calls that change nothing that a run could show: notices to the operator, and capacities.
const WITHOUT_EFFECT: [&str; 6] = [
    "report",
    "reserve",
    "reserve_exact",
    "shrink_to",
    "shrink_to_fit",
    "with_capacity",
];
/// The type of what is told to the operator.
const NOTICE: &str = "Notice";

/// A place where an operator may fit.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Function(&'a syn::Signature, &'a syn::Block),
    Statement(&'a syn::Stmt),
    Expression(&'a syn::Expr),
    Arm(&'a syn::Arm),
}

/// All replacements in a file.
pub(super) fn replacements(file: &str, text: &str, parsed: &syn::File) -> Vec<Replacement> {
    let mut places = Places {
        file,
        text,
        type_name: None,
        function: String::new(),
        found: Vec::new(),
    };
    places.visit_file(parsed);
    places.found
}

/// The bytes of a node.
pub(super) fn range(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

struct Places<'t> {
    file: &'t str,
    text: &'t str,
    /// The type whose functions are visited.
    type_name: Option<String>,
    function: String,
    found: Vec<Replacement>,
}

impl Places<'_> {
    fn function(&mut self, attributes: &[syn::Attribute], sig: &syn::Signature, body: &syn::Block) {
        if is_of_tests(attributes) || unfit(sig).is_some() || is_static_text(&sig.output) {
            return;
        }
        self.function = match &self.type_name {
            Some(name) => format!("{name}::{}", sig.ident),
            None => sig.ident.to_string(),
        };
        self.look(Node::Function(sig, body));
        self.visit_block(body);
    }

    fn look(&mut self, node: Node<'_>) {
        for operator in &OPERATORS {
            for edit in operator.edits(node, self.text) {
                self.add(operator.name, edit);
            }
        }
    }

    fn add(&mut self, operator: &str, Edit { range, new }: Edit) {
        let before = &self.text[..range.start];
        self.found.push(Replacement {
            file: self.file.to_owned(),
            line: 1 + before.matches('\n').count(),
            function: self.function.clone(),
            operator: operator.to_owned(),
            old: self.text[range.clone()].to_owned(),
            range,
            new,
        });
    }
}

impl Visit<'_> for Places<'_> {
    fn visit_item_mod(&mut self, it: &syn::ItemMod) {
        if !is_of_tests(&it.attrs) {
            visit::visit_item_mod(self, it);
        }
    }

    fn visit_item_impl(&mut self, it: &syn::ItemImpl) {
        let last = it
            .trait_
            .as_ref()
            .and_then(|(_, path, _)| path.segments.last());
        if is_of_tests(&it.attrs)
            || last.is_some_and(|last| FOR_PEOPLE.iter().any(|it| last.ident == it))
        {
            return;
        }
        let before = self.type_name.replace(type_name(&it.self_ty));
        visit::visit_item_impl(self, it);
        self.type_name = before;
    }

    fn visit_item_trait(&mut self, it: &syn::ItemTrait) {
        let before = self.type_name.replace(it.ident.to_string());
        visit::visit_item_trait(self, it);
        self.type_name = before;
    }

    // A body is visited as a block only: a function within it is met as an item, and left out.
    fn visit_item_fn(&mut self, it: &syn::ItemFn) {
        self.function(&it.attrs, &it.sig, &it.block);
    }

    fn visit_impl_item_fn(&mut self, it: &syn::ImplItemFn) {
        self.function(&it.attrs, &it.sig, &it.block);
    }

    fn visit_trait_item_fn(&mut self, it: &syn::TraitItemFn) {
        if let Some(block) = &it.default {
            self.function(&it.attrs, &it.sig, block);
        }
    }

    fn visit_item_const(&mut self, _: &syn::ItemConst) {}

    fn visit_item_static(&mut self, _: &syn::ItemStatic) {}

    fn visit_type(&mut self, _: &syn::Type) {}

    fn visit_pat(&mut self, _: &syn::Pat) {}

    fn visit_stmt(&mut self, it: &syn::Stmt) {
        if let syn::Stmt::Item(_) = it {
            return;
        }
        if !is_without_effect(it) {
            self.look(Node::Statement(it));
        }
        visit::visit_stmt(self, it);
    }

    fn visit_expr(&mut self, it: &syn::Expr) {
        let is_dull = match it {
            syn::Expr::MethodCall(call) => is_dull_call(&call.method, &call.args),
            syn::Expr::Call(call) => match &*call.func {
                syn::Expr::Path(it) => {
                    let last = it.path.segments.last();
                    last.is_some_and(|last| is_dull_call(&last.ident, &call.args))
                }
                _ => false,
            },
            syn::Expr::Struct(it) => is_notice(&it.path),
            _ => false,
        };
        if !is_dull {
            self.look(Node::Expression(it));
            visit::visit_expr(self, it);
        }
    }

    fn visit_arm(&mut self, it: &syn::Arm) {
        self.look(Node::Arm(it));
        visit::visit_arm(self, it);
    }
}

fn is_dull_call<'a>(name: &syn::Ident, arguments: impl IntoIterator<Item = &'a syn::Expr>) -> bool {
    let tells = |argument: &syn::Expr| match argument {
        syn::Expr::Struct(it) => is_notice(&it.path),
        syn::Expr::Path(it) => is_notice(&it.path),
        _ => false,
    };
    WITHOUT_EFFECT.iter().any(|it| name == it) || arguments.into_iter().any(tells)
}

fn is_notice(path: &syn::Path) -> bool {
    path.segments.iter().any(|segment| segment.ident == NOTICE)
}

/// Whether the statement is nothing but calls that no run shows.
pub(super) fn is_without_effect(statement: &syn::Stmt) -> bool {
    let all = |block: &syn::Block| block.stmts.iter().all(is_without_effect);
    match statement {
        syn::Stmt::Expr(syn::Expr::MethodCall(call), _) => is_dull_call(&call.method, &call.args),
        syn::Stmt::Expr(syn::Expr::ForLoop(it), _) => all(&it.body),
        syn::Stmt::Expr(syn::Expr::If(it), _) => all(&it.then_branch) && it.else_branch.is_none(),
        _ => false,
    }
}

/// Whether a function gives a text that stands in the program, a name mostly.
fn is_static_text(output: &syn::ReturnType) -> bool {
    match output {
        syn::ReturnType::Type(_, it) => match &**it {
            syn::Type::Reference(it) => it.lifetime.as_ref().is_some_and(|it| it.ident == "static"),
            _ => false,
        },
        syn::ReturnType::Default => false,
    }
}

fn type_name(it: &syn::Type) -> String {
    match it {
        syn::Type::Path(it) => it.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    }
    .unwrap_or_else(|| "impl".to_owned())
}
