//! The label beside its column: something to learn, and classes that can be told apart.

use super::columns::{Found, Rows, holes};
use crate::dataset::Column;
use crate::spec::{ClassWeights, ColumnKind, DataSpec, Missing, Spec, Task, nearest};

const PATH: &str = "data.label";

impl Found<'_> {
    pub(super) fn label(
        &mut self,
        spec: &Spec,
        data: &DataSpec,
        task: Task,
        label: &str,
        rows: Rows,
    ) {
        let Some(column) = self.find(PATH, label) else {
            return;
        };
        let name = &column.name;
        if column.nulls > 0 && data.missing != Missing::Drop {
            let message = format!(
                "{name:?} is missing in {}: data.missing: drop leaves them out",
                holes(&column)
            );
            self.push(PATH, message);
        }
        self.finite(PATH, &column);
        match (task, column.kind) {
            (Task::Regression, ColumnKind::Numeric) => {
                if column.min.is_some() && column.min == column.max {
                    self.push(
                        PATH,
                        format!("{name:?} has a single value, there is nothing to learn"),
                    );
                }
            }
            (Task::Regression, kind) => {
                let message = format!("{name:?} is {}, a regression needs a number", kind.name());
                self.push(PATH, message);
            }
            (Task::Classification, ColumnKind::Image) => {
                self.push(PATH, format!("{name:?} is an image, not classes"));
            }
            (Task::Classification, _) => self.classes(spec, &column, rows),
            (Task::LanguageModel, _) => {}
        }
    }

    fn classes(&mut self, spec: &Spec, column: &Column, rows: Rows) {
        let name = &column.name;
        match column.distinct {
            Some(0) => self.push(PATH, format!("{name:?} has no value at all")),
            Some(1) => {
                let only = column.top.first().map_or("", |(value, _)| value.as_str());
                self.push(PATH, format!("{name:?} has a single class, {only:?}"));
            }
            Some(classes) if classes.saturating_mul(2) > rows.count() => {
                let hint = match column.kind {
                    ColumnKind::Numeric => "; is the task regression?",
                    _ => "",
                };
                let message = format!(
                    "{name:?} has {classes} classes in {} rows, a class needs at least 2{hint}",
                    rows.count()
                );
                self.push(PATH, message);
            }
            Some(classes) if matches!(rows, Rows::All(_)) => self.small_classes(column, classes),
            Some(_) => {}
            None => self.push(PATH, format!("{name:?} has too many values to be classes")),
        }
        self.class_weights(spec, column);
    }

    /// Classes of one row, where every class is listed.
    fn small_classes(&mut self, column: &Column, classes: u64) {
        if classes != column.top.len() as u64 {
            return;
        }
        let small: Vec<&str> = column
            .top
            .iter()
            .filter(|(_, rows)| *rows == 1)
            .map(|(class, _)| class.as_str())
            .collect();
        let hint = match column.kind {
            ColumnKind::Numeric => ", or say task: regression if it is a quantity",
            _ => "",
        };
        let name = &column.name;
        let message = match small.as_slice() {
            [] => return,
            [class] => format!(
                "class {class:?} of {name:?} has one row, which cannot be in both train and valid: leave it out{hint}"
            ),
            [class, ..] => format!(
                "{} of the {classes} classes of {name:?} have one row each, such as {class:?}, which cannot be in both train and valid: leave them out{hint}",
                small.len()
            ),
        };
        self.push(PATH, message);
    }

    /// Weights of classes that are not there.
    fn class_weights(&mut self, spec: &Spec, column: &Column) {
        let name = &column.name;
        let ClassWeights::Given(weights) = &spec.loss.class_weights else {
            return;
        };
        // Only a complete list of classes can say that one is not there.
        if column
            .distinct
            .is_none_or(|distinct| distinct > column.top.len() as u64)
        {
            return;
        }
        let classes: Vec<&str> = column.top.iter().map(|(class, _)| class.as_str()).collect();
        for class in weights
            .keys()
            .filter(|class| !classes.contains(&class.as_str()))
        {
            let near = nearest(class, classes.iter().copied());
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            let path = format!("loss.class_weights.{class}");
            self.push(&path, format!("{name:?} has no class {class:?}{hint}"));
        }
    }
}
