//! Which fleet a verb talks to: the one that is named, the live one of the data directory, or one opened for this command.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bonfire_proto::Token;
use bonfire_proto::client::{self, ClientError, Fleet};

use crate::args::{DATA, Global};
use crate::local::{BRIEF_MAX, LOOK_AGAIN, LocalCoordinator, Opening, is_brief, is_kept_up};
use crate::output::errors::Failure;
use crate::output::{say, text};

/// What a verb is about to do with a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Look at what is there; a data directory that does not exist is not made.
    Read,
    /// Change something; a data directory is made where there is none.
    Write,
}

/// Where the fleet is.
#[derive(Clone, Debug)]
enum Origin {
    Named {
        addresses: Vec<String>,
        token: Token,
        /// Flags by which a command to type next finds the token as well.
        flags: String,
    },
    Directory(PathBuf),
}

/// A fleet that answered, and the coordinator behind it where this process opened it.
pub struct Link {
    pub fleet: Fleet,
    local: Option<LocalCoordinator>,
    origin: Origin,
}

impl Link {
    /// Reaches the fleet that the flags name.
    ///
    /// # Errors
    /// Exit 4 if it cannot be reached, 3 if there is no such data directory, 2 for a token that is missing or refused.
    pub async fn open(global: &Global, need: Need) -> Result<Link, Failure> {
        let addresses = global.addresses();
        if addresses.is_empty() {
            return Link::directory(&global.data_dir(), need).await;
        }
        let token = find_token(global)?;
        let fleet = client::connect(&addresses, &token).await?;
        Ok(Link {
            fleet,
            local: None,
            origin: Origin::Named {
                addresses,
                token,
                flags: token_flags(global),
            },
        })
    }

    async fn directory(data: &Path, need: Need) -> Result<Link, Failure> {
        if need == Need::Read && !data.join("format").exists() {
            let text = format!("no fleet was ever started in {}", data.display());
            return Err(Failure::missing(text).next("run something first (bonfire run SPEC), or say where it was with --data DIR or --coordinator ADDR"));
        }
        let (fleet, local) = reach(data).await?;
        Ok(Link {
            fleet,
            local,
            origin: Origin::Directory(data.to_owned()),
        })
    }

    /// Reaches the fleet again after its coordinator went away. With `open`, the coordinator of a data directory that nobody has
    /// any more is opened here, unless it was one that somebody keeps up.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub async fn again(&mut self, open: bool) -> Result<(), Failure> {
        match &self.origin {
            Origin::Named {
                addresses, token, ..
            } => self.fleet = client::connect(addresses, token).await?,
            Origin::Directory(data) if self.local.is_none() => {
                if open && !is_kept_up(data) {
                    (self.fleet, self.local) = reach(data).await?;
                } else {
                    let gone = || {
                        Failure::unreachable(format!(
                            "the coordinator of {} is gone",
                            data.display()
                        ))
                    };
                    self.fleet = live(data).await.ok_or_else(gone)?;
                }
            }
            Origin::Directory(_) => {
                return Err(Failure::failed("the coordinator in this process ended"));
            }
        }
        Ok(())
    }

    /// The coordinator that this process opened; `None` for a fleet that lives elsewhere.
    pub fn local(&self) -> Option<&LocalCoordinator> {
        self.local.as_ref()
    }

    /// Flags that name this fleet in a command to type next.
    pub fn flags(&self) -> String {
        match &self.origin {
            Origin::Named {
                addresses, flags, ..
            } => format!(" --coordinator {}{flags}", addresses.join(",")),
            Origin::Directory(data) if data == Path::new(DATA) => String::new(),
            Origin::Directory(data) => format!(" --data {}", quoted_path(data)),
        }
    }

    /// Where results are kept, for people.
    pub fn place(&self) -> String {
        match &self.origin {
            Origin::Named { addresses, .. } => format!("the fleet at {}", addresses.join(",")),
            Origin::Directory(data) => data.display().to_string(),
        }
    }

    /// A folder for temporary files on the disk where the data goes.
    pub fn scratch(&self) -> PathBuf {
        match &self.origin {
            Origin::Named { .. } => std::env::temp_dir(),
            Origin::Directory(data) => data.join("imports"),
        }
    }

    /// Ends what this process opened. A coordinator that failed has said so to whoever asked it.
    pub async fn close(self) {
        drop(self.fleet);
        if let Some(local) = self.local
            && let Err(failure) = local.stop().await
        {
            say(&failure.to_string());
        }
    }
}

/// The live coordinator of a data directory, or one in this process. One that is open for another short command is waited
/// for: it would go away in the middle of ours.
async fn reach(data: &Path) -> Result<(Fleet, Option<LocalCoordinator>), Failure> {
    let began = Instant::now();
    loop {
        let is_patient = began.elapsed() < BRIEF_MAX;
        if !(is_patient && is_brief(data))
            && let Some(fleet) = live(data).await
        {
            return Ok((fleet, None));
        }
        match LocalCoordinator::brief(data).await? {
            Opening::Open(local) => {
                let fleet = Fleet::at(&local.address(), local.token())?;
                return Ok((fleet, Some(local)));
            }
            // It may be about to listen, or about to end.
            Opening::InUse if is_patient => tokio::time::sleep(LOOK_AGAIN).await,
            Opening::InUse => {
                let text = format!(
                    "{} is in use by a coordinator that does not answer",
                    data.display()
                );
                return Err(Failure::unreachable(text).next("end that process, or wait for it"));
            }
        }
    }
}

async fn live(data: &Path) -> Option<Fleet> {
    let (address, token) = bonfire_coordinator::discover(data)?;
    client::connect(&[address], &token).await.ok()
}

/// The token of a named fleet: said, in a file, or in the data directory.
///
/// # Errors
/// No token, or one that cannot be read.
pub fn find_token(global: &Global) -> Result<Token, Failure> {
    if let Some(text) = &global.token {
        return Ok(Token::parse(text)?);
    }
    if let Some(file) = &global.token_file {
        return Ok(Token::read(file)?);
    }
    let beside = global.data_dir().join("token");
    if beside.exists() {
        return Ok(Token::read(&beside)?);
    }
    Err(Failure::wrong("no token for the fleet")
        .next("give the file that the coordinator made: --token-file FILE (or BONFIRE_TOKEN_FILE)"))
}

fn quoted_path(path: &Path) -> String {
    text::quoted(&path.to_string_lossy())
}

/// Flags that name the fleet of a verb in a command to type next; empty for the data directory that is taken anyway.
pub fn flags(global: &Global) -> String {
    match (global.addresses().as_slice(), &global.data) {
        ([], Some(data)) if data != Path::new(DATA) => format!(" --data {}", quoted_path(data)),
        ([], _) => String::new(),
        (addresses, _) => {
            format!(
                " --coordinator {}{}",
                addresses.join(","),
                token_flags(global)
            )
        }
    }
}

/// What must be said again for [`find_token`] to find the same token. A token itself is never repeated.
fn token_flags(global: &Global) -> String {
    match (&global.token, &global.token_file, &global.data) {
        (Some(_), ..) | (None, None, None) => String::new(),
        (None, Some(file), _) => format!(" --token-file {}", quoted_path(file)),
        (None, None, Some(data)) => format!(" --data {}", quoted_path(data)),
    }
}

/// Whether an error means that the coordinator went away.
pub fn is_gone(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable { .. })
}
