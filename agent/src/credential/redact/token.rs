//! Secrets that can be told by their looks.

/// A form of token: what it begins with, how many characters follow at least, which these are, and what it is.
struct Form(&'static str, usize, Set, &'static str);

#[derive(Clone, Copy)]
enum Set {
    /// Letters and digits.
    Plain,
    /// And `_`, `-`.
    Word,
    /// And `.`, `~`, `+`, `/`, `=`.
    Wide,
}

impl Set {
    fn has(self, byte: u8) -> bool {
        match self {
            Set::Plain => byte.is_ascii_alphanumeric(),
            Set::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Set::Wide => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'+' | b'/' | b'=')
            }
        }
    }
}

/// By prefix; <https://github.com/gitleaks/gitleaks> keeps most of them.
const FORMS: &[Form] = &[
    Form("ghp_", 16, Set::Plain, "github-token"),
    Form("gho_", 16, Set::Plain, "github-token"),
    Form("ghu_", 16, Set::Plain, "github-token"),
    Form("ghs_", 16, Set::Plain, "github-token"),
    Form("ghr_", 16, Set::Plain, "github-token"),
    Form("github_pat_", 16, Set::Word, "github-token"),
    Form("glpat-", 12, Set::Wide, "gitlab-token"),
    Form("gldt-", 12, Set::Wide, "gitlab-token"),
    Form("glrt-", 12, Set::Wide, "gitlab-token"),
    Form("glcbt-", 12, Set::Wide, "gitlab-token"),
    Form("glptt-", 12, Set::Wide, "gitlab-token"),
    Form("gloas-", 12, Set::Wide, "gitlab-token"),
    Form("glft-", 12, Set::Wide, "gitlab-token"),
    Form("glagent-", 12, Set::Wide, "gitlab-token"),
    Form("glsoat-", 12, Set::Wide, "gitlab-token"),
    Form("glimt-", 12, Set::Wide, "gitlab-token"),
    Form("glffct-", 12, Set::Wide, "gitlab-token"),
    Form("GR1348941", 12, Set::Word, "gitlab-token"),
    Form("npm_", 20, Set::Plain, "npm-token"),
    Form("pypi-", 20, Set::Word, "pypi-token"),
    Form("rubygems_", 16, Set::Plain, "rubygems-token"),
    Form("xoxb-", 10, Set::Word, "slack-token"),
    Form("xoxp-", 10, Set::Word, "slack-token"),
    Form("xoxe-", 10, Set::Word, "slack-token"),
    Form("xoxe.", 10, Set::Wide, "slack-token"),
    Form("xoxa-", 10, Set::Word, "slack-token"),
    Form("xoxr-", 10, Set::Word, "slack-token"),
    Form("xoxs-", 10, Set::Word, "slack-token"),
    Form("xapp-", 10, Set::Word, "slack-token"),
    Form("sk_live_", 10, Set::Plain, "stripe-key"),
    Form("sk_test_", 10, Set::Plain, "stripe-key"),
    Form("rk_live_", 10, Set::Plain, "stripe-key"),
    Form("rk_test_", 10, Set::Plain, "stripe-key"),
    Form("hvs.", 16, Set::Word, "vault-token"),
    Form("hvb.", 16, Set::Word, "vault-token"),
    Form("hvr.", 16, Set::Word, "vault-token"),
    Form("s.", 24, Set::Plain, "vault-token"),
    Form("sk-ant-", 10, Set::Word, "anthropic-key"),
    Form("sk-proj-", 16, Set::Word, "openai-key"),
    Form("sk-svcacct-", 16, Set::Word, "openai-key"),
    Form("sk-admin-", 16, Set::Word, "openai-key"),
    Form("sk-", 32, Set::Plain, "api-key"),
    Form("hf_", 20, Set::Plain, "huggingface-token"),
    Form("api_org_", 20, Set::Plain, "huggingface-token"),
    Form("dop_v1_", 16, Set::Plain, "digitalocean-token"),
    Form("doo_v1_", 16, Set::Plain, "digitalocean-token"),
    Form("dor_v1_", 16, Set::Plain, "digitalocean-token"),
    Form("glc_", 24, Set::Wide, "grafana-token"),
    Form("glsa_", 24, Set::Word, "grafana-token"),
    Form("AIza", 30, Set::Word, "google-key"),
    Form("ya29.", 16, Set::Wide, "google-token"),
    Form("AKCp", 20, Set::Plain, "jfrog-key"),
    Form("dapi", 30, Set::Word, "databricks-token"),
    Form("pul-", 30, Set::Plain, "pulumi-token"),
    Form("PMAK-", 20, Set::Word, "postman-key"),
    Form("SG.", 30, Set::Wide, "sendgrid-key"),
    Form("sntrys_", 20, Set::Wide, "sentry-token"),
    Form("sntryu_", 20, Set::Plain, "sentry-token"),
    Form("lin_api_", 20, Set::Plain, "linear-key"),
    Form("ntn_", 30, Set::Plain, "notion-token"),
    Form("ops_", 40, Set::Wide, "1password-token"),
    Form("AGE-SECRET-KEY-1", 10, Set::Plain, "age-key"),
    Form("sha256~", 20, Set::Word, "openshift-token"),
    Form("dp.pt.", 20, Set::Plain, "doppler-token"),
    Form("dp.st.", 20, Set::Wide, "doppler-token"),
    Form("fo1_", 20, Set::Word, "fly-token"),
    Form("fm1_", 20, Set::Wide, "fly-token"),
    Form("fm2_", 20, Set::Wide, "fly-token"),
    Form("HRKU-AA", 20, Set::Word, "heroku-key"),
    Form("ABSK", 40, Set::Wide, "bedrock-key"),
    Form("bedrock-api-key-", 16, Set::Wide, "bedrock-key"),
    Form("tskey-", 16, Set::Word, "tailscale-key"),
];

/// The token that begins here: its length and what it is.
pub(super) fn token(text: &[u8]) -> Option<(usize, &'static str)> {
    if text.starts_with(b"eyJ") {
        return jwt(text).map(|length| (length, "jwt"));
    }
    FORMS.iter().find_map(|Form(prefix, least, set, what)| {
        let rest = text.strip_prefix(prefix.as_bytes())?;
        let length = rest.iter().take_while(|byte| set.has(**byte)).count();
        (length >= *least).then_some((prefix.len() + length, *what))
    })
}

/// Two parts at least: a signature may be cut off.
fn jwt(text: &[u8]) -> Option<usize> {
    let length = text.iter().take_while(|byte| Set::Word.has(**byte) || **byte == b'.').count();
    let token = text.get(..length)?;
    let mut parts = token.split(|byte| *byte == b'.');
    let (head, body) = (parts.next()?, parts.next()?);
    (head.len() >= 10 && body.len() >= 4).then_some(length)
}

/// A private key: its length.
pub(super) fn private_key(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"-----BEGIN ")?;
    let label = find(rest.get(..rest.len().min(80))?, b"-----")?;
    find(rest.get(..label)?, b"PRIVATE KEY")?;
    let body = text.get(11 + label + 5..)?;
    let Some(end) = find(body, b"-----END ") else {
        return Some(text.len());
    };
    let start = text.len() - body.len() + end + 9;
    let close = find(text.get(start..)?, b"-----");
    Some(close.map_or(text.len(), |close| start + close + 5))
}

pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
