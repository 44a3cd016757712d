//! The layout of everything that crosses the kernel border, and its numbers, as one text that a review shows.
//!
//! `BLESS=1 cargo test -p spoor-wire` writes it anew: after that, probes and agents of before do not understand each
//! other, so the wire version changes too.

use core::fmt::Write as _;
use core::mem::{offset_of, size_of};

use spoor_wire::header::WIRE_VERSION;
use spoor_wire::rule::{EntryKey, InodeKey, NameKey};
use spoor_wire::{
    Accept, AcceptEnd, Connect, ConnectEnd, Exec, ExecFailed, Exit, Fault, Fork, Header, Identity, Ids, Key,
    Kind, Lane, Mark, Memory, Offsets, Open, Payload, Send, Settings, Source, Span, Task,
};

/// Size and fields of structs. Taking each apart without `..` makes a field that is not listed an error.
macro_rules! layouts {
    ($out:ident, $($type:ident { $($field:ident),+ $(,)? })+) => { $({
        let _ = |all: $type| { let $type { $($field: _),+ } = all; };
        writeln!($out, "{} {}", stringify!($type), size_of::<$type>()).unwrap();
        $(writeln!($out, "  {} {}", offset_of!($type, $field), stringify!($field)).unwrap();)+
    })+ };
}

/// What stands for what.
fn numbers(out: &mut String) -> core::fmt::Result {
    for kind in Kind::ALL {
        writeln!(out, "kind {} {} lane {}", kind as u8, kind.name(), kind.lane() as u8)?;
    }
    for source in Source::ALL {
        writeln!(out, "source {} {}", source as u8, source.name())?;
    }
    for fault in Fault::ALL {
        writeln!(out, "fault {} {}", fault as u8, fault.name())?;
    }
    writeln!(out, "lanes {}", Lane::COUNT)
}

#[test]
fn layout_is_the_golden_one() {
    let mut out = format!("wire version {WIRE_VERSION}\n");
    layouts! { out,
        Header { time_ns, seq, len, cpu, version, kind, lane, source, marks, task }
        Task {
            start_ns, parent_start_ns, cgroup_id, tgid, tid, ppid, uid, euid, gid, login_uid, session_id, ns_tgid,
            pid_ns, mnt_ns, flags, comm,
        }
        Span { offset, len, flags }
        Fork {
            child_start_ns, parent_start_ns, child_cgroup_id, child_tgid, child_ns_tgid, child_pid_ns, parent_tgid,
            child_marks, pad,
        }
        Exec { ino, dev, old_tid, links, pad, path, filename, argv, cgroup }
        Exit { status, pad }
        Open { ino, dev, generation, rule, matched, flags, mode, owner, links, how, pad, path }
        Connect { conn_id, daddr, family, dport, protocol }
        ConnectEnd { conn_id, errno, sport, family, saddr }
        Memory { target_start_ns, target_tgid, how }
        ExecFailed { errno, pad, filename }
        Ids {
            effective, permitted, uid, euid, suid, gid, egid, user_ns, mnt_ns, net_ns, pid_ns, told,
        }
        Identity { from, to }
        Send { daddr, family, dport, protocol, errno, pad }
        Accept { raddr, laddr, rport, lport, family, pad, protocol, pad2, conn_id }
        AcceptEnd { conn_id }
        Payload { conn_id, data }
        Key { serial, owner, rule, how, kind, description }
        Settings { agent_tgid, scoped, preempted }
        Mark { start_ns, flags, pad }
        InodeKey { ino, dev, generation }
        EntryKey { dir_ino, name, dev, pad }
        NameKey { hash, depth, anchored }
        Offsets {
            task__tgid, task__flags, task__comm, task__start_boottime, task__group_leader, task__real_parent,
            task__cred, task__loginuid, task__sessionid, task__signal, task__exit_code, task__files, task__mm,
            task__nsproxy, task__thread_pid, task__cgroups, task__thread_info_status, task__pid_links,
            signal__live, signal__flags, signal__group_exit_code, cred__uid, cred__euid, cred__gid, cred__suid,
            cred__egid, cred__cap_effective, cred__cap_permitted, cred__user_ns, cred__session_keyring,
            user_namespace__ns_inum, user_namespace__parent, user_namespace__user_keyring_register,
            pid__level, pid__numbers, pid__tasks, upid__size, upid__nr, upid__ns, pid_namespace__ns_inum,
            nsproxy__mnt_ns, nsproxy__net_ns, nsproxy__pid_ns_for_children, net__ns_inum,
            mnt_namespace__ns_inum, css_set__dfl_cgrp, css_set__subsys_pids, css__cgroup, cgroup__kn,
            kernfs_node__parent, kernfs_node__name, kernfs_node__id, mm__arg_start, mm__arg_end, mm__exe_file,
            bprm__filename, file__f_inode, file__f_mode, file__f_flags, file__f_path_mnt, file__f_path_dentry,
            file__private_data, path__mnt, dentry__d_parent, dentry__d_inode, dentry__d_name_name, dentry__d_name_len, dentry__d_iname,
            inode__i_mode, inode__i_uid, inode__i_ino, inode__i_nlink, inode__i_generation, inode__i_sb,
            super_block__s_dev, super_block__s_magic, proc_inode__vfs_inode, proc_inode__pid, mount__mnt,
            mount__mnt_parent, mount__mnt_mountpoint, vfsmount__mnt_root, files_struct__fdt, fdtable__max_fds,
            fdtable__fd, socket__sk, sock__sk_protocol, sock__sk_err, sock__sk_type, sock__skc_family,
            sock__skc_state, sock__skc_daddr, sock__skc_dport, sock__skc_num, sock__skc_rcv_saddr,
            sock__skc_v6_daddr, sock__skc_v6_rcv_saddr, pt_regs__orig_ax, pt_regs__di, pt_regs__si, pt_regs__bx,
            pt_regs__cx, pt_regs__dx, pt_regs__r8, pt_regs__r10, unix_sock__peer, unix_sock__path_mnt,
            unix_sock__path_dentry, msghdr__msg_name, msghdr__msg_namelen, key__serial, key__serial_node,
            key__type, key__description, key__uid, key_type__name, rb_node__parent_color, rb_node__rb_right,
            rb_node__rb_left,
            dentry__together,
            mount__together,
            inode__head,
            task__bpf_storage,
        }
    }
    numbers(&mut out).unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/layout.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(golden, &out).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert_eq!(out, expected, "the wire layout has changed; BLESS=1 writes the golden text anew");
}
