//! JSON documents for scripts: one a command, pretty, with a line feed at the end.

use serde::Serialize;

use super::Output;

/// Prints one document.
pub fn print(output: Output, document: &impl Serialize) {
    // Our documents have string keys only, so that writing them cannot fail.
    output.print(&serde_json::to_string_pretty(document).unwrap_or_default());
}
