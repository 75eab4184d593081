//! Flags of the verbs that start things.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::LocalArgs;

#[derive(Clone, Debug, Args)]
pub struct Up {
    #[command(flatten)]
    pub local: LocalArgs,
    /// The port on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 7400)]
    pub port: u16,
}

#[derive(Clone, Debug, Args)]
pub struct Coordinator {
    /// A TOML file with everything; flags go over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub listen: Option<std::net::IpAddr>,
    /// The port; 0 picks a free one [default: 7400]
    #[arg(long)]
    pub port: Option<u16>,
    /// Listen beyond this machine, although nothing is encrypted yet
    #[arg(long)]
    pub insecure: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Worker {
    /// A TOML file with everything; flags go over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Trials at once, or auto: one for each core
    #[arg(long, value_name = "N|auto", value_parser = parse_slots)]
    pub slots: Option<Slots>,
    /// What specs may ask for, such as zone=a
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = parse_label)]
    pub labels: Vec<(String, String)>,
    /// The worker's name [default: the host's and four digits]
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    Auto,
    Count(u16),
}

fn parse_slots(text: &str) -> Result<Slots, String> {
    match (text, text.parse::<u16>()) {
        ("auto", _) => Ok(Slots::Auto),
        (_, Ok(count)) if (1..=1024).contains(&count) => Ok(Slots::Count(count)),
        _ => Err("a number from 1 to 1024, or auto".to_owned()),
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as zone=a".to_owned()),
    }
}
