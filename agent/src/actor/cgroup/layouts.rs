//! The layouts of `agent/tests/cgroups`: each with what it is, and a twin that must come out otherwise.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::{Place, place};

/// What stands for the long parts in the files: `{a}` for an id of sixty-four `a`.
pub(crate) fn filled(text: &str) -> String {
    let mut text = text
        .replace("{pod}", "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc")
        .replace("{pod_}", "63b3ebfc_2890_11e9_8154_16bf8ef8d9dc")
        .replace("{static}", "bd12dd3393227d950605a2444b13c27a");
    for digit in ["a", "b", "c"] {
        text = text.replace(&format!("{{{digit}}}"), &digit.repeat(64));
    }
    text
}

/// Every layout of the folder: file and name of it, then the value of each key.
pub(crate) fn layouts() -> Vec<(String, toml::Table)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cgroups");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "toml")) {
        let text: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
        for layout in text["layout"].as_array().unwrap() {
            let layout = layout.as_table().unwrap().clone();
            let name =
                format!("{}: {}", file.file_stem().unwrap().display(), layout["what"].as_str().unwrap());
            found.push((name, layout));
        }
    }
    found
}

fn told(place: Place) -> String {
    let unit = match (&place.user_unit, &place.unit) {
        (Some((uid, unit)), _) => format!("user-unit {uid} {unit}"),
        (None, Some(unit)) => format!("unit {unit}"),
        (None, None) => "nothing".to_owned(),
    };
    let Some(container) = place.container else {
        return place.session.map_or(unit, |session| format!("session {session}"));
    };
    let mut told = format!("container {} {}", container.runtime, container.id);
    if let Some(pod) = container.pod {
        told += &format!(" pod {pod}");
    }
    if let Some(owner) = container.owner {
        told += &format!(" owner {owner}");
    }
    if container.of_unit { format!("{told} of {unit}") } else { told }
}

#[test]
fn every_layout_and_its_twin() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, layout) in layouts() {
        let text =
            |key: &str| filled(layout.get(key).unwrap_or_else(|| panic!("{name}: {key}")).as_str().unwrap());
        let keys = ["what", "proc", "path", "is", "twin", "twin_is", "short"];
        assert!(layout.keys().all(|key| keys.contains(&key.as_str())), "{name}: {layout:?}");
        for (path, is) in [("path", "is"), ("twin", "twin_is")] {
            let found = told(place(text(path).as_bytes()));
            if found != text(is) {
                wrong.push(format!("{name}\n  {}\n  is   {}\n  told {found}", text(path), text(is)));
            }
        }
        assert_ne!(text("is"), text("twin_is"), "{name}: a twin comes out otherwise");
        seen += 1;
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen >= 50, "{seen} layouts");
}

proptest! {
    /// Whatever a path is made of, what is told of it stands in it, and what a user could have named says so.
    #[test]
    fn any_path_is_endured(
        parts in proptest::collection::vec(
            prop_oneof![
                "[a-z.@:_\\\\-]{0,12}",
                Just("docker".to_owned()),
                Just("lxc".to_owned()),
                Just(filled("docker-{a}.scope")),
                Just(filled("{b}")),
                Just(filled("kubepods-pod{pod_}.slice")),
                Just(filled("pod{pod}")),
                Just("libpod-conmon-x".to_owned()),
                Just("user@1000.service".to_owned()),
            ],
            0..6,
        ),
        of_user in any::<bool>(),
    ) {
        let above = if of_user { "/user.slice/user-1000.slice/" } else { "/" };
        let path = format!("{above}{}", parts.join("/"));
        if let Some(container) = place(path.as_bytes()).container {
            prop_assert_eq!(container.owner, of_user.then_some(1000));
            prop_assert!(path.contains(&container.id) || path.contains('\\'), "{} in {}", container.id, path);
            prop_assert!(!of_user || container.pod.is_none());
        }
    }
}
