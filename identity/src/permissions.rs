//! What the gateway of one mud may do on NATS: what it needs, and nothing under another name.

use mudgateway_crds::bus::{
    CHANNEL_STREAM, LOCK_BUCKET, REPORT_BUCKET, STATE_BUCKET, STATE_FIELDS, answer_inboxes, bucket_stream,
    bucket_subject, channel_filter, channel_subjects, direct_filter, direct_subjects, everyone_filter,
    everyone_subject, inbox_prefix, links_filter, links_subject, lock_key, own_filter, permit_subject,
    relay_filter, relay_subjects, report_key, state_key, state_keys,
};

use crate::claims::Permissions;
use crate::issue::Subject;

/// The permissions of the gateway of one mud.
///
/// There are no "allowed responses" among them: who may answer any message it gets can send itself one that asks for the
/// answer anywhere. Of JetStream's API there is only what names a key or a filter in its subject, for permissions do not
/// look further. They do not say either where an answer may go: see [`crate::Authority`].
pub fn gateway_permissions(subject: &Subject<'_>) -> Permissions {
    let &Subject { network, mud, namespace, name } = subject;
    let inbox = format!("{}.>", inbox_prefix(network, mud));
    let lock = bucket_subject(LOCK_BUCKET, &lock_key(network, mud));
    let locks = bucket_stream(LOCK_BUCKET);
    let state = bucket_subject(STATE_BUCKET, &state_keys(network, mud));
    let mut publish = vec![
        own_filter(network, mud),
        direct_subjects(network, mud),
        everyone_subject(network, mud),
        links_subject(network, mud),
        channel_subjects(network, mud),
        relay_subjects(network, mud),
        permit_subject(network, mud),
        inbox.clone(),
        answer_inboxes(network),
        format!("$JS.API.CONSUMER.CREATE.{CHANNEL_STREAM}.*.{}", channel_filter(network)),
        format!("$JS.FC.{CHANNEL_STREAM}.>"),
        format!("$JS.API.DIRECT.GET.{locks}.{lock}"),
        format!("$JS.API.CONSUMER.CREATE.{locks}.*.{lock}"),
        format!("$JS.FC.{locks}.>"),
        lock,
        format!("$JS.API.DIRECT.GET.{}.{state}", bucket_stream(STATE_BUCKET)),
        bucket_subject(REPORT_BUCKET, &report_key(namespace, name)),
    ];
    publish.extend(
        STATE_FIELDS.iter().map(|field| bucket_subject(STATE_BUCKET, &state_key(network, mud, field))),
    );
    let subscribe = vec![
        inbox,
        own_filter(network, mud),
        direct_filter(network, mud),
        everyone_filter(network),
        links_filter(network),
        relay_filter(network),
    ];
    Permissions { publish, subscribe }
}
