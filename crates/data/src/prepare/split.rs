//! Which part each row belongs to: by a keyed permutation of the ranks inside its class.

use bonfire_domain::spec::Split;

use crate::permute::{Permutation, key};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Valid,
    Neither,
}

/// Hands out parts to rows in row order. Each class (a regression has one) is split on its own.
#[derive(Clone, Debug)]
pub(super) struct Splitter {
    classes: Vec<Class>,
}

#[derive(Clone, Debug)]
struct Class {
    ranks: Permutation,
    train: u64,
    valid: u64,
    seen: u64,
}

impl Splitter {
    /// - `counts[c]`: usable rows of class c.
    /// - `each`: every class has at least one row in both parts, which needs two rows of it.
    pub fn new(split: Split, counts: &[u64], each: bool) -> Splitter {
        let class = |(c, rows): (usize, &u64)| {
            let (train, valid) = split.shares(*rows, each);
            let ranks = Permutation::new(*rows, key(&[split.seed, c as u64]));
            Class {
                ranks,
                train,
                valid,
                seen: 0,
            }
        };
        Splitter {
            classes: counts.iter().enumerate().map(class).collect(),
        }
    }

    /// Rows of each class in train, and in valid.
    pub fn sizes(&self) -> (Vec<u64>, Vec<u64>) {
        self.classes.iter().map(|c| (c.train, c.valid)).unzip()
    }

    /// The part of the next row of a class.
    pub fn next(&mut self, class: usize) -> Part {
        let Some(class) = self.classes.get_mut(class) else {
            return Part::Neither;
        };
        let rank = class.ranks.apply(class.seen);
        class.seen += 1;
        if rank < class.train {
            Part::Train
        } else if rank - class.train < class.valid {
            Part::Valid
        } else {
            Part::Neither
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: Split = Split {
        train: 0.8,
        valid: 0.2,
        seed: 7,
    };

    #[track_caller]
    fn check(train: f64, valid: f64, rows: u64, each: bool, expected: (u64, u64)) {
        let split = Split {
            train,
            valid,
            seed: 7,
        };
        assert_eq!(split.shares(rows, each), expected, "{train} {valid} {rows}");
        let mut splitter = Splitter::new(split, &[rows], each);
        let mut counts = (0, 0);
        for _ in 0..rows {
            match splitter.next(0) {
                Part::Train => counts.0 += 1,
                Part::Valid => counts.1 += 1,
                Part::Neither => {}
            }
        }
        assert_eq!(counts, expected, "{train} {valid} {rows}");
    }

    #[test]
    fn shares_are_rounded_and_never_overlap() {
        check(0.8, 0.2, 1_797, false, (1_438, 359));
        check(0.5, 0.25, 100, false, (50, 25));
        check(0.8, 0.2, 2, true, (1, 1));
        check(0.99, 0.01, 10, true, (9, 1));
        check(0.99, 0.01, 10, false, (10, 0));
        check(0.01, 0.01, 10, true, (1, 1));
        check(0.8, 0.2, 1, true, (1, 0));
        check(0.8, 0.2, 0, true, (0, 0));
        check(0.7, 0.7, 10, false, (7, 3));
    }

    #[test]
    fn other_seeds_split_otherwise() {
        let parts = |seed| {
            let mut splitter = Splitter::new(Split { seed, ..SPLIT }, &[50], true);
            (0..50).map(|_| splitter.next(0)).collect::<Vec<_>>()
        };
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }
}
