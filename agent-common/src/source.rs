//! Attach points, by number.

/// Which attach point produced a sample. The values are frozen; the names are what records carry as `seen_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Source {
    /// `tp_btf/sched_process_fork`
    TpFork = 1,
    /// `tp_btf/sched_process_exec`
    TpExec = 2,
    /// `tp_btf/sched_process_exit`
    TpExit = 3,
    /// `lsm/file_open`
    LsmOpen = 4,
    /// `fentry/security_file_open`
    FentryOpen = 5,
    /// `kprobe/security_file_open`
    KprobeOpen = 6,
    /// `tp_btf/sys_exit:open`
    TpOpen = 7,
    /// `lsm/socket_connect`
    LsmConnect = 8,
    /// `fentry/security_socket_connect`
    FentryConnect = 9,
    /// `kprobe/security_socket_connect`
    KprobeConnect = 10,
    /// `tp_btf/inet_sock_set_state`
    TpState = 11,
    /// `fexit/__sys_connect_file`
    FexitConnect = 12,
    /// `kretprobe/__sys_connect_file`
    KretprobeConnect = 13,
    /// `tp_btf/sys_exit:connect`
    TpConnect = 14,
    /// `lsm/file_receive`
    LsmReceive = 15,
    /// `fentry/security_file_receive`
    FentryReceive = 16,
    /// `kprobe/security_file_receive`
    KprobeReceive = 17,
    /// `tp_btf/sys_exit:receive`
    TpReceive = 18,
    /// `lsm/file_permission`
    LsmRead = 19,
    /// `fentry/security_file_permission`
    FentryRead = 20,
    /// `kprobe/security_file_permission`
    KprobeRead = 21,
    /// `tp_btf/sys_exit:read`
    TpRead = 22,
    /// `lsm/mmap_file`
    LsmMap = 23,
    /// `fentry/security_mmap_file`
    FentryMap = 24,
    /// `kprobe/security_mmap_file`
    KprobeMap = 25,
    /// `lsm/unix_stream_connect`
    LsmUnix = 26,
    /// `fexit/security_unix_stream_connect`
    FexitUnix = 27,
    /// `kprobe/security_unix_stream_connect`
    KprobeUnix = 28,
    /// `tp_btf/sys_exit:unix`
    TpUnix = 29,
    /// `lsm/ptrace_access_check`
    LsmPtrace = 30,
    /// `fentry/security_ptrace_access_check`
    FentryPtrace = 31,
    /// `kprobe/security_ptrace_access_check`
    KprobePtrace = 32,
    /// `tp_btf/sys_exit:ptrace`
    TpPtrace = 33,
    /// `fexit/sys_execve`
    FexitExec = 34,
    /// `kretprobe/sys_execve`
    KretprobeExec = 35,
    /// `tp_btf/sys_exit:execve`
    TpExecFailed = 36,
    /// `fentry/commit_creds`
    FentryCreds = 37,
    /// `kprobe/commit_creds`
    KprobeCreds = 38,
    /// `tp_btf/sys_exit:setuid`
    TpCreds = 39,
    /// `fentry/switch_task_namespaces`
    FentryNamespaces = 40,
    /// `kprobe/switch_task_namespaces`
    KprobeNamespaces = 41,
    /// `tp_btf/sys_exit:setns`
    TpNamespaces = 42,
    /// `fexit/udp_sendmsg`
    FexitSend = 43,
    /// `fexit/udpv6_sendmsg`
    FexitSend6 = 44,
    /// `fexit/raw_sendmsg`
    FexitRaw = 45,
    /// `fexit/rawv6_sendmsg`
    FexitRaw6 = 46,
    /// `kprobe/security_socket_sendmsg`
    KprobeSend = 47,
    /// `tp_btf/sys_exit:send`
    TpSend = 48,
    /// `lsm/sock_graft`
    LsmAccept = 49,
    /// `fentry/security_sock_graft`
    FentryAccept = 50,
    /// `kprobe/security_sock_graft`
    KprobeAccept = 51,
    /// `tp_btf/sys_exit:accept`
    TpAccept = 52,
    /// `cgroup_skb/ingress`
    SkbAnswer = 53,
    /// `cgroup_skb/egress`
    SkbHello = 54,
    /// `fexit/ping_v4_sendmsg`
    FexitPing = 55,
    /// `fexit/ping_v6_sendmsg`
    FexitPing6 = 56,
    /// `fexit/sys_keyctl`
    FexitKey = 57,
    /// `kretprobe/sys_keyctl`
    KretprobeKey = 58,
    /// `tp_btf/sys_exit:keyctl`
    TpKey = 59,
    /// `fentry/exit_task_namespaces`
    FentryEndNamespaces = 60,
    /// `kprobe/exit_task_namespaces`
    KprobeEndNamespaces = 61,
    /// `fentry/security_path_rename`
    FentryRename = 62,
    /// `kprobe/security_path_rename`
    KprobeRename = 63,
}

impl Source {
    /// Number of slots in tables indexed by source.
    pub const SLOTS: u32 = 64;

    /// Every source, in the order of their numbers.
    pub const ALL: [Source; 63] = [
        Source::TpFork,
        Source::TpExec,
        Source::TpExit,
        Source::LsmOpen,
        Source::FentryOpen,
        Source::KprobeOpen,
        Source::TpOpen,
        Source::LsmConnect,
        Source::FentryConnect,
        Source::KprobeConnect,
        Source::TpState,
        Source::FexitConnect,
        Source::KretprobeConnect,
        Source::TpConnect,
        Source::LsmReceive,
        Source::FentryReceive,
        Source::KprobeReceive,
        Source::TpReceive,
        Source::LsmRead,
        Source::FentryRead,
        Source::KprobeRead,
        Source::TpRead,
        Source::LsmMap,
        Source::FentryMap,
        Source::KprobeMap,
        Source::LsmUnix,
        Source::FexitUnix,
        Source::KprobeUnix,
        Source::TpUnix,
        Source::LsmPtrace,
        Source::FentryPtrace,
        Source::KprobePtrace,
        Source::TpPtrace,
        Source::FexitExec,
        Source::KretprobeExec,
        Source::TpExecFailed,
        Source::FentryCreds,
        Source::KprobeCreds,
        Source::TpCreds,
        Source::FentryNamespaces,
        Source::KprobeNamespaces,
        Source::TpNamespaces,
        Source::FexitSend,
        Source::FexitSend6,
        Source::FexitRaw,
        Source::FexitRaw6,
        Source::KprobeSend,
        Source::TpSend,
        Source::LsmAccept,
        Source::FentryAccept,
        Source::KprobeAccept,
        Source::TpAccept,
        Source::SkbAnswer,
        Source::SkbHello,
        Source::FexitPing,
        Source::FexitPing6,
        Source::FexitKey,
        Source::KretprobeKey,
        Source::TpKey,
        Source::FentryEndNamespaces,
        Source::KprobeEndNamespaces,
        Source::FentryRename,
        Source::KprobeRename,
    ];

    /// The source with that number.
    #[must_use]
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|source| *source as u8 == value)
    }

    /// The name records carry as `seen_by`: program type and attach point.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::TpFork => "tp_btf/sched_process_fork",
            Source::TpExec => "tp_btf/sched_process_exec",
            Source::TpExit => "tp_btf/sched_process_exit",
            Source::LsmOpen => "lsm/file_open",
            Source::FentryOpen => "fentry/security_file_open",
            Source::KprobeOpen => "kprobe/security_file_open",
            Source::TpOpen => "tp_btf/sys_exit:open",
            Source::LsmConnect => "lsm/socket_connect",
            Source::FentryConnect => "fentry/security_socket_connect",
            Source::KprobeConnect => "kprobe/security_socket_connect",
            Source::TpState => "tp_btf/inet_sock_set_state",
            Source::FexitConnect => "fexit/__sys_connect_file",
            Source::KretprobeConnect => "kretprobe/__sys_connect_file",
            Source::TpConnect => "tp_btf/sys_exit:connect",
            Source::LsmReceive => "lsm/file_receive",
            Source::FentryReceive => "fentry/security_file_receive",
            Source::KprobeReceive => "kprobe/security_file_receive",
            Source::TpReceive => "tp_btf/sys_exit:receive",
            Source::LsmRead => "lsm/file_permission",
            Source::FentryRead => "fentry/security_file_permission",
            Source::KprobeRead => "kprobe/security_file_permission",
            Source::TpRead => "tp_btf/sys_exit:read",
            Source::LsmMap => "lsm/mmap_file",
            Source::FentryMap => "fentry/security_mmap_file",
            Source::KprobeMap => "kprobe/security_mmap_file",
            Source::LsmUnix => "lsm/unix_stream_connect",
            Source::FexitUnix => "fexit/security_unix_stream_connect",
            Source::KprobeUnix => "kprobe/security_unix_stream_connect",
            Source::TpUnix => "tp_btf/sys_exit:unix",
            Source::LsmPtrace => "lsm/ptrace_access_check",
            Source::FentryPtrace => "fentry/security_ptrace_access_check",
            Source::KprobePtrace => "kprobe/security_ptrace_access_check",
            Source::TpPtrace => "tp_btf/sys_exit:ptrace",
            Source::FexitExec => "fexit/sys_execve",
            Source::KretprobeExec => "kretprobe/sys_execve",
            Source::TpExecFailed => "tp_btf/sys_exit:execve",
            Source::FentryCreds => "fentry/commit_creds",
            Source::KprobeCreds => "kprobe/commit_creds",
            Source::TpCreds => "tp_btf/sys_exit:setuid",
            Source::FentryNamespaces => "fentry/switch_task_namespaces",
            Source::KprobeNamespaces => "kprobe/switch_task_namespaces",
            Source::TpNamespaces => "tp_btf/sys_exit:setns",
            Source::FexitSend => "fexit/udp_sendmsg",
            Source::FexitSend6 => "fexit/udpv6_sendmsg",
            Source::FexitRaw => "fexit/raw_sendmsg",
            Source::FexitRaw6 => "fexit/rawv6_sendmsg",
            Source::KprobeSend => "kprobe/security_socket_sendmsg",
            Source::TpSend => "tp_btf/sys_exit:send",
            Source::LsmAccept => "lsm/sock_graft",
            Source::FentryAccept => "fentry/security_sock_graft",
            Source::KprobeAccept => "kprobe/security_sock_graft",
            Source::TpAccept => "tp_btf/sys_exit:accept",
            Source::SkbAnswer => "cgroup_skb/ingress",
            Source::SkbHello => "cgroup_skb/egress",
            Source::FexitPing => "fexit/ping_v4_sendmsg",
            Source::FexitPing6 => "fexit/ping_v6_sendmsg",
            Source::FexitKey => "fexit/sys_keyctl",
            Source::KretprobeKey => "kretprobe/sys_keyctl",
            Source::TpKey => "tp_btf/sys_exit:keyctl",
            Source::FentryEndNamespaces => "fentry/exit_task_namespaces",
            Source::KprobeEndNamespaces => "kprobe/exit_task_namespaces",
            Source::FentryRename => "fentry/security_path_rename",
            Source::KprobeRename => "kprobe/security_path_rename",
        }
    }
}
