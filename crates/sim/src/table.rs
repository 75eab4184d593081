//! Known results: what each configuration of a space gives and costs, from plain cells.
//!
//! Whoever reads the file hands in columns; here they are matched with the space by value and checked whole, so that a
//! simulated trial always finds its row.

pub(crate) mod curve;
mod problem;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bonfire_search::{Assignment, Parameter, Sampler, Space, Suggestion, Value};

pub use problem::TableProblem;

/// Ten years, the longest a trial may take.
const COST_S_MAX: f64 = 10.0 * 366.0 * 86_400.0;

/// One cell, whatever the file was.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Value(Value),
    /// Such as a metric after each unit.
    List(Vec<f64>),
}

/// A column: its name and its cells, all columns of one length.
pub type Column = (String, Vec<Cell>);

/// Which columns say what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The objective of a trial that trained its whole budget.
    pub metric: String,
    /// Seconds that takes.
    pub cost: String,
    /// A list: the objective at equal shares of the budget, the last one at its end.
    pub curve: Option<String>,
}

/// What the search requires something of besides the objective: a column each, by the metric's name.
pub(crate) type Required = Vec<String>;

/// What is known of one configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Not finite: the trial diverges.
    pub metric: f64,
    /// Milliseconds of the whole budget.
    pub cost_ms: u64,
    /// Not empty where there is one.
    pub curve: Option<Vec<f64>>,
    /// What the search requires something of.
    pub metrics: BTreeMap<String, f64>,
}

/// A row for every configuration of a space.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The parameters' names, and for each the codes of its values. Code 0 stands for an absent one.
    codes: Vec<(String, BTreeMap<ByValue, u32>)>,
    rows: BTreeMap<Box<[u32]>, Row>,
    /// The median of the finite metrics.
    pub median: f64,
    /// The most units a curve has; 0 without curves.
    pub curve_units: usize,
}

/// A value in the order in which numbers compare by value: 1 is 1.0.
#[derive(Clone, Debug)]
struct ByValue(Value);

impl Ord for ByValue {
    fn cmp(&self, other: &ByValue) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for ByValue {
    fn partial_cmp(&self, other: &ByValue) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByValue {
    fn eq(&self, other: &ByValue) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByValue {}

impl Table {
    /// Matches rows with the configurations that a sampler may try: numbers by value, texts exactly, null where a conditional parameter
    /// is absent. Rows of other configurations and other columns are passed over.
    ///
    /// # Errors
    /// Every parameter and column that is not usable; else the first row that is not; else that rows are missing.
    pub fn new(
        columns: &[Column],
        names: &Columns,
        required: &Required,
        sampler: &Sampler,
    ) -> Result<Table, Vec<TableProblem>> {
        let space = sampler.space();
        let found = Found::look(columns, names, required, space)?;
        let mut table = Table {
            codes: space
                .parameters()
                .iter()
                .map(|p| (p.name.clone(), BTreeMap::new()))
                .collect(),
            rows: BTreeMap::new(),
            median: f64::NAN,
            curve_units: 0,
        };
        let keys = table.keys(&found, sampler);
        let mut numbers: BTreeMap<&[u32], u64> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            let Some(key) = key else { continue };
            let row = at as u64 + 1;
            if let Some(first) = numbers.insert(key, row) {
                let configuration = text(&found.assignment(space, at));
                return Err(vec![TableProblem::Twice {
                    first,
                    row,
                    configuration,
                }]);
            }
            let known = found.row(at, names).map_err(|problem| vec![problem])?;
            table.curve_units = table
                .curve_units
                .max(known.curve.as_ref().map_or(0, Vec::len));
            table.rows.insert(key.clone(), known);
        }
        table.check_complete(sampler)?;
        table.median = curve::median(table.rows.values().map(|row| row.metric));
        Ok(table)
    }

    /// The codes of each row's values; `None` for a row that is no configuration of the space.
    fn keys(&mut self, found: &Found<'_>, sampler: &Sampler) -> Vec<Option<Box<[u32]>>> {
        let space = sampler.space();
        let parameters = space.parameters();
        let conditional = parameters.iter().any(|p| !p.when.is_empty());
        let mut keys: Vec<Option<Vec<u32>>> =
            vec![Some(Vec::with_capacity(parameters.len())); found.rows()];
        for ((parameter, cells), (_, codes)) in parameters
            .iter()
            .zip(&found.parameters)
            .zip(&mut self.codes)
        {
            let mut outside: BTreeMap<ByValue, ()> = BTreeMap::new();
            for (key, cell) in keys.iter_mut().zip(*cells) {
                let code = code_of(cell, parameter, codes, &mut outside);
                match (code, key.as_mut()) {
                    (Some(code), Some(key)) => key.push(code),
                    _ => *key = None,
                }
            }
        }
        keys.into_iter()
            .enumerate()
            .map(|(at, key)| {
                let key = key?;
                let is_one = match conditional {
                    true => space.contains(&found.assignment(space, at)),
                    false => !key.contains(&0),
                };
                let may_be =
                    is_one && (!sampler.is_bound() || sampler.allows(&found.assignment(space, at)));
                may_be.then(|| key.into_boxed_slice())
            })
            .collect()
    }

    fn check_complete(&self, sampler: &Sampler) -> Result<(), Vec<TableProblem>> {
        let size = sampler.points().unwrap_or(u128::MAX);
        let known = self.rows.len() as u128;
        if known == size {
            return Ok(());
        }
        Err(vec![TableProblem::Missing {
            missing: size - known,
            size,
            configuration: self.first_missing(sampler).as_ref().map(text),
        }])
    }

    /// The first configuration without a row, in the order of a grid. None where the space is too large for one.
    fn first_missing(&self, sampler: &Sampler) -> Option<Assignment> {
        let count = u32::try_from(self.rows.len()).ok()?.checked_add(1)?;
        let points = sampler.as_grid()?.suggest_many(0, count).into_iter();
        let mut points = points.filter_map(|suggestion| match suggestion {
            Suggestion::Trial(point) => Some(point),
            Suggestion::Exhausted { .. } => None,
        });
        points.find(|point| self.row(point).is_none())
    }

    /// What is known of a configuration.
    pub fn row(&self, configuration: &Assignment) -> Option<&Row> {
        let code = |(name, codes): &(String, BTreeMap<ByValue, u32>)| match configuration.get(name)
        {
            None => Some(0),
            Some(value) => codes.get(&ByValue(value.clone())).copied(),
        };
        let key: Option<Box<[u32]>> = self.codes.iter().map(code).collect();
        self.rows.get(&key?)
    }
}

/// The code of a cell: 0 for null, a new one for a value of the range not seen before; `None` for any other value.
fn code_of(
    cell: &Cell,
    parameter: &Parameter,
    codes: &mut BTreeMap<ByValue, u32>,
    outside: &mut BTreeMap<ByValue, ()>,
) -> Option<u32> {
    let value = match cell {
        Cell::Null => return Some(0),
        Cell::List(_) => return None,
        Cell::Value(value) => ByValue(value.clone()),
    };
    if let Some(code) = codes.get(&value) {
        return Some(*code);
    }
    if outside.contains_key(&value) {
        return None;
    }
    if !parameter.range.contains(&value.0) {
        outside.insert(value, ());
        return None;
    }
    let next = codes.len() as u32 + 1;
    codes.insert(value, next);
    Some(next)
}

/// The columns of a table that are read.
struct Found<'a> {
    /// In the order of the space's parameters.
    parameters: Vec<&'a [Cell]>,
    metric: &'a [Cell],
    cost: &'a [Cell],
    curve: Option<&'a [Cell]>,
    required: Vec<(String, &'a [Cell])>,
}

impl<'a> Found<'a> {
    fn look(
        columns: &'a [Column],
        names: &Columns,
        required: &Required,
        space: &Space,
    ) -> Result<Found<'a>, Vec<TableProblem>> {
        let mut problems = Vec::new();
        let known = || {
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            names.join(", ")
        };
        let mut find = |what: &'static str, name: &str| -> &'a [Cell] {
            if let Some((_, cells)) = columns.iter().find(|(n, _)| n == name) {
                return cells;
            }
            let column = name.to_owned();
            problems.push(TableProblem::NoColumn {
                what,
                column,
                known: known(),
            });
            &[]
        };
        let found = Found {
            parameters: space
                .parameters()
                .iter()
                .map(|p| find("parameter", &p.name))
                .collect(),
            metric: find("metric", &names.metric),
            cost: find("cost", &names.cost),
            curve: names.curve.as_ref().map(|name| find("curve", name)),
            required: required
                .iter()
                .map(|name| {
                    (
                        name.clone(),
                        find(
                            "metric that search.require or search.objectives names",
                            name,
                        ),
                    )
                })
                .collect(),
        };
        for parameter in space.parameters() {
            if parameter.range.cardinality().is_none() {
                let parameter = parameter.name.clone();
                problems.push(TableProblem::Continuous { parameter });
            }
        }
        if problems.is_empty() {
            Ok(found)
        } else {
            Err(problems)
        }
    }

    fn rows(&self) -> usize {
        self.metric.len()
    }

    fn assignment(&self, space: &Space, at: usize) -> Assignment {
        let cells = space.parameters().iter().zip(&self.parameters);
        cells
            .filter_map(|(parameter, cells)| match &cells[at] {
                Cell::Value(value) => Some((parameter.name.clone(), value.clone())),
                Cell::Null | Cell::List(_) => None,
            })
            .collect()
    }

    fn row(&self, at: usize, names: &Columns) -> Result<Row, TableProblem> {
        let wrong = |column: &str, problem: String| TableProblem::Row {
            row: at as u64 + 1,
            column: column.to_owned(),
            problem,
        };
        let metric = number(&self.metric[at])
            .filter(|metric| !metric.is_nan())
            .ok_or_else(|| {
                let problem = "is no number; write inf for a configuration that diverges, its trial then fails";
                wrong(&names.metric, problem.to_owned())
            })?;
        let cost = number(&self.cost[at])
            .filter(|cost| (0.0..=COST_S_MAX).contains(cost))
            .ok_or_else(|| {
                let problem = format!("is no number of seconds from 0 to {COST_S_MAX}");
                wrong(&names.cost, problem)
            })?;
        let curve = match (self.curve, &names.curve) {
            (Some(cells), Some(name)) => match &cells[at] {
                Cell::List(list) if !list.is_empty() => Some(list.clone()),
                _ => return Err(wrong(name, "is no list with a number or more".to_owned())),
            },
            _ => None,
        };
        let mut metrics = BTreeMap::new();
        for (name, cells) in &self.required {
            let value = number(&cells[at]).filter(|value| !value.is_nan());
            let value = value.ok_or_else(|| wrong(name, "is no number".to_owned()))?;
            metrics.insert(name.clone(), value);
        }
        Ok(Row {
            metric,
            cost_ms: (cost * 1e3).round() as u64,
            curve,
            metrics,
        })
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Value(value) => value.as_f64(),
        Cell::Null | Cell::List(_) => None,
    }
}

/// `depth=2 kind=relu`
fn text(configuration: &Assignment) -> String {
    let words: Vec<String> = configuration
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
