//! What the API server's errors mean to us.

use std::fmt;

use kube::core::Status;

/// The reason as it stands in metric labels and logs.
pub(crate) fn reason(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) => reason_of(status),
        kube::Error::SerdeError(_) => "UnreadableResponse",
        _ => "ApiUnavailable",
    }
}

/// The same, of what the API server says when it refuses.
pub(crate) fn reason_of(status: &Status) -> &'static str {
    match status {
        _ if status.is_forbidden() => "Forbidden",
        _ if status.is_invalid() => "Invalid",
        _ if status.is_conflict() || status.is_already_exists() => "Conflict",
        _ if status.is_not_found() => "NotFound",
        _ if status.code == 410 => "Expired",
        _ if status.code == 429 => "TooManyRequests",
        _ => "ApiUnavailable",
    }
}

/// Whether the API server does not know the kind as such. By the code: the answer has no reason then, it is not even
/// JSON, while one about a missing object has.
pub(super) fn is_missing_kind(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 && !status.is_not_found())
}

/// An error in the words of the API server, fit for a condition: kube adds all fields of its answer.
pub(super) struct Plain<'a>(pub(super) &'a kube::Error);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            kube::Error::Api(status) => f.write_str(&status.message),
            other => other.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::response::reason;

    use super::*;

    fn api(reason: &str, code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status::failure("in its words", reason).with_code(code)))
    }

    #[test]
    fn reasons_are_few_and_messages_plain() {
        let cases = [
            (api(reason::FORBIDDEN, 403), "Forbidden"),
            (api(reason::INVALID, 422), "Invalid"),
            (api(reason::CONFLICT, 409), "Conflict"),
            (api(reason::ALREADY_EXISTS, 409), "Conflict"),
            (api(reason::NOT_FOUND, 404), "NotFound"),
            (api(reason::EXPIRED, 410), "Expired"),
            (api(reason::TOO_MANY_REQUESTS, 429), "TooManyRequests"),
            (api(reason::INTERNAL_ERROR, 500), "ApiUnavailable"),
        ];
        for (error, expected) in cases {
            assert_eq!(super::reason(&error), expected);
            assert_eq!(Plain(&error).to_string(), "in its words");
        }
    }

    #[test]
    fn a_missing_kind_is_not_a_missing_object() {
        assert!(is_missing_kind(&api("", 404)));
        assert!(!is_missing_kind(&api(reason::NOT_FOUND, 404)));
        assert!(!is_missing_kind(&api(reason::FORBIDDEN, 403)));
    }
}
