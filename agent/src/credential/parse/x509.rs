//! Certificates, and the public half of private keys. What is parsed is borrowed: of a private key no copy is made.

use pkcs1::{RsaPrivateKey, RsaPublicKey, UintRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::{EcParameters, EcPrivateKey};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate as Parsed;
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::Facts;
use crate::hex;

/// Most further names of a certificate that are told.
const NAMES_MAX: usize = 16;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// What of a certificate names its holder.
pub(super) struct Certificate {
    pub(super) subject: String,
    issuer: String,
    serial: String,
    not_before: String,
    pub(super) not_after: i64,
    /// SHA-256 of all of it.
    sha256: String,
    /// SHA-256 of its public key.
    pub(super) spki: String,
    names: Vec<(&'static str, String)>,
}

/// Reads a certificate in DER.
pub(super) fn certificate(der: &[u8]) -> Option<Certificate> {
    let certificate = Parsed::from_der(der).ok()?;
    let inner = certificate.tbs_certificate();
    let mut names = Vec::new();
    for extension in inner.extensions().into_iter().flatten() {
        if extension.extn_id == SubjectAltName::OID
            && let Ok(list) = SubjectAltName::from_der(extension.extn_value.as_bytes())
        {
            names.extend(list.0.iter().filter_map(name).take(NAMES_MAX));
        }
    }
    let validity = inner.validity();
    let seconds = validity.not_after.to_unix_duration().as_secs();
    Some(Certificate {
        subject: inner.subject().to_string(),
        issuer: inner.issuer().to_string(),
        serial: hex::encode(inner.serial_number().as_bytes()),
        not_before: validity.not_before.to_date_time().to_string(),
        not_after: i64::try_from(seconds).ok()?,
        sha256: hex::encode(&Sha256::digest(der)),
        spki: hash(&inner.subject_public_key_info().to_der().ok()?),
        names,
    })
}

fn name(name: &GeneralName) -> Option<(&'static str, String)> {
    match name {
        GeneralName::DnsName(dns) => Some(("san_dns", dns.as_str().to_owned())),
        GeneralName::UniformResourceIdentifier(uri) if uri.as_str().starts_with("spiffe://") => {
            Some(("spiffe_id", uri.as_str().to_owned()))
        }
        GeneralName::UniformResourceIdentifier(uri) => Some(("san_uri", uri.as_str().to_owned())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            let ip = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from)).ok()?;
            Some(("san_ip", ip.to_string()))
        }
        GeneralName::OtherName(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::RegisteredId(_) => None,
    }
}

impl Certificate {
    /// A workload's own name first: its subject is often that of all workloads.
    pub(super) fn tell(&self, facts: &mut Facts) {
        let names =
            |wanted: bool| self.names.iter().filter(move |(kind, _)| (*kind == "spiffe_id") == wanted);
        names(true).for_each(|(kind, name)| facts.push(kind, name));
        facts.push("subject", &self.subject);
        facts.push("issuer", &self.issuer);
        facts.push("serial", &self.serial);
        facts.push("not_before", &self.not_before);
        facts.push("sha256", &self.sha256);
        facts.push("spki", &self.spki);
        names(false).for_each(|(kind, name)| facts.push(kind, name));
        facts.ends(self.not_after);
    }
}

/// The public half of a private key, as a `SubjectPublicKeyInfo`; `None` where the key does not carry it.
pub(super) fn public_half(der: &[u8]) -> Option<Vec<u8>> {
    if let Ok(key) = PrivateKeyInfoRef::try_from(der) {
        let bytes = key.private_key.as_bytes();
        return match key.algorithm.oid {
            RSA => rsa(bytes),
            EC => ec(bytes, key.algorithm.parameters),
            _ => spki(key.algorithm, key.public_key?),
        };
    }
    rsa(der).or_else(|| ec(der, None))
}

fn rsa(der: &[u8]) -> Option<Vec<u8>> {
    let key = RsaPrivateKey::<UintRef<'_>>::from_der(der).ok()?;
    let public = key.public_key().to_der().ok()?;
    let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) };
    spki(algorithm, BitStringRef::from_bytes(&public).ok()?)
}

/// `outer`: the curve, where it stands around the key and not in it.
fn ec(der: &[u8], outer: Option<AnyRef<'_>>) -> Option<Vec<u8>> {
    let key = EcPrivateKey::from_der(der).ok()?;
    let point = BitStringRef::from_bytes(key.public_key?).ok()?;
    let curve = key.parameters.and_then(EcParameters::named_curve);
    let inner = curve.as_ref().map(AnyRef::from);
    spki(AlgorithmIdentifierRef { oid: EC, parameters: Some(inner.or(outer)?) }, point)
}

fn spki(algorithm: AlgorithmIdentifierRef<'_>, key: BitStringRef<'_>) -> Option<Vec<u8>> {
    SubjectPublicKeyInfoRef { algorithm, subject_public_key: key }.to_der().ok()
}

/// SHA-256 of a public key.
pub(super) fn hash(spki: &[u8]) -> String {
    hex::encode(&Sha256::digest(spki))
}

/// A public key as SSH writes it, and the name of its type; `None` of what SSH does not know.
pub(super) fn as_ssh(spki: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let key = SubjectPublicKeyInfoRef::try_from(spki).ok()?;
    let bytes = key.subject_public_key.as_bytes()?;
    match key.algorithm.oid {
        RSA => {
            let key = RsaPublicKey::<UintRef<'_>>::from_der(bytes).ok()?;
            let (exponent, modulus) = (number(key.public_exponent), number(key.modulus));
            Some(("ssh-rsa", strings(&[b"ssh-rsa", &exponent, &modulus])?))
        }
        EC => {
            let (kind, curve) = match key.algorithm.parameters_oid().ok()? {
                P256 => ("ecdsa-sha2-nistp256", "nistp256"),
                P384 => ("ecdsa-sha2-nistp384", "nistp384"),
                P521 => ("ecdsa-sha2-nistp521", "nistp521"),
                _ => return None,
            };
            Some((kind, strings(&[kind.as_bytes(), curve.as_bytes(), bytes])?))
        }
        ED25519 => Some(("ssh-ed25519", strings(&[b"ssh-ed25519", bytes])?)),
        _ => None,
    }
}

/// As SSH writes numbers: positive, so a zero in front of a first bit that is set.
fn number(value: UintRef<'_>) -> Vec<u8> {
    let bytes = value.as_bytes();
    let sign = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut out = vec![0; usize::from(sign)];
    out.extend(bytes);
    out
}

fn strings(parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for part in parts {
        out.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
        out.extend(*part);
    }
    Some(out)
}
