//! Weights and optimiser state as safetensors by parameter path; equal values give equal bytes.
//!
//! Source: the safetensors format, <https://huggingface.co/docs/safetensors>. No metadata is written: its order varies.

use std::collections::BTreeMap;
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::error::{SavedError, TrainError};
use crate::flat::{Entry, Layout};
use crate::optimizer::Optimizer;

const WEIGHTS: &str = "weights";
const OPTIMIZER: &str = "optimizer";
/// Steps taken, in an optimiser's file.
const TIME: &str = "time";

/// Writes tensors of f32 values as little-endian bytes, by name.
///
/// # Errors
/// [`TrainError::Backend`] if a tensor's bytes do not fit its shape.
pub(crate) fn encode_weights<'a>(
    tensors: impl Iterator<Item = (&'a str, Vec<usize>, &'a [u8])>,
) -> Result<Vec<u8>, TrainError> {
    let mut views = Vec::new();
    for (name, shape, bytes) in tensors {
        views.push((name, view(Dtype::F32, shape, bytes)?));
    }
    serialize(views)
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
/// [`TrainError::Backend`] if the state does not fit the layout.
pub(crate) fn encode_optimizer(
    optimizer: &Optimizer,
    layout: &Layout,
) -> Result<Vec<u8>, TrainError> {
    let [first, second] = optimizer.names();
    let mut names = Vec::new();
    for (name, state) in [(first, &optimizer.first), (second, &optimizer.second)] {
        for entry in name.iter().flat_map(|_| &layout.trained) {
            names.push((state_name(entry, name.unwrap_or_default()), entry, state));
        }
    }
    let time = optimizer.time.to_le_bytes();
    let mut views = vec![(TIME, view(Dtype::U64, vec![], &time)?)];
    for (name, entry, state) in &names {
        let values = state.get(entry.range.clone()).unwrap_or_default();
        let bytes = bytemuck::cast_slice(values);
        views.push((name, view(Dtype::F32, entry.shape.clone(), bytes)?));
    }
    serialize(views)
}

/// Reads into `optimizer`, whose kind says what must be there, the state that [`encode_optimizer`] wrote.
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
        for entry in name.iter().flat_map(|_| &layout.trained) {
            let name = state_name(entry, name.unwrap_or_default());
            let values = file.take(&name, Dtype::F32, &entry.shape)?;
            let places = Arc::make_mut(state).iter_mut().skip(entry.range.start);
            for (place, value) in places.zip(values.as_chunks::<4>().0) {
                *place = f32::from_le_bytes(*value);
            }
        }
    }
    file.finish()?;
    Ok(optimizer)
}

fn state_name(entry: &Entry, state: &str) -> String {
    format!("{}.{state}", entry.path)
}

fn view(dtype: Dtype, shape: Vec<usize>, bytes: &[u8]) -> Result<TensorView<'_>, TrainError> {
    TensorView::new(dtype, shape, bytes).map_err(|error| TrainError::Backend(error.to_string()))
}

fn serialize(views: Vec<(&str, TensorView<'_>)>) -> Result<Vec<u8>, TrainError> {
    safetensors::serialize(views, None).map_err(|error| TrainError::Backend(error.to_string()))
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
