//! burn modules seen as flat vectors: ids from paths, gradients out, parameters updated in place, floats in and out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::slice;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{AllocationProperty, Bytes, DType, Device, Shape, Tensor, TensorData};

use crate::blocks::{Block, Change, Held};
use crate::error::TrainError;
use crate::flat::{Entry, Layout};

/// Gives every float the id that its path says, and draws its value now, from the device's generator as it stands.
pub(crate) fn settle<M: Module>(module: M) -> (M, Layout) {
    let module = module.map(&mut FixIds { path: Vec::new() });
    let mut survey = Survey::default();
    module.visit(&mut survey);
    (module, survey.layout)
}

/// The first eight bytes of BLAKE3 of the path, so that ids are the same in every process.
fn path_id(path: &str) -> ParamId {
    let mut id = [0; 8];
    id.copy_from_slice(&blake3::hash(path.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(id).into()
}

struct FixIds {
    path: Vec<String>,
}

impl ModuleMapper for FixIds {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.id = path_id(&self.path.join("."));
        param
    }
}

#[derive(Default)]
struct Survey {
    path: Vec<String>,
    layout: Layout,
}

impl ModuleVisitor for Survey {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.val().shape();
        let entries = if param.is_require_grad() {
            &mut self.layout.trained
        } else {
            &mut self.layout.running
        };
        let start = entries.last().map_or(0, |entry| entry.range.end);
        entries.push(Entry {
            path: self.path.join("."),
            shape: shape.iter().copied().collect(),
            range: start..start + shape.num_elements(),
        });
    }
}

/// Adds the gradients of the trained parameters to `sum`, shape `[parameters]`; an empty `sum` counts as absent.
///
/// # Errors
/// [`TrainError::Backend`] where a gradient cannot be read as f32.
pub(crate) fn add_gradients<M: Module>(
    module: &M,
    gradients: GradientsParams,
    layout: &Layout,
    sum: &mut Vec<f32>,
) -> Result<(), TrainError> {
    let is_first = sum.is_empty();
    sum.reserve(if is_first { layout.parameters() } else { 0 });
    let mut gather = Gather {
        gradients,
        at: 0,
        is_first,
        sum,
        error: None,
    };
    module.visit(&mut gather);
    gather.error.map_or(Ok(()), Err)
}

struct Gather<'a> {
    gradients: GradientsParams,
    at: usize,
    is_first: bool,
    sum: &'a mut Vec<f32>,
    error: Option<TrainError>,
}

impl ModuleVisitor for Gather<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() || self.error.is_some() {
            return;
        }
        let start = self.at;
        self.at += param.lazy_shape().num_elements();
        // A parameter that took no part in the loss has no gradient; its place in the layout stays.
        let data = self.gradients.remove::<D>(param.id).map(read);
        match (data.transpose(), self.is_first) {
            (Ok(Some(data)), is_first) => match data.as_slice::<f32>() {
                Ok(values) if is_first => self.sum.extend_from_slice(values),
                Ok(values) => {
                    let sums = self.sum.iter_mut().skip(start);
                    sums.zip(values).for_each(|(sum, value)| *sum += value);
                }
                Err(error) => self.error = Some(TrainError::Backend(format!("{error:?}"))),
            },
            (Ok(None), true) => self.sum.resize(self.at, 0.0),
            (Ok(None), false) => {}
            (Err(error), _) => self.error = Some(error),
        }
    }
}

/// A tensor's values on the host.
///
/// # Errors
/// [`TrainError::Backend`] where the device does not give them.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<TensorData, TrainError> {
    tensor
        .try_into_data()
        .map_err(|error| TrainError::Backend(format!("{error:?}")))
}

/// A tensor's values on the host, as f32, without a copy where nobody else holds them.
///
/// # Errors
/// As [`read`], and where they are of another type.
fn read_floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    let values = read(tensor)?.try_into_vec::<f32>();
    values.map_err(|error| TrainError::Backend(format!("{error:?}")))
}

/// Moves the values of the trained parameters out of their tensors, which read them where they are from now on.
///
/// # Errors
/// [`TrainError::Backend`] where the device does not give them.
pub(crate) fn take_trained<M: Module>(module: M) -> Result<(M, Vec<Block>), TrainError> {
    let mut take = Take { taken: Ok(vec![]) };
    let module = module.map(&mut take);
    Ok((module, take.taken?))
}

struct Take {
    taken: Result<Vec<Block>, TrainError>,
}

impl ModuleMapper for Take {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (true, Ok(taken)) = (param.is_require_grad(), &mut self.taken) else {
            return param;
        };
        let (id, tensor, mapper) = param.consume();
        let tensor = tensor.inner();
        let (device, shape) = (tensor.device(), tensor.shape());
        let block = match read_floats(tensor) {
            Ok(values) => Block::new(values),
            Err(error) => {
                self.taken = Err(error);
                return Param::from_mapped_value(id, Tensor::zeros(shape, &device), mapper);
            }
        };
        let tensor = lend(block.hold(), shape, &device);
        taken.push(block);
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// A tensor with a gradient that reads the values where they are, as long as it is there: on the CPU nothing is copied.
fn lend<const D: usize>(values: Held, shape: Shape, device: &Device) -> Tensor<D> {
    struct Lent(Held);
    impl AsRef<[u8]> for Lent {
        fn as_ref(&self) -> &[u8] {
            bytemuck::cast_slice(&self.0)
        }
    }
    let bytes = bytes::Bytes::from_owner(Lent(values));
    let bytes = Bytes::from_shared(bytes, AllocationProperty::Native);
    let data = TensorData::from_bytes(bytes, shape, DType::F32);
    Tensor::from_inner(Tensor::from_data(data, device)).set_require_grad(true)
}

/// Runs `update` on every trained parameter's values, which are `weights`, with its place in the flat vector.
pub(crate) fn update_trained<M: Module>(
    module: M,
    weights: &mut [Block],
    update: impl FnMut(Range<usize>, Change<'_>),
) -> M {
    module.map(&mut UpdateTrained {
        weights: weights.iter_mut(),
        at: 0,
        update,
    })
}

struct UpdateTrained<'a, F> {
    weights: slice::IterMut<'a, Block>,
    at: usize,
    update: F,
}

impl<F: FnMut(Range<usize>, Change<'_>)> ModuleMapper for UpdateTrained<'_, F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let Some(block) = self.weights.next() else {
            return param;
        };
        let (id, tensor, mapper) = param.consume();
        let tensor = tensor.inner();
        let (device, shape) = (tensor.device(), tensor.shape());
        // It holds the values as a snapshot does.
        drop(tensor);
        let values = block.change();
        let end = self.at + values.len();
        (self.update)(self.at..end, values);
        self.at = end;
        Param::from_mapped_value(id, lend(block.hold(), shape, &device), mapper)
    }
}

/// Runs `update` on every running statistic's values, with its place among the statistics.
///
/// On the CPU a buffer that nobody else holds moves out of its tensor and back: nothing is copied.
pub(crate) fn update_running<M: Module>(
    module: M,
    update: impl FnMut(Range<usize>, &mut [f32]),
) -> M {
    module.map(&mut UpdateRunning { at: 0, update })
}

struct UpdateRunning<F> {
    at: usize,
    update: F,
}

impl<F: FnMut(Range<usize>, &mut [f32])> ModuleMapper for UpdateRunning<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.is_require_grad() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let tensor = tensor.inner();
        let device = tensor.device();
        let mut data = tensor.into_data();
        // Every float of a built-in model is f32, so this is the only case.
        if let Ok(values) = data.as_mut_slice::<f32>() {
            let end = self.at + values.len();
            (self.update)(self.at..end, values);
            self.at = end;
        }
        let tensor = Tensor::from_inner(Tensor::<D>::from_data(data, &device));
        Param::from_mapped_value(id, tensor.set_require_grad(false), mapper)
    }
}

/// The module's running statistics as they are now, in the layout's order, each as one block.
///
/// # Errors
/// [`TrainError::Backend`] where the device cannot be read.
pub(crate) fn read_running<M: Module>(module: &M) -> Result<Vec<Vec<Held>>, TrainError> {
    let mut running = Running { found: Ok(vec![]) };
    module.visit(&mut running);
    running.found
}

struct Running {
    found: Result<Vec<Vec<Held>>, TrainError>,
}

impl ModuleVisitor for Running {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            return;
        }
        let Ok(found) = &mut self.found else {
            return;
        };
        match read_floats(param.val().inner()) {
            Ok(values) => found.push(vec![Held::new(values)]),
            Err(error) => self.found = Err(error),
        }
    }
}

/// Puts values, as little-endian f32, in the place of the floats at their paths. The caller has checked their shapes.
pub(crate) fn replace_floats<M: Module>(module: M, values: BTreeMap<String, Vec<u8>>) -> M {
    module.map(&mut Replace {
        path: Vec::new(),
        values,
    })
}

struct Replace {
    path: Vec<String>,
    values: BTreeMap<String, Vec<u8>>,
}

impl ModuleMapper for Replace {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(bytes) = self.values.remove(&path) else {
            return param;
        };
        let data = TensorData::from_bytes_vec(bytes, param.lazy_shape(), DType::F32);
        let tensor = Tensor::from_data(data, &param.lazy_device());
        param.transform_for_load(tensor, path_id(&path))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Distribution;

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        wide: Param<Tensor<2>>,
        short: Param<Tensor<1>>,
    }

    fn flat(module: &Two) -> Vec<f32> {
        let wide = read_floats(module.wide.val().inner()).unwrap();
        let short = read_floats(module.short.val().inner()).unwrap();
        [wide, short].concat()
    }

    /// Adds one to each value; answers with the flat range of each parameter.
    fn count(module: Two, weights: &mut [Block]) -> (Two, Vec<Range<usize>>) {
        let mut ranges = Vec::new();
        let module = update_trained(module, weights, |range, values| {
            ranges.push(range);
            values.count();
        });
        (module, ranges)
    }

    #[test]
    fn tensors_read_the_weights_where_they_are() {
        let device = Device::flex().autodiff();
        let random = |shape| Tensor::<2>::random(shape, Distribution::Default, &device);
        let module = Two {
            wide: Param::from_tensor(random([3, 4])),
            short: Param::from_tensor(random([1, 5]).reshape([5])),
        };
        let before = flat(&module);
        let (module, mut weights) = take_trained(module).unwrap();
        assert_eq!(flat(&module), before);
        let places = |weights: &[Block]| -> Vec<*const f32> {
            weights.iter().map(|block| block.hold().as_ptr()).collect()
        };
        let home = places(&weights);

        let (module, ranges) = count(module, &mut weights);
        let once: Vec<f32> = before.iter().map(|value| value + 1.0).collect();
        assert_eq!(ranges, [0..12, 12..17]);
        assert_eq!(flat(&module), once);
        assert_eq!(places(&weights), home, "nobody held them but the tensors");
        assert!(module.wide.is_require_grad() && module.wide.val().is_require_grad());

        // A snapshot, or a tensor that somebody kept, has what was there.
        let held = weights[0].hold();
        let kept = module.short.val();
        let (module, _) = count(module, &mut weights);
        let twice: Vec<f32> = once.iter().map(|value| value + 1.0).collect();
        assert_eq!(flat(&module), twice);
        assert_eq!(**held, once[..12]);
        assert_eq!(read_floats(kept.inner()).unwrap(), once[12..]);
    }
}
