//! The seam between the executor and whatever trains: burn's models here, LibTorch or a program elsewhere.

use std::io;

use bonfire_collective::{Part, ReduceError};
use bonfire_domain::Batch;
use bonfire_domain::dataset::{InputShape, OutputShape};
use bonfire_domain::spec::{DeviceSpec, Spec};

use crate::error::TrainError;

/// A metric without its `train.` or `valid.`: `loss`, `accuracy`, `macro_f1`, `rmse`, `mae`, `r2`, `perplexity`.
pub type MetricName = &'static str;

/// What a trainer is made from.
#[derive(Clone, Debug)]
pub struct TrainerConfig<'a> {
    /// The trial's: with its parameters put in.
    pub spec: &'a Spec,
    pub input: &'a InputShape,
    pub output: &'a OutputShape,
    /// Steps of the whole budget; what schedules are stretched over.
    pub total_steps: u64,
    pub steps_per_epoch: u64,
    pub device: DeviceSpec,
}

/// Trains one model. The calls of a step: [`Trainer::accumulate`] and [`Trainer::take_shard`] for each virtual shard,
/// their sum along the canonical tree, [`Trainer::apply`]. [`crate::step::train_step`] does all of it.
pub trait Trainer: Send {
    /// Length of the flat gradient: trainable values, in the order the model visits them.
    fn parameters(&self) -> usize;

    /// Runs a whole step of one virtual shard on the device, for trainers that have a faster way than through the host.
    ///
    /// Gives the batch back where there is none, which is what this does; the step then goes the flat way.
    ///
    /// # Errors
    /// As [`Trainer::accumulate`] and [`Trainer::apply`].
    fn step_on_device(
        &mut self,
        _step: u64,
        batch: Batch,
        _report: bool,
    ) -> Result<OnDevice, TrainError> {
        Ok(OnDevice::Unable(batch))
    }

    /// Adds a micro-batch of one virtual shard: the gradient of the sum of its weighted losses, and the sum of weights.
    ///
    /// Randomness (dropout) is a function of (seed, `step`, `shard`). `want_loss` reads the loss and the metrics back.
    ///
    /// # Errors
    /// [`TrainError::Batch`] for shapes or labels that do not fit; nothing is added then.
    fn accumulate(
        &mut self,
        step: u64,
        shard: u32,
        batch: Batch,
        want_loss: bool,
    ) -> Result<(), TrainError>;

    /// Moves out what was accumulated since the last call.
    ///
    /// # Errors
    /// [`TrainError::Backend`] where the device cannot be read.
    fn take_shard(&mut self, into: &mut ShardGradient) -> Result<(), TrainError>;

    /// Divides the step's sum once by its weight, clips by the global norm, and steps the optimiser.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`] before anything is changed; [`TrainError::EmptyStep`] for a sum of weights that is zero.
    fn apply(
        &mut self,
        step: u64,
        reduced: &ShardGradient,
        report: bool,
    ) -> Result<StepReport, TrainError>;

    /// Metrics over the batches that `next` puts in its argument until it answers `false`, in a fixed order.
    ///
    /// The loss here is the plain one, without label smoothing and class weights, so that trials compare.
    ///
    /// # Errors
    /// [`TrainError::Batch`]; [`TrainError::EmptyStep`] when there was no sample at all.
    fn evaluate(
        &mut self,
        next: &mut dyn FnMut(&mut Batch) -> bool,
    ) -> Result<Vec<(MetricName, f64)>, TrainError>;

    /// The metrics of tallies added up over several steps, without the loss; empty for an empty tally.
    fn metrics_of(&self, tally: &[f64]) -> Vec<(MetricName, f64)>;

    /// Weights and optimiser state as they are now, to be encoded later, on any thread, while training goes on. Nothing is copied:
    /// what has not been read when the next steps change it is left where it is, and they write elsewhere.
    ///
    /// # Errors
    /// [`TrainError::Backend`] where the device cannot be read, now or when it is encoded.
    fn snapshot(&mut self) -> Result<Snapshot, TrainError>;

    /// A snapshot that is encoded at once; equal states give equal bytes.
    ///
    /// # Errors
    /// As [`Trainer::snapshot`].
    fn save(&mut self) -> Result<Saved, TrainError> {
        Saved::of(self.snapshot()?)
    }

    /// Takes over what [`Trainer::save`] gave. Everything is checked before anything is changed.
    ///
    /// # Errors
    /// [`TrainError::Saved`]: a tensor that is missing, of another shape, or of no parameter.
    fn load(&mut self, saved: &Saved) -> Result<(), TrainError>;
}

/// What became of a step offered to the device as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum OnDevice {
    Done(StepReport),
    Unable(Batch),
}

/// A virtual shard's, a subtree's or a step's sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardGradient {
    /// Shape `[parameters]`: gradient of the sum of weighted losses.
    pub sum: Vec<f32>,
    /// Sum of the losses' weights; what `sum` and `loss` are divided by at the root.
    pub weight: f64,
    /// Sum of weighted losses; 0 when it was not asked for.
    pub loss: f64,
    /// Samples summed over.
    pub samples: u64,
    /// Batch statistics of the normalisation layers times `samples`: mean, then variance, of each in the model's order.
    pub statistics: Vec<f32>,
    /// Counts behind the metrics; empty when the loss was not asked for.
    pub tally: Vec<f64>,
}

impl Part for ShardGradient {
    fn absorb(&mut self, right: ShardGradient) -> Result<(), ReduceError> {
        self.sum.absorb(right.sum)?;
        self.statistics.absorb(right.statistics)?;
        self.weight += right.weight;
        self.loss += right.loss;
        self.samples += right.samples;
        if self.tally.len() != right.tally.len() {
            return Err(ReduceError::Length {
                left: self.tally.len(),
                right: right.tally.len(),
            });
        }
        for (left, right) in self.tally.iter_mut().zip(&right.tally) {
            *left += right;
        }
        Ok(())
    }
}

/// What a step says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Mean weighted loss of the step, when asked for.
    pub loss: Option<f64>,
    /// Norm of the mean gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate that was used.
    pub lr: f64,
    /// Samples in the step.
    pub samples: u64,
    /// The other metrics on the step's batch, as the model was before the step, when asked for.
    pub metrics: Vec<(MetricName, f64)>,
    /// The counts behind those metrics, which add up over steps.
    pub tally: Vec<f64>,
}

/// Encodes the state of the step boundary it was taken at, piece after piece, each part once and in one go. What is encoded may
/// be overwritten at once. Errors are the sink's, or the device's as [`std::io::ErrorKind::Other`].
pub type Snapshot = Box<dyn FnOnce(&mut dyn Sink) -> io::Result<()> + Send>;

/// Where the bytes of a snapshot go.
pub trait Sink {
    /// What is written from now on belongs to this part.
    ///
    /// # Errors
    /// The part before could not be finished.
    fn begin(&mut self, part: SavedPart) -> io::Result<()>;

    /// # Errors
    /// What the sink's device says; nothing more is written then.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// One of the two files that a model is saved as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedPart {
    Weights,
    Optimizer,
}

/// A model at a step boundary, as two safetensors files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Every float of the model by its path, such as `layers.0.dense.weight`, running statistics included.
    pub weights: Vec<u8>,
    /// `path.moment_1`, `path.moment_2` or `path.velocity` of each trained parameter, and `time`, a u64: steps taken.
    pub optimizer: Vec<u8>,
}

impl Saved {
    /// Encodes a snapshot in memory.
    ///
    /// # Errors
    /// [`TrainError::Backend`] where the device cannot be read.
    pub fn of(snapshot: Snapshot) -> Result<Saved, TrainError> {
        struct Memory {
            saved: Saved,
            part: SavedPart,
        }
        impl Sink for Memory {
            fn begin(&mut self, part: SavedPart) -> io::Result<()> {
                self.part = part;
                Ok(())
            }
            fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
                let part = match self.part {
                    SavedPart::Weights => &mut self.saved.weights,
                    SavedPart::Optimizer => &mut self.saved.optimizer,
                };
                part.extend_from_slice(bytes);
                Ok(())
            }
        }
        let mut memory = Memory {
            saved: Saved::default(),
            part: SavedPart::Weights,
        };
        snapshot(&mut memory).map_err(|error| TrainError::Backend(error.to_string()))?;
        Ok(memory.saved)
    }
}
