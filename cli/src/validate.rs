//! `validate` and `schema`: a spec checked without running it.

use bonfire_domain::dataset::DatasetManifest;
use bonfire_domain::fit::Rows;
use bonfire_domain::spec::json_schema;

use crate::args::{Global, Schema, SchemaKind, Validate};
use crate::connect::{Link, Need};
use crate::output::errors::{Exit, Failure, Outcome};
use crate::output::{Output, json};
use crate::spec_file::{Source, SpecFile};
use crate::submit;

/// Checks a spec by itself and against its data.
///
/// # Errors
/// Every problem, with its place.
pub async fn validate(global: &Global, args: &Validate) -> Outcome {
    let output = Output::of(global);
    let file = SpecFile::read(&args.spec)?;
    file.look()?;
    if let Source::Registered { name, version } = &file.source {
        look_at_registered(global, &file, name, version.as_deref(), output).await?;
    }
    match (args.resolved, output.is_json()) {
        (_, true) => json::print(output, &file.spec.resolved()),
        (true, false) => output.print(&file.spec.resolved_yaml()),
        (false, false) => output.print(&format!("{} is a good spec", file.path.display())),
    }
    Ok(Exit::Done)
}

/// A dataset that only a fleet has can be looked at only where one is to be had.
///
/// # Errors
/// Everything in the spec that does not fit it.
pub async fn look_at_registered(
    global: &Global,
    file: &SpecFile,
    name: &str,
    version: Option<&str>,
    output: Output,
) -> Result<Option<DatasetManifest>, Failure> {
    let link = match Link::open(global, Need::Read).await {
        Ok(link) => link,
        Err(failure) => {
            output.note(&format!(
                "dataset {name} was not looked at: {}",
                failure.text
            ));
            return Ok(None);
        }
    };
    let manifest = submit::of_spec(&link.fleet, name, version)
        .await
        .map_err(|e| submit::as_request(e, file));
    link.close().await;
    let manifest = manifest?;
    file.fit(&manifest.columns, Rows::All(manifest.rows))?;
    Ok(Some(manifest))
}

/// Prints the JSON schema of a kind of spec.
///
/// # Errors
/// None for the kinds that the command line takes.
pub fn schema(global: &Global, args: &Schema) -> Outcome {
    let SchemaKind::Sweep = args.kind;
    let schema =
        json_schema("sweep").ok_or_else(|| Failure::failed("there is no schema for sweep"))?;
    json::print(Output::of(global), &schema);
    Ok(Exit::Done)
}
