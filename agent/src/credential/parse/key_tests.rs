//! Keys and certificates that OpenSSL, OpenSSH and keytool made; what they tell of them is what must be told.

use proptest::prelude::*;

use super::{Facts, Parser, parse};

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/keys/", $name)).as_slice()
    };
}

const RSA_SPKI: &str = "f0819a6de09b4781b7a57fe7d03f8dc02fa8c1eed3f88a82319453bfe5695269";
const EC_SPKI: &str = "fef5947dd3374d2eeb5c8da8d4d7ad6083f1027f314a06402b3db1f027cadda4";
const ENDS: i64 = 2_110_988_525;

const ALL: &[(&str, &[u8])] = &[
    ("ca-cert.pem", key!("ca-cert.pem")),
    ("cert.der", key!("cert.der")),
    ("combined.pem", key!("combined.pem")),
    ("ec-cert.pem", key!("ec-cert.pem")),
    ("ec-pkcs8.pem", key!("ec-pkcs8.pem")),
    ("ec-sec1.pem", key!("ec-sec1.pem")),
    ("ec.der", key!("ec.der")),
    ("ed25519-pkcs8.pem", key!("ed25519-pkcs8.pem")),
    ("encrypted-pkcs8.pem", key!("encrypted-pkcs8.pem")),
    ("rsa-encrypted.pem", key!("rsa-encrypted.pem")),
    ("rsa-pkcs1.pem", key!("rsa-pkcs1.pem")),
    ("rsa-pkcs8.pem", key!("rsa-pkcs8.pem")),
    ("ssh-ecdsa", key!("ssh-ecdsa")),
    ("ssh-ed25519", key!("ssh-ed25519")),
    ("ssh-ed25519.pub", key!("ssh-ed25519.pub")),
    ("ssh-encrypted", key!("ssh-encrypted")),
    ("ssh-rsa", key!("ssh-rsa")),
    ("ssh-rsa-cert.pub", key!("ssh-rsa-cert.pub")),
    ("ssh-rsa.pub", key!("ssh-rsa.pub")),
    ("store.jks", key!("store.jks")),
    ("store.p12", key!("store.p12")),
];

fn file(name: &str) -> &'static [u8] {
    ALL.iter().find(|(known, _)| *known == name).unwrap().1
}

fn read(parser: Parser, name: &str) -> Facts {
    parse(parser, file(name))
}

fn values<'a>(facts: &'a Facts, wanted: &str) -> Vec<&'a str> {
    let of = facts.identifiers.iter().filter(|(name, _)| name == wanted);
    of.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_certificate_names_its_holder() {
    for name in ["combined.pem", "ec-cert.pem", "cert.der"] {
        let found = read(Parser::Pem, name);
        assert_eq!(found.identifiers[0].1, "spiffe://example/ns/prod/sa/backup", "{name}");
        for (identifier, value) in [
            ("subject", "CN=backup,O=Example"),
            ("issuer", "CN=backup,O=Example"),
            ("serial", "1f2e3d"),
            ("not_before", "2026-11-25T17:42:05Z"),
            ("sha256", "f6829c704a8890fc17fc1eccfded84e705ea26646afc09bf07e58a021a8ad894"),
            ("spki", EC_SPKI),
            ("san_uri", "https://backup.example/"),
        ] {
            assert_eq!(values(&found, identifier), [value], "{name} {identifier}");
        }
        assert_eq!(values(&found, "san_dns"), ["backup.example", "*.backup.example"]);
        assert_eq!(values(&found, "san_ip"), ["192.0.2.7", "2001:db8::7"]);
        assert_eq!(found.expires, Some(ENDS), "the key's own certificate, not its authority's");
        assert_eq!(found.public, name != "combined.pem", "{name}");
        assert_eq!(found.secrets.is_empty(), found.public, "{name}");
    }
    assert_eq!(read(Parser::Pem, "ca-cert.pem").name(), Some("CN=root,O=Example,C=XX"));
}

#[test]
fn a_private_key_tells_its_public_half() {
    for (name, spki) in [
        ("rsa-pkcs1.pem", Some(RSA_SPKI)),
        ("rsa-pkcs8.pem", Some(RSA_SPKI)),
        ("ec-sec1.pem", Some(EC_SPKI)),
        ("ec-pkcs8.pem", Some(EC_SPKI)),
        ("ec.der", Some(EC_SPKI)),
        ("ed25519-pkcs8.pem", None),
        ("encrypted-pkcs8.pem", None),
        ("rsa-encrypted.pem", None),
    ] {
        let found = read(Parser::Pem, name);
        assert_eq!(values(&found, "spki"), spki.into_iter().collect::<Vec<_>>(), "{name}");
        let encrypted = if name.contains("encrypted") { "yes" } else { "no" };
        assert_eq!(values(&found, "encrypted"), [encrypted], "{name}");
        assert_eq!(found.name(), None, "{name}: the next key at this place is the same credential");
        assert!(!found.public && !found.secrets.is_empty(), "{name}");
    }
    for (name, format) in [("store.p12", "pkcs12"), ("store.jks", "jks")] {
        let found = read(Parser::Pem, name);
        assert_eq!((values(&found, "format"), found.name()), (vec![format], None), "{name}");
        assert!(!found.public);
    }
}

#[test]
fn an_ssh_key_has_the_fingerprint_that_the_servers_log_has() {
    for (name, fingerprint, kind) in [
        ("ssh-ed25519", "MZ9OXE1D4Zx94S6dOFFdkuNO6lmZQ77b80/4xJ03A8g", "ssh-ed25519"),
        ("ssh-encrypted", "aedNjiWV3Ezskiw41plIAksSIiT4VDPicL7D2UGAuzg", "ssh-ed25519"),
        ("ssh-rsa", "gjzMBXaZP0HWTWjbrVWskig9OCk7OnGBhaz9EzcPuFI", "ssh-rsa"),
        ("ssh-ecdsa", "Q0pdR2CJZ/IINZJeyEPW3gyFSyzA2H+4mUAXy5ZYXV0", "ecdsa-sha2-nistp256"),
        ("rsa-pkcs1.pem", "ioFxcrDRJ+KyeKfUgtrIzujXuKZ2BhP2MIY64TPfVGg", "ssh-rsa"),
        ("rsa-pkcs8.pem", "ioFxcrDRJ+KyeKfUgtrIzujXuKZ2BhP2MIY64TPfVGg", "ssh-rsa"),
        ("ec-sec1.pem", "TuUMy3lkmIlxn1pB+6/IPudWrREi10yL38WCpjSwwkM", "ecdsa-sha2-nistp256"),
    ] {
        let found = read(Parser::SshKey, name);
        assert_eq!(found.name(), Some(format!("SHA256:{fingerprint}").as_str()), "{name}");
        assert_eq!(values(&found, "type"), [kind], "{name}");
        let encrypted = if name.contains("encrypted") { "yes" } else { "no" };
        assert_eq!(values(&found, "encrypted"), [encrypted], "{name}");
        assert!(!format!("{found:?}").contains("canary-comment"), "the comment is in the secret half");
    }
    assert_eq!(parse(Parser::Guess, file("ssh-ed25519")), read(Parser::SshKey, "ssh-ed25519"));
}

#[test]
fn an_ssh_certificate_beside_a_key_is_told() {
    let both = [file("ssh-rsa"), file("ssh-rsa-cert.pub")].concat();
    let found = parse(Parser::SshKey, &both);
    for (name, value) in [("key_id", "backup-of-db7"), ("serial", "42"), ("role", "user")] {
        assert_eq!(values(&found, name), [value]);
    }
    assert_eq!(values(&found, "principal"), ["backup", "restore"]);
    assert_eq!(found.expires, Some(1_798_761_600));
    assert!(!found.public);
}

#[test]
fn what_has_no_secret_in_it_is_public() {
    for (parser, name) in [
        (Parser::Pem, "ca-cert.pem"),
        (Parser::Pem, "cert.der"),
        (Parser::Guess, "ca-cert.pem"),
        (Parser::Settings, "ec-cert.pem"),
        (Parser::SshKey, "ec-cert.pem"),
        (Parser::SshKey, "ssh-rsa.pub"),
        (Parser::SshKey, "ssh-rsa-cert.pub"),
    ] {
        let found = read(parser, name);
        assert!(found.public && found.secrets.is_empty(), "{name}");
    }
    let chain = [b"# a chain\n\n", file("ec-cert.pem"), file("ca-cert.pem")].concat();
    assert!(parse(Parser::Pem, &chain).public);
    let end = file("ca-cert.pem");
    for bytes in [
        [end, b"password = correct-horse-battery\n"].concat(),
        [end, b"-----BEGIN PRIVATE KEY-----\n"].concat(),
        [end, file("encrypted-pkcs8.pem")].concat(),
        [end, b"-----BEGIN OpenVPN Static key V1-----\n00112233\n-----END OpenVPN Static key V1-----\n"]
            .concat(),
        [&end[..end.len() / 2], b"x".as_slice()].concat(),
        b"-----BEGIN CERTIFICATE-----\ncorrecthorsebattery=\n-----END CERTIFICATE-----\n".to_vec(),
        [file("ssh-rsa.pub"), b"not a key\n"].concat(),
        b"ssh-rsa correct-horse-battery".to_vec(),
        b"# nothing\n".to_vec(),
        Vec::new(),
    ] {
        for parser in [Parser::Pem, Parser::SshKey, Parser::Guess, Parser::Settings] {
            let found = parse(parser, &bytes);
            assert!(!found.public, "{parser:?}: {}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_kubeconfig_tells_whose_certificate_it_has() {
    let encode = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let text = format!(
        "kind: Config\nclusters:\n- name: a\nusers:\n- name: u\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\n",
        encode(file("ec-cert.pem")),
        encode(file("ec-pkcs8.pem"))
    );
    let found = parse(Parser::Kubeconfig, text.as_bytes());
    assert_eq!(values(&found, "client_subject"), ["CN=backup,O=Example"]);
    assert_eq!((values(&found, "client_spki"), found.expires), (vec![EC_SPKI], Some(ENDS)));
    assert_eq!(found.secrets.iter().count(), 1, "the key, not the certificate");
}

/// No identifier is a piece of what must not be told: of the file's body, in the encodings it has and might get.
#[test]
fn no_piece_of_a_key_is_told() {
    for (name, bytes) in ALL {
        for (_, parser) in Parser::ALL {
            let found = parse(parser, bytes);
            for secret in found.secrets.iter() {
                for window in secret.windows(8) {
                    let hex = window.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                    // The name of an algorithm is in the key, too.
                    let is_told =
                        found.identifiers.iter().filter(|(name, _)| name != "type").any(|(_, value)| {
                            value.contains(&hex) || value.as_bytes().windows(8).any(|told| told == window)
                        });
                    assert!(!is_told, "{name} {parser:?} {found:?}");
                }
            }
        }
    }
}

proptest! {
    /// Keys and certificates with some bytes changed, cut off and put together.
    #[test]
    fn broken_files(
        which in 0..ALL.len(),
        other in 0..ALL.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [ALL[which].1, ALL[other].1].concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        for parser in [Parser::Pem, Parser::SshKey, Parser::Guess, Parser::Settings] {
            let found = parse(parser, &bytes);
            prop_assert!(found.identifiers.len() <= 48);
            prop_assert!(found.identifiers.iter().all(|(_, value)| value.len() <= 256));
        }
    }
}
