//! The packets that other hosted muds hand to ours over the bus.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_nats::{Message, SubscribeError};
use futures::StreamExt;
use intermud3::Packet;
use intermud3::lpc::Limits;
use intermud3::packet::Body;
use mudgateway_crds::bus::{
    answer_inbox, direct_filter, direct_subject, everyone_filter, everyone_subject, sender,
};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::direct::{Audience, Direct, REFUSED, TAKEN, TAKEN_WITHIN, is_name};
use super::genuine::is_stored;
use super::lock::{Duty, Holding};
use crate::allowance::Allowance;
use crate::metrics::Direction;
use crate::mud::SessionStatus;
use crate::supervise::Supervisor;
use crate::sync::lock;

/// What is read of the bus is no larger than what a gateway writes.
const LIMITS: Limits = Limits { input_bytes: Limits::DEFAULT.output_bytes, ..Limits::DEFAULT };

/// How many packets of one mud are taken in a second: more than its users can type.
const EACH_SECOND: u32 = 50;

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read.
    Unreadable,
    /// It comes from ourselves, from a router, from nobody, or from another mud than its subject says.
    Origin,
    /// It is not for our mud.
    Target,
    /// The bus does not carry such packets.
    Type,
    /// Its mud sends too many.
    Rate,
}

impl Refusal {
    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Origin => "origin",
            Self::Target => "target",
            Self::Type => "type",
            Self::Rate => "rate",
        }
    }
}

/// To whom a packet was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    OurMud,
    Everyone,
}

/// Takes what comes over the bus for one mud.
struct Mailbox<H> {
    direct: Direct,
    status: watch::Receiver<SessionStatus>,
    holding: Holding,
    allowance: Mutex<Allowance>,
    handler: H,
}

impl Direct {
    /// Starts taking the packets for our mud. Of several processes of a mud only the one that may hold the session does.
    pub fn start_mailbox(
        &self,
        status: watch::Receiver<SessionStatus>,
        holding: Holding,
        supervisor: &Supervisor,
        stop: CancellationToken,
        handler: impl Fn(Packet) + Send + Sync + 'static,
    ) {
        let allowance = Mutex::new(Allowance::new(EACH_SECOND));
        let mailbox = Mailbox { direct: self.clone(), status, holding, allowance, handler };
        supervisor.spawn("mailbox", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = mailbox.run() => {}
            }
        });
    }
}

impl<H: Fn(Packet)> Mailbox<H> {
    async fn run(&self) {
        let mut holding = self.holding.clone();
        loop {
            holding.wait_for(Duty::may_keep).await;
            // Without a subscription who writes to us learns at once that nobody is there.
            tokio::select! {
                biased;
                () = holding.wait_for(|duty| !duty.may_keep()) => continue,
                ended = self.take_all() => if let Err(error) = ended {
                    tracing::warn!(%error, "cannot take packets from the bus; trying again");
                },
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Takes packets until the subscriptions end.
    async fn take_all(&self) -> Result<(), SubscribeError> {
        let Direct { client, network, mud, .. } = &self.direct;
        // Not as a group, in which one that hangs would get its share and say nothing.
        let mut ours = client.subscribe(direct_filter(network, mud)).await?;
        let mut all = client.subscribe(everyone_filter(network)).await?;
        loop {
            let (message, to) = tokio::select! {
                message = ours.next() => (message, To::OurMud),
                message = all.next() => (message, To::Everyone),
            };
            let Some(message) = message else { return Ok(()) };
            self.take(message, to).await;
        }
    }

    async fn take(&self, message: Message, to: To) {
        if to == To::Everyone && !self.is_meant(Audience::of(&message)) {
            return;
        }
        // Another process that may hold the session by now has got it too.
        if !self.holding.clone().certain_soon(TAKEN_WITHIN).await {
            return;
        }
        let Direct { client, network, mud, metrics, .. } = &self.direct;
        let word = match read(network, mud, &message, to).and_then(|packet| self.admit(packet)) {
            Ok(Some(packet)) => {
                metrics.bus.packet(Direction::In, &packet);
                (self.handler)(packet);
                TAKEN
            }
            Ok(None) => return,
            Err(refusal) => {
                metrics.bus.refused(refusal);
                tracing::debug!(reason = refusal.as_str(), "refused a packet from the bus");
                REFUSED
            }
        };
        let Some(reply) = message.reply.filter(|reply| is_inbox(network, &message.subject, reply)) else {
            return;
        };
        if let Err(error) = client.publish(reply, word.into()).await {
            tracing::debug!(%error, "cannot say what became of a packet");
        }
    }

    fn admit(&self, packet: Option<Packet>) -> Result<Option<Packet>, Refusal> {
        let admitted =
            |packet: &Packet| lock(&self.allowance).admit(Instant::now(), &packet.header.origin_mud);
        if packet.as_ref().is_none_or(admitted) { Ok(packet) } else { Err(Refusal::Rate) }
    }

    fn is_meant(&self, audience: Audience) -> bool {
        audience == Audience::All || !self.status.borrow().is_connected()
    }
}

/// The packet that was published; none when it is our own, to everyone.
fn read(network: &str, mud: &str, message: &Message, to: To) -> Result<Option<Packet>, Refusal> {
    if is_stored(message.headers.as_ref()) {
        return Err(Refusal::Origin);
    }
    let packet = Packet::decode_with(&message.payload, &LIMITS).map_err(|_| Refusal::Unreadable)?;
    let origin = &packet.header.origin_mud;
    let subject = match to {
        To::OurMud => direct_subject(network, mud, origin),
        To::Everyone => everyone_subject(network, origin),
    };
    if subject != *message.subject {
        return Err(Refusal::Origin);
    }
    if to == To::Everyone && origin == mud {
        return Ok(None);
    }
    check(mud, &packet, to)?;
    Ok(Some(packet))
}

/// Whether who published on a subject asks for the answer where that mud gets its answers. Anywhere else, we would
/// publish what another mud wants where it must not.
fn is_inbox(network: &str, subject: &str, reply: &str) -> bool {
    sender(subject).is_some_and(|mud| reply.starts_with(&answer_inbox(network, &mud, "")))
}

/// What the bus may bring. A router's name begins with `*`, and no hosted mud may speak for one.
fn check(mud: &str, packet: &Packet, to: To) -> Result<(), Refusal> {
    let header = &packet.header;
    if !is_name(&header.origin_mud) || header.origin_mud == mud || header.origin_mud.starts_with('*') {
        return Err(Refusal::Origin);
    }
    let (target, carried) = match to {
        To::OurMud => (Some(mud), is_directed(&packet.body)),
        To::Everyone => (None, matches!(packet.body, Body::LocateReq(_))),
    };
    if !carried {
        return Err(Refusal::Type);
    }
    if header.target_mud.as_deref() != target {
        return Err(Refusal::Target);
    }
    Ok(())
}

/// Whether a packet is one that users of two muds exchange.
fn is_directed(body: &Body) -> bool {
    matches!(
        body,
        Body::Tell(_)
            | Body::Emoteto(_)
            | Body::Beep(_)
            | Body::WhoReq
            | Body::WhoReply(_)
            | Body::FingerReq(_)
            | Body::FingerReply(_)
            | Body::LocateReply(_)
            | Body::ChanWhoReq(_)
            | Body::ChanWhoReply(_)
            | Body::ChanUserReq(_)
            | Body::ChanUserReply(_)
            | Body::Error(_)
    )
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;

    use super::*;

    const TELL: &str = r#"({"tell",5,"Dusk","bob","Dawn","ann","Bob","hi",})"#;
    const LOCATE: &str = r#"({"locate-req",5,"Dusk","bob",0,0,"ann",})"#;

    fn message(from: &str, text: &str, to: To) -> Message {
        let subject = match to {
            To::OurMud => direct_subject("*test", "Dawn", from),
            To::Everyone => everyone_subject("*test", from),
        };
        let payload = text.to_owned().into();
        Message {
            subject: subject.into(),
            reply: None,
            payload,
            headers: None,
            status: None,
            description: None,
            length: 0,
        }
    }

    /// Of a packet that was published by the mud it says it comes from.
    fn refusal(text: &str, to: To) -> Option<Refusal> {
        let packet = Packet::decode(text.as_bytes());
        let from = packet.map_or_else(|_| "Dusk".to_owned(), |packet| packet.header.origin_mud);
        read("*test", "Dawn", &message(&from, text, to), to).err()
    }

    #[test]
    fn what_users_tell_and_ask_each_other_is_taken() {
        let taken = [
            TELL,
            r#"({"emoteto",5,"Dusk","bob","Dawn","ann","Bob","$N waves",})"#,
            r#"({"beep",5,"Dusk","bob","Dawn","ann","Bob",})"#,
            r#"({"who-req",5,"Dusk","bob","Dawn",0,})"#,
            r#"({"who-reply",5,"Dusk",0,"Dawn","ann",({}),})"#,
            r#"({"finger-req",5,"Dusk","bob","Dawn",0,"ann",})"#,
            r#"({"finger-reply",5,"Dusk",0,"Dawn","ann","Bob",0,0,0,0,-1,0,0,0,})"#,
            r#"({"locate-reply",5,"Dusk",0,"Dawn","ann","Dusk","Bob",7,0,})"#,
            r#"({"chan-who-req",5,"Dusk","bob","Dawn",0,"c",})"#,
            r#"({"chan-who-reply",5,"Dusk",0,"Dawn","ann","c",({}),})"#,
            r#"({"chan-user-req",5,"Dusk","bob","Dawn",0,"ann",})"#,
            r#"({"chan-user-reply",5,"Dusk",0,"Dawn",0,"bob","Bob",0,})"#,
            r#"({"error",5,"Dusk",0,"Dawn","ann","unk-user","no",0,})"#,
        ];
        for text in taken {
            assert_eq!(refusal(text, To::OurMud), None, "{text}");
        }
        assert_eq!(refusal(LOCATE, To::Everyone), None);
    }

    #[test]
    fn what_is_forged_or_for_others_is_refused() {
        let long = TELL.replace("Dusk", &"x".repeat(257));
        let large = TELL.replace("hi", &"x".repeat(300_000));
        let cases = [
            ("({", To::OurMud, Refusal::Unreadable),
            (large.as_str(), To::OurMud, Refusal::Unreadable),
            (&TELL.replace("Dusk", "*test"), To::OurMud, Refusal::Origin),
            (&TELL.replace("Dusk", "Dawn"), To::OurMud, Refusal::Origin),
            (&TELL.replace("Dusk", ""), To::OurMud, Refusal::Origin),
            (long.as_str(), To::OurMud, Refusal::Origin),
            (&TELL.replace("Dawn", "Other"), To::OurMud, Refusal::Target),
            (&TELL.replace("\"Dawn\"", "0"), To::OurMud, Refusal::Target),
            (r#"({"mudlist",5,"Dusk",0,"Dawn",0,1,([]),})"#, To::OurMud, Refusal::Type),
            (r#"({"startup-reply",5,"Dusk",0,"Dawn",0,({}),1,})"#, To::OurMud, Refusal::Type),
            (r#"({"shutdown",5,"Dusk",0,"Dawn",0,0,})"#, To::OurMud, Refusal::Type),
            (r#"({"channel-m",5,"Dusk","bob",0,0,"c","Bob","hi",})"#, To::Everyone, Refusal::Type),
            (r#"({"frobnicate",5,"Dusk","bob","Dawn",0,})"#, To::OurMud, Refusal::Type),
            (LOCATE, To::OurMud, Refusal::Type),
            (TELL, To::Everyone, Refusal::Type),
            (&LOCATE.replace("0,0", "\"Dawn\",0"), To::Everyone, Refusal::Target),
        ];
        for (text, to, expected) in cases {
            let shown: String = text.chars().take(80).collect();
            assert_eq!(refusal(text, to), Some(expected), "{shown}");
        }
    }

    #[test]
    fn our_own_search_comes_back_to_us_and_is_no_news() {
        assert_eq!(read("*test", "Dusk", &message("Dusk", LOCATE, To::Everyone), To::Everyone), Ok(None));
    }

    #[test]
    fn nobody_speaks_for_another_mud() {
        for (text, to) in [(TELL, To::OurMud), (LOCATE, To::Everyone)] {
            let mut sent = message("Dusk", text, to);
            assert!(read("*test", "Dawn", &sent, to).is_ok());
            sent.headers = Some(HeaderMap::from_iter([("Nats-Stream".parse().unwrap(), "KV_x".into())]));
            assert_eq!(read("*test", "Dawn", &sent, to), Err(Refusal::Origin));
            for from in ["Noon", "Dawn"] {
                assert_eq!(read("*test", "Dawn", &message(from, text, to), to), Err(Refusal::Origin));
            }
            // What JetStream brings of a stream carries the subject it was published on.
            sent.headers = None;
            sent.subject = "$KV.i3-v1-state.=2Atest.Noon.Dusk".into();
            assert_eq!(read("*test", "Dawn", &sent, to), Err(Refusal::Origin));
        }
    }

    #[test]
    fn an_answer_goes_to_the_inbox_of_who_asks_and_nowhere_else() {
        let subject = direct_subject("*test", "Dawn", "Dusk");
        let is_inbox = |reply: &str| is_inbox("*test", &subject, reply);
        assert!(is_inbox("_INBOX.=2Atest.Dusk.answer.1"));
        for reply in [
            "_INBOX.=2Atest.Noon.answer.1",
            "_INBOX.=2Atest.Dusk",
            "_INBOX.=2Atest.Dusky.answer.1",
            "_INBOX.x",
            "$KV.i3-v1-state.=2Atest.Dawn.password",
        ] {
            assert!(!is_inbox(reply), "{reply}");
        }
    }
}
