//! What the path of a credential says of it, where a program gives it its name.

use super::Facts;

/// Adds what the path says: first, where that names it better than what is in the file.
pub(in crate::credential) fn tell(kind: &str, path: &[u8], facts: &mut Facts) {
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    let mut names = path.split('/').filter(|name| !name.is_empty()).collect::<Vec<_>>();
    let Some(file) = names.pop() else { return };
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let after = |name: &str| names.iter().position(|known| *known == name).map(|at| at + 1);
    let named = |at: Option<usize>| at.and_then(|at| names.get(at)).copied();
    match kind {
        "systemd-credential" => match named(after("credentials")) {
            Some(unit) => {
                facts.first("entry", &format!("{unit}/{file}"));
                facts.push("unit", unit);
                facts.push("name", file);
            }
            None => facts.first("name", file),
        },
        "k8s-secret-volume" | "k8s-projected-volume" => {
            let (pod, volume) = (named(after("pods")), after("volumes").map(|at| at + 1));
            if let (Some(pod), Some(volume)) = (pod, named(volume)) {
                facts.push("pod_uid", pod);
                facts.push("volume", volume);
                facts.push("key", file);
            }
        }
        "docker-secret" => facts.first("name", file),
        // The keygrip.
        "gpg-key" if stem.len() == 40 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            facts.first("keygrip", stem);
        }
        "wireguard" => facts.first("interface", stem),
        "wifi-psk" => facts.first("connection", stem),
        "gcp-adc" => {
            if let Some(account) = named(after("legacy_credentials")) {
                facts.first("account", account);
            }
        }
        "tls-private-key" => {
            let live = after("live").or_else(|| after("archive"));
            if let Some(domain) = named(live.filter(|_| names.contains(&"letsencrypt"))) {
                facts.first("domain", domain);
            }
        }
        _ => {}
    }
}
