//! The files by which one gateway logs in to NATS. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mudgateway_identity::{Issuer, JwtError, Subject, Validity, issue, renewal};

/// The file with the credentials.
pub const CREDENTIALS: &str = "nats.creds";
/// The file with the certificates of which one has signed the server's.
pub const CA: &str = "ca.crt";
/// The file with the certificate that the gateway shows.
pub const CERTIFICATE: &str = "tls.crt";
/// The file with its key.
pub const KEY: &str = "tls.key";

/// What the files are made of.
pub struct Materials {
    /// Who signs an identity for each gateway; none: all have the same credentials, or none.
    pub issuer: Option<Issuer>,
    /// The credentials of all gateways, where nobody signs.
    pub shared: Option<String>,
    /// The certificates by which the server is known.
    pub ca: Option<String>,
    /// The certificate that gateways show.
    pub certificate: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// For how long an identity is made.
    pub validity: Validity,
}

/// The files of one gateway, by their names. They are secret, so their `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GatewayFiles {
    /// The files; empty when a gateway needs none.
    pub texts: BTreeMap<&'static str, String>,
    /// When they are to be made anew; none: not before something changes.
    pub renew_in: Option<Duration>,
    /// Whether there is an identity in them that was not there before.
    pub issued: bool,
}

impl fmt::Debug for GatewayFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.texts.keys()).finish()
    }
}

/// The files of one gateway, which keeps the credentials it has for half of their time.
///
/// # Errors
/// [`JwtError`] when the key does not sign.
pub fn gateway_files(
    materials: &Materials,
    subject: &Subject<'_>,
    current: Option<&str>,
    random: [u8; 32],
) -> Result<GatewayFiles, JwtError> {
    let mut files = GatewayFiles::default();
    let credentials = match &materials.issuer {
        None => materials.shared.clone(),
        Some(issuer) => {
            let left = renewal(current, issuer, subject, materials.validity);
            files.issued = left.is_none();
            let left = left.unwrap_or(materials.validity.lasts / 2);
            files.renew_in = Some(Duration::from_secs(left.max(1).unsigned_abs()));
            match current.filter(|_| !files.issued) {
                Some(current) => Some(current.to_owned()),
                None => Some(issue(issuer, subject, materials.validity, random)?),
            }
        }
    };
    let Materials { ca, certificate, key, .. } = materials;
    for (name, text) in [
        (CREDENTIALS, credentials.as_ref()),
        (CA, ca.as_ref()),
        (CERTIFICATE, certificate.as_ref()),
        (KEY, key.as_ref()),
    ] {
        if let Some(text) = text {
            files.texts.insert(name, text.clone());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use mudgateway_identity::{Authority, Seeds, signing_key};

    use super::*;

    const LUMINARI: Subject<'static> =
        Subject { network: "*i4", mud: "LuminariMUD", namespace: "tenant-a", name: "luminari" };

    fn materials(now: i64) -> Materials {
        let seeds = Seeds { signing: [1; 32], ..Seeds::new([[0; 32]; 8]) };
        let authority = Authority::new(&seeds, 0, &[]).unwrap();
        let (seed, account) = signing_key(&authority.signing_key);
        Materials {
            issuer: Some(Issuer::new(seed, account.unwrap()).unwrap()),
            shared: Some("ann:hunter2".to_owned()),
            ca: Some("the CA".to_owned()),
            certificate: None,
            key: None,
            validity: Validity { now, lasts: 86_400 },
        }
    }

    #[test]
    fn an_identity_is_made_once_and_again_at_half_of_its_time() {
        let first = gateway_files(&materials(1000), &LUMINARI, None, [7; 32]).unwrap();
        assert!(first.issued && first.renew_in == Some(Duration::from_secs(43_200)));
        assert_eq!(first.texts.keys().copied().collect::<Vec<_>>(), [CA, CREDENTIALS]);
        let current = first.texts.get(CREDENTIALS).map(String::as_str);
        let later = gateway_files(&materials(11_000), &LUMINARI, current, [8; 32]).unwrap();
        assert!(!later.issued && later.renew_in == Some(Duration::from_secs(33_200)));
        assert_eq!(later.texts, first.texts);
        let renewed = gateway_files(&materials(1000 + 43_200), &LUMINARI, current, [8; 32]).unwrap();
        assert!(renewed.issued && renewed.texts != first.texts);
        assert!(!format!("{renewed:?}").contains("BEGIN"));
    }

    #[test]
    fn where_nobody_signs_all_have_the_same_login_or_none() {
        let materials = Materials { issuer: None, ..materials(0) };
        let files = gateway_files(&materials, &LUMINARI, Some("old"), [0; 32]).unwrap();
        assert_eq!(files.texts.get(CREDENTIALS).map(String::as_str), Some("ann:hunter2"));
        assert_eq!((files.renew_in, files.issued), (None, false));
        let none = Materials { shared: None, ca: None, ..materials };
        assert_eq!(gateway_files(&none, &LUMINARI, None, [0; 32]).unwrap(), GatewayFiles::default());
    }
}
