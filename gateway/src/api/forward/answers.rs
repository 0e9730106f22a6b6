//! What became of the requests of other processes: each is done once, however often it is asked.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::Answer;
use crate::api::rpc::{GATEWAY_ERROR, RpcError};

/// For how long a request is remembered: a little longer than anybody waits for its answer.
const REMEMBERED: Duration = Duration::from_secs(40);

/// The most requests remembered.
const ANSWERS: usize = 1000;

/// The most bytes of an answer; NATS takes no message over 1 MiB.
const ANSWER: usize = 1_000_000;

/// The most bytes of all answers that are remembered.
const ANSWERS_BYTES: usize = 8 << 20;

/// The requests that were taken, and their answers as soon as there are any; pure, with the time as a parameter.
#[derive(Default)]
pub(super) struct Answers {
    known: HashMap<Uuid, Known>,
    /// In the order in which they were taken.
    order: VecDeque<Uuid>,
    /// The bytes of all answers that are remembered.
    bytes: usize,
}

struct Known {
    taken: Instant,
    /// None when it was dropped for later ones.
    answer: Option<watch::Receiver<Option<Bytes>>>,
    /// The bytes of the answer, once it is there.
    bytes: usize,
}

/// What to do about a request.
pub(super) enum Turn {
    /// It is new.
    Do(watch::Sender<Option<Bytes>>),
    /// It was taken before.
    Wait(watch::Receiver<Option<Bytes>>),
    /// It was answered before, and the answer is not remembered.
    Gone,
}

impl Answers {
    /// Takes a request.
    pub(super) fn ask(&mut self, now: Instant, id: Uuid) -> Turn {
        self.forget(now);
        if let Some(known) = self.known.get(&id) {
            return known.answer.clone().map_or(Turn::Gone, Turn::Wait);
        }
        let (sender, answer) = watch::channel(None);
        self.known.insert(id, Known { taken: now, answer: Some(answer), bytes: 0 });
        self.order.push_back(id);
        Turn::Do(sender)
    }

    /// Forgets whom nobody asks for any more, and the oldest when there are too many.
    fn forget(&mut self, now: Instant) {
        while let Some(id) = self.order.front() {
            let is_old = self.known.get(id).is_none_or(|known| now.duration_since(known.taken) >= REMEMBERED);
            if !is_old && self.order.len() < ANSWERS {
                return;
            }
            self.bytes -= self.known.remove(id).map_or(0, |known| known.bytes);
            self.order.pop_front();
        }
    }

    /// Takes note of how long an answer is. The oldest answers are dropped when all are too long together, but not that they
    /// were given: what was done is not done again.
    pub(super) fn answered(&mut self, id: Uuid, bytes: usize) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.bytes = bytes;
        self.bytes += bytes;
        for id in &self.order {
            if self.bytes <= ANSWERS_BYTES {
                return;
            }
            if let Some(known) = self.known.get_mut(id).filter(|known| known.bytes > 0) {
                self.bytes -= std::mem::take(&mut known.bytes);
                known.answer = None;
            }
        }
    }
}

/// An answer as it goes to another process.
pub(super) fn written(answer: &Answer) -> Bytes {
    let json = serde_json::to_vec(answer).unwrap_or_default();
    if json.len() <= ANSWER {
        return json.into();
    }
    let message = "The answer is too long to be passed on to the process this client is on";
    let error: Answer = Err(RpcError::new(GATEWAY_ERROR, message));
    serde_json::to_vec(&error).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(answers: &mut Answers, now: Instant, id: u128, json: Bytes) {
        let Turn::Do(done) = answers.ask(now, Uuid::from_u128(id)) else { panic!("{id} is new") };
        answers.answered(Uuid::from_u128(id), json.len());
        done.send_replace(Some(json));
    }

    #[tokio::test]
    async fn a_request_that_is_asked_again_is_done_once() {
        let (mut answers, now, id) = (Answers::default(), Instant::now(), Uuid::from_u128(1));
        let Turn::Do(done) = answers.ask(now, id) else { panic!("it is new") };
        let Turn::Wait(mut waiting) = answers.ask(now, id) else { panic!("it is known") };
        done.send_replace(Some("7".into()));
        drop(done);
        assert_eq!(waiting.wait_for(Option::is_some).await.unwrap().clone(), Some("7".into()));
        let Turn::Wait(late) = answers.ask(now, id) else { panic!("it is remembered") };
        assert_eq!(late.borrow().clone(), Some("7".into()));
        for index in 2..ANSWERS as u128 + 2 {
            answers.ask(now, Uuid::from_u128(index));
        }
        assert_eq!((answers.known.len(), answers.order.len()), (ANSWERS, ANSWERS));
        assert!(matches!(answers.ask(now, id), Turn::Do(_)), "it was long ago");
    }

    #[test]
    fn answers_are_remembered_for_as_long_as_anybody_waits_and_bounded_in_bytes() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        let long = Bytes::from(vec![b' '; ANSWER]);
        for id in 0..100 {
            answer(&mut answers, now, id, long.clone());
        }
        let remembered = |answers: &Answers| {
            let here = answers.known.values().filter_map(|known| known.answer.as_ref());
            here.map(|answer| answer.borrow().as_ref().map_or(0, Bytes::len)).sum::<usize>()
        };
        let most = ANSWERS_BYTES / ANSWER * ANSWER;
        assert_eq!((remembered(&answers), answers.bytes), (most, most));
        let Turn::Gone = answers.ask(now, Uuid::from_u128(0)) else { panic!("it must not be done again") };
        let Turn::Wait(_) = answers.ask(now, Uuid::from_u128(99)) else { panic!("it is remembered") };

        answer(&mut answers, now + REMEMBERED, 100, "7".into());
        assert_eq!((answers.known.len(), answers.order.len(), answers.bytes), (1, 1, 1));
    }

    #[test]
    fn what_is_too_long_is_not_passed_on() {
        let json = written(&Ok(json!("x".repeat(ANSWER))));
        let error = serde_json::from_slice::<Answer>(&json).unwrap().unwrap_err();
        assert!(error.message.contains("too long"), "{error}");
    }
}
