//! The initramfs: a cpio archive in the "newc" format, which is what the kernel unpacks at boot.
//!
//! Written here rather than by cpio(1), so that it needs no root (device nodes, owners) and no second listing of what
//! goes in. Documented in the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const SYMLINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive being written.
pub(super) struct Archive<W> {
    out: W,
    next_inode: u32,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, next_inode: 1 }
    }

    /// Adds a directory. Its parents must have been added before: the kernel makes none.
    pub(super) fn directory(&mut self, path: &str) -> Result<()> {
        self.entry(path, DIRECTORY, (0, 0), &[])
    }

    /// Adds an executable file with the content of one on this machine.
    pub(super) fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let content =
            fs::read(from).with_context(|| format!("cannot read {} for the initramfs", from.display()))?;
        self.entry(path, PROGRAM, (0, 0), &content)
    }

    pub(super) fn symlink(&mut self, path: &str, to: &str) -> Result<()> {
        self.entry(path, SYMLINK, (0, 0), to.as_bytes())
    }

    /// Adds a character device. `/dev/console` must be there before init, or init has no standard streams.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) -> Result<()> {
        self.entry(path, CHARACTER_DEVICE, (major, minor), &[])
    }

    /// Ends the archive and returns the writer.
    pub(super) fn finish(mut self) -> Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.out.flush().context("cannot write the initramfs")?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let path = path.trim_start_matches('/');
        let inode = self.next_inode;
        self.next_inode += 1;
        let size =
            u32::try_from(content.len()).with_context(|| format!("{path} is too large for an initramfs"))?;
        let name_size = u32::try_from(path.len() + 1).context("the name is too long")?;
        let links = if mode == DIRECTORY { 2 } else { 1 };
        // inode, mode, uid, gid, links, mtime, size, device of the file (2), device it is (2), name size, checksum
        let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        let header = fields.iter().fold(String::from("070701"), |text, field| text + &format!("{field:08X}"));
        let mut write = || -> io::Result<()> {
            self.out.write_all(header.as_bytes())?;
            self.out.write_all(path.as_bytes())?;
            self.out.write_all(b"\0")?;
            self.out.write_all(padding(header.len() + path.len() + 1))?;
            self.out.write_all(content)?;
            self.out.write_all(padding(content.len()))
        };
        write().context("cannot write the initramfs")
    }
}

/// What fills up to the next multiple of four.
fn padding(len: usize) -> &'static [u8] {
    const ZEROS: &[u8; 3] = &[0; 3];
    &ZEROS[..len.next_multiple_of(4) - len]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, content, and the device it is.
    type Entry = (String, u32, Vec<u8>, (u32, u32));

    /// Reads an archive back.
    fn entries(mut bytes: &[u8]) -> Vec<Entry> {
        let mut all = Vec::new();
        loop {
            let field = |n: usize| {
                let text = std::str::from_utf8(&bytes[6 + n * 8..14 + n * 8]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&bytes[..6], b"070701");
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let device = (field(9), field(10));
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            assert_eq!(bytes[110 + name_size - 1], 0);
            let start = (110 + name_size).next_multiple_of(4);
            let content = bytes[start..start + size].to_vec();
            bytes = &bytes[(start + size).next_multiple_of(4)..];
            if name == "TRAILER!!!" {
                assert!(bytes.is_empty());
                return all;
            }
            all.push((name, mode, content, device));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let scratch = crate::paths::Scratch::new("cpio");
        let file = scratch.0.join("init");
        fs::write(&file, b"hello").unwrap();
        let mut archive = Archive::new(Vec::new());
        archive.directory("/bin").unwrap();
        archive.program("/init", &file).unwrap();
        archive.symlink("/bin/sh", "busybox").unwrap();
        archive.device("/dev/console", 5, 1).unwrap();
        let bytes = archive.finish().unwrap();
        let expected = [
            ("bin".to_owned(), DIRECTORY, Vec::new(), (0, 0)),
            ("init".to_owned(), PROGRAM, b"hello".to_vec(), (0, 0)),
            ("bin/sh".to_owned(), SYMLINK, b"busybox".to_vec(), (0, 0)),
            ("dev/console".to_owned(), CHARACTER_DEVICE, Vec::new(), (5, 1)),
        ];
        assert_eq!(entries(&bytes), expected);
    }

    #[test]
    fn inodes_differ_so_that_nothing_is_taken_for_a_hard_link() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("a").unwrap();
        archive.directory("b").unwrap();
        let bytes = archive.finish().unwrap();
        assert_ne!(bytes[6..14], bytes[112 + 6..112 + 14]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Archive::new(Vec::new()).program("/init", Path::new("/no/such/file")).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/file"));
    }
}
