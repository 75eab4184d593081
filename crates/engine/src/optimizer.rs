//! SGD, Adam and AdamW in place on slices of parameters: burn's operations in burn's order, so the same bits.
//!
//! Sources: Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>; Kingma and Ba 2015,
//! <https://arxiv.org/abs/1412.6980> (with its section 2 reordering, as burn has it); Sutskever et al. 2013 for momentum.

use std::slice;

use bonfire_domain::spec::{OptimizerKind, OptimizerSpec};
use rayon::prelude::*;

use crate::blocks::{Block, Change, Held, blocks};
use crate::flat::{CHUNK, is_parallel};

/// State of the optimiser for the parameters of a model.
#[derive(Debug)]
pub(crate) struct Optimizer {
    spec: OptimizerSpec,
    /// Steps taken.
    pub time: u64,
    /// Velocity (sgd with momentum) or first moment of each parameter, in the layout's order; empty where there is none.
    pub first: Vec<Vec<Block>>,
    /// Second moment (adam, adamw) likewise.
    pub second: Vec<Vec<Block>>,
}

/// The state as it was at a step boundary.
pub(crate) struct HeldState {
    pub time: u64,
    /// What each is called in a saved file, and its blocks for each parameter.
    pub states: Vec<(&'static str, Vec<Vec<Held>>)>,
}

/// One step's constants, rounded to f32 where burn rounds them.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Sgd {
        lr: f32,
        decay: f32,
        /// Momentum; `None` without.
        momentum: Option<f32>,
        nesterov: bool,
        /// The velocity starts as the gradient.
        is_first: bool,
    },
    Adam {
        lr: f32,
        decay: f32,
        betas: [f32; 2],
        /// Root of the second moment's bias correction over the first's.
        factor: f32,
        eps: f32,
    },
    Adamw {
        lr: f32,
        keep: f32,
        betas: [f32; 2],
        corrections: [f32; 2],
        eps: f32,
    },
}

impl Optimizer {
    /// `lengths`: how many values each parameter has.
    pub fn new(spec: &OptimizerSpec, lengths: impl Iterator<Item = usize> + Clone) -> Optimizer {
        let zeros = |wanted: bool| {
            let lengths = lengths.clone().filter(|_| wanted);
            lengths.map(|length| blocks(&vec![0.0; length])).collect()
        };
        let (first, second) = match spec.kind {
            OptimizerKind::Sgd => (spec.momentum != 0.0, false),
            OptimizerKind::Adam | OptimizerKind::Adamw => (true, true),
        };
        Optimizer {
            spec: *spec,
            time: 0,
            first: zeros(first),
            second: zeros(second),
        }
    }

    /// What `first` and `second` are called in a saved file; `None` where they are empty by design.
    pub fn names(&self) -> [Option<&'static str>; 2] {
        match self.spec.kind {
            OptimizerKind::Sgd if self.spec.momentum == 0.0 => [None, None],
            OptimizerKind::Sgd => [Some("velocity"), None],
            OptimizerKind::Adam | OptimizerKind::Adamw => [Some("moment_1"), Some("moment_2")],
        }
    }

    /// The state as it is now; nothing is copied before it changes.
    pub fn hold(&self) -> HeldState {
        let hold = |blocks: &Vec<Block>| blocks.iter().map(Block::hold).collect();
        let [first, second] = self.names();
        let states = [(first, &self.first), (second, &self.second)];
        let named = states.into_iter().filter_map(|(name, state)| {
            let held = state.iter().map(hold).collect();
            Some((name?, held))
        });
        HeldState {
            time: self.time,
            states: named.collect(),
        }
    }

    /// Starts a step: counts it and fixes its constants.
    pub fn begin(&mut self, lr: f64) -> Update<'_> {
        self.time += 1;
        let spec = &self.spec;
        let betas = spec.betas.map(|beta| beta as f32);
        // burn counts in i32 as well; by then both corrections are 1 for any beta below 1.
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        let corrections = betas.map(|beta| 1f32 - beta.powi(time));
        let decay = spec.weight_decay as f32;
        let rule = match spec.kind {
            OptimizerKind::Sgd => Rule::Sgd {
                lr: lr as f32,
                decay,
                momentum: (spec.momentum != 0.0).then_some(spec.momentum as f32),
                nesterov: spec.nesterov,
                is_first: self.time == 1,
            },
            OptimizerKind::Adam => Rule::Adam {
                lr: lr as f32,
                decay,
                betas,
                factor: corrections[1].sqrt() / corrections[0],
                eps: spec.eps as f32 * corrections[1].sqrt(),
            },
            OptimizerKind::Adamw => Rule::Adamw {
                lr: lr as f32,
                keep: (1.0 - lr * f64::from(decay)) as f32,
                betas,
                corrections,
                eps: spec.eps as f32,
            },
        };
        Update {
            rule,
            first: self.first.iter_mut(),
            second: self.second.iter_mut(),
        }
    }
}

/// A step under way; every parameter is updated once, in the layout's order.
pub(crate) struct Update<'a> {
    rule: Rule,
    first: slice::IterMut<'a, Vec<Block>>,
    second: slice::IterMut<'a, Vec<Block>>,
}

impl Update<'_> {
    /// Updates the next parameter.
    ///
    /// - `values`, `gradient`: the parameter's, of equal length; the gradient is multiplied by `scale` as it is read.
    pub fn apply(&mut self, values: Change<'_>, gradient: &[f32], scale: f32) {
        debug_assert!(values.len() == gradient.len());
        let rule = self.rule;
        let is_parallel = is_parallel(values.len());
        let values = values.parts();
        let first = states(self.first.next(), values.len());
        let second = states(self.second.next(), values.len());
        let parts = values.into_iter().zip(gradient.chunks(CHUNK));
        let parts = parts.zip(first.zip(second));
        let parts = parts.map(|((values, gradient), (first, second))| Part {
            values,
            gradient,
            first,
            second,
        });
        if is_parallel {
            let parts: Vec<_> = parts.collect();
            parts
                .into_par_iter()
                .for_each(|part| part.update(rule, scale));
        } else {
            parts.for_each(|part| part.update(rule, scale));
        }
    }
}

/// What one thread updates at a time: at most [`CHUNK`] values.
struct Part<'a> {
    values: Change<'a>,
    gradient: &'a [f32],
    /// Of each state of the optimiser its block, where the rule has one.
    first: Option<&'a mut Block>,
    second: Option<&'a mut Block>,
}

impl Part<'_> {
    /// Each value is read once and written once, where it is or elsewhere: a copy beforehand would cost as much again.
    fn update(self, rule: Rule, scale: f32) {
        let Part {
            values,
            gradient,
            first,
            second,
        } = self;
        let is_held = [&first, &second]
            .into_iter()
            .flatten()
            .any(|block| block.is_held());
        let states = [first, second];
        if is_held {
            let states = states.map(|block| {
                let (from, to) = block.map(Block::elsewhere).unwrap_or_default();
                there(from, to)
            });
            rule.update(values, gradient, states, scale);
        } else {
            let states = states.map(|block| here(block.map(Block::here).unwrap_or_default()));
            rule.update(values, gradient, states, scale);
        }
    }
}

/// Values, each with the place of the new one: its own.
fn here(values: &mut [f32]) -> impl Iterator<Item = (f32, &mut f32)> {
    values.iter_mut().map(|value| (*value, value))
}

/// Values, each with the place of the new one in `to`.
fn there<'a>(from: &'a [f32], to: &'a mut [f32]) -> impl Iterator<Item = (f32, &'a mut f32)> {
    from.iter().copied().zip(to)
}

/// The blocks of a parameter's state, or as many absent ones.
fn states(
    blocks: Option<&mut Vec<Block>>,
    parts: usize,
) -> impl Iterator<Item = Option<&mut Block>> {
    let missing = if blocks.is_some() { 0 } else { parts };
    let there = blocks.into_iter().flatten().map(Some);
    there.chain(std::iter::repeat_with(|| None).take(missing))
}

impl Rule {
    fn update<'a, S>(self, values: Change<'_>, g: &[f32], [first, second]: [S; 2], scale: f32)
    where
        S: Iterator<Item = (f32, &'a mut f32)>,
    {
        match values {
            Change::Here(values) => self.apply(here(values), g, first, second, scale),
            Change::There { from, to } => self.apply(there(from, to), g, first, second, scale),
        }
    }

    /// One step of `p` along `g` with the states that the rule has; each comes with the place of its new value.
    fn apply<'p, 'a, P, S>(self, p: P, g: &[f32], first: S, second: S, scale: f32)
    where
        P: Iterator<Item = (f32, &'p mut f32)>,
        S: Iterator<Item = (f32, &'a mut f32)>,
    {
        match self {
            Rule::Sgd {
                lr,
                decay,
                momentum: None,
                ..
            } => {
                for ((p, new_p), g) in p.zip(g) {
                    let g = decayed(*g * scale, p, decay);
                    *new_p = p - g * lr;
                }
            }
            Rule::Sgd {
                lr,
                decay,
                momentum: Some(momentum),
                nesterov,
                is_first,
            } => {
                for (((p, new_p), g), (v, new_v)) in p.zip(g).zip(first) {
                    let g = decayed(*g * scale, p, decay);
                    let v = if is_first { g } else { g + v * momentum };
                    let g = if nesterov { v * momentum + g } else { v };
                    *new_v = v;
                    *new_p = p - g * lr;
                }
            }
            Rule::Adam {
                lr,
                decay,
                betas: [b1, b2],
                factor,
                eps,
            } => {
                let (f1, f2) = (1.0 - b1, 1.0 - b2);
                for ((((p, new_p), g), (m, new_m)), (v, new_v)) in p.zip(g).zip(first).zip(second) {
                    let g = decayed(*g * scale, p, decay);
                    let m = m * b1 + g * f1;
                    let v = v * b2 + (g * g) * f2;
                    *new_m = m;
                    *new_v = v;
                    *new_p = p - ((m * factor) / (v.sqrt() + eps)) * lr;
                }
            }
            Rule::Adamw {
                lr,
                keep,
                betas: [b1, b2],
                corrections: [c1, c2],
                eps,
            } => {
                let (f1, f2) = (1.0 - b1, 1.0 - b2);
                for ((((p, new_p), g), (m, new_m)), (v, new_v)) in p.zip(g).zip(first).zip(second) {
                    let g = *g * scale;
                    let m = m * b1 + g * f1;
                    let v = v * b2 + (g * g) * f2;
                    *new_m = m;
                    *new_v = v;
                    *new_p = p * keep - ((m / c1) / ((v / c2).sqrt() + eps)) * lr;
                }
            }
        }
    }
}

/// The gradient with the L2 penalty's; none at all for a penalty of zero, as burn does without one.
fn decayed(g: f32, p: f32, decay: f32) -> f32 {
    if decay == 0.0 { g } else { p * decay + g }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::module::{Module, Param};
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::momentum::MomentumConfig;
    use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;

    #[derive(Module, Debug)]
    struct One {
        values: Param<Tensor<1>>,
    }

    fn spec(kind: OptimizerKind, decay: f64, momentum: f64, nesterov: bool) -> OptimizerSpec {
        OptimizerSpec {
            kind,
            lr: 0.01,
            weight_decay: decay,
            clip_norm: None,
            momentum,
            nesterov,
            betas: [0.9, 0.98],
            eps: 1e-7,
        }
    }

    fn burns(spec: &OptimizerSpec) -> ModuleOptimizer {
        let l2 =
            (spec.weight_decay != 0.0).then(|| WeightDecayConfig::new(spec.weight_decay as f32));
        let (b1, b2) = (spec.betas[0] as f32, spec.betas[1] as f32);
        match spec.kind {
            OptimizerKind::Sgd => {
                let momentum = MomentumConfig::new()
                    .with_momentum(spec.momentum)
                    .with_dampening(0.0)
                    .with_nesterov(spec.nesterov);
                SgdConfig::new()
                    .with_momentum((spec.momentum != 0.0).then_some(momentum))
                    .with_weight_decay(l2)
                    .init()
            }
            OptimizerKind::Adam => AdamConfig::new()
                .with_beta_1(b1)
                .with_beta_2(b2)
                .with_epsilon(spec.eps as f32)
                .with_weight_decay(l2)
                .init(),
            OptimizerKind::Adamw => AdamWConfig::new()
                .with_beta_1(b1)
                .with_beta_2(b2)
                .with_epsilon(spec.eps as f32)
                .with_weight_decay(spec.weight_decay as f32)
                .init(),
        }
    }

    /// Twelve steps of burn's optimiser and of ours on the same gradients end in the same bits, whatever is held meanwhile.
    #[track_caller]
    fn check(spec: OptimizerSpec, length: usize) {
        let wave = |seed: usize, i: usize| ((seed * 7919 + i * 31) as f32 * 0.013).sin();
        let values: Vec<f32> = (0..length).map(|i| wave(0, i)).collect();
        let mut ours = Block::new(values.clone());
        let device = Device::flex().autodiff();
        let data = TensorData::new(values, [length]);
        let mut theirs = One {
            values: Param::from_data(data, &device),
        };
        let (mut burn, mut own) = (burns(&spec), Optimizer::new(&spec, [length].into_iter()));
        for step in 1..=12 {
            let gradient: Vec<f32> = (0..length).map(|i| wave(step, i) * 0.1).collect();
            let lr = spec.lr / step as f64;
            let mut grads = GradientsParams::new();
            let data = TensorData::new(gradient.clone(), [length]);
            let tensor = Tensor::<1>::from_data(data, &device.clone().inner());
            grads.register(theirs.values.id, tensor);
            theirs = burn.step(lr, theirs, grads);
            // Held are nothing, values, states, both.
            let _values = (step & 1 == 1).then(|| ours.hold());
            let _states = (step & 2 == 2).then(|| own.hold());
            own.begin(lr).apply(ours.change(), &gradient, 1.0);
        }
        let theirs = theirs.values.val().into_data();
        let theirs = theirs.as_slice::<f32>().unwrap();
        let ours = ours.hold();
        let differ = ours
            .iter()
            .zip(theirs)
            .filter(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(differ.count(), 0, "{spec:?}, {length} values");
    }

    #[test]
    fn sgd_has_burns_bits() {
        check(spec(OptimizerKind::Sgd, 0.0, 0.0, false), 1_003);
        check(spec(OptimizerKind::Sgd, 0.01, 0.9, false), 1_003);
        check(spec(OptimizerKind::Sgd, 0.01, 0.9, true), 100_003);
        check(spec(OptimizerKind::Sgd, 0.01, 0.0, false), 100_003);
    }

    #[test]
    fn adam_has_burns_bits() {
        check(spec(OptimizerKind::Adam, 0.0, 0.0, false), 1_003);
        check(spec(OptimizerKind::Adam, 0.01, 0.0, false), 100_003);
    }

    #[test]
    fn adamw_has_burns_bits() {
        check(spec(OptimizerKind::Adamw, 0.0, 0.0, false), 1_003);
        check(spec(OptimizerKind::Adamw, 0.01, 0.0, false), 100_003);
    }
}
