//! The replicated state behind the consensus host.

use std::sync::Arc;

use bonfire_consensus::{RestoreError, StateMachine};
use bonfire_domain::command;
use bonfire_domain::effect::Effect;
use bonfire_domain::{Cluster, LogIndex};

/// [`Cluster`] as a state machine of the log.
#[derive(Debug, Default)]
pub struct ClusterMachine {
    pub cluster: Arc<Cluster>,
}

impl StateMachine for ClusterMachine {
    type Effect = Effect;

    fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<Effect> {
        let commands = command::decode(entry).unwrap_or_default();
        let cluster = Arc::make_mut(&mut self.cluster);
        commands
            .into_iter()
            .flat_map(|c| cluster.apply(LogIndex(index), c))
            .collect()
    }

    fn capture(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let cluster = Arc::clone(&self.cluster);
        Box::new(move || cluster.encode())
    }

    fn restore(&mut self, _index: u64, snapshot: &[u8]) -> Result<(), RestoreError> {
        let cluster = Cluster::decode(snapshot).map_err(|e| RestoreError(e.to_string()))?;
        self.cluster = Arc::new(cluster);
        Ok(())
    }
}
