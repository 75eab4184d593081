//! Datasets and prepared data as manifests: content-addressed facts, no bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::spec::{ColumnKind, Split};

/// Rows in a block: the unit of addressing, shuffling and preparing.
pub const BLOCK_ROWS: u64 = 4_096;

/// A blob by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobRef {
    pub digest: Digest,
    pub bytes: u64,
}

/// An immutable dataset version. Its digest is over column names, kinds and rows, so the same content gives the same version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetManifest {
    pub version: Digest,
    pub rows: u64,
    /// Parquet files whose row groups hold exactly [`BLOCK_ROWS`] rows (the last one fewer).
    pub files: Vec<DatasetFile>,
    pub columns: Vec<Column>,
    /// What the user named, for people.
    pub source: String,
    /// BLAKE3 of the source bytes, in the order they were read.
    pub source_digest: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFile {
    pub blob: BlobRef,
    pub rows: u64,
}

/// A column with its statistics over all rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
    /// Numbers in a row: 1, or the length of an image's list.
    pub width: u32,
    pub nulls: u64,
    /// The first row without a value, counted from 1.
    pub first_null: Option<u64>,
    /// The first row with a number that is not finite, counted from 1.
    pub first_infinite: Option<u64>,
    /// Numeric columns and images only.
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
    pub std: Option<f64>,
    /// Exact up to [`DISTINCT_MAX`], `None` above.
    pub distinct: Option<u64>,
    /// Most frequent first, ties by bytes; at most 32.
    pub top: Vec<(String, u64)>,
    /// Bytes of all values together; categorical and text columns only, unknown in versions made before it was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Distinct values counted exactly per column.
pub const DISTINCT_MAX: u64 = 65_536;
/// Values a categorical feature may have: each becomes an input.
pub const ONE_HOT_MAX: u64 = 4_096;
/// Inputs a row of a table may have.
pub const FEATURES_MAX: u64 = 1 << 20;

/// What a model sees of one row, without the batch dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputShape {
    /// f32 features.
    Features(u32),
    /// f32 pixels: channels, height, width.
    Image([u32; 3]),
    /// Bytes (0 to 255) and their count; shorter texts of a classification are padded with [`PAD`].
    Bytes { context: u32 },
}

/// The token after the last byte value: pads short texts. The vocabulary has 257 entries.
pub const PAD: u16 = 256;
/// Byte values and [`PAD`].
pub const VOCABULARY: u32 = 257;

/// What a model answers for one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputShape {
    /// Logits; `names[i]` is class i, `counts[i]` its rows in train.
    Classes {
        names: Vec<String>,
        counts: Vec<u64>,
    },
    /// One standardised value; metrics are in the target's own units.
    Value { mean: f64, std: f64 },
    /// Logits over [`VOCABULARY`] at each position of the window.
    NextByte,
}

/// What decides prepared data besides the rows: its digest, with the version's, is the key under which it is shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    pub version: Digest,
    pub task: crate::spec::Task,
    pub label: Option<String>,
    pub split: Split,
    pub image: Option<crate::spec::ImageColumn>,
    pub text: Option<crate::spec::TextColumn>,
    pub features: Vec<String>,
    pub drop: Vec<String>,
    pub missing: crate::spec::Missing,
}

impl Preparation {
    /// What a spec asks of a dataset version; `None` for a spec without data.
    pub fn of(spec: &crate::spec::Spec, version: Digest) -> Option<Preparation> {
        let data = spec.data.as_ref()?;
        Some(Preparation {
            version,
            task: spec.task?,
            label: data.label.clone(),
            split: data.split,
            image: data.image.clone(),
            text: data.text.clone(),
            features: data.features.clone(),
            drop: data.drop.clone(),
            missing: data.missing,
        })
    }

    /// The key: equal preparations share one result.
    pub fn key(&self) -> Digest {
        Digest::of(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

/// Train and valid rows in fixed-width blocks, made once and shared by all trials.
///
/// A row is `row_bytes` bytes: for features and images the f32 values, little-endian, then the target (u32 class, or f32
/// value); for a language model the `context + 1` bytes of a window; for bytes with a class `context` u16 tokens, then the u32 class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreparedManifest {
    pub key: Digest,
    pub version: Digest,
    pub input: InputShape,
    pub output: OutputShape,
    pub row_bytes: u32,
    pub train: PreparedPart,
    pub valid: PreparedPart,
    /// How raw columns became features, fitted on train only; travels with the weights.
    pub encodings: Vec<Encoding>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreparedPart {
    pub rows: u64,
    /// Each holds whole blocks of [`BLOCK_ROWS`] rows; only the last block of all may be shorter.
    pub files: Vec<DatasetFile>,
}

/// One column's way into the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Encoding {
    /// `(x - mean) / std`; a constant column has std 1. `fill` replaces a missing value.
    Standardise {
        column: String,
        mean: f64,
        std: f64,
        fill: f64,
    },
    /// One feature a value, in this order; a value not seen in train is all zeros.
    OneHot { column: String, values: Vec<String> },
    /// Pixels times `scale`.
    Image { column: String, scale: f64 },
    /// UTF-8 bytes.
    Bytes { column: String },
}

impl PreparedManifest {
    /// The manifest's own digest, which every checkpoint carries.
    pub fn digest(&self) -> Digest {
        Digest::of(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

impl Split {
    /// Rows of train and of valid among `rows`; `each`: both get one where there are two.
    pub fn shares(self, rows: u64, each: bool) -> (u64, u64) {
        let part = |share: f64| (share * rows as f64).round() as u64;
        let least = u64::from(each && rows >= 2);
        let train = part(self.train).clamp(least, rows.saturating_sub(least).max(least));
        let left = rows - train;
        let valid = if self.is_whole() {
            left
        } else {
            part(self.valid).clamp(least.min(left), left)
        };
        (train, valid)
    }

    /// Bytes of train and of valid in a text of so many: train comes first, valid right after it.
    pub fn byte_shares(self, bytes: u64) -> (u64, u64) {
        // Shares of a count below 2^53.
        let part = |share: f64| (share * bytes as f64) as u64;
        let train = part(self.train).min(bytes);
        let left = bytes - train;
        let valid = match self.is_whole() {
            true => left,
            false => part(self.valid).min(left),
        };
        (train, valid)
    }

    /// Whether train and valid together are all rows.
    pub fn is_whole(self) -> bool {
        self.train + self.valid > 1.0 - 1e-9
    }
}

/// Class names in their order: numerically if all are numbers, else by bytes.
pub fn order_classes(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let mut names: Vec<String> = counts.keys().cloned().collect();
    let numbers: Option<Vec<f64>> = names.iter().map(|n| n.parse::<f64>().ok()).collect();
    if numbers.is_some_and(|n| n.iter().all(|x| x.is_finite())) {
        names.sort_by(|a, b| {
            let (x, y) = (a.parse::<f64>(), b.parse::<f64>());
            match (x, y) {
                (Ok(x), Ok(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
                _ => a.cmp(b),
            }
        });
    }
    names
}
