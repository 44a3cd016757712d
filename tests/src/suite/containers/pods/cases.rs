//! The pods, their twins, and what is expected of each.

/// One pod, or what stands beside pods.
pub(super) struct Case {
    /// Of the test, and of the files it reads.
    pub(super) name: &'static str,
    pub(super) uid: &'static str,
    /// What starts its container. `ACT` is what the program is to do.
    pub(super) start: &'static str,
    /// Whose token lies in its volume.
    pub(super) token: Option<Account>,
    /// When the kubelet tells of it, and what.
    pub(super) listed: Listed,
    /// Whether something is executed in its container meanwhile.
    pub(super) executed: bool,
    pub(super) told: Told,
}

#[derive(Clone, Copy)]
pub(super) struct Account {
    /// The token's word, not the pod's: a twin has another's.
    pub(super) uid: &'static str,
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    pub(super) pod: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// Before it starts.
    Before,
    /// When it has acted: until then nobody can name it.
    Later,
    Never,
}

/// What is expected of it once all is known. `None` where there must be nothing.
pub(super) struct Told {
    /// Begin of `actor.id`.
    pub(super) id: &'static str,
    pub(super) origin: &'static str,
    pub(super) namespace: Option<&'static str>,
    pub(super) name: Option<&'static str>,
    pub(super) workload: Option<&'static str>,
    pub(super) account: Option<&'static str>,
    pub(super) container: Option<&'static str>,
}

pub(super) const NOTHING: Told = Told {
    id: "container:",
    origin: "container:",
    namespace: None,
    name: None,
    workload: None,
    account: None,
    container: None,
};

const UNNAMED: &str = "7f0c2c51-6f0e-4f5a-b0a8-0b9b1d1e5c05";
pub(super) const REPORTER: Account = Account {
    uid: "2b1f7c0d-54a3-4d0e-9c3e-6a7b8c9d0e03",
    namespace: "billing",
    name: "reporter",
    pod: "report-0",
};

/// As a kubelet with containerd has it: its notes on a container lie in the bundle.
pub(super) const NOTES: &str = "--annotation io.kubernetes.cri.container-type=container \
    --annotation io.kubernetes.cri.sandbox-uid=UID --annotation io.kubernetes.cri.sandbox-namespace=billing \
    --annotation io.kubernetes.cri.sandbox-name=report-0 --annotation io.kubernetes.cri.container-name=report";

pub(super) const CASES: &[Case] = &[
    // The driver of systemd: one slice a pod, one scope a container.
    Case {
        name: "systemd",
        uid: "9a4e3b52-0d6c-4f0b-8a57-1c2d3e4f5a01",
        start: "ctr --namespace k8s.io run --rm --net-host --runc-systemd-cgroup \
            --cgroup kubepods-burstable-podSLICE.slice:cri-containerd:ID MOUNTS localhost/house:latest ID ACT",
        token: None,
        listed: Listed::Before,
        executed: true,
        told: Told {
            id: "kubernetes:shop:cart",
            origin: "kubernetes:shop/Deployment/cart",
            namespace: Some("shop"),
            name: Some("cart-6d4b75cb6d-x8k2p"),
            workload: Some("Deployment/cart"),
            account: Some("cart"),
            container: Some("cart"),
        },
    },
    // The driver of cgroupfs: folders.
    Case {
        name: "cgroupfs",
        uid: "0f1e2d3c-2890-41e9-8154-16bf8ef8d902",
        start: "ctr --namespace k8s.io run --rm --net-host \
            --cgroup /kubepods/burstable/podUID/ID MOUNTS localhost/house:latest ID ACT",
        token: None,
        listed: Listed::Before,
        executed: false,
        told: Told {
            id: "kubernetes:shop:dumper",
            origin: "kubernetes:shop/CronJob/dump",
            namespace: Some("shop"),
            name: Some("dump-29384756-lq2vz"),
            workload: Some("CronJob/dump"),
            account: Some("dumper"),
            container: Some("dump"),
        },
    },
    // The kubelet says nothing: its own token does, and the runtime's notes.
    Case {
        name: "token",
        uid: REPORTER.uid,
        start: "ctr --namespace k8s.io run --rm --net-host --runc-systemd-cgroup NOTES \
            --cgroup kubepods-besteffort-podSLICE.slice:cri-containerd:ID MOUNTS localhost/house:latest ID ACT",
        token: Some(REPORTER),
        listed: Listed::Never,
        executed: false,
        told: Told {
            id: "kubernetes:billing:reporter",
            origin: "kubernetes:billing/report-0",
            namespace: Some("billing"),
            name: Some("report-0"),
            workload: None,
            account: Some("reporter"),
            container: Some("report"),
        },
    },
    // Told of when it has acted.
    Case {
        name: "late",
        uid: "3c5d7e9f-1a2b-4c3d-8e4f-5a6b7c8d9e04",
        start: "podman run --rm --network=host --cgroup-parent=kubepods-podSLICE.slice --cidfile=/run/cid/pod-late \
            VOLUMES house ACT",
        token: None,
        listed: Listed::Later,
        executed: false,
        told: Told {
            id: "kubernetes:shop:till",
            origin: "kubernetes:shop/StatefulSet/till",
            namespace: Some("shop"),
            name: Some("till-0"),
            workload: Some("StatefulSet/till"),
            account: Some("till"),
            container: Some("till"),
        },
    },
    // A twin: whoever can write into its volume puts another's token there. It names nobody.
    Case {
        name: "stranger",
        uid: UNNAMED,
        start: "ctr --namespace k8s.io run --rm --net-host \
            --cgroup /kubepods/besteffort/podUID/ID MOUNTS localhost/house:latest ID ACT",
        token: Some(REPORTER),
        listed: Listed::Never,
        executed: false,
        told: NOTHING,
    },
    // A twin: the same program by the same runtime, in no pod, with the notes and the token of one.
    Case {
        name: "twin",
        uid: "",
        start: "ctr --namespace k8s.io run --rm --net-host NOTES MOUNTS localhost/house:latest ID ACT",
        token: Some(REPORTER),
        listed: Listed::Never,
        executed: false,
        told: NOTHING,
    },
];
