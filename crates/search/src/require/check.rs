//! Whether an expression's names and types fit a space.

use super::parse::{Kind, Node, Order};
use super::{RequireError, RequireProblem};
use crate::{Parameter, Range, Space, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Number,
    Text,
    Truth,
    /// A parameter with values of several types.
    Mixed,
}

pub(super) fn check(root: &Node, space: &Space) -> Result<(), Vec<RequireError>> {
    let mut checker = Checker {
        space,
        errors: Vec::new(),
    };
    checker.want_truth(root);
    let mut names = 0;
    root.visit(&mut |node| {
        names += usize::from(matches!(node.kind, Kind::Parameter(_) | Kind::Metric(_)));
    });
    if names == 0 && checker.errors.is_empty() {
        checker.fail(root, RequireProblem::Constant);
    }
    checker.errors.sort_by_key(|error| error.at);
    match checker.errors.is_empty() {
        true => Ok(()),
        false => Err(checker.errors),
    }
}

struct Checker<'a> {
    space: &'a Space,
    errors: Vec<RequireError>,
}

impl Checker<'_> {
    fn fail(&mut self, node: &Node, problem: RequireProblem) {
        let at = node.at;
        self.errors.push(RequireError { at, problem });
    }

    /// `None`: it is wrong, and told.
    fn type_of(&mut self, node: &Node) -> Option<Type> {
        match &node.kind {
            Kind::Value(value) => Some(value_type(value)),
            Kind::Metric(_) => Some(Type::Number),
            Kind::Parameter(name) => self.parameter_type(node, name),
            Kind::Negative(inner) => {
                self.want_number(inner);
                Some(Type::Number)
            }
            Kind::Arithmetic(_, left, right) => {
                self.want_number(left);
                self.want_number(right);
                Some(Type::Number)
            }
            Kind::Compare(order, left, right) => {
                self.compare(*order, left, right);
                Some(Type::Truth)
            }
            Kind::Not(inner) => {
                self.want_truth(inner);
                Some(Type::Truth)
            }
            Kind::And(parts) | Kind::Or(parts) => {
                parts.iter().for_each(|part| self.want_truth(part));
                Some(Type::Truth)
            }
        }
    }

    fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.space.parameters().iter().find(|p| p.name == name)
    }

    fn parameter_type(&mut self, node: &Node, name: &str) -> Option<Type> {
        if let Some(parameter) = self.parameter(name) {
            return Some(range_type(&parameter.range));
        }
        let word = Value::Text(name.to_owned());
        let is_value = |p: &Parameter| p.range.contains(&word);
        let name = name.to_owned();
        let problem = match self.space.parameters().iter().any(is_value) {
            true => RequireProblem::BareText { name },
            false => RequireProblem::UnknownParameter { name },
        };
        self.fail(node, problem);
        None
    }

    fn want_number(&mut self, node: &Node) {
        match self.type_of(node) {
            None | Some(Type::Number) => {}
            Some(found) => {
                let found = describe(node, found);
                self.fail(node, RequireProblem::NotNumber { found });
            }
        }
    }

    fn want_truth(&mut self, node: &Node) {
        match self.type_of(node) {
            None | Some(Type::Truth) => {}
            Some(found) => {
                let found = describe(node, found);
                self.fail(node, RequireProblem::NotTruth { found });
            }
        }
    }

    fn compare(&mut self, order: Order, left: &Node, right: &Node) {
        let (Some(a), Some(b)) = (self.type_of(left), self.type_of(right)) else {
            return;
        };
        let is_equality = matches!(order, Order::Equal | Order::Unequal);
        for (node, found) in [(left, a), (right, b)] {
            if !is_equality && found != Type::Number {
                let found = describe(node, found);
                return self.fail(node, RequireProblem::NoOrder { found });
            }
        }
        if a != b && a != Type::Mixed && b != Type::Mixed {
            let (left_text, right_text) = (describe(left, a), describe(right, b));
            let problem = RequireProblem::Unlike {
                left: left_text,
                right: right_text,
            };
            return self.fail(right, problem);
        }
        self.find_never(left, right);
        self.find_never(right, left);
    }

    /// A text that a parameter is compared with and never has is a slip.
    fn find_never(&mut self, parameter: &Node, value: &Node) {
        if let (Kind::Parameter(name), Kind::Value(Value::Text(text))) =
            (&parameter.kind, &value.kind)
            && let Some(found) = self.parameter(name)
            && !found.range.contains(&Value::Text(text.clone()))
        {
            let (parameter, text) = (name.clone(), text.clone());
            let problem = RequireProblem::NeverHas {
                parameter,
                value: text,
            };
            self.fail(value, problem);
        }
    }
}

fn value_type(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Truth,
        Value::Int(_) | Value::Real(_) => Type::Number,
        Value::Text(_) => Type::Text,
    }
}

fn range_type(range: &Range) -> Type {
    let Range::Choice { values, .. } = range else {
        return Type::Number;
    };
    let mut types = values.iter().map(value_type);
    let first = types.next().unwrap_or(Type::Mixed);
    match types.all(|other| other == first) {
        true => first,
        false => Type::Mixed,
    }
}

fn describe(node: &Node, found: Type) -> String {
    match (&node.kind, found) {
        (Kind::Parameter(name), Type::Text) => format!("{name} (a text)"),
        (Kind::Parameter(name), Type::Truth) => format!("{name} (true or false)"),
        (Kind::Parameter(name), Type::Number) => format!("{name} (a number)"),
        (Kind::Parameter(name), Type::Mixed) => {
            format!("{name} (values of several types)")
        }
        (Kind::Value(Value::Text(text)), _) => format!("the text '{text}'"),
        (Kind::Value(value), _) => value.to_string(),
        (_, Type::Number) => "a number".to_owned(),
        _ => "something that is true or false".to_owned(),
    }
}
