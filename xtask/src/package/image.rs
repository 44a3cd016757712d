//! The image for containers, as an archive in the layout of OCI: one layer, a config, a manifest and an index. Written here,
//! so that it needs no network, no daemon and no root, and is the same bytes each time. What the image is called and runs
//! comes out of the Containerfile, so that both make the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{VERSION, epoch, folder, fresh, source, stage};
use crate::sh::{Cmd, step};

/// What a runtime of containers knows the image by.
const NAME: &str = "spoor";
const CONTAINERFILE: &str = "deploy/container/Containerfile";

/// Stages what is copied into the image, and makes it. The staged folder stays, for whoever builds it by the Containerfile.
pub(crate) fn image(agent: &Path, revision: u32) -> Result<PathBuf> {
    step!("package: spoor {VERSION}-{revision} as an image for containers");
    let root = fresh("image")?;
    stage::image(&root, agent)?;
    let recipe = Recipe::parse(&source(CONTAINERFILE)?)?;
    let epoch = epoch()?;
    let created = Cmd::new("date").args(["-u", "-d", &format!("@{epoch}"), "+%FT%TZ"]).read()?;
    let epoch = epoch.parse().context("the time of the release")?;
    let bytes = archive(&layer(&root, epoch)?, &recipe, created.trim(), epoch)?;
    let path = folder().join(format!("spoor_{VERSION}-{revision}_amd64.oci.tar"));
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// What a Containerfile of ours says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Recipe {
    labels: BTreeMap<String, String>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
}

impl Recipe {
    /// Of the few instructions that ours has; another one is a mistake here, not something to pass over.
    fn parse(text: &str) -> Result<Self> {
        let mut recipe = Self::default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let whole = lines.join("\n").replace("\\\n", " ");
        for line in whole.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').with_context(|| format!("{CONTAINERFILE}: {line}"))?;
            let list = || serde_json::from_str(rest).with_context(|| format!("{CONTAINERFILE}: {line}"));
            match (word, rest) {
                ("FROM", "scratch") | ("COPY", ". /") => {}
                ("LABEL", labels) => recipe.labels.extend(pairs(labels)?),
                ("ENTRYPOINT", _) => recipe.entrypoint = list()?,
                ("CMD", _) => recipe.cmd = list()?,
                _ => bail!("{CONTAINERFILE}: `{line}` is nothing that this makes an image of"),
            }
        }
        Ok(recipe)
    }
}

/// Labels: `name="value"`, as many as there are.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let pair = rest.split_once("=\"").and_then(|(name, rest)| {
            let (value, rest) = rest.split_once('"')?;
            Some((name, value, rest))
        });
        let (name, value, after) = pair.with_context(|| format!("{CONTAINERFILE}: labels: {rest}"))?;
        found.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    Ok(found)
}

/// A tree as a layer: everything root's, of one time, in the order of its names.
fn layer(root: &Path, epoch: u64) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let shown = || format!("cannot put {} into the image", path.display());
        let meta = path.symlink_metadata().with_context(shown)?;
        let name = path.strip_prefix(root)?;
        if meta.is_dir() {
            let entries: Result<Vec<_>, _> =
                fs::read_dir(&path)?.map(|entry| entry.map(|e| e.path())).collect();
            waiting.extend(entries.with_context(shown)?);
            // The last is taken first.
            waiting.sort_unstable_by(|a, b| b.cmp(a));
            if !name.as_os_str().is_empty() {
                add(&mut tar, &format!("{}/", name.display()), &[], (EntryType::Directory, 0o755), epoch)?;
            }
            continue;
        }
        ensure!(meta.is_file(), "{} is neither a file nor a folder", path.display());
        let mode = if std::os::unix::fs::MetadataExt::mode(&meta) & 0o111 == 0 { 0o644 } else { 0o755 };
        let bytes = fs::read(&path).with_context(shown)?;
        add(&mut tar, &name.display().to_string(), &bytes, (EntryType::Regular, mode), epoch)?;
    }
    Ok(tar.into_inner()?)
}

fn add(
    tar: &mut Builder<Vec<u8>>,
    name: &str,
    bytes: &[u8],
    (kind, mode): (EntryType, u32),
    epoch: u64,
) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(u64::try_from(bytes.len())?);
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, bytes).with_context(|| format!("cannot put {name} into an archive"))
}

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// What stands for a blob in what names it.
fn descriptor(media: &str, blob: &[u8]) -> Value {
    json!({"mediaType": format!("application/vnd.oci.image.{media}"), "digest": digest(blob), "size": blob.len()})
}

/// The image, as the layout of OCI has it, in one file.
fn archive(layer: &[u8], recipe: &Recipe, created: &str, epoch: u64) -> Result<Vec<u8>> {
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(layer)?;
    let packed = packed.finish()?;
    let config = serde_json::to_vec(&json!({
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": recipe.entrypoint,
            "Cmd": recipe.cmd,
            "WorkingDir": "/",
            "Labels": recipe.labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "COPY . /"}],
    }))?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+gzip", &packed)],
        "annotations": recipe.labels,
    }))?;
    let mut entry = descriptor("manifest.v1+json", &manifest);
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("platform".into(), json!({"architecture": "amd64", "os": "linux"}));
        // By the first podman and skopeo name what they load, by the second containerd, as a node asks for `spoor:VERSION`.
        let names = json!({
            "org.opencontainers.image.ref.name": format!("{NAME}:{VERSION}"),
            "io.containerd.image.name": format!("docker.io/library/{NAME}:{VERSION}"),
        });
        entry.insert("annotations".into(), names);
    }
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }))?;
    let mut tar = Builder::new(Vec::new());
    let file = (EntryType::Regular, 0o644);
    add(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, file, epoch)?;
    add(&mut tar, "index.json", &index, file, epoch)?;
    for blob in [&manifest, &config, &packed] {
        add(&mut tar, &format!("blobs/{}", digest(blob).replace(':', "/")), blob, file, epoch)?;
    }
    Ok(tar.into_inner()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::paths::Scratch;

    fn read(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        });
        entries.collect()
    }

    #[test]
    fn the_containerfile_says_what_the_image_is() {
        let recipe = Recipe::parse(&source(CONTAINERFILE).unwrap()).unwrap();
        assert_eq!(recipe.entrypoint, ["/usr/bin/spoor"]);
        assert_eq!(recipe.labels["org.opencontainers.image.version"], VERSION);
        assert_eq!(recipe.labels.len(), 4);
        for foreign in ["FROM debian", "RUN true", "COPY x /", "LABEL a", "CMD run", "USER"] {
            assert!(Recipe::parse(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn every_blob_is_what_names_it() {
        let scratch = Scratch::new("image");
        let root = scratch.0.join("root");
        stage::write(&root.join("usr/bin/spoor"), 0o755, b"program").unwrap();
        stage::write(&root.join("etc/spoor/spoor.toml"), 0o600, b"text").unwrap();
        fs::create_dir(root.join("host")).unwrap();
        let make =
            || archive(&layer(&root, 7).unwrap(), &Recipe::default(), "1970-01-01T00:00:07Z", 7).unwrap();
        let made = make();
        assert_eq!(made, make(), "the same bytes each time");
        let files = read(&made);
        let blob = |descriptor: &Value| {
            let name = descriptor["digest"].as_str().unwrap();
            let bytes = &files[&format!("blobs/{}", name.replace(':', "/"))];
            assert_eq!(
                (digest(bytes).as_str(), bytes.len()),
                (name, usize::try_from(descriptor["size"].as_u64().unwrap()).unwrap())
            );
            bytes.clone()
        };
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let index = parse(&files["index.json"]);
        let manifest = parse(&blob(&index["manifests"][0]));
        let config = parse(&blob(&manifest["config"]));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(blob(&manifest["layers"][0]).as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0].as_str(), Some(digest(&unpacked).as_str()));
        let names: Vec<String> = read(&unpacked).into_keys().collect();
        assert_eq!(
            names,
            ["etc/", "etc/spoor/", "etc/spoor/spoor.toml", "host/", "usr/", "usr/bin/", "usr/bin/spoor"]
        );
        for entry in tar::Archive::new(unpacked.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            let expected = if entry.path().unwrap().ends_with("spoor.toml") { 0o644 } else { 0o755 };
            assert_eq!(
                (header.uid().unwrap(), header.mtime().unwrap(), header.mode().unwrap()),
                (0, 7, expected)
            );
        }
    }
}
