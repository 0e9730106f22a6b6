//! Paths of files that other muds name.

/// The longest path, in bytes.
const LENGTH: usize = 1024;

/// A path as our clients get it: without a `/` in front, with `.` and `..` resolved, and never out of the folder that is
/// open to all (OOB specification). The folder itself is empty. None for what no path of a file can be.
pub fn normalise(path: &str) -> Option<String> {
    if path.len() > LENGTH || path.chars().any(|c| c == '\\' || c.is_control()) {
        return None;
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        let cases = [
            ("news.txt", Some("news.txt")),
            ("/pub/news.txt", Some("pub/news.txt")),
            ("//pub///./news.txt", Some("pub/news.txt")),
            ("pub/../news.txt", Some("news.txt")),
            ("../../etc/passwd", Some("etc/passwd")),
            ("pub/../../../etc/passwd", Some("etc/passwd")),
            ("..", Some("")),
            ("", Some("")),
            ("/", Some("")),
            ("...", Some("...")),
            ("..hidden/a b", Some("..hidden/a b")),
            ("pub\\..\\secret", None),
            ("news\0.txt", None),
            ("news\n.txt", None),
        ];
        for (path, expected) in cases {
            assert_eq!(normalise(path).as_deref(), expected, "{path:?}");
        }
        assert_eq!(normalise(&"a".repeat(LENGTH + 1)), None);
    }

    proptest! {
        #[test]
        fn what_is_normalised_has_no_way_out_and_stays_as_it_is(path in "([a-b./\\\\\u{0}]|\\.\\./){0,40}") {
            if let Some(normal) = normalise(&path) {
                prop_assert!(!normal.starts_with('/') && !normal.contains(['\\', '\0']));
                prop_assert!(normal.split('/').all(|part| part != ".." && part != "."));
                prop_assert_eq!(normalise(&normal), Some(normal.clone()));
            }
        }
    }
}
