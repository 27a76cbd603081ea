//! Signed requests: flattened JWS (RFC 7515 §7.2.2) as RFC 8555 §6.2 wants it.

use super::account::AccountUrl;
use super::signer::{Jwk, Signer, SignerError};
use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

#[derive(Serialize)]
struct Protected<'a> {
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Jwk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    url: &'a str,
}

#[derive(Serialize)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

/// Signs `payload` for `url`. The key is named by `account`, or shown whole without it. An
/// empty payload makes a POST-as-GET (RFC 8555 §6.3).
pub(super) fn sign(
    signer: &dyn Signer,
    account: Option<&AccountUrl>,
    nonce: Option<&str>,
    url: &str,
    payload: &[u8],
) -> Result<Vec<u8>, SignerError> {
    let alg = signer.algorithm().to_string();
    let jwk = if account.is_none() { Some(signer.jwk()) } else { None };
    let protected = Protected { alg: &alg, jwk, kid: account.map(AccountUrl::as_str), nonce, url };
    flatten(&protected, payload, |input| signer.sign(input)).map(|jws| to_json(&jws))
}

/// The external account binding (RFC 8555 §7.3.4): the account's public key, signed with the
/// key that the CA gave out.
pub(super) fn bind(
    key_id: &str,
    hmac_key: &SecretString,
    url: &str,
    jwk: &Jwk,
) -> Result<Box<RawValue>, SignerError> {
    let key = decode_hmac_key(hmac_key)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let protected = Protected { alg: "HS256", jwk: None, kid: Some(key_id), nonce: None, url };
    let jws = flatten(&protected, &to_json(jwk), |input| Ok(hmac::sign(&key, input).as_ref().to_vec()))?;
    Ok(serde_json::value::to_raw_value(&jws).expect("a JWS of strings is JSON"))
}

fn flatten(
    protected: &Protected<'_>,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, SignerError>,
) -> Result<Flattened, SignerError> {
    let protected = BASE64URL_NOPAD.encode(&to_json(protected));
    let payload = BASE64URL_NOPAD.encode(payload);
    let signature = BASE64URL_NOPAD.encode(&sign(format!("{protected}.{payload}").as_bytes())?);
    Ok(Flattened { protected, payload, signature })
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("a structure of strings is JSON")
}

/// CAs write the key with and without padding, in either alphabet.
fn decode_hmac_key(text: &SecretString) -> Result<Zeroizing<Vec<u8>>, SignerError> {
    let mut plain = Zeroizing::new(String::with_capacity(text.expose_secret().len()));
    for character in text.expose_secret().trim().trim_end_matches('=').chars() {
        plain.push(match character {
            '+' => '-',
            '/' => '_',
            other => other,
        });
    }
    let key = BASE64URL_NOPAD.decode(plain.as_bytes()).map_err(|_| SignerError::HmacKey)?;
    if key.is_empty() { Err(SignerError::HmacKey) } else { Ok(Zeroizing::new(key)) }
}

#[cfg(test)]
mod tests {
    use super::super::signer::{Algorithm, SoftwareKey};
    use super::*;
    use crate::keys::KeyType;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    fn parts(jws: &[u8]) -> (Value, Vec<u8>, Vec<u8>, String) {
        let jws: Value = serde_json::from_slice(jws).unwrap();
        let text = |name: &str| jws[name].as_str().unwrap().to_owned();
        let decode = |name: &str| BASE64URL_NOPAD.decode(text(name).as_bytes()).unwrap();
        let input = format!("{}.{}", text("protected"), text("payload"));
        (serde_json::from_slice(&decode("protected")).unwrap(), decode("payload"), decode("signature"), input)
    }

    /// RFC 7515 appendix A.3: the key, and a signature made with it.
    #[test]
    fn the_rfc_7515_example_key_verifies_what_it_signed_and_what_we_sign() {
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
        let d = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let point = [vec![4], decode(x), decode(y)].concat();
        let pair = aws_lc_rs::signature::EcdsaKeyPair::from_private_key_and_public_key(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &decode(d),
            &point,
        )
        .unwrap();
        let key = SoftwareKey::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref()).unwrap();
        assert_eq!(
            *key.jwk(),
            Jwk::Ec { crv: "P-256".to_owned(), kty: "EC".to_owned(), x: x.to_owned(), y: y.to_owned() }
        );
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let input = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature =
            decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
        public.verify(input.as_bytes(), &signature).unwrap();

        let jws = sign(&key, None, Some("abc"), "https://ca.test/x", b"{}").unwrap();
        let (_, _, signature, input) = parts(&jws);
        public.verify(input.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn a_request_names_the_account_or_shows_the_key_but_never_both() {
        let key = SoftwareKey::generate(KeyType::Ec256).unwrap();
        let account = AccountUrl::new("https://ca.test/acct/1");
        let (by_account, payload, ..) =
            parts(&sign(&key, Some(&account), Some("n1"), "https://ca.test/o", b"").unwrap());
        assert_eq!(
            by_account,
            serde_json::json!({"alg": "ES256", "kid": "https://ca.test/acct/1", "nonce": "n1", "url": "https://ca.test/o"})
        );
        assert!(payload.is_empty(), "a POST-as-GET has an empty payload");
        let (by_key, ..) = parts(&sign(&key, None, Some("n1"), "https://ca.test/o", b"{}").unwrap());
        assert_eq!(by_key["jwk"]["kty"], "EC");
        assert!(by_key.get("kid").is_none());
        assert_eq!(key.algorithm(), Algorithm::Es256);
    }

    #[test]
    fn an_hmac_key_is_read_in_every_dialect_of_base64() {
        let octets = [0xfb, 0xff, 0xfe, 0x01];
        for text in ["-__-AQ", "-__-AQ==", "+//+AQ==", " +//+AQ\n"] {
            assert_eq!(*decode_hmac_key(&SecretString::from(text)).unwrap(), octets, "{text}");
        }
        assert_eq!(decode_hmac_key(&SecretString::from("not base64!")).unwrap_err(), SignerError::HmacKey);
        assert_eq!(decode_hmac_key(&SecretString::from("")).unwrap_err(), SignerError::HmacKey);
    }

    /// RFC 7515 appendix A.1: HS256 over the same payload, with the key given there.
    #[test]
    fn the_binding_is_an_hs256_jws_over_the_account_key() {
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let octets = decode_hmac_key(&SecretString::from(secret)).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &octets);
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let tag = BASE64URL_NOPAD.decode(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        hmac::verify(&key, input.as_bytes(), &tag).unwrap();

        let account = SoftwareKey::generate(KeyType::Ec256).unwrap();
        let bound =
            bind("kid-1", &SecretString::from(secret), "https://ca.test/new-account", account.jwk()).unwrap();
        let (protected, payload, tag, input) = parts(bound.get().as_bytes());
        assert_eq!(
            protected,
            serde_json::json!({"alg": "HS256", "kid": "kid-1", "url": "https://ca.test/new-account"})
        );
        assert_eq!(payload, to_json(account.jwk()));
        hmac::verify(&key, input.as_bytes(), &tag).unwrap();
    }
}
