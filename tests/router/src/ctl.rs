//! `i3-router ctl`: requests to a running router.

use std::error::Error;
use std::io::Read;

use clap::{Args, Subcommand};
use i3_router::{ChannelInfo, LinkInfo, MudInfo, control};
use serde::de::DeserializeOwned;

#[derive(Args)]
pub(crate) struct Ctl {
    /// The router's control address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8788")]
    control: String,
    #[command(subcommand)]
    request: Request,
}

#[derive(Subcommand)]
enum Request {
    /// List the muds known: up or down, cut or -, address, name, and the router it is at if not here
    Muds,
    /// List the channels: name, owner, listeners, banned muds
    Channels,
    /// List the connections: number, address, mud or router, the name last asked for
    Links,
    /// Close a mud's link and let it register no more
    Cut {
        /// The mud's name
        mud: String,
    },
    /// Let a mud register again
    Restore {
        /// The mud's name
        mud: String,
    },
    /// Stop reading and writing on a mud's link, and leave it open
    HalfOpen {
        /// The mud's name
        mud: String,
    },
    /// Read and write again
    Resume {
        /// The mud's name
        mud: String,
    },
    /// Write everything to a mud so much later
    Delay {
        /// The mud's name
        mud: String,
        /// Milliseconds; 0 ends it
        ms: u64,
    },
    /// Write to a mud so many bytes at a time
    Slice {
        /// The mud's name
        mud: String,
        /// Bytes; 0 ends it
        #[arg(default_value_t = 1)]
        bytes: usize,
    },
    /// Send what is on stdin to a mud as it is: bytes of a header first
    Raw {
        /// The mud's name
        mud: String,
    },
    /// Send a text to a mud as a frame
    Packet {
        /// The mud's name
        mud: String,
        /// The text
        text: String,
    },
    /// Close every link, and go on with what a real router saves
    Restart,
}

impl Ctl {
    pub(crate) async fn run(&self) -> Result<(), Box<dyn Error>> {
        let on = control::path;
        match &self.request {
            Request::Muds => self.list("/muds", describe_mud).await,
            Request::Channels => self.list("/channels", describe_channel).await,
            Request::Links => self.list("/links", describe_link).await,
            Request::Cut { mud } => self.post(&on(mud, "cut"), b"").await,
            Request::Restore { mud } => self.post(&on(mud, "restore"), b"").await,
            Request::HalfOpen { mud } => self.post(&on(mud, "half-open"), b"").await,
            Request::Resume { mud } => self.post(&on(mud, "resume"), b"").await,
            Request::Delay { mud, ms } => self.post(&on(mud, &format!("delay?ms={ms}")), b"").await,
            Request::Slice { mud, bytes } => self.post(&on(mud, &format!("slice?bytes={bytes}")), b"").await,
            Request::Raw { mud } => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes)?;
                self.post(&on(mud, "raw"), &bytes).await
            }
            Request::Packet { mud, text } => self.post(&on(mud, "packet"), text.as_bytes()).await,
            Request::Restart => self.post("/restart", b"").await,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let answer = control::request(&self.control, method, path, body).await;
        answer.map_err(|error| format!("{}: {error}", self.control).into())
    }

    async fn post(&self, path: &str, body: &[u8]) -> Result<(), Box<dyn Error>> {
        self.ask("POST", path, body).await.map(drop)
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        describe: impl Fn(&T) -> String,
    ) -> Result<(), Box<dyn Error>> {
        let list: Vec<T> = serde_json::from_slice(&self.ask("GET", path, b"").await?)?;
        list.iter().for_each(|item| println!("{}", describe(item)));
        Ok(())
    }
}

fn describe_mud(mud: &MudInfo) -> String {
    let state = if mud.up { "up" } else { "down" };
    let cut = if mud.cut { "cut" } else { "-" };
    let line = format!("{state}\t{cut}\t{}\t{}", mud.address, mud.name.escape_debug());
    mud.router.iter().fold(line, |line, router| format!("{line}\t{}", router.escape_debug()))
}

fn describe_channel(channel: &ChannelInfo) -> String {
    let names = |names: &[String]| names.join(",").escape_debug().to_string();
    let listeners = channel.listeners.as_ref().map_or("-".to_owned(), |listeners| names(listeners));
    let (name, owner) = (channel.name.escape_debug(), channel.owner.escape_debug());
    format!("{name}\t{owner}\t{listeners}\t{}", names(&channel.banned))
}

fn describe_link(link: &LinkInfo) -> String {
    let name = |name: &Option<String>| name.as_deref().unwrap_or("-").escape_debug().to_string();
    let who = link.mud.as_ref().or(link.router.as_ref()).cloned();
    format!("{}\t{}\t{}\t{}", link.conn, link.address, name(&who), name(&link.asked))
}
