//! The end for good: the MudGateway is deleted, so no process of the mud is to take over from another.

use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use futures::StreamExt;
use mudgateway_crds::bus::own_retire_subject;
use mudgateway_crds::report::SessionReason;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Bus;
use super::lock::Holding;
use crate::mud::SessionStatus;

/// How long the session with the router may take to end: what waits for the router still goes out.
const FAREWELL: Duration = Duration::from_secs(8);

/// Between two attempts to listen.
const AGAIN: Duration = Duration::from_secs(1);

/// Waits for the operator to say that the mud leaves the network for good, and cancels `retired` then. Who holds the
/// session answers when that has ended.
pub async fn serve(
    bus: Bus,
    mud: String,
    status: watch::Receiver<SessionStatus>,
    holding: Holding,
    retired: CancellationToken,
    stop: CancellationToken,
) {
    let retire = async |message: Message| {
        let holds = holding.now().may_keep();
        retired.cancel();
        if !holds {
            return Ok(());
        }
        let mut status = status.clone();
        let left = status.wait_for(|status| status.reason == SessionReason::ShuttingDown);
        if timeout(FAREWELL, left).await.is_err() {
            tracing::warn!("the session with the router has not ended in time");
        }
        match message.reply {
            Some(reply) => bus.context().client().publish(reply, Bytes::new()).await,
            None => Ok(()),
        }
    };
    let listen = async || -> Result<(), async_nats::Error> {
        let mut asked = bus.context().client().subscribe(own_retire_subject(bus.network(), &mud)).await?;
        while let Some(message) = asked.next().await {
            tracing::info!("the mud leaves the network for good");
            retire(message).await?;
        }
        Ok(())
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            ended = listen() => if let Err(error) = ended {
                tracing::debug!(%error, "cannot hear of the end for good; trying again");
            },
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(AGAIN) => {}
        }
    }
}
