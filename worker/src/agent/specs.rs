//! Specs of the sweeps at hand, each read once for all its trials.

use std::collections::BTreeMap;
use std::sync::Arc;

use bonfire_domain::SweepId;
use bonfire_domain::order::StartOrder;
use bonfire_domain::spec::Spec;

/// Sweeps whose specs are kept read.
const SPECS_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Specs(BTreeMap<SweepId, (String, Arc<Spec>)>);

impl Specs {
    /// The spec of an order's sweep.
    ///
    /// # Errors
    /// What is wrong with its text.
    pub(super) fn read(&mut self, order: &StartOrder) -> Result<Arc<Spec>, String> {
        let sweep = order.trial.sweep;
        if let Some((text, spec)) = self.0.get(&sweep)
            && *text == order.spec
        {
            return Ok(Arc::clone(spec));
        }
        let spec = Spec::from_canonical(&order.spec).map_err(|e| format!("spec: {e}"))?;
        let spec = Arc::new(spec);
        if self.0.len() >= SPECS_MAX {
            self.0.pop_first();
        }
        self.0
            .insert(sweep, (order.spec.clone(), Arc::clone(&spec)));
        Ok(spec)
    }
}
