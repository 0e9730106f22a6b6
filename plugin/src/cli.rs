//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

/// Looks at Intermud-3 gateways, speaks through them, and says what is wrong with them
#[derive(Clone, Debug, Parser)]
#[command(name = "kubectl-mudgw", bin_name = "kubectl mudgw", version, arg_required_else_help = true)]
pub struct Cli {
    /// How to reach the cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How to reach the cluster: the same flags as kubectl's.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// The kubeconfig file, in place of $KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The user of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// The namespace, in place of the context's
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show MudGateways: their routers, whether they are ready, and why not
    Status {
        /// Show all about this one
        name: Option<String>,
        /// In all namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Follow what is said on a channel
    Tail {
        /// The channel, by its exact name
        channel: String,
        /// The gateway to speak through.
        #[command(flatten)]
        through: Through,
        /// Begin with so many messages that were said before
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=100))]
        history: u16,
        /// How to print: `json` is one object a line
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Say something on a channel, in the name of the mud
    Say {
        /// The channel, by its exact name
        channel: String,
        /// The text
        #[arg(required = true, trailing_var_arg = true)]
        text: Vec<String>,
        /// The gateway to speak through.
        #[command(flatten)]
        through: Through,
        /// Who says it
        #[arg(long, value_name = "NAME", default_value = FROM)]
        from: String,
    },
    /// Tell a user of another mud something, in the name of the mud
    Tell {
        /// To whom
        #[arg(value_name = "USER@MUD", value_parser = address)]
        to: Address,
        /// The text
        #[arg(required = true, trailing_var_arg = true)]
        text: Vec<String>,
        /// The gateway to speak through.
        #[command(flatten)]
        through: Through,
        /// Who tells it
        #[arg(long, value_name = "NAME", default_value = FROM)]
        from: String,
    },
    /// Look after the API key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Hand the router session over to another pod, as planned maintenance of a node needs it
    Failover {
        /// The MudGateway; the only one of the namespace when it is not given
        name: Option<String>,
    },
    /// Say what is wrong, and what to do about it. The exit code is 1 when something is wrong
    Doctor {
        /// Look at this MudGateway only
        name: Option<String>,
        /// Look at those of all namespaces
        #[arg(short = 'A', long, conflicts_with = "name")]
        all_namespaces: bool,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Who speaks when nobody is named: the text should not seem to come from a player.
const FROM: &str = "Operator";

/// What to do with an API key.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Put a new key into the Secret; the old one works on for a while, so that the mud is not cut off
    Rotate {
        /// The MudGateway; the only one of the namespace when it is not given
        name: Option<String>,
        /// How long the old key still works, such as 90m or 48h; 0s ends it at once
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = grace)]
        grace: SignedDuration,
        /// Rotate though the key before the present one still works: that one ends
        #[arg(long)]
        again: bool,
        /// Do not wait until every gateway pod knows the new key
        #[arg(long)]
        no_wait: bool,
        /// Print the new key on standard output
        #[arg(long)]
        show: bool,
        /// Who we are to the pods, which are asked whether they know the key.
        #[command(flatten)]
        certificate: CertificateArgs,
    },
}

/// The gateway to speak through.
#[derive(Clone, Debug, Args)]
pub struct Through {
    /// The MudGateway; the only one of the namespace when it is not given
    #[arg(short, long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// Who we are to it.
    #[command(flatten)]
    pub certificate: CertificateArgs,
}

/// Who we are to a gateway with `requireClientCertificate`. The API server is not shown this.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Gateways with spec.api.tls.requireClientCertificate")]
pub struct CertificateArgs {
    /// The certificate to show to the gateway (PEM), with those that lead to its CA
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_certificate: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// A user of a mud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The user.
    pub user: String,
    /// The mud.
    pub mud: String,
}

/// A mud's name may have an @ in it, a user's may not.
fn address(text: &str) -> Result<Address, String> {
    match text.split_once('@') {
        Some((user, mud)) if !user.is_empty() && !mud.is_empty() => {
            Ok(Address { user: user.to_owned(), mud: mud.to_owned() })
        }
        _ => Err("write USER@MUD, such as ann@Dusk".to_owned()),
    }
}

/// At most a month: a key that is replaced should end some day.
fn grace(text: &str) -> Result<SignedDuration, String> {
    let grace: SignedDuration = text.parse().map_err(|_| "write a time such as 90m or 48h".to_owned())?;
    if grace.is_negative() || grace > SignedDuration::from_hours(31 * 24) {
        return Err("must be between 0s and 744h".to_owned());
    }
    Ok(grace)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("kubectl-mudgw").chain(line.split_whitespace()))
    }

    fn command(line: &str) -> Command {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}")).command
    }

    #[test]
    fn the_flags_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_the_cluster_stand_before_or_behind_the_command_as_with_kubectl() {
        for line in ["-n a --context c status", "status -n a --context c", "status --namespace=a --context=c"]
        {
            let cli = parse(line).unwrap();
            assert_eq!(
                (cli.cluster.namespace.as_deref(), cli.cluster.context.as_deref()),
                (Some("a"), Some("c")),
                "{line}"
            );
        }
        let cli = parse("doctor --kubeconfig /k --as ann --as-group x --as-group y").unwrap().cluster;
        assert_eq!(cli.kubeconfig, Some("/k".into()));
        assert_eq!((cli.impersonate.as_deref(), cli.impersonate_groups.len()), (Some("ann"), 2));
    }

    #[test]
    fn a_text_needs_no_quotes_and_may_look_like_a_flag() {
        let Command::Say { channel, text, from, through } =
            command("say -g dawn --client-certificate c --client-key k imud_gossip hi -n all")
        else {
            panic!()
        };
        assert_eq!((channel.as_str(), text.join(" ").as_str()), ("imud_gossip", "hi -n all"));
        assert_eq!((from.as_str(), through.gateway.as_deref()), ("Operator", Some("dawn")));
        let CertificateArgs { client_certificate, client_key } = through.certificate;
        assert_eq!((client_certificate, client_key), (Some("c".into()), Some("k".into())));
        let Command::Tell { to, text, .. } = command("tell ann@Mud@B hi there") else { panic!() };
        assert_eq!(to, Address { user: "ann".into(), mud: "Mud@B".into() });
        assert_eq!(text, ["hi", "there"]);
    }

    #[test]
    fn a_key_is_never_shown_unless_asked_and_the_old_one_works_for_a_day() {
        let Command::Key(KeyCommand::Rotate { name, grace, again, no_wait, show, .. }) =
            command("key rotate")
        else {
            panic!()
        };
        assert_eq!(
            (name, grace, again, no_wait, show),
            (None, SignedDuration::from_hours(24), false, false, false)
        );
        let Command::Key(KeyCommand::Rotate { grace, .. }) = command("key rotate dawn --grace 90m") else {
            panic!()
        };
        assert_eq!(grace, SignedDuration::from_mins(90));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, told) in [
            ("tell ann hi", "USER@MUD"),
            ("tell ann@ hi", "USER@MUD"),
            ("say imud_gossip", "required"),
            ("key rotate --grace tomorrow", "90m"),
            ("key rotate --grace 745h", "744h"),
            ("doctor dawn -A", "cannot be used"),
            ("tail c --history 101", "0..=100"),
            ("tail c --client-certificate f", "--client-key"),
            ("key rotate --client-key f", "--client-certificate"),
            ("status -o yaml", "possible values"),
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line} is accepted")).to_string();
            assert!(error.contains(told), "{line}: {error}");
        }
    }
}
