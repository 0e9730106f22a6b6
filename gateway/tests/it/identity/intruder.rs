//! Somebody who has the identity of a mud, and a NATS client of his own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerError};
use mudgateway_crds::bus::inbox_prefix;
use mudgateway_identity::{Credentials, Login};

use super::super::support::WITHIN;
use super::Secured;

pub struct Intruder {
    pub client: Client,
    pub refusals: Arc<Mutex<Vec<String>>>,
}

impl Intruder {
    /// With the identity of a mud, on a server that knows it.
    pub async fn with_identity(secured: &Secured, mud: &str) -> Self {
        let credentials = Credentials::parse(&secured.identity(mud, 3600, 9)).unwrap();
        let login = Login::default().with_credentials(credentials);
        Self::connect(login.options(), mud, &secured.nats.url()).await
    }

    pub async fn connect(options: ConnectOptions, mud: &str, url: &str) -> Self {
        let refusals = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&refusals);
        let client = options
            .custom_inbox_prefix(inbox_prefix("*test", mud))
            .event_callback(move |event| {
                if let Event::ServerError(ServerError::Other(error)) = event {
                    noted.lock().unwrap().push(error);
                }
                std::future::ready(())
            })
            .connect(url)
            .await
            .unwrap();
        Self { client, refusals }
    }

    /// The server says that this was refused.
    async fn is_refused(&self, what: &str, subject: &str) {
        let wanted = format!("permissions violation for {what} to \"{}\"", subject.to_lowercase());
        let refused = async {
            loop {
                self.client.flush().await.unwrap();
                if self.refusals.lock().unwrap().iter().any(|text| text.to_lowercase().contains(&wanted)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let refused = tokio::time::timeout(WITHIN, refused).await;
        assert!(refused.is_ok(), "{what} {subject} was not refused: {:?}", self.refusals.lock().unwrap());
    }

    pub async fn cannot_publish(&self, subject: &str) {
        self.client.publish(subject.to_owned(), "x".into()).await.unwrap();
        self.is_refused("publish", subject).await;
    }

    pub async fn cannot_subscribe(&self, subject: &str) {
        let _subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.is_refused("subscription", subject).await;
    }
}
