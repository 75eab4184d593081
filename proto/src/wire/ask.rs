//! What askers of external trials say.

use std::collections::BTreeMap;

use bonfire_domain::Attempt;
use bonfire_domain::command::Told;

use super::control::filled;
use super::{DETAIL_BYTES_MAX, SELECTOR_BYTES_MAX, WireError, required, text};
use crate::pb;

/// The largest unit of an intermediate value: what a double counts exactly.
pub const TOLD_AT_MAX: u64 = 1 << 53;

/// A trial of an external sweep is wanted. `request`, drawn by the asker, makes a repeated one get the same trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub request: Option<u64>,
    pub sweep: String,
}

/// What the asker of a trial says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tell {
    pub trial: String,
    pub attempt: Attempt,
    pub told: Told,
    /// Metrics that the search requires something of.
    pub metrics: BTreeMap<String, f64>,
}

impl Ask {
    /// Checks what a peer said, whichever way it came.
    ///
    /// # Errors
    /// No sweep, or a selector beyond its limit.
    pub fn new(sweep: String, request: Option<u64>) -> Result<Ask, WireError> {
        let sweep = filled("sweep", sweep, SELECTOR_BYTES_MAX)?;
        Ok(Ask { request, sweep })
    }
}

impl Tell {
    /// Checks what a peer said, whichever way it came.
    ///
    /// # Errors
    /// Attempt 0, a value that is not finite, a unit or a reason beyond its limit.
    pub fn new(trial: String, attempt: u32, told: Told) -> Result<Tell, WireError> {
        if attempt == 0 {
            return Err(WireError::new("attempt", "attempt 0 was never given out"));
        }
        match &told {
            Told::Value { value } | Told::Intermediate { value, .. } if !value.is_finite() => {
                let problem = "is not a finite number: tell the trial as failed instead";
                return Err(WireError::new("value", problem));
            }
            Told::Intermediate { at, .. } if *at > TOLD_AT_MAX => {
                let problem = format!("{at} exceeds the limit of {TOLD_AT_MAX}");
                return Err(WireError::new("at", problem));
            }
            _ => {}
        }
        let told = match told {
            Told::Failed { reason } => Told::Failed {
                reason: text("reason", reason, DETAIL_BYTES_MAX)?,
            },
            told => told,
        };
        Ok(Tell {
            trial: filled("trial", trial, SELECTOR_BYTES_MAX)?,
            attempt: Attempt(attempt),
            told,
            metrics: BTreeMap::new(),
        })
    }

    /// The same with metrics.
    ///
    /// # Errors
    /// A metric that is not finite, more of them or a longer name than the limit, and metrics of a trial that failed.
    pub fn with_metrics(self, metrics: BTreeMap<String, f64>) -> Result<Tell, WireError> {
        if matches!(self.told, Told::Failed { .. }) && !metrics.is_empty() {
            let problem = "go with a value, not with a failure";
            return Err(WireError::new("metrics", problem));
        }
        let metrics = super::metrics("metrics", metrics)?;
        if let Some((name, _)) = metrics.iter().find(|(_, value)| !value.is_finite()) {
            let problem = format!("{name} is not a finite number");
            return Err(WireError::new("metrics", problem));
        }
        Ok(Tell { metrics, ..self })
    }
}

impl From<Ask> for pb::AskRequest {
    fn from(ask: Ask) -> pb::AskRequest {
        pb::AskRequest {
            request: ask.request,
            sweep: ask.sweep,
        }
    }
}

impl TryFrom<pb::AskRequest> for Ask {
    type Error = WireError;
    fn try_from(m: pb::AskRequest) -> Result<Ask, WireError> {
        Ask::new(m.sweep, m.request)
    }
}

impl From<Tell> for pb::TellRequest {
    fn from(tell: Tell) -> pb::TellRequest {
        use pb::tell_request::{Failed, Intermediate, Told as Wire};
        let told = match tell.told {
            Told::Value { value } => Wire::Value(value),
            Told::Intermediate { at, value } => Wire::Intermediate(Intermediate { at, value }),
            Told::Failed { reason } => Wire::Failed(Failed { reason }),
        };
        pb::TellRequest {
            trial: tell.trial,
            attempt: tell.attempt.0,
            told: Some(told),
            metrics: tell.metrics,
        }
    }
}

impl TryFrom<pb::TellRequest> for Tell {
    type Error = WireError;
    fn try_from(m: pb::TellRequest) -> Result<Tell, WireError> {
        use pb::tell_request::Told as Wire;
        let told = match required("told", m.told)? {
            Wire::Value(value) => Told::Value { value },
            Wire::Intermediate(m) => Told::Intermediate {
                at: m.at,
                value: m.value,
            },
            Wire::Failed(m) => Told::Failed { reason: m.reason },
        };
        Tell::new(m.trial, m.attempt, told)?.with_metrics(m.metrics)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{METRIC_BYTES_MAX, METRICS_MAX};
    use super::*;

    fn tell(attempt: u32, told: Told) -> Result<Tell, WireError> {
        Tell::new("a/1".into(), attempt, told)
    }

    #[test]
    fn requests_survive_the_wire() {
        let ask = Ask {
            request: Some(u64::MAX),
            sweep: "last".into(),
        };
        assert_eq!(Ask::try_from(pb::AskRequest::from(ask.clone())), Ok(ask));
        let reason = "no luck".to_owned();
        for told in [
            Told::Value { value: -0.5 },
            Told::Intermediate {
                at: 0,
                value: 1e300,
            },
            Told::Failed { reason },
        ] {
            let tell = tell(2, told).unwrap();
            assert_eq!(
                Tell::try_from(pb::TellRequest::from(tell.clone())),
                Ok(tell)
            );
        }
    }

    #[test]
    fn metrics_go_with_values() {
        let with = |told, pairs: &[(&str, f64)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value));
            tell(2, told).unwrap().with_metrics(pairs.collect())
        };
        let value = || Told::Value { value: 0.5 };
        let told = with(value(), &[("latency_ms", 12.5), ("mb", -1.0)]).unwrap();
        assert_eq!(
            Tell::try_from(pb::TellRequest::from(told.clone())),
            Ok(told)
        );
        let failed = || Told::Failed {
            reason: String::new(),
        };
        assert!(with(failed(), &[]).is_ok());
        assert_eq!(with(failed(), &[("mb", 1.0)]).unwrap_err().field, "metrics");
        assert_eq!(
            with(value(), &[("mb", f64::NAN)]).unwrap_err().field,
            "metrics"
        );
        let long = "x".repeat(METRIC_BYTES_MAX + 1);
        assert_eq!(
            with(value(), &[(long.as_str(), 1.0)]).unwrap_err().field,
            "metrics"
        );
        let many: Vec<String> = (0..=METRICS_MAX).map(|i| i.to_string()).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|name| (name.as_str(), 1.0)).collect();
        assert_eq!(with(value(), &many).unwrap_err().field, "metrics");
    }

    #[track_caller]
    fn check_refused(attempt: u32, told: Told, field: &str) {
        assert_eq!(tell(attempt, told).unwrap_err().field, field);
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let value = 1.0;
        check_refused(0, Told::Value { value }, "attempt");
        check_refused(1, Told::Value { value: f64::NAN }, "value");
        let value = f64::NEG_INFINITY;
        check_refused(1, Told::Intermediate { at: 1, value }, "value");
        let at = TOLD_AT_MAX + 1;
        check_refused(1, Told::Intermediate { at, value: 1.0 }, "at");
        let reason = "x".repeat(DETAIL_BYTES_MAX + 1);
        check_refused(1, Told::Failed { reason }, "reason");
        let nothing = pb::TellRequest {
            trial: "a/1".into(),
            attempt: 1,
            told: None,
            metrics: [].into(),
        };
        assert_eq!(Tell::try_from(nothing).unwrap_err().field, "told");
    }
}
