//! The kinds of findings, and what the world calls them.

/// What deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Something that no purpose of the actor allows.
    OutsidePurpose,
    /// A credential was opened by a service account that never did.
    NewActor,
    /// One secret lies in two credentials, which two service accounts use.
    SharedSecret,
    /// A person used a credential of a service.
    HumanUse,
    /// A credential was opened by a program that anybody could have put there, or that has no file.
    UntrustedProgram,
    /// After a credential, far more hosts were reached for than is usual.
    FanOut,
    /// A credential was used after its end.
    ExpiredCredential,
    /// A program was started with a secret among its arguments.
    SecretInArguments,
    /// A credential holds again what had been replaced.
    RetiredVersion,
    /// The memory of a process that holds a credential was looked into by another.
    MemoryTheft,
}

/// What a kind is called elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    /// OWASP Non-Human Identities Top 10, ids of 2025.
    pub owasp_nhi: &'static [&'static str],
    /// MITRE ATT&CK for enterprises: techniques.
    pub attack: &'static [&'static str],
    /// NIST Cybersecurity Framework 2.0: subcategories.
    pub nist_csf: &'static [&'static str],
    /// NIST SP 800-207, section 2.1: tenets of zero trust.
    pub sp_800_207: &'static [&'static str],
}

/// Everything about a kind that is the same for all findings of it.
struct About {
    name: &'static str,
    tags: Tags,
    advice: &'static str,
}

/// One row.
const fn about(
    name: &'static str,
    (owasp_nhi, attack): (&'static [&'static str], &'static [&'static str]),
    (nist_csf, sp_800_207): (&'static [&'static str], &'static [&'static str]),
    advice: &'static str,
) -> About {
    About { name, tags: Tags { owasp_nhi, attack, nist_csf, sp_800_207 }, advice }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::OutsidePurpose,
        Kind::NewActor,
        Kind::SharedSecret,
        Kind::HumanUse,
        Kind::UntrustedProgram,
        Kind::FanOut,
        Kind::ExpiredCredential,
        Kind::SecretInArguments,
        Kind::RetiredVersion,
        Kind::MemoryTheft,
    ];

    /// The one table.
    const fn about(self) -> About {
        match self {
            Kind::OutsidePurpose => about(
                "outside-purpose",
                (&["NHI5:2025"], &["T1078"]),
                (&["DE.CM-03", "PR.AA-05"], &["4", "7"]),
                "Ask the owner of the purpose. If it is right, widen the purpose; if not, replace the credential.",
            ),
            Kind::NewActor => about(
                "new-actor",
                (&["NHI3:2025", "NHI9:2025"], &["T1552.001", "T1078"]),
                (&["DE.CM-03", "DE.CM-09", "PR.AA-01"], &["4", "5"]),
                "Find out who installed or changed that account. If it is meant, declare a purpose; if not, replace the credential.",
            ),
            Kind::SharedSecret => about(
                "shared-secret",
                (&["NHI9:2025"], &["T1078"]),
                (&["PR.AA-01", "DE.AE-03"], &["5"]),
                "Give each account a credential of its own, and retire the shared one.",
            ),
            Kind::HumanUse => about(
                "human-use",
                (&["NHI10:2025"], &["T1552.001", "T1078"]),
                (&["DE.CM-03", "PR.AA-01"], &["4"]),
                "Ask the person. Replace the credential if its secret may have been seen.",
            ),
            Kind::UntrustedProgram => about(
                "untrusted-program",
                (&["NHI3:2025"], &["T1552.001", "T1105"]),
                (&["DE.CM-09", "DE.AE-02"], &["5"]),
                "Keep the file if it is still there, find out who put it there, and replace the credential.",
            ),
            Kind::FanOut => about(
                "fan-out",
                (&["NHI5:2025"], &["T1046", "T1021"]),
                (&["DE.CM-01", "DE.AE-03", "DE.AE-04"], &["4", "7"]),
                "Look at the chain's destinations. If they are not meant, stop the account and replace the credential.",
            ),
            Kind::ExpiredCredential => about(
                "expired-credential",
                (&["NHI1:2025"], &["T1078"]),
                (&["PR.AA-01"], &["4", "5"]),
                "Renew it where it is still needed, remove it where it is not.",
            ),
            Kind::SecretInArguments => about(
                "secret-in-arguments",
                (&["NHI2:2025"], &["T1552"]),
                (&["PR.AA-01", "DE.CM-09"], &["5"]),
                "Hand it over in a file or by the service manager, and replace it: every user of the host could read it.",
            ),
            Kind::RetiredVersion => about(
                "retired-version",
                (&["NHI1:2025"], &["T1550.001", "T1078"]),
                (&["PR.AA-01", "DE.AE-03"], &["4"]),
                "Find out who put the old one back. Make sure that it was revoked where it is issued.",
            ),
            Kind::MemoryTheft => about(
                "memory-theft",
                (&["NHI3:2025"], &["T1003.007"]),
                (&["DE.CM-09", "DE.AE-02"], &["5"]),
                "Find out what that program is for. Unless it is a debugger that you know, replace what the process held.",
            ),
        }
    }

    /// The name used in records and in the config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.about().name
    }

    /// What it is called elsewhere.
    #[must_use]
    pub const fn tags(self) -> Tags {
        self.about().tags
    }

    /// What to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        self.about().advice
    }

    /// Back from the name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What stands for as long as nobody changes it is told once a week; what is done, once a day.
    pub(super) const fn stands(self) -> bool {
        match self {
            Kind::SharedSecret
            | Kind::UntrustedProgram
            | Kind::ExpiredCredential
            | Kind::SecretInArguments
            | Kind::RetiredVersion => true,
            Kind::OutsidePurpose | Kind::NewActor | Kind::HumanUse | Kind::FanOut | Kind::MemoryTheft => {
                false
            }
        }
    }
    /// Whether a finding is told apart by its subject alone, whichever credentials it is about: a program that opens
    /// several is one finding.
    pub(super) const fn is_of_subject(self) -> bool {
        matches!(self, Kind::UntrustedProgram | Kind::MemoryTheft)
    }
}
