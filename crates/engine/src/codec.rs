//! Weights and optimiser state as safetensors by parameter path; equal values give equal bytes.
//!
//! Source: the safetensors format, <https://huggingface.co/docs/safetensors>. No metadata is written: its order varies.

use std::collections::BTreeMap;
use std::io;

use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensors};

use crate::blocks::{Held, blocks};
use crate::error::SavedError;
use crate::flat::{CHUNK, Entry, Layout};
use crate::optimizer::{HeldState, Optimizer};
use crate::trainer::Sink;

const WEIGHTS: &str = "weights";
const OPTIMIZER: &str = "optimizer";
/// Steps taken, in an optimiser's file.
const TIME: &str = "time";
/// The header's length is a multiple of this.
const ALIGNMENT: usize = 8;

/// Writes a tensor's bytes.
type Write<'a> = Box<dyn FnOnce(&mut dyn Sink) -> io::Result<()> + 'a>;

/// A tensor on its way to a file: what the header says of it, and who writes its bytes.
pub(crate) struct Piece<'a> {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    write: Write<'a>,
}

impl<'a> Piece<'a> {
    /// The values of that shape; each block is let go once it is written.
    pub fn blocks(name: String, shape: Vec<usize>, blocks: Vec<Held>) -> Piece<'a> {
        let write = move |sink: &mut dyn Sink| {
            let mut blocks = blocks.into_iter();
            blocks.try_for_each(|block| {
                let mut parts = block.chunks(CHUNK);
                parts.try_for_each(|part| sink.write(bytemuck::cast_slice(part)))
            })
        };
        Piece {
            name,
            dtype: Dtype::F32,
            shape,
            write: Box::new(write),
        }
    }

    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes one file, its tensors in the order that the format asks for: equal tensors give equal bytes.
///
/// # Errors
/// The sink's, or a piece's.
pub(crate) fn write_pieces(mut pieces: Vec<Piece<'_>>, sink: &mut dyn Sink) -> io::Result<()> {
    pieces.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
    let mut end = 0;
    let infos = pieces.iter().map(|piece| {
        let start = end;
        end += piece.bytes();
        let info = TensorInfo {
            dtype: piece.dtype,
            shape: piece.shape.clone(),
            data_offsets: (start, end),
        };
        (piece.name.clone(), info)
    });
    let metadata = Metadata::new(None, infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    sink.write(&(header.len() as u64).to_le_bytes())?;
    sink.write(&header)?;
    pieces.into_iter().try_for_each(|piece| (piece.write)(sink))
}

/// Reads weights by path, as little-endian f32 bytes: each of `layout`, nothing else, in the right shape.
///
/// # Errors
/// [`SavedError`]: what is wrong with which tensor.
pub(crate) fn decode_weights(
    bytes: &[u8],
    layout: &Layout,
) -> Result<BTreeMap<String, Vec<u8>>, SavedError> {
    let mut file = Reader::open(WEIGHTS, bytes)?;
    let mut weights = BTreeMap::new();
    for entry in layout.trained.iter().chain(&layout.running) {
        let values = file.take(&entry.path, Dtype::F32, &entry.shape)?;
        weights.insert(entry.path.clone(), values.to_vec());
    }
    file.finish()?;
    Ok(weights)
}

/// Writes the optimiser's state: `path.moment_1` and so on for each trained parameter, and the time.
///
/// # Errors
/// The sink's.
pub(crate) fn write_optimizer(
    held: HeldState,
    layout: &Layout,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let time = held.time.to_le_bytes();
    let mut pieces = vec![Piece {
        name: TIME.to_owned(),
        dtype: Dtype::U64,
        shape: vec![],
        write: Box::new(move |sink| sink.write(&time)),
    }];
    for (name, state) in held.states {
        for (entry, blocks) in layout.trained.iter().zip(state) {
            let (name, shape) = (state_name(entry, name), entry.shape.clone());
            pieces.push(Piece::blocks(name, shape, blocks));
        }
    }
    write_pieces(pieces, sink)
}

/// Reads into `optimizer`, whose kind says what must be there, the state that [`write_optimizer`] wrote.
///
/// # Errors
/// [`SavedError`]: what is wrong with which tensor.
pub(crate) fn decode_optimizer(
    bytes: &[u8],
    layout: &Layout,
    mut optimizer: Optimizer,
) -> Result<Optimizer, SavedError> {
    let mut file = Reader::open(OPTIMIZER, bytes)?;
    let mut time = [0; 8];
    time.copy_from_slice(file.take(TIME, Dtype::U64, &[])?);
    optimizer.time = u64::from_le_bytes(time);
    let [first, second] = optimizer.names();
    let states = [
        (first, &mut optimizer.first),
        (second, &mut optimizer.second),
    ];
    for (name, state) in states {
        state.clear();
        for entry in name.iter().flat_map(|_| &layout.trained) {
            let name = state_name(entry, name.unwrap_or_default());
            let values = file.take(&name, Dtype::F32, &entry.shape)?;
            let floats = values.as_chunks::<4>().0.iter();
            let floats: Vec<f32> = floats.map(|bytes| f32::from_le_bytes(*bytes)).collect();
            state.push(blocks(&floats));
        }
    }
    file.finish()?;
    Ok(optimizer)
}

fn state_name(entry: &Entry, state: &str) -> String {
    format!("{}.{state}", entry.path)
}

/// A file whose tensors are taken out one by one, so that nothing is left unnoticed.
struct Reader<'a> {
    part: &'static str,
    tensors: BTreeMap<String, TensorView<'a>>,
}

impl<'a> Reader<'a> {
    fn open(part: &'static str, bytes: &'a [u8]) -> Result<Reader<'a>, SavedError> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| SavedError::Format {
            part,
            problem: error.to_string(),
        })?;
        let tensors = file.tensors().into_iter().collect();
        Ok(Reader { part, tensors })
    }

    fn take(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8], SavedError> {
        let part = self.part;
        let name = name.to_owned();
        let Some(tensor) = self.tensors.remove(&name) else {
            return Err(SavedError::Missing { part, name });
        };
        if tensor.dtype() != dtype || tensor.shape() != shape {
            return Err(SavedError::Shape {
                part,
                name,
                found: format!("{:?} {:?}", tensor.dtype(), tensor.shape()),
                expected: format!("{dtype:?} {shape:?}"),
            });
        }
        Ok(tensor.data())
    }

    fn finish(self) -> Result<(), SavedError> {
        match self.tensors.into_keys().next() {
            Some(name) => Err(SavedError::Unexpected {
                part: self.part,
                name,
            }),
            None => Ok(()),
        }
    }
}
