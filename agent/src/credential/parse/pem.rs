//! Keys and certificates: PEM with any number of them, one in DER, and stores that need a password.

use super::{Facts, decode, ssh, x509};

/// Most sections of a file that are looked at.
const SECTIONS_MAX: usize = 64;

/// Something between `-----BEGIN X-----` and `-----END X-----`.
struct Section<'a> {
    label: &'a str,
    body: &'a str,
}

/// What a section holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Certificate,
    Private,
    /// Something else that everybody may have.
    Public,
    /// Nobody knows, so it is taken for a secret.
    Unknown,
}

/// The sections of a text, and whether there is more in it than these, white space and comments.
fn sections(text: &str) -> (Vec<Section<'_>>, bool) {
    const BEGIN: &str = "-----BEGIN ";
    let blank = |text: &str| text.lines().all(|line| line.trim().is_empty() || line.starts_with('#'));
    let (mut found, mut rest, mut more) = (Vec::new(), text, false);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        more |= !blank(before);
        let section = after.split_once("-----").and_then(|(label, after)| {
            let (body, after) = after.split_once("-----END ")?;
            Some((Section { label, body }, after.split_once("-----")?.1))
        });
        let Some((section, after)) = section.filter(|_| found.len() < SECTIONS_MAX) else {
            return (found, true);
        };
        found.push(section);
        rest = after;
    }
    more |= !blank(rest);
    (found, more)
}

impl Section<'_> {
    fn holds(&self) -> Holds {
        match self.label {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => Holds::Certificate,
            label if label.ends_with("PRIVATE KEY") => Holds::Private,
            label if label.ends_with("PUBLIC KEY") || label.ends_with("PARAMETERS") => Holds::Public,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" | "X509 CRL" => Holds::Public,
            _ => Holds::Unknown,
        }
    }

    /// Headers, as OpenSSL writes them over an encrypted key, end with an empty line.
    fn is_encrypted(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY" || self.body.contains("ENCRYPTED")
    }
}

/// Reads keys, whatever stands around them; `ssh` where they are SSH's. Without any secret in it, the file is public:
/// then a text that is not PEM must say nothing.
pub(super) fn read(bytes: &[u8], text: &str, for_ssh: bool, facts: &mut Facts) {
    let (sections, more) = sections(text);
    if sections.is_empty() {
        if for_ssh && ssh::is_public(text) {
            facts.public = true;
            return;
        }
        return der(bytes, facts);
    }
    let of = |wanted: Holds| sections.iter().filter(move |section| section.holds() == wanted);
    let certificate = |section: &Section<'_>| x509::certificate(&decode::base64(section.body)?);
    let certificates = of(Holds::Certificate).map(certificate).collect::<Vec<_>>();
    // What only calls itself a certificate may be anything.
    let genuine = certificates.iter().all(Option::is_some);
    let secret = of(Holds::Private).chain(of(Holds::Unknown)).next().is_some();
    facts.public = genuine && !secret && !more;
    let mut keys = Vec::new();
    let mut encrypted = None;
    for section in of(Holds::Private) {
        if section.label == "OPENSSH PRIVATE KEY" {
            ssh::private(section.body, facts);
            continue;
        }
        *encrypted.get_or_insert(false) |= section.is_encrypted();
        let Some(bytes) = decode::base64(section.body) else {
            facts.secret(section.body);
            continue;
        };
        facts.secrets.push(&bytes);
        keys.extend(x509::public_half(&bytes));
    }
    of(Holds::Unknown).for_each(|section| facts.secret(section.body));
    if for_ssh {
        keys.iter().for_each(|key| ssh::tell(key, facts));
    }
    let hashes = keys.iter().map(|key| x509::hash(key)).collect::<Vec<_>>();
    // Of a chain, the certificate that the key is for; without a key that is known, the first.
    let certificates = || certificates.iter().flatten();
    let own = certificates().find(|certificate| hashes.contains(&certificate.spki));
    if let Some(certificate) = own.or(certificates().next().filter(|_| hashes.is_empty())) {
        certificate.tell(facts);
    }
    hashes.iter().for_each(|hash| facts.push("spki", hash));
    if more {
        // Some tools put a certificate of SSH beside the key it is for.
        let _ = ssh::certificate(text, facts);
    }
    if let Some(encrypted) = encrypted {
        facts.push("encrypted", if encrypted { "yes" } else { "no" });
    }
}

/// The first certificate of a text.
pub(super) fn first_certificate(text: &str) -> Option<x509::Certificate> {
    let (sections, _) = sections(text);
    let section = sections.iter().find(|section| section.holds() == Holds::Certificate)?;
    x509::certificate(&decode::base64(section.body)?)
}

/// One key or certificate, or a store that needs a password and tells nothing.
fn der(bytes: &[u8], facts: &mut Facts) {
    const PKCS12: &[u8] = &[2, 1, 3, 0x30];
    if let Some(certificate) = x509::certificate(bytes) {
        facts.public = true;
        return certificate.tell(facts);
    }
    if let Some(key) = x509::public_half(bytes) {
        facts.push("spki", &x509::hash(&key));
        return facts.push("encrypted", "no");
    }
    // A sequence, however its length is written, that begins with the number of the version.
    let inner = bytes.strip_prefix(&[0x30]).and_then(|rest| match rest.first()? {
        0x80 => rest.get(1..),
        length if *length > 0x80 => rest.get(1 + usize::from(length & 0x7f)..),
        _ => rest.get(1..),
    });
    let format = match (inner, bytes.first_chunk::<4>()) {
        (Some(inner), _) if inner.starts_with(PKCS12) => "pkcs12",
        (_, Some([0xfe, 0xed, 0xfe, 0xed])) => "jks",
        (_, Some([0xce, 0xce, 0xce, 0xce])) => "jceks",
        _ => return,
    };
    facts.push("format", format);
    facts.push("encrypted", "yes");
}

/// Whether a text is nothing but PEM.
pub(super) fn is_all(text: &str) -> bool {
    let (sections, more) = sections(text);
    !sections.is_empty() && !more
}
