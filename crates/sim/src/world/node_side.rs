//! The coordinator's process: started, crashed, and what it asks of the world.

use bonfire_consensus::Input as LogInput;
use bonfire_domain::leader::{Action, Input};

use super::{Event, World};
use crate::node::{Node, Want};
use crate::scenario::PlantedBug;

impl World<'_> {
    pub(super) fn start_node(&mut self) -> Result<(), String> {
        self.node_life += 1;
        let forget = self.has_bug(PlantedBug::ForgetsTail) && self.node_life > 1;
        let (node, wants) = Node::open(
            self.time(),
            &mut self.log,
            self.scenario.seed ^ self.node_life,
            self.scenario.snapshot_log_bytes,
            forget,
        )?;
        self.node = Some(node);
        self.do_wants(wants)
    }

    pub(super) fn crash_node(&mut self) {
        self.report.node_crashes += 1;
        self.node = None;
        self.node_life += 1;
        let kept = self.draw(self.log.unsynced() as u64 + 1) as usize;
        self.log.crash(kept);
        let open: Vec<u64> = self.connections.keys().copied().collect();
        for connection in open {
            self.close(connection);
        }
        let after = 50 + self.draw(3_000);
        self.queue.after(after, Event::StartNode);
    }

    pub(super) fn log_input(&mut self, input: LogInput) -> Result<(), String> {
        let time = self.time();
        let Some(node) = self.node.as_mut() else {
            return Ok(());
        };
        let wants = node.log(time, &mut self.log, input);
        self.do_wants(wants)
    }

    pub(super) fn lead(&mut self, input: Input) -> Result<(), String> {
        let time = self.time();
        let Some(node) = self.node.as_mut() else {
            return Ok(());
        };
        let wants = node.lead(time, &mut self.log, input);
        self.do_wants(wants)
    }

    pub(super) fn do_wants(&mut self, wants: Vec<Want>) -> Result<(), String> {
        let life = self.node_life;
        for want in wants {
            match want {
                Want::Sync { batch } if self.has_bug(PlantedBug::AcknowledgesUnsynced) => {
                    // The lie: the host hears "on disk" at once, the sync comes much later or never.
                    self.log_input(LogInput::Persisted { batch })?;
                }
                Want::Sync { batch } => {
                    let after = self.draw(4);
                    self.queue.after(after, Event::Synced { life, batch });
                }
                Want::Act(Action::Order { worker, order }) => self.send_order(worker, order),
                Want::Act(action @ Action::Suggest { .. }) => {
                    let after = self.draw(30);
                    self.queue.after(after, Event::Suggest { life, action });
                }
                Want::Act(Action::DeleteBlobs { chunks }) => {
                    let after = self.draw(200);
                    self.queue.after(after, Event::DeleteBlobs { life, chunks });
                }
                // Nobody asks for trials of external sweeps here.
                Want::Act(Action::Propose { .. } | Action::Answer { .. }) => {}
                Want::Answered { tag, effects } => self.answered(tag, &effects)?,
                Want::Fatal(reason) => return Err(reason),
            }
        }
        if self.has_bug(PlantedBug::DeletesWithoutCondemning)
            && let Some(node) = &self.node
        {
            for chunk in node.cluster().blobs().garbage() {
                self.store.remove(chunk);
            }
        }
        Ok(())
    }

    pub(super) fn suggest(&mut self, action: Action) -> Result<(), String> {
        let Action::Suggest {
            sweep,
            first,
            count,
            seen,
        } = action
        else {
            return Ok(());
        };
        let reseed = self.has_bug(PlantedBug::ReseedsSampler);
        let life = self.node_life;
        let Some(node) = self.node.as_mut() else {
            return Ok(());
        };
        let shifted = if reseed { first + life as u32 } else { first };
        let (parameters, exhausted) = node.suggester.suggest(sweep, shifted, count);
        self.lead(Input::Suggested {
            sweep,
            first,
            seen,
            parameters,
            exhausted,
        })
    }
}
