//! An expression as a tree: `or` binds least, then `and`, `not`, comparisons, `+ -`, `* / %`, a sign.

use super::token::{self, Token, Word};
use super::{REQUIREMENT_DEPTH_MAX, RequireError, RequireProblem};
use crate::Value;

/// A part of an expression and its place, in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Value(Value),
    Parameter(String),
    Metric(String),
    Negative(Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Order, Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// Two or more.
    And(Vec<Node>),
    Or(Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Node {
    pub(super) fn visit<'a>(&'a self, look: &mut impl FnMut(&'a Node)) {
        look(self);
        match &self.kind {
            Kind::Value(_) | Kind::Parameter(_) | Kind::Metric(_) => {}
            Kind::Negative(inner) | Kind::Not(inner) => inner.visit(look),
            Kind::Arithmetic(_, left, right) | Kind::Compare(_, left, right) => {
                left.visit(look);
                right.visit(look);
            }
            Kind::And(parts) | Kind::Or(parts) => {
                parts.iter().for_each(|part| part.visit(look));
            }
        }
    }
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Node, RequireError> {
    let mut parser = Parser {
        tokens: token::read(text)?,
        next: 0,
        depth: 0,
    };
    let root = parser.any_of()?;
    match parser.word() {
        Word::End => Ok(root),
        _ => Err(parser.expected("and, or or the end")),
    }
}

struct Parser {
    /// The last one is the end.
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn word(&self) -> &Word {
        self.tokens.get(self.next).map_or(&Word::End, |t| &t.word)
    }

    fn at(&self) -> usize {
        let last = self.tokens.last();
        self.tokens.get(self.next).or(last).map_or(1, |t| t.at)
    }

    fn takes_name(&mut self, name: &str) -> bool {
        let found = matches!(self.word(), Word::Name(word) if word == name);
        self.next += usize::from(found);
        found
    }

    fn take_sign<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        let Word::Sign(sign) = self.word() else {
            return None;
        };
        let found = signs.iter().find(|(own, _)| own == sign)?.1;
        self.next += 1;
        Some(found)
    }

    fn expected(&self, expected: &str) -> RequireError {
        self.fail(RequireProblem::Expected {
            expected: expected.to_owned(),
            found: self.word().describe(),
        })
    }

    fn fail(&self, problem: RequireProblem) -> RequireError {
        let at = self.at();
        RequireError { at, problem }
    }

    /// Everything that can go deeper goes through here.
    fn deeper(
        &mut self,
        read: impl FnOnce(&mut Parser) -> Result<Node, RequireError>,
    ) -> Result<Node, RequireError> {
        if self.depth == REQUIREMENT_DEPTH_MAX {
            let max = REQUIREMENT_DEPTH_MAX;
            return Err(self.fail(RequireProblem::TooDeep { max }));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn any_of(&mut self) -> Result<Node, RequireError> {
        let at = self.at();
        let mut parts = vec![self.all_of()?];
        while self.takes_name("or") {
            parts.push(self.all_of()?);
        }
        Ok(join(at, parts, Kind::Or))
    }

    fn all_of(&mut self) -> Result<Node, RequireError> {
        let at = self.at();
        let mut parts = vec![self.negation()?];
        while self.takes_name("and") {
            parts.push(self.negation()?);
        }
        Ok(join(at, parts, Kind::And))
    }

    fn negation(&mut self) -> Result<Node, RequireError> {
        let at = self.at();
        if !self.takes_name("not") {
            return self.comparison();
        }
        let inner = Box::new(self.deeper(Parser::negation)?);
        let kind = Kind::Not(inner);
        Ok(Node { at, kind })
    }

    fn comparison(&mut self) -> Result<Node, RequireError> {
        const SIGNS: [(&str, Order); 6] = [
            ("==", Order::Equal),
            ("!=", Order::Unequal),
            ("<", Order::Less),
            ("<=", Order::LessEqual),
            (">", Order::Greater),
            (">=", Order::GreaterEqual),
        ];
        let left = self.sum()?;
        let at = self.at();
        let Some(order) = self.take_sign(&SIGNS) else {
            return Ok(left);
        };
        let right = self.sum()?;
        let again = self.fail(RequireProblem::Chained);
        if self.take_sign(&SIGNS).is_some() {
            return Err(again);
        }
        let kind = Kind::Compare(order, Box::new(left), Box::new(right));
        Ok(Node { at, kind })
    }

    fn sum(&mut self) -> Result<Node, RequireError> {
        let signs = [("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];
        self.arithmetic(&signs, Parser::product)
    }

    fn product(&mut self) -> Result<Node, RequireError> {
        let signs = [
            ("*", Arithmetic::Multiply),
            ("/", Arithmetic::Divide),
            ("%", Arithmetic::Remainder),
        ];
        self.arithmetic(&signs, Parser::signed)
    }

    fn arithmetic(
        &mut self,
        signs: &[(&str, Arithmetic)],
        part: impl Fn(&mut Parser) -> Result<Node, RequireError>,
    ) -> Result<Node, RequireError> {
        let mut left = part(self)?;
        loop {
            let at = self.at();
            let Some(sign) = self.take_sign(signs) else {
                return Ok(left);
            };
            let right = part(self)?;
            let kind = Kind::Arithmetic(sign, Box::new(left), Box::new(right));
            left = Node { at, kind };
        }
    }

    fn signed(&mut self) -> Result<Node, RequireError> {
        let at = self.at();
        if self.take_sign(&[("-", ())]).is_none() {
            return self.primary();
        }
        let inner = Box::new(self.deeper(Parser::signed)?);
        let kind = Kind::Negative(inner);
        Ok(Node { at, kind })
    }

    fn primary(&mut self) -> Result<Node, RequireError> {
        let at = self.at();
        if self.take_sign(&[("(", ())]).is_some() {
            let inner = self.deeper(Parser::any_of)?;
            if self.take_sign(&[(")", ())]).is_none() {
                return Err(self.expected(")"));
            }
            return Ok(inner);
        }
        let kind = match self.word() {
            Word::Whole(value) => Kind::Value(Value::Int(*value)),
            Word::Real(value) => Kind::Value(Value::Real(*value)),
            Word::Text(text) => Kind::Value(Value::Text(text.clone())),
            Word::Quoted(name) => Kind::Parameter(name.clone()),
            Word::Name(name) => match name.as_str() {
                "true" => Kind::Value(Value::Bool(true)),
                "false" => Kind::Value(Value::Bool(false)),
                "metrics" => return Err(self.fail(RequireProblem::NoMetric)),
                "and" | "or" | "not" => return Err(self.expected("a name or a value")),
                name => match name.strip_prefix("metrics.") {
                    Some(metric) => Kind::Metric(metric.to_owned()),
                    None => Kind::Parameter(name.to_owned()),
                },
            },
            Word::Sign(_) | Word::End => return Err(self.expected("a name or a value")),
        };
        self.next += 1;
        Ok(Node { at, kind })
    }
}

fn join(at: usize, mut parts: Vec<Node>, kind: impl Fn(Vec<Node>) -> Kind) -> Node {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Node {
            at,
            kind: kind(parts),
        },
    }
}
