//! The host of a replay: it says what the host said when the stream was captured, and knows nothing of the one it runs on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::asked::{ANSWERS_MAX, Answered, BYTES_MAX, Of};
use super::code::Coded;
use crate::actor::{Host, Login, PodIdentity};
use crate::credential::{Credential, Describe, Handed};
use crate::event::{KernelKey, OpenedFile, ProcessKey};

#[derive(Debug, Default)]
struct Answers {
    known: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
    missing: u64,
}

/// Answers out of a capture. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Answers>>);

impl Told {
    /// What was told up to here. False where that is more than an agent would have kept.
    pub(super) fn learn(&self, forgot: bool, answers: Vec<Answered>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = known.known.len() < ANSWERS_MAX && known.bytes < BYTES_MAX;
        if forgot {
            known.known.clear();
            known.bytes = 0;
            room = true;
        }
        if !room && !answers.is_empty() {
            return false;
        }
        for (question, answer) in answers {
            known.bytes += question.len() + answer.len();
            known.known.insert(question, answer);
        }
        true
    }

    /// Questions that the capture has no answer to: the stages ask other ones than those of the agent that made it.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).missing
    }

    pub(crate) fn answer<A: Coded>(&self, of: Of, what: &impl Coded) -> Option<A> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = answers.known.get(&of.about(what)).and_then(|bytes| A::of(bytes).ok());
        answers.missing += u64::from(found.is_none());
        found
    }
}

impl Describe for Told {
    fn describe(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        self.answer(Of::File, &(file.clone(), by)).flatten()
    }

    fn socket(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        self.answer(Of::Socket, &(file.clone(), by)).flatten()
    }

    fn key(&mut self, key: &KernelKey) -> Option<Arc<Credential>> {
        self.answer(Of::Key, key).flatten()
    }

    fn environment(&mut self, of: ProcessKey, program: &[u8]) -> Option<Handed> {
        self.answer(Of::Environment, &(of, program.to_vec())).flatten()
    }

    fn endpoint(&self, ip: IpAddr, port: u16) -> Option<Arc<Credential>> {
        self.answer(Of::Address, &(ip, port)).flatten()
    }
}

impl Host for Told {
    fn user_name(&mut self, uid: u32) -> Option<String> {
        self.answer(Of::UserName, &uid).flatten()
    }

    fn unit_trigger(&mut self, unit: &str) -> Option<String> {
        self.answer(Of::UnitTrigger, &unit.to_owned()).flatten()
    }

    fn may_log_in(&mut self, uid: u32) -> bool {
        self.answer(Of::MayLogIn, &uid).unwrap_or(true)
    }

    fn sub_user(&mut self, uid: u32) -> Option<String> {
        self.answer(Of::SubUser, &uid).flatten()
    }

    fn login(&mut self, session: &str) -> Option<Arc<Login>> {
        self.answer(Of::Login, &session.to_owned()).flatten()
    }

    fn pod(&mut self, uid: &str, container: &str) -> Option<Arc<PodIdentity>> {
        self.answer(Of::Pod, &(uid.to_owned(), container.to_owned())).flatten()
    }

    fn container_name(&mut self, runtime: &str, id: &str) -> Option<String> {
        self.answer(Of::ContainerName, &(runtime.to_owned(), id.to_owned())).flatten()
    }
}
