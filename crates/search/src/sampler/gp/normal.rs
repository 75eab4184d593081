//! The normal distribution where the usual formulas lose their digits.

const SQRT_2: f64 = std::f64::consts::SQRT_2;
/// ln sqrt(2 pi).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;
/// ln sqrt(pi / 2).
const LN_SQRT_HALF_PI: f64 = 0.225_791_352_644_727_44;

/// ln(phi(z) + z Phi(z)): the logarithm of the expected improvement of a standard normal over -z, for any z.
///
/// Source: Ament et al. 2023, Unexpected improvements to expected improvement, equation 9 and appendix A,
/// <https://arxiv.org/abs/2310.20708>.
pub(super) fn log_improvement(z: f64) -> f64 {
    if z > -1.0 {
        let density = libm::exp(-0.5 * z * z - LN_SQRT_TAU);
        let below = 0.5 * libm::erfc(-z / SQRT_2);
        return libm::log(density + z * below);
    }
    let log_density = -0.5 * z * z - LN_SQRT_TAU;
    if z > -60.0 {
        // 1 - |z| Phi(z) / phi(z)
        let ratio = libm::exp(LN_SQRT_HALF_PI) * -z * scaled_erfc(-z / SQRT_2);
        return log_density + libm::log1p(-ratio);
    }
    // The asymptotic series of the same.
    let q = 1.0 / (z * z);
    let series = q * (-3.0 + q * (15.0 + q * (-105.0 + q * 945.0)));
    log_density - 2.0 * libm::log(-z) + libm::log1p(series)
}

/// The derivatives of [`log_improvement`] of (best - mean) / deviation, plus the deviation's logarithm, by the mean and by the
/// deviation, times the deviation.
pub(super) fn improvement_slopes(z: f64) -> (f64, f64) {
    let log_density = -0.5 * z * z - LN_SQRT_TAU;
    // phi / (phi + z Phi), and Phi / (phi + z Phi).
    let density = libm::exp(log_density - log_improvement(z));
    let below = if z > -1.0 {
        0.5 * libm::erfc(-z / SQRT_2) * libm::exp(-log_improvement(z))
    } else {
        (1.0 - density) / z
    };
    (-below, density)
}

/// ln Phi(z): the logarithm of the probability that a standard normal is below z, for any z.
pub(super) fn log_below(z: f64) -> f64 {
    if z > -1.0 {
        return libm::log(0.5 * libm::erfc(-z / SQRT_2));
    }
    -0.5 * z * z + libm::log(0.5 * scaled_erfc(-z / SQRT_2))
}

/// The derivative of [`log_below`].
pub(super) fn log_below_slope(z: f64) -> f64 {
    libm::exp(-0.5 * z * z - LN_SQRT_TAU - log_below(z))
}

/// exp(x^2) erfc(x) for x > 0.
fn scaled_erfc(x: f64) -> f64 {
    if x < 2.0 {
        return libm::exp(x * x) * libm::erfc(x);
    }
    // The continued fraction x + (1/2)/(x + 1/(x + (3/2)/(x + ...))), from far inside.
    const TERMS: u32 = 120;
    const SQRT_PI: f64 = 1.772_453_850_905_516;
    let inner = (1..=TERMS)
        .rev()
        .fold(x, |tail, k| x + 0.5 * f64::from(k) / tail);
    1.0 / (SQRT_PI * inner)
}

/// The place below which a standard normal falls with probability `p` in (0, 1), to about 1e-7 of the probability.
///
/// Source: Acklam's rational approximation, <https://web.archive.org/web/20151030215612/http://home.online.no/~pjacklam/notes/invnorm/>.
pub(in crate::sampler) fn quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239e0,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838e0,
        -2.549732539343734e0,
        4.374664141464968e0,
        2.938163982698783e0,
    ];
    const D: [f64; 5] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996e0,
        3.754408661907416e0,
        1.0,
    ];
    const TAIL: f64 = 0.02425;
    let horner = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    if p < TAIL {
        let q = libm::sqrt(-2.0 * libm::log(p));
        horner(&C, q) / horner(&D, q)
    } else if p > 1.0 - TAIL {
        -quantile(1.0 - p)
    } else {
        let q = p - 0.5;
        q * horner(&A, q * q) / horner(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with mpmath to 50 digits.
    const IMPROVEMENT: [(f64, f64); 11] = [
        (3.0, 1.098_739_665_327_707_7),
        (0.5, -0.359_827_683_745_063_8),
        (0.0, -0.918_938_533_204_672_8),
        (-0.99, -2.466_114_391_669_049_3),
        (-1.01, -2.504_199_857_480_257),
        (-3.0, -7.869_686_059_603_029),
        (-10.0, -55.553_122_036_122_35),
        (-19.9, -204.912_887_694_921_7),
        (-20.1, -208.932_740_416_624_6),
        (-40.0, -808.298_568_356_62),
        (-1000.0, -500014.734_452_091_16),
    ];

    #[test]
    fn improvement_in_high_precision() {
        for (z, expected) in IMPROVEMENT {
            let found = log_improvement(z);
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-12, "{z}: {found:?} {expected:?}");
        }
    }

    /// Computed with mpmath to 50 digits.
    const BELOW: [(f64, f64); 8] = [
        (3.0, -0.001_350_809_964_748_193_8),
        (0.5, -0.368_946_415_288_656_4),
        (0.0, -std::f64::consts::LN_2),
        (-0.99, -1.825_810_317_842_812_4),
        (-1.01, -1.856_313_062_343_178_4),
        (-5.0, -15.064_998_393_988_726),
        (-30.0, -454.321_243_956_343_2),
        (-1000.0, -500007.826_694_812_18),
    ];

    #[test]
    fn probabilities_in_high_precision() {
        for (z, expected) in BELOW {
            let found = log_below(z);
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(error < 1e-12, "{z}: {found:?} {expected:?}");
            let numeric = (log_below(z + 1e-4) - log_below(z - 1e-4)) / 2e-4;
            let slope = log_below_slope(z);
            assert!(
                (slope - numeric).abs() < 1e-6 * slope.max(1.0),
                "{z}: {slope} {numeric}"
            );
        }
    }

    #[test]
    fn quantiles_invert_the_distribution() {
        for p in [1e-6, 0.001, 0.024, 0.0243, 0.3, 0.5, 0.9, 0.98, 0.9999] {
            let back = 0.5 * libm::erfc(-quantile(p) / SQRT_2);
            assert!((back / p - 1.0).abs() < 1e-7, "{p}: {back}");
        }
    }
}
