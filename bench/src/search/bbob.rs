//! The 24 noiseless functions of BBOB on [-5, 5]^d, each instance with its own optimum, rotations and offset.
//!
//! Sources: Hansen, Finck, Ros and Auger 2009, Real-parameter black-box optimization benchmarking 2009: noiseless functions
//! definitions (INRIA RR-6829); instances as its generator of pseudo-random numbers makes them, so that values agree with
//! COCO's (<https://coco-platform.org>).

use std::f64::consts::PI;

mod legacy;
mod shapes;

use legacy::{gauss, optimum, rotation, uniform};
use shapes::{
    Matrix, asymmetric, griewank_rosenbrock, katsuura, order, oscillate, oscillate_all, powers,
    rastrigin, rosenbrock, rosenbrock_scale, scale_columns, scaled, schaffer, sign, squares, times,
    weierstrass, weighted,
};

/// How many functions there are, numbered from 1.
pub const FUNCTIONS: u32 = 24;

/// One instance of one function.
#[derive(Clone, Debug)]
pub struct Problem {
    id: u32,
    /// Where the optimum is, and its value.
    x_opt: Vec<f64>,
    f_opt: f64,
    /// Row vectors are multiplied from the left.
    rotation: Matrix,
    linear: Matrix,
    scales: Vec<f64>,
    peaks: Vec<Peak>,
}

/// One of Gallagher's peaks.
#[derive(Clone, Debug)]
struct Peak {
    place: Vec<f64>,
    scales: Vec<f64>,
    height: f64,
}

impl Problem {
    /// `id` from 1 to [`FUNCTIONS`], `dimension` from 2 on.
    pub fn new(id: u32, instance: u32, dimension: usize) -> Problem {
        let family = match id {
            4 => 3,
            18 => 17,
            id => id,
        };
        let seed = i64::from(family) + 10_000 * i64::from(instance);
        let offset = 100.0 * 100.0 * gauss(1, seed)[0] / gauss(1, seed + 1)[0];
        let mut problem = Problem {
            id,
            x_opt: optimum(dimension, seed),
            f_opt: (offset.round_ties_even() / 100.0).clamp(-1000.0, 1000.0),
            rotation: rotation(dimension, seed + 1_000_000),
            linear: rotation(dimension, seed),
            scales: powers(dimension, condition(id)),
            peaks: vec![],
        };
        problem.place_optimum(seed);
        match id {
            6 | 13 | 15 | 16 | 23 | 24 => {
                scale_columns(&mut problem.linear, &problem.scales);
                let rows = problem.linear.iter();
                problem.linear = rows.map(|row| times(row, &problem.rotation)).collect();
            }
            7 | 17 | 18 => scale_columns(&mut problem.linear, &problem.scales),
            _ => {}
        }
        problem
    }

    fn place_optimum(&mut self, seed: i64) {
        let dimension = self.x_opt.len();
        match self.id {
            4 => self.x_opt.iter_mut().step_by(2).for_each(|x| *x = x.abs()),
            5 => self.x_opt.iter_mut().for_each(|x| *x = 5.0 * sign(*x)),
            8 => self.x_opt.iter_mut().for_each(|x| *x *= 0.75),
            9 | 19 => {
                let scale = rosenbrock_scale(dimension);
                self.x_opt = self
                    .linear
                    .iter()
                    .map(|row| 0.5 * row.iter().sum::<f64>() / scale)
                    .collect();
                self.linear
                    .iter_mut()
                    .flatten()
                    .for_each(|entry| *entry *= scale);
            }
            12 => self.x_opt = optimum(dimension, seed + 1_000_000),
            20 => {
                let side = |r: f64| 0.5 * sign(r - 0.5) * 4.209_687_463_3;
                self.x_opt = uniform(dimension, seed).into_iter().map(side).collect();
            }
            21 => self.place_peaks(seed, 101, 1.0, 1000f64.sqrt()),
            22 => self.place_peaks(seed, 21, 0.98, 1000.0),
            24 => {
                self.x_opt = gauss(dimension, seed)
                    .into_iter()
                    .map(|g| 1.25 * sign(g))
                    .collect()
            }
            _ => {}
        }
    }

    fn place_peaks(&mut self, seed: i64, count: usize, spread: f64, condition: f64) {
        let dimension = self.x_opt.len();
        let rest = powers(count - 1, 1000.0);
        let mut conditions = vec![condition];
        conditions.extend(
            order(&uniform(count - 1, seed))
                .into_iter()
                .map(|i| rest[i]),
        );
        let places = uniform(dimension * count, seed);
        for (i, condition) in conditions.into_iter().enumerate() {
            let shape: Vec<f64> = (0..dimension)
                .map(|j| condition.powf(j as f64 / (dimension - 1) as f64 - 0.5))
                .collect();
            let turned = order(&uniform(dimension, seed + 1000 * i as i64));
            let place: Vec<f64> = places[i * dimension..(i + 1) * dimension]
                .iter()
                .map(|r| spread * (10.0 * r - 5.0) * if i == 0 { 0.8 } else { 1.0 })
                .collect();
            if i == 0 {
                self.x_opt.clone_from(&place);
            }
            let height = match i {
                0 => 10.0,
                _ => 1.1 + 8.0 * (i - 1) as f64 / (count - 2) as f64,
            };
            self.peaks.push(Peak {
                place: times(&place, &self.linear),
                scales: turned.into_iter().map(|j| shape[j]).collect(),
                height,
            });
        }
    }

    pub fn dimension(&self) -> usize {
        self.x_opt.len()
    }

    /// The least value.
    pub fn best(&self) -> f64 {
        self.f_opt
    }

    /// The value at a point of [-5, 5]^d; the penalties for points beyond are left out.
    pub fn evaluate(&self, x: &[f64]) -> f64 {
        self.core(x) + self.f_opt
    }

    fn core(&self, x: &[f64]) -> f64 {
        let shifted: Vec<f64> = x.iter().zip(&self.x_opt).map(|(x, o)| x - o).collect();
        match self.id {
            1 => squares(&shifted),
            2 => weighted(&oscillate_all(shifted), &self.scales),
            3 => rastrigin(&scaled(
                asymmetric(oscillate_all(shifted), 0.2),
                &self.scales,
            )),
            4 => {
                let mut x = oscillate_all(shifted);
                let skew = x.iter_mut().step_by(2);
                skew.filter(|x| **x > 0.0).for_each(|x| *x *= 10.0);
                rastrigin(&scaled(x, &self.scales))
            }
            5 => {
                let slopes = self.x_opt.iter().zip(&self.scales).zip(x);
                slopes.map(|((o, s), x)| s * (5.0 - sign(*o) * x)).sum()
            }
            6 => {
                let mut x = times(&shifted, &self.linear);
                let ahead = x.iter_mut().zip(&self.x_opt);
                ahead
                    .filter(|(x, o)| **x * **o > 0.0)
                    .for_each(|(x, _)| *x *= 100.0);
                oscillate(squares(&x)).powf(0.9)
            }
            7 => self.steps(&times(&shifted, &self.linear)),
            8 => {
                let scale = rosenbrock_scale(x.len());
                rosenbrock(
                    &shifted
                        .iter()
                        .map(|x| scale * x + 1.0)
                        .collect::<Vec<f64>>(),
                )
            }
            9 => rosenbrock(&self.half_shifted(x)),
            19 => griewank_rosenbrock(&self.half_shifted(x)),
            20 => self.schwefel(x),
            21 | 22 => self.gallagher(&times(x, &self.linear)),
            24 => self.lunacek(x),
            16 => weierstrass(&times(
                &oscillate_all(times(&shifted, &self.rotation)),
                &self.linear,
            )),
            23 => katsuura(&times(&shifted, &self.linear)),
            13 => {
                let x = times(&shifted, &self.linear);
                x[0] * x[0] + 100.0 * squares(&x[1..]).sqrt()
            }
            _ => self.rotated(times(&shifted, &self.rotation)),
        }
    }

    fn rotated(&self, x: Vec<f64>) -> f64 {
        match self.id {
            10 => weighted(&oscillate_all(x), &self.scales),
            11 => {
                let x = oscillate_all(x);
                squares(&x) + (1e6 - 1.0) * x[0] * x[0]
            }
            12 => {
                let x = times(&asymmetric(x, 0.5), &self.rotation);
                1e6 * squares(&x) + (1.0 - 1e6) * x[0] * x[0]
            }
            14 => {
                let last = (x.len() - 1) as f64;
                let powers = x.iter().enumerate();
                let sum: f64 = powers
                    .map(|(i, x)| x.abs().powf(2.0 + 4.0 * i as f64 / last))
                    .sum();
                sum.sqrt()
            }
            15 => rastrigin(&times(&asymmetric(oscillate_all(x), 0.2), &self.linear)),
            _ => schaffer(&times(&asymmetric(x, 0.5), &self.linear)),
        }
    }

    /// A step-ellipsoid.
    fn steps(&self, x: &[f64]) -> f64 {
        let step = |x: &f64| {
            if x.abs() > 0.5 {
                x.round_ties_even()
            } else {
                (10.0 * x).round_ties_even() / 10.0
            }
        };
        let stepped: Vec<f64> = x.iter().map(step).collect();
        let weights = powers(x.len(), 100.0);
        let sum = weighted(&times(&stepped, &self.rotation), &weights);
        0.1 * sum.max(1e-4 * x[0].abs())
    }

    fn half_shifted(&self, x: &[f64]) -> Vec<f64> {
        times(x, &self.linear)
            .into_iter()
            .map(|x| x + 0.5)
            .collect()
    }

    fn schwefel(&self, x: &[f64]) -> f64 {
        let centre = |i: usize| 2.0 * self.x_opt[i].abs();
        let own = |i: usize| 2.0 * sign(self.x_opt[i]) * x[i];
        let turned = |i: usize| match i {
            0 => own(0),
            i => own(i) + 0.25 * (own(i - 1) - centre(i - 1)),
        };
        let place = |i: usize| 100.0 * (self.scales[i] * (turned(i) - centre(i)) + centre(i));
        let (mut mean, mut penalty) = (0.0, 0.0);
        for i in 0..x.len() {
            let place = place(i);
            mean += place * place.abs().sqrt().sin() / x.len() as f64;
            let outside = (place.abs() - 500.0).max(0.0);
            penalty += 0.01 * outside * outside;
        }
        0.01 * (418.982_887_272_433_9 - mean) + penalty
    }

    fn gallagher(&self, x: &[f64]) -> f64 {
        let height = |peak: &Peak| {
            let near: Vec<f64> = x.iter().zip(&peak.place).map(|(x, p)| x - p).collect();
            let distance = weighted(&near, &peak.scales);
            peak.height * (-0.5 / x.len() as f64 * distance).exp()
        };
        let highest = self.peaks.iter().map(height).fold(0.0, f64::max);
        let below = oscillate(10.0 - highest);
        below * below
    }

    fn lunacek(&self, x: &[f64]) -> f64 {
        const CENTRE: f64 = 2.5;
        let d = x.len() as f64;
        let s = 1.0 - 0.5 / ((d + 20.0).sqrt() - 4.1);
        let other = -((CENTRE * CENTRE - 1.0) / s).sqrt();
        let x: Vec<f64> = x
            .iter()
            .zip(&self.x_opt)
            .map(|(x, o)| 2.0 * sign(*o) * x)
            .collect();
        let from = |centre: f64| x.iter().map(|x| x - centre).collect::<Vec<f64>>();
        let near = from(CENTRE);
        let bowls = squares(&near).min(d + s * squares(&from(other)));
        let waves: f64 = times(&near, &self.linear)
            .iter()
            .map(|z| (2.0 * PI * z).cos())
            .sum();
        bowls + 10.0 * (d - waves)
    }
}

/// The root of the condition that the scales of a function's axes make.
fn condition(id: u32) -> f64 {
    match id {
        2 | 10 => 1e6,
        5 | 23 | 24 => 10.0,
        16 => 0.1,
        18 => 1000f64.sqrt(),
        _ => 10f64.sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that COCO's own Python module of 2009 gives at the origin of four dimensions, instance 0.
    const AT_ORIGIN: [f64; FUNCTIONS as usize] = [
        -77.274_545_9,
        6_180_022.821_7,
        92.987_750_752,
        92.987_750_752,
        140.510_117_61,
        70_877.955_412,
        -72.550_520_219,
        33_355.792_472,
        -339.94,
        4_374_717.493_4,
        15_631_566.348,
        4_715_481.086,
        550.599_783_90,
        -17.299_175_622,
        27.363_312_851,
        -227.827_833_52,
        -24.330_591_878,
        131.420_159_34,
        40.710_373_742,
        6_160.817_829_2,
        376.746_889_54,
        107.830_426_76,
        220.482_266_55,
        106.094_767_38,
    ];

    #[test]
    fn values_are_those_of_coco() {
        for (id, expected) in (1..).zip(AT_ORIGIN) {
            let found = Problem::new(id, 0, 4).evaluate(&[0.0; 4]);
            let off = (found - expected).abs() / expected.abs();
            assert!(off < 1e-9, "f{id}: {found} {expected}");
        }
    }

    #[test]
    fn each_has_its_optimum_inside_the_box() {
        for id in 1..=FUNCTIONS {
            for (instance, dimension) in [(1, 2), (3, 5), (5, 20)] {
                let problem = Problem::new(id, instance, dimension);
                assert!(problem.x_opt.iter().all(|x| x.abs() <= 5.0));
                let above = problem.evaluate(&problem.x_opt) - problem.best();
                assert!(above.abs() < 1e-8, "f{id}, instance {instance}: {above}");
                let beside: Vec<f64> = problem.x_opt.iter().map(|x| x - 0.01 * sign(*x)).collect();
                assert!(problem.evaluate(&beside) > problem.best() + 1e-8, "f{id}");
            }
        }
    }
}
