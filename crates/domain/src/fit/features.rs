//! A table's features beside its columns: kinds that have no numbers, and more inputs than a model is given.

use super::columns::{Found, feature_columns};
use crate::dataset::{Column, DISTINCT_MAX, FEATURES_MAX, ONE_HOT_MAX};
use crate::spec::{ColumnKind, DataSpec};

/// Fewer rows can all differ by chance.
const NAMES_MIN: u64 = 20;

impl<'a> Found<'a> {
    pub(super) fn features(&mut self, data: &DataSpec, rows: u64) {
        let taken: Vec<&'a Column> = feature_columns(data, self.columns);
        if taken.is_empty() {
            self.push("data.features", "no column is left to learn from");
        }
        let mut width = 0u64;
        for &column in &taken {
            let name = &column.name;
            match column.kind {
                ColumnKind::Numeric => width += 1,
                ColumnKind::Categorical if column.distinct.is_none_or(|d| d > ONE_HOT_MAX) => {
                    let count = column
                        .distinct
                        .map_or_else(|| format!("more than {DISTINCT_MAX}"), |d| d.to_string());
                    let message = format!(
                        "{name:?} has {count} different values and each would be a feature, more than {ONE_HOT_MAX}: put it in data.drop"
                    );
                    self.push("data.features", message);
                }
                ColumnKind::Categorical => {
                    width += column.distinct.unwrap_or(0);
                    if is_name_of_row(column, rows) && !data.types.contains_key(name) {
                        let message = format!(
                            "{name:?} has another value in every row, which says nothing about the next: put it in data.drop, or say data.types: {{ {name}: categorical }}"
                        );
                        self.push("data.features", message);
                    }
                }
                ColumnKind::Text => {
                    let message = format!(
                        "{name:?} is text: put it in data.drop, read it with data.text, or say data.types: {{ {name}: categorical }}"
                    );
                    self.push("data.features", message);
                }
                ColumnKind::Image => {
                    let message = format!(
                        "{name:?} is an image: put it in data.drop, or read it with data.image"
                    );
                    self.push("data.features", message);
                }
            }
            self.missing("data.missing", data, column);
            self.finite("data.features", column);
        }
        if width > FEATURES_MAX {
            let widest = taken
                .iter()
                .max_by_key(|column| column.distinct.unwrap_or(u64::MAX));
            let name = widest.map_or("", |column| column.name.as_str());
            let message = format!(
                "{width} inputs with one for each category, more than {FEATURES_MAX}; {name:?} has the most: put it in data.drop"
            );
            self.push("data.features", message);
        }
    }
}

/// Whether no two rows of many have the same value: an id, a name.
fn is_name_of_row(column: &Column, rows: u64) -> bool {
    rows >= NAMES_MIN && column.nulls == 0 && column.distinct == Some(rows)
}
