//! The replicated state as `consensus` hosts it.

use bonfire_consensus::{RestoreError, StateMachine};
use bonfire_domain::cluster::Cluster;
use bonfire_domain::effect::Effect;
use bonfire_domain::{LogIndex, command};

/// [`Cluster`] behind the log's bytes.
#[derive(Debug, Default)]
pub(crate) struct ClusterMachine {
    cluster: Cluster,
    unreadable: Option<(u64, command::DecodeError)>,
}

impl ClusterMachine {
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The first entry that this version could not read. From then on nothing is applied, and the node must stop.
    pub(crate) fn unreadable(&self) -> Option<(u64, &command::DecodeError)> {
        self.unreadable
            .as_ref()
            .map(|(index, error)| (*index, error))
    }
}

impl StateMachine for ClusterMachine {
    type Effect = Effect;

    fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<Effect> {
        if self.unreadable.is_some() {
            return vec![];
        }
        match command::decode(entry) {
            Ok(commands) => {
                let cluster = &mut self.cluster;
                commands
                    .into_iter()
                    .flat_map(|c| cluster.apply(LogIndex(index), c))
                    .collect()
            }
            Err(error) => {
                self.unreadable = Some((index, error));
                vec![]
            }
        }
    }

    fn capture(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let cluster = self.cluster.clone();
        Box::new(move || cluster.encode())
    }

    fn restore(&mut self, _index: u64, snapshot: &[u8]) -> Result<(), RestoreError> {
        self.cluster = Cluster::decode(snapshot).map_err(|e| RestoreError(e.to_string()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bonfire_domain::command::Command;

    #[test]
    fn an_entry_of_the_future_stops_everything_after_it() {
        let mut machine = ClusterMachine::default();
        let good = command::encode(&[Command::Condemn { chunks: vec![] }]);
        assert_eq!(machine.apply(1, &good).len(), 1);
        assert_eq!(machine.apply(2, &[9, 0, 1]), vec![]);
        assert_eq!(machine.apply(3, &good), vec![]);
        let (index, error) = machine
            .unreadable()
            .map(|(i, e)| (i, e.to_string()))
            .unwrap_or_default();
        assert_eq!(index, 2);
        assert!(error.contains("format 9"), "{error}");
    }
}
