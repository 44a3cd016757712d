//! Proving who we are: PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677) with the primitives of ring.
//!
//! As Kafka has it: names and passwords are taken as they are, without the normalisation of SASLprep, and without channel binding.

use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use super::broker::Broker;
use super::wire::{self, Api, Writer};
use crate::config::{Mechanism, Sasl};
use crate::forward::connection::secret;
use crate::forward::deliver::{DeliverError, reason};

/// Fewer rounds make a stolen exchange cheap to guess from; Kafka itself refuses to store less.
const ROUNDS_MIN: u32 = 4_096;
/// More would hold us up for minutes, and whoever asks for it means to.
const ROUNDS_MAX: u32 = 1_000_000;
const NO_BINDING: &str = "n,,";

/// Goes through the exchange; says how long the session is good for, where the broker does.
pub(super) fn authenticate(broker: &mut Broker, sasl: &Sasl) -> Result<Option<Duration>, DeliverError> {
    let password = secret(&sasl.password)?;
    let mut body = Writer::default();
    body.text(sasl.mechanism.name());
    let version = broker.version(Api::SaslHandshake)?;
    let answer = broker.call(Api::SaslHandshake, version, &body.0)?;
    let (error, offered) = wire::mechanisms(&answer).map_err(broker.misread(Api::SaslHandshake))?;
    if error != 0 {
        let text = reason(&format!("{} was asked for, it has {}", sasl.mechanism.name(), offered.join(", ")));
        return Err(broker.refused(Api::SaslHandshake, error, &text));
    }
    let mut exchange = |message: &[u8]| step(broker, message, &password);
    let last = match sasl.mechanism {
        Mechanism::Plain => {
            let message = Zeroizing::new(format!("\0{}\0{}", sasl.user, *password));
            exchange(message.as_bytes())?
        }
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            let mut scram = Scram::new(sasl, &nonce().map_err(|fault| faulty(broker, fault))?);
            let first = step(broker, scram.first().as_bytes(), &password)?;
            let proof = scram.answer(&first.bytes, &password).map_err(|fault| faulty(broker, fault))?;
            let last = step(broker, proof.as_bytes(), &password)?;
            scram.verify(&last.bytes).map_err(|fault| faulty(broker, fault))?;
            last
        }
    };
    let lifetime = u64::try_from(last.lifetime_ms).unwrap_or(0);
    Ok((lifetime > 0).then(|| Duration::from_millis(lifetime)))
}

fn faulty(broker: &Broker, fault: Fault) -> DeliverError {
    broker.protocol(format!("SASL: {fault}"))
}

fn step(broker: &mut Broker, message: &[u8], password: &str) -> Result<wire::Step, DeliverError> {
    let version = broker.version(Api::SaslAuthenticate)?;
    let mut body = Writer(Vec::with_capacity(message.len() + 4));
    body.bytes(message);
    let body = Zeroizing::new(body.0);
    let answer = broker.call(Api::SaslAuthenticate, version, &body)?;
    let step = wire::step(&answer, version).map_err(broker.misread(Api::SaslAuthenticate))?;
    if step.error != 0 {
        // A broker that sends our secret back shall not bring it into a log.
        let text = reason(&step.text.replace(password, "[redacted]"));
        return Err(broker.refused(Api::SaslAuthenticate, step.error, &text));
    }
    Ok(step)
}

/// What is wrong with what a broker says in the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("its first message is none")]
    First,
    #[error("it wants fewer than {ROUNDS_MIN} rounds, or more than {ROUNDS_MAX}")]
    Rounds,
    #[error("it does not know the secret either: this is not the broker it should be")]
    Signature,
    #[error("the system has no random numbers")]
    Random,
}

/// A number that nobody has used before.
fn nonce() -> Result<String, Fault> {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Fault::Random)?;
    Ok(STANDARD.encode(bytes))
}

/// The client's side of one exchange.
struct Scram {
    hmac: hmac::Algorithm,
    digest: &'static digest::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
    nonce: String,
    bare: String,
    /// What the broker has to answer to our proof.
    expected: Option<(hmac::Key, String)>,
}

impl Scram {
    fn new(sasl: &Sasl, nonce: &str) -> Self {
        let (hmac, digest, pbkdf2) = match sasl.mechanism {
            Mechanism::ScramSha512 => (hmac::HMAC_SHA512, &digest::SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
            Mechanism::ScramSha256 | Mechanism::Plain => {
                (hmac::HMAC_SHA256, &digest::SHA256, pbkdf2::PBKDF2_HMAC_SHA256)
            }
        };
        let user = sasl.user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        Self { hmac, digest, pbkdf2, nonce: nonce.to_owned(), bare, expected: None }
    }

    fn first(&self) -> String {
        format!("{NO_BINDING}{}", self.bare)
    }

    /// The proof that we know the password, made for the broker's salt and number.
    fn answer(&mut self, first: &[u8], password: &str) -> Result<String, Fault> {
        let first = std::str::from_utf8(first).map_err(|_| Fault::First)?;
        let mut parts = first.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(Fault::First);
        let (nonce, salt, rounds) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(Fault::First);
        }
        let salt = STANDARD.decode(salt).map_err(|_| Fault::First)?;
        let rounds: u32 = rounds.parse().map_err(|_| Fault::First)?;
        let rounds = Some(rounds).filter(|rounds| (ROUNDS_MIN..=ROUNDS_MAX).contains(rounds));
        let rounds = rounds.and_then(NonZeroU32::new).ok_or(Fault::Rounds)?;
        let mut salted = Zeroizing::new(vec![0; self.digest.output_len()]);
        pbkdf2::derive(self.pbkdf2, rounds, &salt, password.as_bytes(), &mut salted);
        let salted = hmac::Key::new(self.hmac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let server_key = hmac::sign(&salted, b"Server Key");
        let stored = digest::digest(self.digest, client_key.as_ref());
        let bare = format!("c={},r={nonce}", STANDARD.encode(NO_BINDING));
        let message = format!("{},{first},{bare}", self.bare);
        let signature = hmac::sign(&hmac::Key::new(self.hmac, stored.as_ref()), message.as_bytes());
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(key, signature)| key ^ signature).collect();
        self.expected = Some((hmac::Key::new(self.hmac, server_key.as_ref()), message));
        Ok(format!("{bare},p={}", STANDARD.encode(proof)))
    }

    /// The broker's own proof. Without it, anybody could have said that we are let in.
    fn verify(&self, last: &[u8]) -> Result<(), Fault> {
        let last = std::str::from_utf8(last).unwrap_or_default();
        let signature = last.split(',').next().and_then(|part| part.strip_prefix("v="));
        let signature = signature.and_then(|text| STANDARD.decode(text).ok()).ok_or(Fault::Signature)?;
        let (key, message) = self.expected.as_ref().ok_or(Fault::Signature)?;
        hmac::verify(key, message.as_bytes(), &signature).map_err(|_| Fault::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn scram(mechanism: Mechanism, user: &str) -> Scram {
        let password = Secret::Credential("none".to_owned());
        Scram::new(&Sasl { mechanism, user: user.to_owned(), password }, "rOprNGfwEbeRWgbNEkqO")
    }

    const FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    /// The example of RFC 7677.
    #[test]
    fn the_example_of_the_standard() {
        let mut scram = scram(Mechanism::ScramSha256, "user");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            scram.answer(FIRST, "pencil").unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        assert_eq!(scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="), Err(Fault::Signature));
        assert_eq!(scram.verify(b""), Err(Fault::Signature));
    }

    /// The same exchange with the other digest, reckoned with Python's `hashlib` and `hmac`.
    #[test]
    fn the_example_with_sha_512() {
        let mut scram = scram(Mechanism::ScramSha512, "user");
        let answer = scram.answer(FIRST, "pencil").unwrap();
        assert_eq!(
            answer.rsplit_once(",p=").unwrap().1,
            "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ=="
        );
        let last =
            "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==";
        assert_eq!(scram.verify(last.as_bytes()), Ok(()));
    }

    #[test]
    fn what_is_no_first_message_is_refused() {
        let mut scram = scram(Mechanism::ScramSha512, "a=b,c");
        assert_eq!(scram.bare, "n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO");
        for (text, fault) in [
            ("", Fault::First),
            ("r=", Fault::First),
            ("r=rOprNGfwEbeRWgbNEkqO,s=QQ==,i=4096", Fault::First), // nothing of its own
            ("r=rOprNGfwEbeRWgbNEkqO1,", Fault::First),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=?,i=4096", Fault::First),
            ("r=somebody,s=QQ==,i=4096", Fault::First),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=QQ==,i=1", Fault::Rounds),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=QQ==,i=4000000000", Fault::Rounds),
        ] {
            assert_eq!(scram.answer(text.as_bytes(), "x"), Err(fault), "{text}");
        }
        assert!(scram.answer(b"r=rOprNGfwEbeRWgbNEkqO1,s=QQ==,i=4096,x=y", "x").is_ok());
    }
}
