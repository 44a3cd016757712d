//! Names of containers, as docker keeps them: in the settings of each, a file of root's.

use std::path::Path;

use serde::Deserialize;

use crate::actor::pods::read;

/// The settings of a container, as far as they are read: most of it may be secret.
#[derive(Deserialize)]
struct Settings<'a> {
    #[serde(rename = "Name", borrow)]
    name: &'a str,
}

/// The name of a container now; it can be changed while it runs, so none is remembered. `root` is `/` but for tests.
pub(super) fn name(root: &Path, runtime: &str, id: &str) -> Option<String> {
    const SETTINGS_MAX: u64 = 1 << 20;
    const NAME_MAX: usize = 256;
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if runtime != "docker" || !is_id {
        return None;
    }
    let text =
        read(&root.join("var/lib/docker/containers").join(id).join("config.v2.json"), SETTINGS_MAX).ok()?;
    let settings: Settings<'_> = serde_json::from_slice(&text).ok()?;
    let name = settings.name.strip_prefix('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (!name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::name;

    #[test]
    fn dockers_names_are_read_where_they_are_names() {
        let root = tempfile::tempdir().unwrap();
        let id = "605439acbd4fb18c145069289094b17f17e0cfa938f78012d4960bc797305f22";
        let folder = root.path().join("var/lib/docker/containers").join(id);
        fs::create_dir_all(&folder).unwrap();
        let settings = folder.join("config.v2.json");
        assert_eq!(name(root.path(), "docker", id), None);
        for (text, expected) in [
            (
                r#"{"ID":"x","Config":{"Env":["T=\"\\u0041"]},"Name":"/web_1.x-y","State":{"Pid":7}}"#,
                Some("web_1.x-y"),
            ),
            (r#"{"Config":{"Name":"/other"},"Name":"/web"}"#, Some("web")),
            (r#"{"Config":{"Name":"/other"}}"#, None),
            (r#"{"Name":"web"}"#, None),
            (r#"{"Name":"/"}"#, None),
            (r#"{"Name":"/a/b"}"#, None),
            (r#"{"Name":"/a\u001b"}"#, None),
            (r#"{"Name":7}"#, None),
            (r#"{"Name":"/we"#, None),
        ] {
            fs::write(&settings, text).unwrap();
            assert_eq!(name(root.path(), "docker", id).as_deref(), expected, "{text}");
        }
        fs::write(&settings, r#"{"Name":"/web"}"#).unwrap();
        assert_eq!(name(root.path(), "podman", id), None);
        for odd in ["", "../605439", &id[1..], &id.replace('6', "/")] {
            assert_eq!(name(root.path(), "docker", odd), None, "{odd}");
        }
        fs::write(&settings, format!(r#"{{"Name":"/web","x":"{}"}}"#, "x".repeat(1 << 20))).unwrap();
        assert_eq!(name(root.path(), "docker", id), None, "too long for one");
    }
}
