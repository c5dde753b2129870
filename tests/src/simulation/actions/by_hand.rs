//! Changes that people make to containers by hand, and containers that Tally does not manage.

use std::sync::Arc;

use tally_reconcile::plan::request::ContainerRequest;
use tally_simulator::Model;

use super::director::Director;
use super::repair::Repair;
use crate::simulation::faults::Kind;
use crate::simulation::invariants;
use crate::simulation::spec::IMAGE;

impl Director {
    /// Changes a managed container by hand, as a person does.
    pub(super) fn by_hand(&mut self, kind: Kind) {
        let versions = Arc::clone(&self.world.family);
        let careful = kind == Kind::HandRename;
        let fits = |found: &invariants::ManagedContainer<'_>| {
            let mut expected = versions.versions.iter().flat_map(|version| &version.expected);
            // A renamed container keeps its port and its data: that is the person's intent, and no engine could repair
            // it.
            let bound = expected.any(|work| work.address == found.work && work.stateful)
                || !found.shown.request.publish.is_empty()
                || found.role != "container";
            !(careful && bound) && (kind == Kind::HandRemove || found.shown.runs())
        };
        let Some((sim_host, id, pod)) = self.container(fits) else { return };
        let name = sim_host.name.clone();
        let action = |model: &mut Model, now_ms| match kind {
            Kind::HandStop => model.stop(&id, now_ms),
            Kind::HandPause => model.pause(&id, now_ms),
            Kind::HandRename => model.rename(&id, &format!("mine-{}", id.get(..6).unwrap_or(""))),
            _ => model.stop(&id, now_ms).and_then(|()| model.remove(&id, now_ms)),
        };
        let _ = sim_host.daemon.inject(action);
        self.repairs(&pod);
        if careful {
            self.after(20_000, 200_000, Repair::Stranger(name.clone(), id));
        }
        self.world.fire(kind, &format!("{pod} on {name}"));
    }

    /// Creates a container that Tally does not manage, with the name or the labels of a managed one.
    pub(super) fn unmanaged_container(&mut self, kind: Kind) {
        let Some((sim_host, id, pod)) = self.container(|found| found.role == "container") else {
            return;
        };
        let forge = |model: &mut Model, now_ms: i64| {
            let found = model.each().find(|it| it.id == id)?;
            let (name, labels) = (found.request.name.clone(), found.request.labels.clone());
            let all = if kind == Kind::Forged {
                labels
            } else {
                [("own".to_owned(), "yes".to_owned())].into()
            };
            let request = ContainerRequest {
                name: if kind == Kind::Forged { format!("copy-of-{name}") } else { name },
                image: IMAGE.to_owned(),
                labels: all,
                ..ContainerRequest::default()
            };
            if kind == Kind::Unmanaged {
                model.stop(&id, now_ms).ok()?;
                model.remove(&id, now_ms).ok()?;
            }
            let _ = model.pull(IMAGE);
            let id = model.create(&request, now_ms).ok()?;
            let _ = model.start(&id, now_ms);
            Some(id)
        };
        // Its capacity may be freed and then stay unused, if the image is missing.
        self.repairs(&pod);
        let Ok(Some(id)) = sim_host.daemon.inject(forge) else { return };
        self.after(5_000, 120_000, Repair::Stranger(sim_host.name.clone(), id));
        self.world.fire(kind, &format!("{pod} on {}", sim_host.name));
    }
}
