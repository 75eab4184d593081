#![allow(clippy::unwrap_used)]
use bonfire_search::{
    Alike, Condition, Goal, Parameter, Range, Requirement, Requirements, SamplerKind,
};

use super::curve::{exponent, median};
use super::*;

fn int(value: i64) -> Cell {
    Cell::Value(Value::Int(value))
}

fn real(value: f64) -> Cell {
    Cell::Value(Value::Real(value))
}

fn word(text: &str) -> Cell {
    Cell::Value(Value::Text(text.to_owned()))
}

fn choice(name: &str, values: &[Value]) -> Parameter {
    Parameter {
        name: name.to_owned(),
        range: Range::Choice {
            values: values.to_vec(),
            alike: Alike::None,
        },
        when: vec![],
    }
}

fn table_of(
    columns: &[Column],
    names: &Columns,
    space: &Space,
) -> Result<Table, Vec<TableProblem>> {
    let sampler = Sampler::new(SamplerKind::Auto, space.clone(), Goal::Minimize, 1);
    Table::new(columns, names, &Required::new(), &sampler.unwrap())
}

fn names() -> Columns {
    Columns {
        metric: "metric".to_owned(),
        cost: "train_time".to_owned(),
        curve: None,
    }
}

/// `depth` 1 or 2, `kind` relu or tanh.
fn space() -> Space {
    let texts = [Value::Text("relu".into()), Value::Text("tanh".into())];
    let depth = Parameter {
        range: Range::Integer {
            min: 1,
            max: 2,
            log: false,
        },
        ..choice("depth", &[])
    };
    Space::new(vec![depth, choice("kind", &texts)]).unwrap()
}

fn columns() -> Vec<Column> {
    vec![
        (
            "kind".into(),
            ["relu", "tanh", "relu", "tanh"].map(word).to_vec(),
        ),
        ("other".into(), vec![Cell::Null; 4]),
        ("depth".into(), vec![int(1), real(1.0), real(2.0), int(2)]),
        (
            "metric".into(),
            vec![real(0.1), real(0.2), int(3), real(0.4)],
        ),
        (
            "train_time".into(),
            vec![int(1), real(0.5), int(0), real(2.0)],
        ),
    ]
}

#[track_caller]
fn cell<'a>(columns: &'a mut [Column], name: &str, row: usize) -> &'a mut Cell {
    let (_, cells) = columns.iter_mut().find(|(n, _)| n == name).unwrap();
    &mut cells[row]
}

#[track_caller]
fn check(change: impl FnOnce(&mut Vec<Column>), names: &Columns, space: &Space, expected: &[&str]) {
    let mut columns = columns();
    change(&mut columns);
    let found = table_of(&columns, names, space);
    let found: Vec<String> = match found {
        Ok(_) => vec![],
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected);
}

#[test]
fn numbers_match_by_value_and_texts_exactly() {
    let table = table_of(&columns(), &names(), &space()).unwrap();
    let of = |depth: Value, kind: &str| {
        let kind = Value::Text(kind.into());
        let point = Assignment::from([("depth".into(), depth), ("kind".into(), kind)]);
        table.row(&point).map(|row| (row.metric, row.cost_ms))
    };
    assert_eq!(of(Value::Int(1), "tanh"), Some((0.2, 500)));
    assert_eq!(of(Value::Real(2.0), "relu"), Some((3.0, 0)));
    assert_eq!(of(Value::Int(2), "tanh"), Some((0.4, 2_000)));
    assert_eq!(of(Value::Int(2), "Tanh"), None);
    assert_eq!(of(Value::Int(3), "tanh"), None);
    assert_eq!(table.row(&Assignment::new()), None);
    // Of 0.1, 0.2, 0.4 and 3.
    assert!((table.median - 0.3).abs() < 1e-12, "{}", table.median);
}

#[test]
fn small_numbers_are_numbers() {
    let space = Space::new(vec![choice("alpha", &[Value::Real(1e-8), Value::Int(1)])]).unwrap();
    let columns: Vec<Column> = vec![
        ("alpha".into(), vec![real(1.0), real(1e-08)]),
        ("metric".into(), vec![real(1.0), real(2.0)]),
        ("train_time".into(), vec![real(1.0), real(2.0)]),
    ];
    let table = table_of(&columns, &names(), &space).unwrap();
    let point = Assignment::from([("alpha".into(), Value::Real(1e-8))]);
    assert_eq!(table.row(&point).map(|r| r.metric), Some(2.0));
}

#[test]
fn columns_that_are_not_there_are_named_together() {
    let change = |columns: &mut Vec<Column>| {
        columns.retain(|(name, _)| name != "depth" && name != "train_time");
    };
    let expected = [
        "no column depth for the parameter; there are kind, other, metric",
        "no column train_time for the cost; there are kind, other, metric",
    ];
    check(change, &names(), &space(), &expected);
    let curve = Columns {
        curve: Some("history".into()),
        ..names()
    };
    let expected =
        "no column history for the curve; there are kind, other, depth, metric, train_time";
    check(|_| (), &curve, &space(), &[expected]);
}

#[test]
fn a_continuous_parameter_has_no_rows() {
    let mut depth = choice("depth", &[]);
    depth.range = Range::Real {
        min: 1.0,
        max: 2.0,
        log: false,
    };
    let space = Space::new(vec![depth]).unwrap();
    let expected =
        "parameter depth is continuous, and a table has a row a configuration; give it values";
    check(|_| (), &names(), &space, &[expected]);
}

#[test]
fn a_configuration_without_a_row_is_named() {
    let change = |columns: &mut Vec<Column>| *cell(columns, "kind", 3) = word("gelu");
    let expected = "1 of the space's 4 configurations have no row, the first is depth=2 kind=tanh";
    check(change, &names(), &space(), &[expected]);
    let change = |columns: &mut Vec<Column>| *cell(columns, "depth", 0) = word("1");
    let expected = "1 of the space's 4 configurations have no row, the first is depth=1 kind=relu";
    check(change, &names(), &space(), &[expected]);
}

#[test]
fn a_space_beyond_counting_is_refused_at_once() {
    let wide = |i: usize| {
        let values: Vec<Value> = (0..1_000).map(Value::Int).collect();
        choice(&format!("p{i}"), &values)
    };
    let space = Space::new((0..8).map(wide).collect()).unwrap();
    let change = |columns: &mut Vec<Column>| {
        columns.extend((0..8).map(|i| (format!("p{i}"), vec![int(1); 4])));
        for (row, column) in (0..4).zip([1, 2, 3, 4]) {
            *cell(columns, "p0", row) = int(column);
        }
    };
    let size = 10_u128.pow(24);
    let expected = format!(
        "{} of the space's {size} configurations have no row",
        size - 4
    );
    check(change, &names(), &space, &[&expected]);
}

#[test]
fn a_configuration_has_one_row() {
    let change = |columns: &mut Vec<Column>| *cell(columns, "depth", 2) = real(1.0);
    let expected = "rows 1 and 3 are the same configuration, depth=1.0 kind=relu";
    check(change, &names(), &space(), &[expected]);
}

#[test]
fn a_metric_is_a_number() {
    for bad in [Cell::Null, real(f64::NAN), word("0.5")] {
        let change = |columns: &mut Vec<Column>| *cell(columns, "metric", 1) = bad;
        let expected = "row 2, column metric: is no number; write inf for a configuration that diverges, its trial then fails";
        check(change, &names(), &space(), &[expected]);
    }
    let change = |columns: &mut Vec<Column>| *cell(columns, "metric", 1) = real(f64::INFINITY);
    check(change, &names(), &space(), &[]);
}

#[test]
fn a_cost_is_a_time() {
    for bad in [Cell::Null, real(f64::NAN), real(-1.0), real(f64::INFINITY)] {
        let change = |columns: &mut Vec<Column>| *cell(columns, "train_time", 3) = bad;
        let expected = "row 4, column train_time: is no number of seconds from 0 to 316224000";
        check(change, &names(), &space(), &[expected]);
    }
}

#[test]
fn rows_of_other_configurations_may_hold_anything() {
    let change = |columns: &mut Vec<Column>| {
        for (name, cells) in columns {
            cells.push(if name == "kind" {
                word("gelu")
            } else {
                Cell::Null
            });
        }
    };
    check(change, &names(), &space(), &[]);
}

#[test]
fn an_absent_parameter_is_null() {
    let mut momentum = choice("momentum", &[Value::Real(0.0), Value::Real(0.9)]);
    momentum.when = vec![Condition {
        parameter: "kind".into(),
        any_of: vec![Value::Text("sgd".into())],
    }];
    let kinds = [Value::Text("adam".into()), Value::Text("sgd".into())];
    let space = Space::new(vec![choice("kind", &kinds), momentum]).unwrap();
    let columns = |adam: Cell| -> Vec<Column> {
        vec![
            ("kind".into(), ["adam", "sgd", "sgd"].map(word).to_vec()),
            ("momentum".into(), vec![adam, real(0.0), real(0.9)]),
            ("metric".into(), vec![int(1), int(2), int(3)]),
            ("train_time".into(), vec![int(1), int(2), int(3)]),
        ]
    };
    let table = table_of(&columns(Cell::Null), &names(), &space).unwrap();
    let adam = Assignment::from([("kind".into(), Value::Text("adam".into()))]);
    assert_eq!(table.row(&adam).map(|r| r.metric), Some(1.0));
    let refused = table_of(&columns(real(0.9)), &names(), &space).unwrap_err();
    assert_eq!(
        refused[0].to_string(),
        "1 of the space's 3 configurations have no row, the first is kind=adam"
    );
}

/// What a search may not try needs no row, and a row of it says nothing.
#[test]
fn only_what_is_allowed_needs_a_row() {
    let values = [1, 2].map(Value::Int);
    let space = Space::new(vec![choice("a", &values), choice("b", &values)]).unwrap();
    let all = [(1, 1, 4), (2, 1, 5), (2, 2, 6), (1, 2, 9)];
    let of = |rows: usize, text: &str| {
        let column = |cell: fn(&(i64, i64, i64)) -> i64| {
            all[..rows]
                .iter()
                .map(|row| int(cell(row)))
                .collect::<Vec<Cell>>()
        };
        let columns: Vec<Column> = vec![
            ("a".into(), column(|row| row.0)),
            ("b".into(), column(|row| row.1)),
            ("metric".into(), column(|row| row.2)),
            ("train_time".into(), column(|_| 1)),
        ];
        let sampler = Sampler::new(SamplerKind::Auto, space.clone(), Goal::Minimize, 1).unwrap();
        let require = Requirements::new(vec![Requirement::parse(text).unwrap()]);
        let sampler = sampler.requiring(require).unwrap();
        Table::new(&columns, &names(), &Required::new(), &sampler)
    };
    assert_eq!(of(3, "a >= b").unwrap().median, 5.0);
    assert_eq!(of(4, "a >= b").unwrap().median, 5.0);
    assert_eq!(
        of(2, "a >= b").unwrap_err()[0].to_string(),
        "1 of the space's 3 configurations have no row, the first is a=2 b=2"
    );
}

#[track_caller]
fn check_value(row: &Row, exponent: f64, unit: u64, units: u64, expected: f64) {
    let table = table_of(&columns(), &names(), &space()).unwrap();
    let found = table.value(row, exponent, unit, units);
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
}

fn row(metric: f64, curve: Option<&[f64]>) -> Row {
    Row {
        metric,
        cost_ms: 1,
        curve: curve.map(<[f64]>::to_vec),
        metrics: BTreeMap::new(),
    }
}

#[test]
fn a_synthetic_curve_goes_from_the_median_to_the_metric() {
    // The median is 0.3.
    let good = row(0.1, None);
    check_value(&good, 0.5, 9, 9, 0.1);
    check_value(&good, 0.5, 1, 4, 0.3 - 0.2 * 0.5);
    check_value(&good, 0.5, 1, 9, 0.3 - 0.2 / 3.0);
    check_value(&row(0.7, None), 0.5, 1, 4, 0.3 + 0.4 * 0.5);
}

#[test]
fn a_recorded_curve_has_a_value_for_each_unit() {
    let recorded = row(9.0, Some(&[1.0, 2.0, 3.0, 4.0]));
    for (unit, units, expected) in [
        (1, 4, 1.0),
        (4, 4, 4.0),
        (1, 2, 1.0),
        (2, 2, 2.0),
        (1, 8, 1.0),
        (3, 8, 3.0),
        (8, 8, 4.0),
    ] {
        check_value(&recorded, 0.5, unit, units, expected);
    }
}

#[test]
fn an_exponent_belongs_to_a_configuration_by_value() {
    let of = |value: Value| exponent(&Assignment::from([("a".into(), value)]));
    assert_eq!(of(Value::Int(1)), of(Value::Real(1.0)));
    assert_ne!(of(Value::Int(1)), of(Value::Int(2)));
    let all: Vec<f64> = (0..1_000).map(|i| of(Value::Int(i))).collect();
    assert!(all.iter().all(|a| (0.1..0.6).contains(a)));
    let mean = all.iter().sum::<f64>() / 1e3;
    assert!((mean - 0.35).abs() < 0.02, "{mean}");
}

#[test]
fn medians_pass_over_what_is_not_finite() {
    assert_eq!(median([3.0, f64::INFINITY, 1.0].into_iter()), 2.0);
    assert_eq!(median([5.0, 1.0, 2.0].into_iter()), 2.0);
    assert!(median(std::iter::empty()).is_nan());
}

#[test]
fn a_table_has_nothing_that_a_population_could_train_on_from() {
    let text = "kind: sweep\nversion: 1\nname: t\nmodel: { kind: noop }\ntrain: { epochs: 9 }\nsearch:\n  \
                scheduler: { kind: pbt }\n  parameters: { model.x: { values: [0.0, 1.0] } }\n";
    let spec = bonfire_domain::spec::check(text.as_bytes(), &[]).unwrap();
    let setting = crate::FleetSetting {
        workers: 1,
        seed: 0,
        mtbf_ms: None,
    };
    let refused = crate::TableFleet::new(&spec, &[], &names(), setting);
    assert_eq!(refused.err(), Some(vec![TableProblem::Population]));
}
