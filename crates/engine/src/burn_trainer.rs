//! Trains a burn model by the flat path: gradients as flat vectors, our own optimiser in place, on the CPU.

use bonfire_domain::Batch;
use bonfire_domain::dataset::InputShape;
use bonfire_domain::spec::Spec;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use crate::blocks::Block;
use crate::codec::{self, Piece};
use crate::error::TrainError;
use crate::flat::{Layout, sum_of_squares};
use crate::module;
use crate::net::{Net, NetInput, Pass};
use crate::objective::{Objective, Target};
use crate::optimizer::Optimizer;
use crate::schedule::learning_rate;
use crate::trainer::{
    MetricName, Saved, SavedPart, ShardGradient, Snapshot, StepReport, Trainer, TrainerConfig,
};

/// Share of the new batch statistics in the running ones.
const STATISTICS_MOMENTUM: f32 = 0.1;
/// Added to the norm before dividing by it, as burn and PyTorch do.
const CLIP_EPSILON: f64 = 1e-6;

/// A model, its optimiser, and what has been accumulated of a step.
pub(crate) struct BurnTrainer<N> {
    spec: Spec,
    total_steps: u64,
    steps_per_epoch: u64,
    input: InputShape,
    objective: Objective,
    /// For training; `inner()` is for inference.
    device: Device,
    /// Taken out only while it is updated or loaded.
    net: Option<N>,
    layout: Layout,
    /// The values of the trained parameters, which the model's tensors read, in the layout's order.
    weights: Vec<Block>,
    optimizer: Optimizer,
    pending: ShardGradient,
}

/// Tells the uses of randomness apart.
const SEED_INIT: u64 = 1;
const SEED_STEP: u64 = 2;

/// A seed of burn's generator for one use: the first eight bytes of BLAKE3 over the numbers, little-endian.
fn derive_seed(parts: [u64; 4]) -> u64 {
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_le_bytes()).collect();
    let mut seed = [0; 8];
    seed.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    u64::from_le_bytes(seed)
}

impl<N: Net> BurnTrainer<N> {
    /// Builds the model under the spec's seed.
    ///
    /// # Errors
    /// [`TrainError::Backend`] where the device does not give the values that were drawn.
    pub fn new(
        config: &TrainerConfig<'_>,
        objective: Objective,
        device: Device,
        init: impl FnOnce(&Device) -> N,
    ) -> Result<BurnTrainer<N>, TrainError> {
        device.seed(derive_seed([config.spec.train.seed, SEED_INIT, 0, 0]));
        let (net, layout) = module::settle(init(&device));
        let (net, weights) = module::take_trained(net)?;
        Ok(BurnTrainer {
            spec: config.spec.clone(),
            total_steps: config.total_steps,
            steps_per_epoch: config.steps_per_epoch,
            input: config.input.clone(),
            objective,
            device,
            net: Some(net),
            optimizer: Optimizer::new(&config.spec.optimizer, layout.lengths()),
            layout,
            weights,
            pending: ShardGradient::default(),
        })
    }

    fn net(&self) -> Result<&N, TrainError> {
        self.net.as_ref().ok_or_else(lost)
    }

    /// Adds one pass's batch statistics, times its rows, to what is pending.
    fn add_statistics(&mut self, pass: Pass, rows: usize) -> Result<(), TrainError> {
        let mut found = Vec::with_capacity(self.layout.statistics());
        for tensor in pass.statistics {
            let data = module::read(tensor)?;
            let values = data.as_slice::<f32>();
            found.extend_from_slice(
                values.map_err(|error| TrainError::Backend(format!("{error:?}")))?,
            );
        }
        let sums = &mut self.pending.statistics;
        sums.resize(found.len(), 0.0);
        for (sum, value) in sums.iter_mut().zip(found) {
            *sum += value * rows as f32;
        }
        Ok(())
    }
}

/// A panic in the tensor library while parameters were being updated or loaded: nothing to go on with.
fn lost() -> TrainError {
    TrainError::Backend("the model was lost in an update or a load that failed".to_owned())
}

fn misfit(rows: usize) -> impl Fn(String) -> TrainError {
    move |problem| TrainError::Batch { rows, problem }
}

impl<N: Net> Trainer for BurnTrainer<N> {
    fn parameters(&self) -> usize {
        self.layout.parameters()
    }

    fn accumulate(
        &mut self,
        step: u64,
        shard: u32,
        batch: Batch,
        want_loss: bool,
    ) -> Result<(), TrainError> {
        let Batch {
            rows,
            input,
            target: host,
        } = batch;
        let misfit = misfit(rows);
        if rows == 0 {
            return Err(misfit("an empty shard is left out, not trained".to_owned()));
        }
        self.objective.check(&host, rows).map_err(&misfit)?;
        let input = N::Input::on(&self.device, input, rows, &self.input).map_err(&misfit)?;
        let target = Target::on(&self.device, &host);

        let seed = [self.spec.train.seed, SEED_STEP, step, u64::from(shard)];
        self.device.seed(derive_seed(seed));
        let mut pass = Pass::default();
        let output = self.net()?.forward(input, &mut pass);
        if want_loss {
            let tally = &mut self.pending.tally;
            if tally.is_empty() {
                *tally = self.objective.empty_tally();
            }
            let plain = Target::on(&self.device.clone().inner(), &host);
            self.objective
                .observe(tally, output.clone().inner(), plain, &host)?;
        }
        let loss = self.objective.loss(output, target, &host);
        if want_loss {
            let value = loss.clone().inner().try_into_scalar::<f32>();
            let value = value.map_err(|error| TrainError::Backend(format!("{error:?}")))?;
            self.pending.loss += f64::from(value);
        }
        let gradients = loss.backward();
        let net = self.net.as_ref().ok_or_else(lost)?;
        let gradients = GradientsParams::from_grads(gradients, net);
        module::add_gradients(net, gradients, &self.layout, &mut self.pending.sum)?;
        self.add_statistics(pass, rows)?;
        self.pending.weight += self.objective.weight(&host);
        self.pending.samples += rows as u64;
        Ok(())
    }

    fn take_shard(&mut self, into: &mut ShardGradient) -> Result<(), TrainError> {
        *into = std::mem::take(&mut self.pending);
        Ok(())
    }

    fn apply(
        &mut self,
        step: u64,
        reduced: &ShardGradient,
        report: bool,
    ) -> Result<StepReport, TrainError> {
        if reduced.weight <= 0.0 || reduced.samples == 0 {
            return Err(TrainError::EmptyStep { step });
        }
        let (found, expected) = (reduced.sum.len(), self.parameters());
        if found != expected || reduced.statistics.len() != self.layout.statistics() {
            return Err(bonfire_collective::ReduceError::Length {
                left: expected,
                right: found,
            }
            .into());
        }
        let what = |what| TrainError::NonFinite { step, what };
        if report && !reduced.loss.is_finite() {
            return Err(what("loss"));
        }
        let grad_norm = sum_of_squares(&reduced.sum).sqrt() / reduced.weight;
        if !grad_norm.is_finite() {
            return Err(what("gradient"));
        }
        let clip = match self.spec.optimizer.clip_norm {
            Some(max) => (max / (grad_norm + CLIP_EPSILON)).min(1.0),
            None => 1.0,
        };
        let scale = (clip / reduced.weight) as f32;
        let (optimizer, schedule) = (&self.spec.optimizer, &self.spec.schedule);
        let lr = learning_rate(
            optimizer,
            schedule,
            self.total_steps,
            self.steps_per_epoch,
            step,
        );

        let mut update = self.optimizer.begin(lr);
        let net = self.net.take().ok_or_else(lost)?;
        let mut net = module::update_trained(net, &mut self.weights, |range, values| {
            update.apply(values, &reduced.sum[range], scale);
        });
        if !reduced.statistics.is_empty() {
            let keep = 1.0 - STATISTICS_MOMENTUM;
            let share = STATISTICS_MOMENTUM / reduced.samples as f32;
            net = module::update_running(net, |range, values| {
                for (value, sum) in values.iter_mut().zip(&reduced.statistics[range]) {
                    *value = *value * keep + sum * share;
                }
            });
        }
        self.net = Some(net);

        let tally = if report {
            reduced.tally.clone()
        } else {
            Vec::new()
        };
        Ok(StepReport {
            loss: report.then(|| reduced.loss / reduced.weight),
            grad_norm,
            lr,
            samples: reduced.samples,
            metrics: self.metrics_of(&tally),
            tally,
        })
    }

    fn evaluate(
        &mut self,
        next: &mut dyn FnMut(&mut Batch) -> bool,
    ) -> Result<Vec<(MetricName, f64)>, TrainError> {
        let device = self.device.clone().inner();
        // Shares the parameters' buffers, so it must be gone before the next update.
        let net = self.net()?.valid();
        let mut tally = self.objective.empty_tally();
        let mut batch = Batch::default();
        while next(&mut batch) {
            let Batch {
                rows,
                input,
                target: host,
            } = std::mem::take(&mut batch);
            if rows == 0 {
                continue;
            }
            let misfit = misfit(rows);
            self.objective.check(&host, rows).map_err(&misfit)?;
            let input = N::Input::on(&device, input, rows, &self.input).map_err(&misfit)?;
            let target = Target::on(&device, &host);
            let output = net.forward(input, &mut Pass::default());
            self.objective.observe(&mut tally, output, target, &host)?;
        }
        let metrics = self.objective.metrics(&tally);
        let step = self.optimizer.time;
        match metrics.first() {
            None => Err(TrainError::EmptyStep { step }),
            Some((_, loss)) if !loss.is_finite() => Err(TrainError::NonFinite {
                step,
                what: "evaluated loss",
            }),
            Some(_) => Ok(metrics),
        }
    }

    fn metrics_of(&self, tally: &[f64]) -> Vec<(MetricName, f64)> {
        let mut metrics = self.objective.metrics(tally);
        metrics.retain(|(name, _)| *name != "loss");
        metrics
    }

    fn snapshot(&mut self) -> Result<Snapshot, TrainError> {
        let running = module::read_running(self.net()?)?;
        let weights: Vec<_> = self
            .weights
            .iter()
            .map(|block| vec![block.hold()])
            .collect();
        if weights.len() != self.layout.trained.len() || running.len() != self.layout.running.len()
        {
            return Err(TrainError::Backend(
                "the model has other tensors than at its start".to_owned(),
            ));
        }
        let (state, layout) = (self.optimizer.hold(), self.layout.clone());
        Ok(Box::new(move |sink| {
            sink.begin(SavedPart::Weights)?;
            let entries = layout.trained.iter().zip(weights);
            let entries = entries.chain(layout.running.iter().zip(running));
            let pieces = entries.map(|(entry, values)| {
                Piece::blocks(entry.path.clone(), entry.shape.clone(), values)
            });
            codec::write_pieces(pieces.collect(), sink)?;
            sink.begin(SavedPart::Optimizer)?;
            codec::write_optimizer(state, &layout, sink)
        }))
    }

    fn load(&mut self, saved: &Saved) -> Result<(), TrainError> {
        let weights = codec::decode_weights(&saved.weights, &self.layout)?;
        let fresh = Optimizer::new(&self.spec.optimizer, self.layout.lengths());
        let optimizer = codec::decode_optimizer(&saved.optimizer, &self.layout, fresh)?;
        let net = self.net.take().ok_or_else(lost)?;
        let (net, weights) = module::take_trained(module::replace_floats(net, weights))?;
        self.net = Some(net);
        self.weights = weights;
        self.optimizer = optimizer;
        self.pending = ShardGradient::default();
        Ok(())
    }
}
