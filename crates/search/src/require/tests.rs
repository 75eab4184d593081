#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{Alike, Parameter, Range, Value};

fn space() -> Space {
    let texts = |words: &[&str]| words.iter().map(|w| Value::Text((*w).to_owned())).collect();
    let choice = |values: Vec<Value>| Range::Choice {
        values,
        alike: Alike::None,
    };
    let real = Range::Real {
        min: 0.0,
        max: 1.0,
        log: false,
    };
    let integer = Range::Integer {
        min: 1,
        max: 512,
        log: true,
    };
    let mixed = vec![Value::Text("none".to_owned()), Value::Real(1.0)];
    let named = [
        ("a[0]", integer.clone()),
        ("a[1]", integer),
        ("lr", real),
        ("optimizer.kind", choice(texts(&["adamw", "sgd"]))),
        ("flag", choice(vec![Value::Bool(false), Value::Bool(true)])),
        ("clip", choice(mixed)),
        ("odd-name", choice(vec![Value::Int(1), Value::Int(2)])),
    ];
    let parameter = |(name, range): (&str, Range)| Parameter {
        name: name.to_owned(),
        range,
        when: vec![],
    };
    Space::new(named.into_iter().map(parameter).collect()).unwrap()
}

/// What is wrong with an expression, one line an error; nothing if it is good.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = Requirement::parse(text).map_err(|error| vec![error]);
    let found = found.and_then(|requirement| requirement.check(&space()));
    let found: Vec<String> = found.map_or_else(
        |errors| errors.iter().map(ToString::to_string).collect(),
        |()| vec![],
    );
    assert_eq!(found, expected, "{text}");
}

#[test]
fn what_is_good() {
    for text in [
        "a[0] >= a[1]",
        "a[0] % a[1] == 0 and not (lr > 0.5 or flag)",
        "optimizer.kind == 'adamw' or lr <= 1e-2",
        "metrics.latency_ms <= 20",
        "metrics.valid.loss + 2 * lr < -(-3.5)",
        "clip != \"none\"",
        "`odd-name` == 2",
        "flag == true",
        "1.5e-3<lr",
        "not not flag",
    ] {
        check(text, &[]);
    }
}

#[test]
fn what_cannot_be_read() {
    let at = |text, expected| check(text, &[expected]);
    at(
        "",
        "at character 1: expected a name or a value, found the end",
    );
    at(
        "lr >",
        "at character 5: expected a name or a value, found the end",
    );
    at("(lr > 0.5", "at character 10: expected ), found the end");
    at(
        "lr > 0.5 lr",
        "at character 10: expected and, or or the end, found lr",
    );
    at(
        "lr = 0.5",
        "at character 4: '=' means nothing here: equality is ==",
    );
    at(
        "lr > 0 && flag",
        "at character 8: '&' means nothing here: write and",
    );
    at(
        "!flag",
        "at character 1: '!' means nothing here: write not, or !=",
    );
    at(
        "lr ^ 2 > 1",
        "at character 4: '^' means nothing here: there are no powers",
    );
    at("lr > 20ms", "at character 6: 20ms is not a number");
    at("lr > 1e999", "at character 6: 1e999 is not a number");
    at(
        "optimizer.kind == 'sgd",
        "at character 19: what begins here has no closing '",
    );
    at(
        "0.1 < lr < 0.2",
        "at character 10: a comparison cannot be compared again: join two of them with and",
    );
    at(
        "metrics < 3",
        "at character 1: metrics. is followed by the name of a metric, such as metrics.latency_ms",
    );
    at(
        "lr > and",
        "at character 6: expected a name or a value, found and",
    );
    at("a[x] > 1", "at character 2: '[' means nothing here");
    let deep = format!("{}lr > 1{}", "(".repeat(33), ")".repeat(33));
    at(
        &deep,
        "at character 34: more than 32 levels of parentheses, signs and not",
    );
    let long = format!("lr > 0{}", " + 1".repeat(300));
    at(
        &long,
        "at character 1: the expression has 1206 bytes, more than the limit of 1024: make two of it",
    );
}

#[test]
fn what_does_not_fit_the_space() {
    check(
        "momentum > 0.5",
        &["at character 1: momentum is not a parameter of this search"],
    );
    check(
        "optimizer.kind == sgd",
        &["at character 19: sgd is not a parameter of this search: a text is written 'sgd'"],
    );
    check(
        "optimizer.kind == 'adam'",
        &["at character 19: optimizer.kind is never 'adam'"],
    );
    check(
        "optimizer.kind > 'adamw'",
        &["at character 1: optimizer.kind (a text) has no order: only == and != compare it"],
    );
    check(
        "lr == 'x'",
        &["at character 7: lr (a number) is never the text 'x'"],
    );
    check(
        "lr + flag > 2 and a[0]",
        &[
            "at character 6: expected a number, found flag (true or false)",
            "at character 19: expected something that is true or false, such as a comparison, found a[0] (a number)",
        ],
    );
    check(
        "clip > 0.5",
        &["at character 1: clip (values of several types) has no order: only == and != compare it"],
    );
    check(
        "1 < 2",
        &["at character 3: names no parameter and no metric, so it is the same for every trial"],
    );
}

fn assignment(pairs: &[(&str, Value)]) -> Assignment {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

/// Whether a part of an assignment is allowed: `x` and `y` are 3 and 0.5, `kind` is sgd, the rest is not active.
#[track_caller]
fn check_allowed(text: &str, expected: bool) {
    let requirements = Requirements::new(vec![Requirement::parse(text).unwrap()]);
    let known = assignment(&[
        ("x", Value::Int(3)),
        ("y", Value::Real(0.5)),
        ("kind", Value::Text("sgd".to_owned())),
        ("on", Value::Bool(true)),
    ]);
    assert_eq!(requirements.allow(&known), expected, "{text}");
}

#[test]
fn what_is_allowed() {
    for (text, expected) in [
        ("x == 3.0", true),
        ("x > 3", false),
        ("x >= 3", true),
        ("not x >= 3", false),
        ("x - 1 - 1 == 1 and 2 + x * 2 == 8", true),
        ("x % 2 == 1", true),
        ("-x < 0 and 8 / 2 / 2 == 2", true),
        ("kind == 'sgd' and on", true),
        ("kind != 'sgd' or not on", false),
        // Not active: neither true nor false.
        ("z > 1", true),
        ("not z > 1", true),
        ("z > 1 or x == 3", true),
        ("z > 1 or x == 4", true),
        ("z > 1 and x == 4", false),
        ("not (z > 1 or x == 3)", false),
        ("z", true),
        // No number.
        ("x / 0 > 1", true),
        ("(x - 3) / 0 == 0", false),
        ("not (x - 3) / 0 == 0", false),
        ("x % 0 == x % 0", false),
        // A metric says nothing yet.
        ("metrics.ms < 1", true),
        ("metrics.ms < 1 and x == 4", false),
    ] {
        check_allowed(text, expected);
    }
}

#[track_caller]
fn check_outcome(texts: &[&str], metrics: &[(&str, f64)], expected: Outcome) {
    let all = texts.iter().map(|text| Requirement::parse(text).unwrap());
    let requirements = Requirements::new(all.collect());
    let metrics = metrics
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value));
    let known = assignment(&[("x", Value::Int(3))]);
    assert_eq!(
        requirements.outcome(&known, &metrics.collect()),
        expected,
        "{texts:?}"
    );
}

#[test]
fn what_metrics_come_to() {
    let broken = Outcome::Broken;
    let texts = [
        "metrics.ms <= 20",
        "metrics.mb < 8 or x > 9",
        "x == 4",
        "gone == metrics.gb",
    ];
    check_outcome(
        &texts,
        &[("ms", 20.0), ("mb", 7.0), ("gb", 1.0)],
        Outcome::Met,
    );
    check_outcome(
        &texts,
        &[("ms", 25.0), ("mb", 10.0), ("gb", 1.0)],
        broken(7.0),
    );
    check_outcome(&texts, &[("ms", 25.0)], broken(5.0));
    check_outcome(&texts, &[("ms", 5.0)], Outcome::Untold("mb".to_owned()));
    check_outcome(
        &texts,
        &[("ms", f64::NAN), ("mb", 0.0), ("gb", 1.0)],
        broken(f64::INFINITY),
    );
    check_outcome(
        &["metrics.ms < 20"],
        &[("ms", 20.0)],
        broken(f64::MIN_POSITIVE),
    );
    check_outcome(&["not metrics.ms > 20"], &[("ms", 21.5)], broken(1.5));
    check_outcome(
        &["metrics.ms == metrics.mb"],
        &[("ms", 1.0), ("mb", 3.0)],
        broken(2.0),
    );
    check_outcome(&["x == 4"], &[], Outcome::Met);
}

#[test]
fn a_requirement_is_its_text() {
    let requirement = Requirement::parse("x  >= 1").unwrap();
    let json = serde_json::to_string(&requirement).unwrap();
    assert_eq!(json, "\"x  >= 1\"");
    assert_eq!(
        serde_json::from_str::<Requirement>(&json).unwrap(),
        requirement
    );
    assert!(serde_json::from_str::<Requirement>("\"x >=\"").is_err());
    let names = Requirement::parse("metrics.a.b < x + metrics.a.b").unwrap();
    assert_eq!(names.metrics(), BTreeMap::from([("a.b", 1)]));
    assert_eq!(names.parameters(), BTreeSet::from(["x"]));
}

fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("lr"),
        Just("a[0]"),
        Just("flag"),
        Just("optimizer.kind"),
        Just("clip"),
        Just("gone"),
        Just("metrics.ms"),
        Just("'sgd'"),
        Just("'"),
        Just("`odd-name`"),
        Just("1"),
        Just("0.5"),
        Just("1e3"),
        Just("("),
        Just(")"),
        Just("not"),
        Just("and"),
        Just("or"),
        Just("=="),
        Just("!="),
        Just("<"),
        Just(">="),
        Just("+"),
        Just("-"),
        Just("*"),
        Just("/"),
        Just("%"),
        Just("true"),
        Just("\u{fc}"),
    ];
    prop_oneof![
        proptest::collection::vec(word, 0..14).prop_map(|words| words.join(" ")),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in any_text(), x: i64, y: f64) {
        let Ok(requirement) = Requirement::parse(&text) else {
            return Ok(());
        };
        let _ = requirement.check(&space());
        let _ = requirement.metrics();
        let known = assignment(&[("a[0]", Value::Int(x)), ("lr", Value::Real(y)), ("flag", Value::Bool(x > 0))]);
        let requirements = Requirements::new(vec![requirement]);
        let allowed = requirements.allow(&known);
        prop_assert_eq!(requirements.allow(&known), allowed);
        let metrics = BTreeMap::from([("ms".to_owned(), y)]);
        if let Outcome::Broken(total) = requirements.outcome(&known, &metrics) {
            prop_assert!(total > 0.0);
        }
    }
}
