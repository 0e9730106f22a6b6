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
    match status.code {
        _ if status.is_forbidden() => "Forbidden",
        _ if status.is_invalid() => "Invalid",
        _ if status.is_conflict() || status.is_already_exists() => "Conflict",
        _ if status.is_not_found() => "NotFound",
        410 => "Expired",
        429 => "TooManyRequests",
        // Such as the no of an admission webhook that gives no code: the API server makes 400 of that.
        400..=499 if !matches!(status.code, 401 | 408) => "Refused",
        _ => "ApiUnavailable",
    }
}

/// Whether the API server says that a field can never be changed. It has several ways to say it.
pub(super) fn is_about_immutable(message: &str) -> bool {
    ["immutable", "may not change once set"].iter().any(|words| message.contains(words))
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
            (api(reason::UNAUTHORIZED, 401), "ApiUnavailable"),
            (api(reason::BAD_REQUEST, 400), "Refused"),
            (api("", 400), "Refused"),
            (api("", 403), "Refused"),
            (api("RequestEntityTooLarge", 413), "Refused"),
        ];
        for (error, expected) in cases {
            assert_eq!(super::reason(&error), expected);
            assert_eq!(Plain(&error).to_string(), "in its words");
        }
    }

    #[test]
    fn what_can_never_be_changed_is_told_in_more_than_one_way() {
        for message in [
            r#"Service "dawn" is invalid: spec.loadBalancerClass: Invalid value: "b": may not change once set"#,
            r#"Deployment.apps "dawn" is invalid: spec.selector: Invalid value: {}: field is immutable"#,
        ] {
            assert!(is_about_immutable(message), "{message}");
        }
        assert!(!is_about_immutable("spec.ports: Required value"));
    }

    #[test]
    fn a_missing_kind_is_not_a_missing_object() {
        assert!(is_missing_kind(&api("", 404)));
        assert!(!is_missing_kind(&api(reason::NOT_FOUND, 404)));
        assert!(!is_missing_kind(&api(reason::FORBIDDEN, 403)));
    }
}
