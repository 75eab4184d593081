//! Clients: they submit until they are answered, pause and resume.

use bonfire_domain::cluster::SweepState;
use bonfire_domain::command::{Command, SweepAction};
use bonfire_domain::effect::Effect;

use super::{Event, World};

impl World<'_> {
    pub(super) fn submit(&mut self, at: usize) -> Result<(), String> {
        let spec = &self.specs[at];
        let name = format!("{}-{at}", spec.name);
        if self.acknowledged.contains(&name) {
            return Ok(());
        }
        // Asked again until it is acknowledged, with the same request.
        self.queue.after(2_000, Event::Submit { spec: at });
        let command = Command::CreateSweep {
            request: at as u64 + 1,
            name,
            spec: spec.canonical(),
            dataset: None,
            at: self.time().wall,
        };
        let time = self.time();
        if let Some(node) = self.node.as_mut() {
            let wants = node.client(time, &mut self.log, at as u64 + 1, command);
            self.do_wants(wants)?;
        }
        Ok(())
    }

    pub(super) fn control(&mut self, action: SweepAction) -> Result<(), String> {
        let time = self.time();
        let named = format!("{}-0", self.specs[0].name);
        let id = self
            .node
            .as_ref()
            .and_then(|n| n.cluster().sweep_named(&named));
        let resume = action == SweepAction::Resume;
        if let (Some(sweep), Some(node)) = (id, self.node.as_mut()) {
            let command = Command::ControlSweep {
                sweep,
                action: action.clone(),
                at: time.wall,
            };
            let wants = node.client(time, &mut self.log, 1_000, command);
            self.do_wants(wants)?;
        }
        // A user who wants it to go on asks until it does.
        let paused = id.is_none_or(|sweep| {
            self.node.as_ref().is_none_or(|n| {
                n.cluster()
                    .sweep(sweep)
                    .is_some_and(|s| s.state == SweepState::Paused)
            })
        });
        if resume && paused {
            self.queue.after(3_000, Event::Control { action });
        }
        Ok(())
    }

    pub(super) fn answered(&mut self, tag: u64, effects: &[Effect]) -> Result<(), String> {
        let at = tag as usize;
        if at == 0 || at > self.specs.len() {
            return Ok(());
        }
        if let Some(Effect::Refused(refusal)) =
            effects.iter().find(|e| matches!(e, Effect::Refused(_)))
        {
            return Err(format!("I1: a repeated submission was refused: {refusal}"));
        }
        self.acknowledged
            .insert(format!("{}-{}", self.specs[at - 1].name, at - 1));
        Ok(())
    }
}
