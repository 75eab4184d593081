//! Language models: all texts in file order, joined by line feeds, cut into windows of `context` + 1 bytes at stride `context`.
//!
//! The first `train` share of the joined bytes is train, the `valid` share right after it is valid; no window spans both.

use bonfire_domain::dataset::{Encoding, InputShape, OutputShape, PreparedManifest};
use bonfire_domain::spec::Missing;

use super::columns::text_column;
use super::part::PartWriter;
use super::{Job, report};
use crate::blob::Out;
use crate::block::Values;
use crate::error::DataError;
use crate::import::Progress;
use crate::stored::Blocks;

pub(super) fn prepare(
    job: &Job<'_>,
    out: &mut Out,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<PreparedManifest, DataError> {
    let (dataset, preparation) = (job.dataset, job.preparation);
    let Some(text) = &preparation.text else {
        return Err(DataError::request(
            "text: a language model needs the column and the context to read",
        ));
    };
    let column = text_column(dataset, &text.column, text.context)?;
    let mut bytes = 0_u64;
    scan(job, column, 0, progress, |part| {
        bytes += part.len() as u64;
        Ok(())
    })?;

    let (train_bytes, valid_bytes) = preparation.split.byte_shares(bytes);
    let row_bytes = text
        .context
        .checked_add(1)
        .ok_or_else(|| DataError::request("text.context: too large"))?;
    for (name, bytes) in [("train", train_bytes), ("valid", valid_bytes)] {
        if bytes < u64::from(row_bytes) {
            let problem = format!(
                "split: {name} gets {bytes} bytes, a window of text.context {} needs {row_bytes}",
                text.context
            );
            return Err(DataError::request(problem));
        }
    }

    let mut train = Windows::new(row_bytes, train_bytes);
    let mut valid = Windows::new(row_bytes, valid_bytes);
    scan(job, column, 1, progress, |part| {
        let rest = train.feed(out, part)?;
        valid.feed(out, rest)?;
        Ok(())
    })?;
    Ok(PreparedManifest {
        key: preparation.key(),
        version: dataset.version,
        input: InputShape::Bytes {
            context: text.context,
        },
        output: OutputShape::NextByte,
        row_bytes,
        train: train.writer.finish(out)?,
        valid: valid.writer.finish(out)?,
        encodings: vec![Encoding::Bytes {
            column: text.column.clone(),
        }],
    })
}

/// Calls `act` with the joined text, piece by piece.
fn scan(
    job: &Job<'_>,
    column: usize,
    pass: u64,
    progress: &mut dyn FnMut(Progress) -> bool,
    mut act: impl FnMut(&[u8]) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let rows = job.dataset.rows;
    let mut blocks = Blocks::new(job.dataset, job.blob, &[column]);
    let mut first_text = true;
    while let Some((first, batch)) = blocks.next()? {
        let Some(Values::Texts(texts)) = Values::of(&batch, 0, 1) else {
            return Err(DataError::request(
                "the text column is stored in another type than its kind",
            ));
        };
        for text in texts {
            if text.is_none() && job.preparation.missing == Missing::Drop {
                continue;
            }
            if !std::mem::take(&mut first_text) {
                act(b"\n")?;
            }
            act(text.unwrap_or("").as_bytes())?;
        }
        report(
            progress,
            pass * rows + first + batch.num_rows() as u64,
            2 * rows,
        )?;
    }
    Ok(())
}

/// Cuts the windows of one part.
struct Windows {
    writer: PartWriter,
    window: Vec<u8>,
    size: usize,
    /// Bytes of the part still to come.
    left: u64,
}

impl Windows {
    fn new(row_bytes: u32, bytes: u64) -> Windows {
        let size = row_bytes as usize;
        Windows {
            writer: PartWriter::new(row_bytes),
            window: Vec::with_capacity(size),
            size,
            left: bytes,
        }
    }

    /// Takes what belongs to the part and returns the rest.
    fn feed<'a>(&mut self, out: &mut Out, bytes: &'a [u8]) -> Result<&'a [u8], DataError> {
        let mine = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (mut mine, rest) = bytes.split_at(mine);
        self.left -= mine.len() as u64;
        while !mine.is_empty() {
            let take = (self.size - self.window.len()).min(mine.len());
            self.window.extend_from_slice(&mine[..take]);
            mine = &mine[take..];
            if self.window.len() == self.size {
                self.writer.write(out, &self.window)?;
                // The last byte is the next window's first.
                self.window.drain(..self.size - 1);
            }
        }
        Ok(rest)
    }
}
