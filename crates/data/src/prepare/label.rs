//! The label: its classes and how many rows each has, or a number.

use std::collections::{BTreeMap, HashMap};

use bonfire_domain::dataset::order_classes;

use crate::block::Values;
use crate::error::DataError;
use crate::number;

/// Classes a label may have.
const CLASSES_MAX: usize = 65_536;

/// Counts the usable rows of each value of the label.
pub(super) enum Counts {
    Classes {
        numbers: BTreeMap<u64, u64>,
        texts: BTreeMap<String, u64>,
    },
    Value {
        rows: u64,
    },
}

/// What the label of a row is.
pub(super) enum Label {
    Classes(Classes),
    Value { rows: u64 },
}

pub(super) struct Classes {
    pub names: Vec<String>,
    rows: Vec<u64>,
    numbers: HashMap<u64, usize>,
    texts: HashMap<String, usize>,
}

impl Counts {
    pub fn new(classes: bool) -> Counts {
        if classes {
            Counts::Classes {
                numbers: BTreeMap::new(),
                texts: BTreeMap::new(),
            }
        } else {
            Counts::Value { rows: 0 }
        }
    }

    /// Takes in the label of a usable row.
    ///
    /// # Errors
    /// Not a finite number, or too many classes.
    pub fn add(&mut self, label: &Values<'_>, row: usize) -> Result<(), String> {
        if let Values::Numbers(numbers) = label {
            let x = numbers.value(row);
            if !x.is_finite() {
                return Err(format!("{x} is not a finite number"));
            }
        }
        match (self, label) {
            (Counts::Value { rows }, _) => *rows += 1,
            (Counts::Classes { numbers, .. }, Values::Numbers(values)) => {
                *numbers.entry(bits(values.value(row))).or_insert(0) += 1;
                if numbers.len() > CLASSES_MAX {
                    return Err(format!(
                        "more than {CLASSES_MAX} classes: is this a regression?"
                    ));
                }
            }
            (Counts::Classes { texts, .. }, Values::Texts(values)) => {
                let text = values.value(row);
                if let Some(count) = texts.get_mut(text) {
                    *count += 1;
                } else if texts.len() == CLASSES_MAX {
                    return Err(format!("more than {CLASSES_MAX} classes"));
                } else {
                    texts.insert(text.to_owned(), 1);
                }
            }
            (Counts::Classes { .. }, Values::Pixels(_)) => {
                return Err("an image cannot be a label".to_owned());
            }
        }
        Ok(())
    }

    /// # Errors
    /// No rows, a single class, a class of a single row.
    pub fn finish(self, column: &str) -> Result<Label, DataError> {
        let (numbers, texts) = match self {
            Counts::Value { rows: 0 } => return Err(DataError::request("split: no usable rows")),
            Counts::Value { rows } => return Ok(Label::Value { rows }),
            Counts::Classes { numbers, texts } => (numbers, texts),
        };
        let mut counts = texts;
        counts.extend(
            numbers
                .iter()
                .map(|(bits, count)| (number::text(f64::from_bits(*bits)), *count)),
        );
        let names = order_classes(&counts);
        if let [] | [_] = names.as_slice() {
            let problem = match names.first() {
                Some(name) => format!(
                    "label: column {column} has a single class, {name}: there is nothing to tell apart"
                ),
                None => "split: no usable rows".to_owned(),
            };
            return Err(DataError::request(problem));
        }
        if let Some(name) = names
            .iter()
            .find(|n| counts.get(*n).is_some_and(|c| *c < 2))
        {
            let (classes, rows) = (names.len(), counts.values().sum::<u64>());
            let problem = format!(
                "label: class {name} of column {column} has one row, which cannot be in both train and valid \
                 ({classes} classes in {rows} rows): leave it out, or say task: regression if the label is a quantity"
            );
            return Err(DataError::request(problem));
        }
        let rows = names
            .iter()
            .map(|n| counts.get(n).copied().unwrap_or(0))
            .collect();
        let texts: HashMap<String, usize> = names
            .iter()
            .cloned()
            .enumerate()
            .map(|(i, n)| (n, i))
            .collect();
        let class = |bits: &u64| Some((*bits, *texts.get(&number::text(f64::from_bits(*bits)))?));
        let numbers = numbers.keys().filter_map(class).collect();
        Ok(Label::Classes(Classes {
            names,
            rows,
            numbers,
            texts,
        }))
    }
}

impl Label {
    pub fn is_class(&self) -> bool {
        matches!(self, Label::Classes(_))
    }

    /// Usable rows of each class; of all rows where there are none.
    pub fn rows(&self) -> Vec<u64> {
        match self {
            Label::Classes(classes) => classes.rows.clone(),
            Label::Value { rows } => vec![*rows],
        }
    }

    /// The class of a usable row, 0 where there are none.
    pub fn class(&self, label: &Values<'_>, row: usize) -> usize {
        let Label::Classes(classes) = self else {
            return 0;
        };
        let class = match label {
            Values::Numbers(numbers) => classes.numbers.get(&bits(numbers.value(row))),
            Values::Texts(texts) => classes.texts.get(texts.value(row)),
            Values::Pixels(_) => None,
        };
        class.copied().unwrap_or(0)
    }
}

/// -0 is 0.
fn bits(x: f64) -> u64 {
    (x + 0.0).to_bits()
}
