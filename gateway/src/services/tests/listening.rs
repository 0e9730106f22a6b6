//! Which channels are on at the router, and which clients are on them.

use super::*;
use crate::hub::Resume;
use crate::mud::Position;

#[test]
fn a_channel_stays_on_while_its_only_client_changes_its_connection() {
    let (services, router, session) = connected();
    let unwanted = || {
        from_router(&services, CHAT);
        sent(&router)
    };
    services.hub.remove(&session);
    assert!(unwanted().is_empty(), "it may come back, and wants to hear this then");
    let next = Session::new(Transport::Tcp, [127, 0, 0, 1].into(), 1 << 20);
    let key = Arc::new(Key::new("key", Permissions::all(), &RateLimits::default()));
    let resume = Resume { session: session.id, position: Position { epoch: 1, seq: 0 } };
    let admission = services.hub.authenticate(&next, key, Some(resume));
    assert!(unwanted().is_empty(), "its answer is on the way");
    services.hub.admit(&next, &admission);
    assert_eq!(events(&next).len(), 2);
    next.leave(CHANNEL);
    assert_eq!(unwanted(), [r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",0,})"#]);
}

#[test]
fn a_channel_nobody_wants_is_switched_off_once_for_each_registration() {
    let (services, router, _) = connected();
    let unwanted = r#"({"channel-m",5,"Dusk","bob",0,0,"old_chat","Bob","hi",})"#;
    let off = r#"({"channel-listen",5,"Dawn",0,"*test",0,"old_chat",0,})"#;
    from_router(&services, unwanted);
    from_router(&services, unwanted);
    from_router(&services, CHAT);
    assert_eq!(sent(&router), [off]);
    services.on_link(LinkEvent::Established);
    let on = r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",1,})"#;
    assert_eq!(sent(&router), [on]);
    from_router(&services, unwanted);
    assert_eq!(sent(&router), [off]);
}

#[test]
fn the_last_client_that_leaves_switches_the_channel_off_unless_it_is_configured() {
    let (services, router, session) = connected();
    let other = client(&services);
    other.join(CHANNEL);
    session.leave(CHANNEL);
    services.unlisten_if_unused(CHANNEL);
    assert!(sent(&router).is_empty());
    other.leave(CHANNEL);
    services.unlisten_if_unused(CHANNEL);
    assert_eq!(sent(&router), [r#"({"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",0,})"#]);

    let configured = Services::new(setup(&[CHANNEL]), router.clone(), None);
    configured.unlisten_if_unused(CHANNEL);
    assert!(sent(&router).is_empty());
}

/// Services with one channel that is configured so.
fn with_channel(listen: bool, subscribe: bool) -> (Services, RouterHandle) {
    let (_, router, _) = connected();
    sent(&router);
    let configured = Configured { scope: Scope::Network, listen, subscribe };
    let channels = [(CHANNEL.to_owned(), configured)].into();
    (Services::new(Setup { channels, ..setup(&[]) }, router.clone(), None), router)
}

/// A client with a key, which resumes a session or not.
fn client_with(services: &Services, permissions: Permissions, resume: Option<Resume>) -> Arc<Session> {
    let session = Session::new(Transport::Tcp, [127, 0, 0, 1].into(), 1 << 20);
    let key = Arc::new(Key::new("key", permissions, &RateLimits::default()));
    let admission = services.hub.authenticate(&session, key, resume);
    services.admit(&session, &admission);
    session
}

#[test]
fn clients_are_on_the_channels_they_are_subscribed_to_until_they_leave_them() {
    let (services, router) = with_channel(true, true);
    let session = client_with(&services, Permissions::all(), None);
    let tells_only = client_with(&services, Permissions::parse(["tells"]).unwrap(), None);
    from_router(&services, CHAT);
    assert_eq!((events(&session).len(), events(&tells_only).len()), (1, 0));
    assert!(!tells_only.is_on(CHANNEL));
    assert!(sent(&router).is_empty(), "it is on from the start");
    session.leave(CHANNEL);
    let resume = Resume { session: session.id, position: services.hub.position() };
    let resumed = client_with(&services, Permissions::all(), Some(resume));
    assert!(!resumed.is_on(CHANNEL), "it had left");
    let unknown = Resume { session: uuid::Uuid::from_u128(1), position: services.hub.position() };
    assert!(client_with(&services, Permissions::all(), Some(unknown)).is_on(CHANNEL));
}

#[test]
fn a_channel_that_is_not_listened_to_is_on_while_a_client_is() {
    let switched = |on: u8| [format!(r#"({{"channel-listen",5,"Dawn",0,"*test",0,"imud_gossip",{on},}})"#)];
    let (services, router) = with_channel(false, true);
    assert!(services.wanted().network.is_empty());
    services.on_link(LinkEvent::Established);
    assert!(sent(&router).is_empty());
    let first = client_with(&services, Permissions::all(), None);
    assert_eq!(sent(&router), switched(1));
    let second = client_with(&services, Permissions::all(), None);
    assert!(sent(&router).is_empty(), "it is on already");
    for session in [first, second] {
        session.leave(CHANNEL);
        services.unlisten_if_unused(CHANNEL);
    }
    assert_eq!(sent(&router), switched(0));
}
