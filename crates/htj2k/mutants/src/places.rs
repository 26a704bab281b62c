//! Finds the place of each mutant in a file's syntax.

use std::collections::HashMap;
use std::ops::Range;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, UnOp};

use crate::{Choice, Genre, Position};

/// A place to rewrite; ranges are of bytes.
pub struct Edit {
    pub whole: Range<usize>,
    pub form: Form,
    pub choices: Vec<Choice>,
}

pub enum Form {
    /// Operands of an operator; what the operator does with them.
    Binary {
        left: Range<usize>,
        right: Range<usize>,
        operator: String,
        kind: Kind,
    },
    Unary {
        operand: Range<usize>,
        operator: String,
    },
    /// Where a function's body begins.
    Body,
    /// A match arm's pattern ends here.
    Arm {
        guard: Option<Range<usize>>,
    },
    Guard,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Value,
    Comparison,
    And,
    Or,
    Assign,
}

/// The edits of a file, outermost first.
pub fn find(source: &str, choices: Vec<(Position, Choice)>) -> Vec<Edit> {
    let file = syn::parse_file(source).expect("the sources compile");
    let mut starts = vec![0];
    starts.extend(source.match_indices('\n').map(|(at, _)| at + 1));
    let mut wanted: HashMap<Position, Vec<Choice>> = HashMap::new();
    for (position, choice) in choices {
        wanted.entry(position).or_default().push(choice);
    }
    let mut finder = Finder { source, starts, wanted, edits: Vec::new() };
    finder.visit_file(&file);
    let inner = |form: &Form| !matches!(form, Form::Body);
    finder.edits.sort_by_key(|e| (e.whole.start, inner(&e.form), std::cmp::Reverse(e.whole.end)));
    finder.edits
}

struct Finder<'a> {
    source: &'a str,
    /// Where lines begin.
    starts: Vec<usize>,
    wanted: HashMap<Position, Vec<Choice>>,
    edits: Vec<Edit>,
}

impl Finder<'_> {
    fn offset(&self, at: LineColumn) -> usize {
        let start = self.starts[at.line - 1];
        let line = &self.source[start..];
        start + line.char_indices().nth(at.column).map_or(line.len(), |(n, _)| n)
    }

    fn range(&self, node: &impl Spanned) -> Range<usize> {
        let span = node.span();
        self.offset(span.start())..self.offset(span.end())
    }

    /// The mutants of a genre at a place.
    fn take(&mut self, at: LineColumn, genre: Genre) -> Vec<Choice> {
        let position = Position { line: at.line, column: at.column + 1 };
        let Some(all) = self.wanted.get_mut(&position) else { return Vec::new() };
        all.extract_if(.., |c| c.genre == genre).collect()
    }

    fn add(&mut self, whole: Range<usize>, form: Form, choices: Vec<Choice>) {
        if !choices.is_empty() {
            self.edits.push(Edit { whole, form, choices });
        }
    }

    fn body(&mut self, sig: &syn::Signature, block: &syn::Block) {
        // Another type cannot be returned where the body decides which one it is.
        if matches!(&sig.output, syn::ReturnType::Type(_, ty) if matches!(**ty, syn::Type::ImplTrait(_))) {
            return;
        }
        if let Some(first) = block.stmts.first() {
            let choices = self.take(first.span().start(), Genre::FnValue);
            let start = self.offset(first.span().start());
            self.add(start..start, Form::Body, choices);
        }
    }
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        Expr::Paren(paren) => has_let(&paren.expr),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let chain = has_let(&binary.left) || has_let(&binary.right);
        if !chain {
            let choices = self.take(binary.op.span().start(), Genre::BinaryOperator);
            let operator = self.source[self.range(&binary.op)].to_owned();
            let (left, right) = (self.range(&*binary.left), self.range(&*binary.right));
            let form = Form::Binary { left, right, operator, kind: kind(&binary.op) };
            self.add(self.range(binary), form, choices);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let choices = self.take(unary.span().start(), Genre::UnaryOperator);
            let operator = self.source[self.range(&unary.op)].to_owned();
            let form = Form::Unary { operand: self.range(&*unary.expr), operator };
            self.add(self.range(unary), form, choices);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| &**guard);
        if !guard.is_some_and(has_let) {
            let choices = self.take(arm.span().start(), Genre::MatchArm);
            let end = self.range(&arm.pat).end;
            let range = guard.map(|g| self.range(g));
            let whole = range.clone().unwrap_or(end..end);
            self.add(whole.clone(), Form::Arm { guard: range }, choices);
            if let Some(guard) = guard {
                let choices = self.take(guard.span().start(), Genre::MatchArmGuard);
                self.add(whole, Form::Guard, choices);
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if item.sig.constness.is_none() {
            self.body(&item.sig, &item.block);
            visit::visit_block(self, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if item.sig.constness.is_none() {
            self.body(&item.sig, &item.block);
            visit::visit_block(self, &item.block);
        }
    }

    // What the compiler computes is left alone.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let Some(init) = &local.init {
            visit::visit_local_init(self, init);
        }
    }
}

fn kind(op: &BinOp) -> Kind {
    use BinOp::*;
    match op {
        And(_) => Kind::And,
        Or(_) => Kind::Or,
        Eq(_) | Ne(_) | Lt(_) | Le(_) | Gt(_) | Ge(_) => Kind::Comparison,
        AddAssign(_) | SubAssign(_) | MulAssign(_) | DivAssign(_) | RemAssign(_) | BitXorAssign(_)
        | BitAndAssign(_) | BitOrAssign(_) | ShlAssign(_) | ShrAssign(_) => Kind::Assign,
        _ => Kind::Value,
    }
}
