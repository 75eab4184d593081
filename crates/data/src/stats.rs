//! Statistics of a column over all rows, in memory that does not grow with their number.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use bonfire_domain::dataset::{Column, DISTINCT_MAX};
use bonfire_domain::spec::ColumnKind;

use crate::block::Values;
use crate::convert::Plan;
use crate::number;

/// Most frequent values kept in a manifest.
const TOP_MAX: usize = 32;
/// Distinct values counted over all columns together; above it the column with the most stops counting.
const COUNTED_MAX: usize = 4 << 20;
/// Bytes of a value by which it is counted; of a longer one its head and its digest.
const VALUE_BYTES_MAX: usize = 128;

/// Running mean and deviation, in row order. Source: Welford 1962.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub count: u64,
    pub mean: f64,
    squares: f64,
    pub min: f64,
    pub max: f64,
}

impl Moments {
    pub fn add(&mut self, x: f64) {
        if self.count == 0 {
            (self.min, self.max) = (x, x);
        }
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (x - self.mean);
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }

    /// Of the population: divided by the count.
    pub fn std(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            (self.squares / self.count as f64).sqrt()
        }
    }
}

/// How often each value was seen, for the first [`DISTINCT_MAX`] values. Counts are exact; what came after is not in them.
struct Counts<K> {
    seen: HashMap<K, u64>,
    overflown: bool,
}

impl<K: std::hash::Hash + Eq> Counts<K> {
    fn new() -> Counts<K> {
        Counts {
            seen: HashMap::new(),
            overflown: false,
        }
    }

    fn add<Q: std::hash::Hash + Eq + ?Sized>(&mut self, value: &Q, own: impl FnOnce() -> K)
    where
        K: std::borrow::Borrow<Q>,
    {
        if let Some(count) = self.seen.get_mut(value) {
            *count += 1;
        } else if self.seen.len() as u64 >= DISTINCT_MAX {
            self.overflown = true;
        } else if !self.overflown {
            self.seen.insert(own(), 1);
        }
    }

    fn distinct(&self) -> Option<u64> {
        (!self.overflown).then_some(self.seen.len() as u64)
    }

    fn top(&self, text: impl Fn(&K) -> String) -> Vec<(String, u64)> {
        let mut counts: Vec<u64> = self.seen.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let least = counts.get(TOP_MAX - 1).copied().unwrap_or(0);
        let mut top: Vec<(String, u64)> = self
            .seen
            .iter()
            .filter(|(_, c)| **c >= least)
            .map(|(v, c)| (text(v), *c))
            .collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        top.truncate(TOP_MAX);
        top
    }

    fn give_up(&mut self) {
        self.overflown = true;
        self.seen = HashMap::new();
    }
}

enum Kind {
    Numbers(Counts<u64>),
    Texts(Counts<String>),
    Pixels,
}

struct Statistics {
    /// Rows before the block at hand.
    before: u64,
    nulls: u64,
    first_null: Option<u64>,
    first_infinite: Option<u64>,
    moments: Moments,
    /// Of texts.
    bytes: u64,
    kind: Kind,
}

/// The statistics of all columns of a dataset.
pub(crate) struct Survey {
    columns: Vec<(Plan, Statistics)>,
}

impl Survey {
    pub fn new(plans: &[Plan]) -> Survey {
        let columns = plans.iter().map(|plan| {
            let kind = match plan.kind {
                ColumnKind::Numeric => Kind::Numbers(Counts::new()),
                ColumnKind::Categorical | ColumnKind::Text => Kind::Texts(Counts::new()),
                ColumnKind::Image => Kind::Pixels,
            };
            (
                plan.clone(),
                Statistics {
                    before: 0,
                    nulls: 0,
                    first_null: None,
                    first_infinite: None,
                    moments: Moments::default(),
                    bytes: 0,
                    kind,
                },
            )
        });
        Survey {
            columns: columns.collect(),
        }
    }

    pub fn add(&mut self, block: &RecordBatch) {
        for (column, (plan, statistics)) in self.columns.iter_mut().enumerate() {
            if let Some(values) = Values::of(block, column, plan.width) {
                statistics.add(&values);
            }
        }
        self.bound();
    }

    /// Keeps wide tables of many values within [`COUNTED_MAX`].
    fn bound(&mut self) {
        let counted = |s: &Statistics| match &s.kind {
            Kind::Numbers(c) => c.seen.len(),
            Kind::Texts(c) => c.seen.len(),
            Kind::Pixels => 0,
        };
        let mut total: usize = self.columns.iter().map(|(_, s)| counted(s)).sum();
        while total > COUNTED_MAX {
            let Some((_, most)) = self.columns.iter_mut().max_by_key(|(_, s)| counted(s)) else {
                return;
            };
            total -= counted(most);
            match &mut most.kind {
                Kind::Numbers(c) => c.give_up(),
                Kind::Texts(c) => c.give_up(),
                Kind::Pixels => return,
            }
        }
    }

    pub fn finish(self) -> Vec<Column> {
        self.columns
            .into_iter()
            .map(|(plan, statistics)| statistics.column(plan))
            .collect()
    }
}

impl Statistics {
    fn add(&mut self, values: &Values<'_>) {
        let place = |row: usize| self.before + row as u64 + 1;
        match (values, &mut self.kind) {
            (Values::Numbers(numbers), Kind::Numbers(counts)) => {
                for (row, x) in numbers.iter().enumerate() {
                    let Some(x) = x else {
                        self.nulls += 1;
                        self.first_null.get_or_insert(place(row));
                        continue;
                    };
                    if x.is_finite() {
                        self.moments.add(x);
                    } else {
                        self.first_infinite.get_or_insert(place(row));
                    }
                    let bits = (x + 0.0).to_bits(); // -0 counts as 0
                    counts.add(&bits, || bits);
                }
            }
            (Values::Texts(texts), Kind::Texts(counts)) => {
                for (row, text) in texts.iter().enumerate() {
                    self.bytes += text.map_or(0, |text| text.len() as u64);
                    match text {
                        Some(text) if text.len() <= VALUE_BYTES_MAX => {
                            counts.add(text, || text.to_owned())
                        }
                        Some(text) => {
                            let key = abbreviate(text);
                            counts.add(key.as_str(), || key.clone());
                        }
                        None => {
                            self.nulls += 1;
                            self.first_null.get_or_insert(place(row));
                        }
                    }
                }
            }
            (Values::Pixels(pixels), Kind::Pixels) => {
                for row in 0..values.len() {
                    if values.is_null(row) {
                        self.nulls += 1;
                        self.first_null.get_or_insert(place(row));
                        continue;
                    }
                    pixels.each(row, |p| {
                        if p.is_finite() {
                            self.moments.add(p.into());
                        } else {
                            self.first_infinite.get_or_insert(place(row));
                        }
                    });
                }
            }
            _ => {}
        }
        self.before += values.len() as u64;
    }

    fn column(self, plan: Plan) -> Column {
        let (distinct, top) = match &self.kind {
            Kind::Numbers(c) => (
                c.distinct(),
                c.top(|bits| number::text(f64::from_bits(*bits))),
            ),
            Kind::Texts(c) => (c.distinct(), c.top(String::clone)),
            Kind::Pixels => (None, Vec::new()),
        };
        let known = |x: f64| (self.moments.count > 0 && x.is_finite()).then_some(x);
        Column {
            name: plan.name,
            kind: plan.kind,
            width: plan.width,
            nulls: self.nulls,
            first_null: self.first_null,
            first_infinite: self.first_infinite,
            min: known(self.moments.min),
            max: known(self.moments.max),
            mean: known(self.moments.mean),
            std: known(self.moments.std()),
            distinct,
            top,
            bytes: matches!(self.kind, Kind::Texts(_)).then_some(self.bytes),
        }
    }
}

/// The head of a long value and the digest of all of it.
fn abbreviate(text: &str) -> String {
    let mut end = VALUE_BYTES_MAX / 2;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!(
        "{}... {}",
        &text[..end],
        &blake3::hash(text.as_bytes()).to_hex()[..16]
    )
}
