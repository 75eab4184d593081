//! The `fleet` verbs.

use bonfire_domain::command::Admission;
use bonfire_domain::view::FleetDocument;
use bonfire_proto::wire::Admit;

use crate::args::{FleetVerb, Global};
use crate::connect::{Link, Need};
use crate::documents;
use crate::output::errors::{Exit, Outcome};
use crate::output::{Output, json, table};

pub async fn act(global: &Global, verb: &FleetVerb) -> Outcome {
    match verb {
        FleetVerb::Status => status(global, true).await,
        FleetVerb::List => status(global, false).await,
        FleetVerb::Drain { worker } => admit(global, worker, Admission::Draining, "drains").await,
        FleetVerb::Resume { worker } => {
            admit(global, worker, Admission::Open, "takes new work").await
        }
    }
}

async fn status(global: &Global, nodes: bool) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let document = documents::get::<FleetDocument>(&link.fleet, documents::FLEET).await;
    let local = link.local().is_some();
    link.close().await;
    let document = document?;
    if output.is_json() {
        match nodes {
            true => json::print(output, &document),
            false => json::print(output, &document.workers),
        }
        return Ok(Exit::Done);
    }
    let mut out = String::new();
    if nodes {
        let rows = document
            .nodes
            .iter()
            .map(|n| vec![n.node.to_string(), n.address.clone(), n.role.clone()]);
        out.push_str(&table::table(&["node", "address", "role"], &[0], rows));
        out.push('\n');
    }
    match document.workers.is_empty() {
        true => out.push_str("no workers\n"),
        false => out.push_str(&table::workers(&document.workers)),
    }
    output.print(&out);
    if local {
        output
            .note("this fleet does not run: its data directory was opened for this command alone");
    }
    Ok(Exit::Done)
}

async fn admit(global: &Global, worker: &str, admission: Admission, done: &str) -> Outcome {
    let output = Output::of(global);
    let link = Link::open(global, Need::Read).await?;
    let answer = link
        .fleet
        .admit(Admit {
            worker: worker.to_owned(),
            admission,
        })
        .await;
    link.close().await;
    let name = answer?;
    match output.is_json() {
        true => json::print(output, &serde_json::json!({ "worker": name })),
        false => output.print(&format!("{name} {done}")),
    }
    Ok(Exit::Done)
}
