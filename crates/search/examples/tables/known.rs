//! Functions that others test with, too.

/// What [`branin`] comes to in each of its three valleys, to six digits.
pub const BRANIN_LEAST: f64 = 0.397_887;
/// What [`hartmann`] comes to, to five.
pub const HARTMANN_LEAST: f64 = -3.322_37;

/// Of x from -5 to 10 and y from 0 to 15 (Branin 1972).
pub fn branin(x: f64, y: f64) -> f64 {
    let pi = std::f64::consts::PI;
    let a = y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0;
    a * a + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * libm::cos(x) + 10.0
}

/// Of six coordinates from 0 to 1; further ones do not matter.
pub fn hartmann(x: &[f64]) -> f64 {
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let well = |i: usize| {
        let off = |j: usize| A[i][j] * (x[j] - P[i][j]) * (x[j] - P[i][j]);
        [1.0, 1.2, 3.0, 3.2][i] * libm::exp(-(0..6).map(off).sum::<f64>())
    };
    -(0..4).map(well).sum::<f64>()
}
