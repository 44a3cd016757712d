//! Which field of which struct each offset is, with the names it has had over the years.

use spoor_wire::Offsets;
use spoor_wire::control::{ABSENT, INODE_HEAD, NAME_SHORT};

use super::btf::{Btf, BtfError};

/// Collects every field that is missing, so that one message tells all.
struct Finder<'a> {
    btf: &'a Btf<'a>,
    missing: Vec<BtfError>,
}

impl Finder<'_> {
    /// A field that must be there, under one of its names.
    fn need(&mut self, names: &[(&str, &str)]) -> u32 {
        let mut last = None;
        for (strukt, member) in names {
            match self.btf.offset(strukt, member) {
                Ok(offset) => return offset,
                Err(error) => last = Some(error),
            }
        }
        self.missing.extend(last);
        ABSENT
    }

    /// A field that kernels may be built without.
    fn want(&self, strukt: &str, member: &str) -> u32 {
        self.btf.offset(strukt, member).unwrap_or(ABSENT)
    }

    /// An array of so many bytes or more, under one of its names.
    fn room(&self, strukt: &str, members: &[&str], bytes: u32) -> u32 {
        let member = members.iter().find(|member| self.btf.elements(strukt, member) >= Some(bytes));
        member.map_or(ABSENT, |member| self.want(strukt, member))
    }
}

/// Fields this kernel does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Missing(pub Vec<BtfError>);

/// Resolves every offset the probes use.
///
/// # Errors
/// [`Missing`] names every field that the probes cannot do without and this kernel does not have.
pub fn resolve(btf: &Btf<'_>) -> Result<Offsets, Missing> {
    let mut f = Finder { btf, missing: Vec::new() };
    let upid_size = btf.size("upid").unwrap_or_else(|error| {
        f.missing.push(error);
        ABSENT
    });
    let offsets = all(&mut f, upid_size, subsys_pids(btf));
    if f.missing.is_empty() { Ok(offsets) } else { Err(Missing(f.missing)) }
}

/// Where a `css_set` keeps the cgroup of the pids controller, on kernels that have the controller.
fn subsys_pids(btf: &Btf<'_>) -> u32 {
    let slot = btf.enum_value("pids_cgrp_id");
    let base = btf.offset("css_set", "subsys");
    match (base, slot) {
        (Ok(base), Ok(slot)) => base.saturating_add(slot.saturating_mul(8)),
        _ => ABSENT,
    }
}

/// The offset of the first of some fields that follow it as far away as told, which the probes then read at once; [`ABSENT`]
/// where a kernel has them elsewhere.
fn together<const N: usize>(first: u32, others: [u32; N], away: [u32; N]) -> u32 {
    let follow = others.iter().zip(away).all(|(other, away)| first.checked_add(away) == Some(*other));
    if follow { first } else { ABSENT }
}

/// 0 where fields of these offsets and sizes lie within so many first bytes, else [`ABSENT`].
fn within(bytes: u32, fields: &[(u32, u32)]) -> u32 {
    let inside = |(offset, size): &(u32, u32)| offset.checked_add(*size).is_some_and(|end| end <= bytes);
    if fields.iter().all(inside) { 0 } else { ABSENT }
}

#[expect(clippy::too_many_lines, reason = "a table: one line a field")]
fn all(f: &mut Finder<'_>, upid_size: u32, subsys_pids: u32) -> Offsets {
    const TASK: &str = "task_struct";
    Offsets {
        task__tgid: f.need(&[(TASK, "tgid")]),
        task__flags: f.need(&[(TASK, "flags")]),
        task__comm: f.need(&[(TASK, "comm")]),
        // Renamed in 5.5.
        task__start_boottime: f.need(&[(TASK, "start_boottime"), (TASK, "real_start_time")]),
        task__group_leader: f.need(&[(TASK, "group_leader")]),
        task__real_parent: f.need(&[(TASK, "real_parent")]),
        task__cred: f.need(&[(TASK, "cred")]),
        // CONFIG_AUDIT
        task__loginuid: f.want(TASK, "loginuid"),
        task__sessionid: f.want(TASK, "sessionid"),
        task__signal: f.need(&[(TASK, "signal")]),
        task__exit_code: f.need(&[(TASK, "exit_code")]),
        task__files: f.need(&[(TASK, "files")]),
        task__mm: f.need(&[(TASK, "mm")]),
        task__nsproxy: f.need(&[(TASK, "nsproxy")]),
        task__thread_pid: f.need(&[(TASK, "thread_pid")]),
        task__cgroups: f.need(&[(TASK, "cgroups")]),
        // x86: tells a 32-bit call.
        task__thread_info_status: f.want(TASK, "thread_info.status"),
        task__pid_links: f.need(&[(TASK, "pid_links")]),
        signal__live: f.need(&[("signal_struct", "live")]),
        signal__flags: f.need(&[("signal_struct", "flags")]),
        signal__group_exit_code: f.need(&[("signal_struct", "group_exit_code")]),
        cred__uid: f.need(&[("cred", "uid")]),
        cred__euid: f.need(&[("cred", "euid")]),
        cred__gid: f.need(&[("cred", "gid")]),
        cred__suid: f.need(&[("cred", "suid")]),
        cred__egid: f.need(&[("cred", "egid")]),
        cred__cap_effective: f.need(&[("cred", "cap_effective")]),
        cred__cap_permitted: f.need(&[("cred", "cap_permitted")]),
        cred__user_ns: f.need(&[("cred", "user_ns")]),
        // CONFIG_KEYS
        cred__session_keyring: f.want("cred", "session_keyring"),
        user_namespace__ns_inum: f.need(&[("user_namespace", "ns.inum")]),
        user_namespace__parent: f.need(&[("user_namespace", "parent")]),
        // CONFIG_KEYS, from 5.3.
        user_namespace__user_keyring_register: f.want("user_namespace", "user_keyring_register"),
        pid__level: f.need(&[("pid", "level")]),
        pid__numbers: f.need(&[("pid", "numbers")]),
        pid__tasks: f.need(&[("pid", "tasks")]),
        upid__size: upid_size,
        upid__nr: f.need(&[("upid", "nr")]),
        upid__ns: f.need(&[("upid", "ns")]),
        pid_namespace__ns_inum: f.need(&[("pid_namespace", "ns.inum")]),
        nsproxy__mnt_ns: f.need(&[("nsproxy", "mnt_ns")]),
        nsproxy__net_ns: f.need(&[("nsproxy", "net_ns")]),
        nsproxy__pid_ns_for_children: f.need(&[("nsproxy", "pid_ns_for_children")]),
        net__ns_inum: f.need(&[("net", "ns.inum")]),
        mnt_namespace__ns_inum: f.need(&[("mnt_namespace", "ns.inum")]),
        css_set__dfl_cgrp: f.need(&[("css_set", "dfl_cgrp")]),
        css_set__subsys_pids: subsys_pids,
        css__cgroup: f.want("cgroup_subsys_state", "cgroup"),
        cgroup__kn: f.need(&[("cgroup", "kn")]),
        // Renamed in 6.15.
        kernfs_node__parent: f.need(&[("kernfs_node", "parent"), ("kernfs_node", "__parent")]),
        kernfs_node__name: f.need(&[("kernfs_node", "name")]),
        kernfs_node__id: f.need(&[("kernfs_node", "id")]),
        mm__arg_start: f.need(&[("mm_struct", "arg_start")]),
        mm__arg_end: f.need(&[("mm_struct", "arg_end")]),
        mm__exe_file: f.need(&[("mm_struct", "exe_file")]),
        bprm__filename: f.need(&[("linux_binprm", "filename")]),
        file__f_inode: f.need(&[("file", "f_inode")]),
        file__f_mode: f.need(&[("file", "f_mode")]),
        file__f_flags: f.need(&[("file", "f_flags")]),
        file__f_path_mnt: f.need(&[("file", "f_path.mnt")]),
        file__f_path_dentry: f.need(&[("file", "f_path.dentry")]),
        file__private_data: f.need(&[("file", "private_data")]),
        path__mnt: f.need(&[("path", "mnt")]),
        dentry__d_parent: f.need(&[("dentry", "d_parent")]),
        dentry__d_inode: f.need(&[("dentry", "d_inode")]),
        dentry__d_name_name: f.need(&[("dentry", "d_name.name")]),
        dentry__d_name_len: f.need(&[("dentry", "d_name.len")]),
        // Renamed in 6.14.
        dentry__d_iname: f.room("dentry", &["d_iname", "d_shortname.string"], NAME_SHORT + 1),
        inode__i_mode: f.need(&[("inode", "i_mode")]),
        inode__i_uid: f.need(&[("inode", "i_uid")]),
        inode__i_ino: f.need(&[("inode", "i_ino")]),
        inode__i_nlink: f.need(&[("inode", "i_nlink")]),
        inode__i_generation: f.need(&[("inode", "i_generation")]),
        inode__i_sb: f.need(&[("inode", "i_sb")]),
        super_block__s_dev: f.need(&[("super_block", "s_dev")]),
        super_block__s_magic: f.need(&[("super_block", "s_magic")]),
        proc_inode__vfs_inode: f.need(&[("proc_inode", "vfs_inode")]),
        proc_inode__pid: f.need(&[("proc_inode", "pid")]),
        mount__mnt: f.need(&[("mount", "mnt")]),
        mount__mnt_parent: f.need(&[("mount", "mnt_parent")]),
        mount__mnt_mountpoint: f.need(&[("mount", "mnt_mountpoint")]),
        vfsmount__mnt_root: f.need(&[("vfsmount", "mnt_root")]),
        files_struct__fdt: f.need(&[("files_struct", "fdt")]),
        fdtable__max_fds: f.need(&[("fdtable", "max_fds")]),
        fdtable__fd: f.need(&[("fdtable", "fd")]),
        socket__sk: f.need(&[("socket", "sk")]),
        sock__sk_protocol: f.need(&[("sock", "sk_protocol")]),
        sock__sk_err: f.need(&[("sock", "sk_err")]),
        sock__sk_type: f.need(&[("sock", "sk_type")]),
        sock__skc_family: f.need(&[("sock", "__sk_common.skc_family")]),
        sock__skc_state: f.need(&[("sock", "__sk_common.skc_state")]),
        sock__skc_daddr: f.need(&[("sock", "__sk_common.skc_daddr")]),
        sock__skc_dport: f.need(&[("sock", "__sk_common.skc_dport")]),
        sock__skc_num: f.need(&[("sock", "__sk_common.skc_num")]),
        sock__skc_rcv_saddr: f.need(&[("sock", "__sk_common.skc_rcv_saddr")]),
        // CONFIG_IPV6
        sock__skc_v6_daddr: f.want("sock", "__sk_common.skc_v6_daddr"),
        sock__skc_v6_rcv_saddr: f.want("sock", "__sk_common.skc_v6_rcv_saddr"),
        pt_regs__orig_ax: f.need(&[("pt_regs", "orig_ax")]),
        pt_regs__di: f.need(&[("pt_regs", "di")]),
        pt_regs__si: f.need(&[("pt_regs", "si")]),
        pt_regs__bx: f.need(&[("pt_regs", "bx")]),
        pt_regs__cx: f.need(&[("pt_regs", "cx")]),
        pt_regs__dx: f.need(&[("pt_regs", "dx")]),
        pt_regs__r8: f.need(&[("pt_regs", "r8")]),
        pt_regs__r10: f.need(&[("pt_regs", "r10")]),
        // CONFIG_UNIX
        unix_sock__peer: f.want("unix_sock", "peer"),
        unix_sock__path_mnt: f.want("unix_sock", "path.mnt"),
        unix_sock__path_dentry: f.want("unix_sock", "path.dentry"),
        msghdr__msg_name: f.need(&[("msghdr", "msg_name")]),
        msghdr__msg_namelen: f.need(&[("msghdr", "msg_namelen")]),
        // CONFIG_KEYS
        key__serial: f.want("key", "serial"),
        key__serial_node: f.want("key", "serial_node"),
        key__type: f.want("key", "type"),
        key__description: f.want("key", "description"),
        key__uid: f.want("key", "uid"),
        key_type__name: f.want("key_type", "name"),
        rb_node__parent_color: f.want("rb_node", "__rb_parent_color"),
        rb_node__rb_right: f.want("rb_node", "rb_right"),
        rb_node__rb_left: f.want("rb_node", "rb_left"),
        dentry__together: together(
            f.want("dentry", "d_parent"),
            [f.want("dentry", "d_name.len"), f.want("dentry", "d_name.name")],
            [12, 16],
        ),
        mount__together: together(
            f.want("mount", "mnt_parent"),
            [f.want("mount", "mnt_mountpoint"), f.want("mount", "mnt.mnt_root")],
            [8, 16],
        ),
        inode__head: within(
            INODE_HEAD,
            &[
                (f.want("inode", "i_mode"), 2),
                (f.want("inode", "i_uid"), 4),
                (f.want("inode", "i_sb"), 8),
                (f.want("inode", "i_ino"), 8),
                (f.want("inode", "i_nlink"), 4),
            ],
        ),
        // Since 5.12.
        task__bpf_storage: f.want(TASK, "bpf_storage"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_at_once_where_they_lie_in_a_row() {
        assert_eq!(together(24, [36, 40], [12, 16]), 24);
        assert_eq!(together(24, [36, 48], [12, 16]), ABSENT, "one lies elsewhere");
        assert_eq!(together(24, [36, ABSENT], [12, 16]), ABSENT);
        assert_eq!(together(ABSENT, [11, 15], [12, 16]), ABSENT, "and nothing follows what is not there");
    }

    #[test]
    fn fields_are_read_at_once_where_all_of_them_lie_in_front() {
        assert_eq!(within(80, &[(0, 2), (72, 8)]), 0);
        assert_eq!(within(80, &[(0, 2), (73, 8)]), ABSENT, "one reaches over the end");
        assert_eq!(within(80, &[(0, 2), (ABSENT, 8)]), ABSENT);
    }
}
