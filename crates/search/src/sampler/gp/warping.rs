//! Ordered axes bent so that the process is as rough at one end as at the other.
//!
//! The place u in [0, 1] becomes 1 - (1 - u^a)^b, the distribution function of Kumaraswamy: a above 1 stretches the upper end, b above
//! 1 the lower one, and 1 and 1 leave all as it is.
//!
//! Source: Snoek, Swersky, Zemel and Adams 2014, Input warping for Bayesian optimization of non-stationary functions,
//! <https://arxiv.org/abs/1402.0929>.

/// Slopes are finite between this and 1 less this.
const END: f64 = 1e-6;

/// The logarithms of a and b.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Warping {
    pub(super) a: f64,
    pub(super) b: f64,
}

/// Where a place comes to, and how that changes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Warped {
    pub(super) place: f64,
    /// By the logarithms of a and b.
    pub(super) by_a: f64,
    pub(super) by_b: f64,
}

impl Warping {
    fn is_none(self) -> bool {
        self.a == 0.0 && self.b == 0.0
    }

    pub(super) fn place(self, u: f64) -> f64 {
        if self.is_none() {
            return u;
        }
        self.warped(u).place
    }

    /// Of a warping that can change.
    pub(super) fn warped(self, u: f64) -> Warped {
        let u = u.clamp(END, 1.0 - END);
        let (a, b) = (libm::exp(self.a), libm::exp(self.b));
        let log_u = libm::log(u);
        let power = libm::exp(a * log_u);
        let log_rest = libm::log1p(-power);
        let rest = libm::exp(b * log_rest);
        Warped {
            place: 1.0 - rest,
            // b (1 - u^a)^(b - 1) u^a ln u, times a.
            by_a: a * b * libm::exp((b - 1.0) * log_rest) * power * log_u,
            by_b: -b * rest * log_rest,
        }
    }

    /// The slope by the place.
    pub(super) fn slope(self, u: f64) -> f64 {
        if self.is_none() {
            return 1.0;
        }
        let u = u.clamp(END, 1.0 - END);
        let (a, b) = (libm::exp(self.a), libm::exp(self.b));
        let log_u = libm::log(u);
        let log_rest = libm::log1p(-libm::exp(a * log_u));
        libm::exp(self.a + self.b + (a - 1.0) * log_u + (b - 1.0) * log_rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_stay_and_slopes_are_derivatives() {
        for (a, b) in [(0.0, 0.0), (0.7, -0.3), (-0.5, 0.2), (1.0, 1.0)] {
            let warping = Warping { a, b };
            assert!(warping.place(0.0) < 1e-3 && warping.place(1.0) > 1.0 - 1e-3);
            for u in [0.1, 0.5, 0.85] {
                let step = 1e-6;
                let near = |low: f64, high: f64| (high - low) / (2.0 * step);
                let by = |a: f64, b: f64, u: f64| Warping { a, b }.warped(u).place;
                let warped = warping.warped(u);
                for (found, numeric) in [
                    (
                        warping.slope(u),
                        near(by(a, b, u - step), by(a, b, u + step)),
                    ),
                    (warped.by_a, near(by(a - step, b, u), by(a + step, b, u))),
                    (warped.by_b, near(by(a, b - step, u), by(a, b + step, u))),
                ] {
                    assert!((found - numeric).abs() < 1e-7, "{found} {numeric}");
                }
            }
        }
    }
}
