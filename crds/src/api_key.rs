//! How an API key, and the one that was used before it, lie in a Secret and so in the files of a pod.

/// The entry beside the entry of an API key that holds the key used before: its text on the first line, and on the second
/// until when it is still valid, as an RFC 3339 timestamp. It need not exist.
pub fn previous(entry: &str) -> String {
    format!("{entry}.previous")
}
