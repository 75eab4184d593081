//! By how much a trial breaks an expression.

use std::collections::BTreeMap;

use super::parse::{Arithmetic, Kind, Node, Order};
use crate::{Assignment, Value};

/// 0 where the expression holds; else how far it is from holding: the distance of a comparison's sides, 1 for what has no
/// distance, the sum over `and`, the least over `or`. `None` where it is neither true nor false.
///
/// A comparison with what is no number does not hold, whether it is negated or not, and is infinitely far from it.
pub(super) fn violation(
    root: &Node,
    parameters: &Assignment,
    metrics: &BTreeMap<String, f64>,
) -> Option<f64> {
    let scope = Scope {
        parameters,
        metrics,
    };
    scope.violation(root, true)
}

struct Scope<'a> {
    parameters: &'a Assignment,
    metrics: &'a BTreeMap<String, f64>,
}

impl Scope<'_> {
    /// `wanted`: whether it should be true.
    fn violation(&self, node: &Node, wanted: bool) -> Option<f64> {
        match (&node.kind, wanted) {
            (Kind::Not(inner), _) => self.violation(inner, !wanted),
            (Kind::And(parts), true) | (Kind::Or(parts), false) => self.all(parts, wanted),
            (Kind::And(parts), false) | (Kind::Or(parts), true) => self.any(parts, wanted),
            (Kind::Compare(order, left, right), _) => {
                let order = if wanted { *order } else { order.opposite() };
                let (left, right) = (self.value(left)?, self.value(right)?);
                Some(distance(order, &left, &right))
            }
            _ => match self.value(node)? {
                Value::Bool(value) => Some(f64::from(u8::from(value != wanted))),
                _ => Some(f64::INFINITY), // the types are checked
            },
        }
    }

    fn all(&self, parts: &[Node], wanted: bool) -> Option<f64> {
        let mut total = 0.0;
        let mut is_known = true;
        for part in parts {
            match self.violation(part, wanted) {
                Some(violation) => total += violation,
                None => is_known = false,
            }
        }
        (is_known || total > 0.0).then_some(total)
    }

    fn any(&self, parts: &[Node], wanted: bool) -> Option<f64> {
        let mut least = f64::INFINITY;
        let mut is_known = true;
        for part in parts {
            match self.violation(part, wanted) {
                Some(violation) => least = least.min(violation),
                None => is_known = false,
            }
        }
        (is_known || least == 0.0).then_some(least)
    }

    /// `None` where a name has no value.
    fn value(&self, node: &Node) -> Option<Value> {
        match &node.kind {
            Kind::Value(value) => Some(value.clone()),
            Kind::Parameter(name) => self.parameters.get(name).cloned(),
            Kind::Metric(name) => self.metrics.get(name).map(|value| Value::Real(*value)),
            Kind::Negative(inner) => Some(Value::Real(-self.number(inner)?)),
            Kind::Arithmetic(sign, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                Some(Value::Real(match sign {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                    Arithmetic::Remainder => libm::fmod(left, right),
                }))
            }
            Kind::Compare(..) | Kind::Not(_) | Kind::And(_) | Kind::Or(_) => {
                Some(Value::Bool(self.violation(node, true)? == 0.0))
            }
        }
    }

    fn number(&self, node: &Node) -> Option<f64> {
        Some(self.value(node)?.as_f64().unwrap_or(f64::NAN))
    }
}

impl Order {
    fn opposite(self) -> Order {
        match self {
            Order::Equal => Order::Unequal,
            Order::Unequal => Order::Equal,
            Order::Less => Order::GreaterEqual,
            Order::LessEqual => Order::Greater,
            Order::Greater => Order::LessEqual,
            Order::GreaterEqual => Order::Less,
        }
    }
}

fn distance(order: Order, left: &Value, right: &Value) -> f64 {
    let (Some(a), Some(b)) = (left.as_f64(), right.as_f64()) else {
        let holds = match order {
            Order::Equal => left.same(right),
            Order::Unequal => !left.same(right),
            _ => false,
        };
        return f64::from(u8::from(!holds));
    };
    if a.is_nan() || b.is_nan() {
        return f64::INFINITY;
    }
    let (holds, gap) = match order {
        Order::Equal => (a == b, (a - b).abs()),
        Order::Unequal => (a != b, 0.0),
        Order::Less => (a < b, a - b),
        Order::LessEqual => (a <= b, a - b),
        Order::Greater => (a > b, b - a),
        Order::GreaterEqual => (a >= b, b - a),
    };
    match holds {
        true => 0.0,
        false if gap.is_nan() => f64::INFINITY, // of two infinities
        false => gap.max(f64::MIN_POSITIVE),
    }
}
