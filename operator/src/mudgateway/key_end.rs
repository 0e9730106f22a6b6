//! When API keys end, so that somebody is told in time. Pure.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use mudgateway_crds::mudgateway::ApiKey;

use super::verdict::KeyEnd;

/// How long before its end a key counts as ending.
const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The longest time until the next look: the times of a timer that is set for months are not to be relied on.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The key that ends first, if that is within the time of notice, or past.
pub fn next(keys: &[ApiKey], now: Timestamp) -> Option<KeyEnd> {
    let (end, secret) = ends(keys).min()?;
    (end <= now + NOTICE).then(|| KeyEnd {
        secret: secret.to_owned(),
        when: end.to_string(),
        past: end <= now,
    })
}

/// When to look again, because a key comes to be ending or ends.
pub fn recheck_in(keys: &[ApiKey], now: Timestamp) -> Option<Duration> {
    let moments = ends(keys).flat_map(|(end, _)| [end - NOTICE, end]).filter(|moment| *moment > now);
    let wait = moments.min()?.duration_since(now);
    // A little later rather than a little earlier, and then once more.
    Some((wait.unsigned_abs() + Duration::from_secs(1)).min(LONGEST))
}

fn ends(keys: &[ApiKey]) -> impl Iterator<Item = (Timestamp, &str)> {
    keys.iter().filter_map(|key| Some((key.expires.as_ref()?.0, key.secret_ref.name.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys() -> Vec<ApiKey> {
        serde_json::from_value(json!([
            {"secretRef": {"name": "for-ever"}},
            {"secretRef": {"name": "late"}, "expires": "2027-06-01T00:00:00Z"},
            {"secretRef": {"name": "soon"}, "expires": "2027-01-10T00:00:00Z"},
        ]))
        .unwrap()
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_week_before_its_end_a_key_is_ending() {
        assert_eq!(next(&keys(), at("2027-01-02T23:59:59Z")), None);
        let ending = next(&keys(), at("2027-01-03T00:00:00Z")).unwrap();
        assert_eq!((ending.secret.as_str(), ending.past), ("soon", false));
        let ended = next(&keys(), at("2027-01-10T00:00:00Z")).unwrap();
        assert_eq!((ended.when.as_str(), ended.past), ("2027-01-10T00:00:00Z", true));
        assert_eq!(next(&keys()[..1], at("2027-01-10T00:00:00Z")), None);
    }

    #[test]
    fn the_next_look_is_when_that_changes_and_within_a_day() {
        assert_eq!(recheck_in(&keys(), at("2027-01-01T00:00:00Z")), Some(LONGEST));
        assert_eq!(recheck_in(&keys(), at("2027-01-02T23:00:00Z")), Some(Duration::from_secs(3601)));
        assert_eq!(recheck_in(&keys(), at("2027-01-09T23:59:59Z")), Some(Duration::from_secs(2)));
        assert_eq!(recheck_in(&keys()[..1], at("2027-01-01T00:00:00Z")), None);
    }
}
