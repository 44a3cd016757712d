//! What the stages ask of the host, and are told, while they digest one input.
//!
//! An answer is written when it differs from the last one to the same question; within one input the first one stays.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::code::Coded;
use crate::actor::{Host, Login, PodIdentity};
use crate::credential::{Catalogue, Credential, Describe, Handed};
use crate::event::{KernelKey, OpenedFile, ProcessKey};

/// Most answers that are remembered, and most bytes of them and their questions; then all are forgotten, here and where it is
/// replayed.
pub(super) const ANSWERS_MAX: usize = 16_384;
pub(super) const BYTES_MAX: usize = 16 << 20;

/// What is asked. The numbers stand in captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    File = 1,
    Socket = 2,
    Key = 3,
    Environment = 4,
    Address = 5,
    UserName = 6,
    MayLogIn = 7,
    SubUser = 8,
    UnitTrigger = 9,
    Login = 10,
    Pod = 11,
    Digest = 12,
    ContainerName = 13,
}

impl Of {
    /// The bytes of a question.
    pub(super) fn about(self, what: &impl Coded) -> Vec<u8> {
        let mut question = vec![self as u8];
        what.put(&mut question);
        question
    }
}

/// Question and answer.
pub(super) type Answered = (Vec<u8>, Vec<u8>);

#[derive(Debug, Default)]
struct Answers {
    known: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
    /// Those of the input at hand; `None` between two.
    now: Option<HashMap<Vec<u8>, Vec<u8>>>,
    fresh: Vec<Answered>,
    forgot: bool,
}

/// Notes what is asked, for a tape; without one it notes nothing.
#[derive(Clone, Debug, Default)]
pub struct Asked(Option<Arc<Mutex<Answers>>>);

impl Asked {
    /// For a tape.
    #[must_use]
    pub fn on_tape() -> Self {
        Asked(Some(Arc::default()))
    }

    /// An input is about to be digested.
    pub(super) fn begin(&self) {
        self.with(|answers| {
            answers.forgot = answers.known.len() >= ANSWERS_MAX || answers.bytes >= BYTES_MAX;
            if answers.forgot {
                answers.known.clear();
                answers.bytes = 0;
            }
            answers.now = Some(HashMap::new());
        });
    }

    /// It was: whether all that was known before is forgotten, and what is new.
    pub(super) fn end(&self) -> (bool, Vec<Answered>) {
        let taken = self.with(|answers| {
            answers.now = None;
            (std::mem::take(&mut answers.forgot), std::mem::take(&mut answers.fresh))
        });
        taken.unwrap_or_default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Answers) -> T) -> Option<T> {
        self.0.as_ref().map(|answers| work(&mut answers.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Asks, unless it was asked while this input is digested.
    pub(crate) fn ask<A: Coded>(&self, of: Of, what: &impl Coded, ask: impl FnOnce() -> A) -> A {
        if self.0.is_none() {
            return ask();
        }
        let question = of.about(what);
        let told = self.with(|answers| answers.now.as_ref()?.get(&question).cloned()).flatten();
        if let Some(answer) = told.and_then(|bytes| A::of(&bytes).ok()) {
            return answer;
        }
        let answer = ask();
        let bytes = answer.bytes();
        self.with(|answers| {
            let Some(now) = &mut answers.now else { return };
            now.insert(question.clone(), bytes.clone());
            if answers.known.get(&question) != Some(&bytes) {
                answers.bytes += question.len() + bytes.len();
                answers.known.insert(question.clone(), bytes.clone());
                answers.fresh.push((question, bytes));
            }
        });
        answer
    }
}

/// Something that is asked, with a note of what it says.
#[derive(Debug)]
pub struct Taped<T> {
    inner: T,
    asked: Asked,
}

impl<T> Taped<T> {
    /// Notes there what this says.
    pub fn new(inner: T, asked: Asked) -> Self {
        Taped { inner, asked }
    }
}

impl<D: Describe> Describe for Taped<D> {
    fn describe(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let inner = &mut self.inner;
        self.asked.ask(Of::File, &(file.clone(), by), || inner.describe(file, by))
    }

    fn socket(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let inner = &mut self.inner;
        self.asked.ask(Of::Socket, &(file.clone(), by), || inner.socket(file, by))
    }

    fn key(&mut self, key: &KernelKey) -> Option<Arc<Credential>> {
        let inner = &mut self.inner;
        self.asked.ask(Of::Key, key, || inner.key(key))
    }

    fn environment(&mut self, of: ProcessKey, program: &[u8]) -> Option<Handed> {
        let inner = &mut self.inner;
        self.asked.ask(Of::Environment, &(of, program.to_vec()), || inner.environment(of, program))
    }

    fn go_by(&mut self, catalogue: &Arc<Catalogue>, environment: bool) {
        self.inner.go_by(catalogue, environment);
    }

    fn endpoint(&self, ip: IpAddr, port: u16) -> Option<Arc<Credential>> {
        self.asked.ask(Of::Address, &(ip, port), || self.inner.endpoint(ip, port))
    }
}

impl<H: Host> Host for Taped<H> {
    fn at(&mut self, time_ns: u64) {
        self.inner.at(time_ns);
    }

    fn user_name(&mut self, uid: u32) -> Option<String> {
        let inner = &mut self.inner;
        self.asked.ask(Of::UserName, &uid, || inner.user_name(uid))
    }

    fn unit_trigger(&mut self, unit: &str) -> Option<String> {
        let inner = &mut self.inner;
        self.asked.ask(Of::UnitTrigger, &unit.to_owned(), || inner.unit_trigger(unit))
    }

    fn may_log_in(&mut self, uid: u32) -> bool {
        let inner = &mut self.inner;
        self.asked.ask(Of::MayLogIn, &uid, || inner.may_log_in(uid))
    }

    fn sub_user(&mut self, uid: u32) -> Option<String> {
        let inner = &mut self.inner;
        self.asked.ask(Of::SubUser, &uid, || inner.sub_user(uid))
    }

    fn login(&mut self, session: &str) -> Option<Arc<Login>> {
        let inner = &mut self.inner;
        self.asked.ask(Of::Login, &session.to_owned(), || inner.login(session))
    }

    fn pod(&mut self, uid: &str, container: &str) -> Option<Arc<PodIdentity>> {
        let inner = &mut self.inner;
        self.asked.ask(Of::Pod, &(uid.to_owned(), container.to_owned()), || inner.pod(uid, container))
    }

    fn container_name(&mut self, runtime: &str, id: &str) -> Option<String> {
        let inner = &mut self.inner;
        let what = (runtime.to_owned(), id.to_owned());
        self.asked.ask(Of::ContainerName, &what, || inner.container_name(runtime, id))
    }
}
