//! The rules for texts. A `pattern` in the schema would be told as it stands to whoever breaks it; a rule says in words
//! what to write instead.

use kube::core::Rule;

/// A rule by which a text must match a regular expression in RE2's syntax, with what to write instead.
fn matches(expression: &str, remedy: &str) -> Rule {
    Rule::new(format!("self.matches('{}')", expression.replace('\\', "\\\\"))).message(remedy)
}

/// What the mudlist shows.
pub(crate) fn printable() -> Rule {
    matches(r"^\P{C}*$", "write printable characters on one line: no control characters, tabs or line breaks")
}

/// A word of the Intermud-3 protocol.
pub(crate) fn word() -> Rule {
    matches(
        "^[a-z][-_a-z0-9]*$",
        "begin with a lower case letter, then use lower case letters, digits, '-' and '_', such as http",
    )
}

/// A method of the API.
pub(crate) fn method() -> Rule {
    matches(
        "^[a-z][_a-z]*$",
        "write the name of the method as clients call it, in lower case, such as tell or channel_send",
    )
}

/// The name of an object of Kubernetes, or of a part of one.
pub(crate) fn object_name() -> Rule {
    matches(
        "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "write the name of the object as Kubernetes has it: lower case letters, digits, '-' and '.', with a letter or digit \
         at both ends",
    )
}

/// The name of a namespace.
pub(crate) fn namespace() -> Rule {
    matches(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "write the name of the namespace: lower case letters, digits and '-', with a letter or digit at both ends",
    )
}

/// The name of an entry of a Secret.
pub(crate) fn entry() -> Rule {
    matches(
        "^[-._a-zA-Z0-9]+$",
        "write the name of the Secret's entry: letters, digits, '-', '_' and '.' only",
    )
}

/// What connections lead to.
pub(crate) fn host() -> Rule {
    matches(
        "^[0-9A-Za-z.:_-]+$",
        "write a host name or an IP address alone, such as router.example: no scheme, no spaces, and the port in its own field",
    )
}

/// What clients are told to connect to.
pub(crate) fn public_host() -> Rule {
    matches(
        "^[0-9A-Za-z]([-.:0-9A-Za-z]*[0-9A-Za-z])?$",
        "write a host name or an IP address alone, such as muds.example: no scheme, no spaces and no port",
    )
}

/// A name that is looked up in DNS.
pub(crate) fn dns_name() -> Rule {
    matches(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "write a host name in lower case, such as luminari.muds.example: no wildcard, no scheme and no port",
    )
}

/// An IP address.
pub(crate) fn address() -> Rule {
    Rule::new("isIP(self)").message("write an IP address, such as 192.0.2.7: other muds do not look names up")
}

/// The path of a URL.
pub(crate) fn path() -> Rule {
    matches(
        "^(/[-._~0-9A-Za-z]+)+$",
        "begin the path with '/' and do not end it with one: letters, digits, '-', '.', '_' and '~' between, such as /luminari",
    )
}

/// The class of a load balancer.
pub(crate) fn load_balancer_class() -> Rule {
    matches(
        "^[a-z0-9]([-./a-z0-9]*[a-z0-9])?$",
        "write the class as its provider documents it, in lower case, such as example.net/internal",
    )
}

/// What is logged.
pub(crate) fn log_level() -> Rule {
    matches(
        "^([a-z0-9_:]+=)?(off|error|warn|info|debug|trace)(,([a-z0-9_:]+=)?(off|error|warn|info|debug|trace))*$",
        "write off, error, warn, info, debug or trace, and module=level for parts, with commas between, such as \
         info,mudgateway::router=debug",
    )
}

/// A container image.
pub(crate) fn image() -> Rule {
    matches(r"^\S+$", "write an image without spaces, such as registry.example/mudgateway:1.0")
}

/// An amount of CPU.
pub(crate) fn cpu() -> Rule {
    matches(
        r"^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$",
        "write thousandths of a CPU, such as 10m, or CPUs, such as 2 or 0.5",
    )
}

/// An amount of memory.
pub(crate) fn memory() -> Rule {
    matches("^[0-9]+(Ki|Mi|Gi|k|M|G)?$", "write a whole number with a unit of Ki, Mi or Gi, such as 64Mi")
}

/// The values of labels.
pub(crate) fn label_values() -> Rule {
    Rule::new("self.all(k, self[k].matches('^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$'))").message(
        "write each label's value with letters, digits, '-', '_' and '.' only, with a letter or digit at both ends",
    )
}
