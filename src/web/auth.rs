//! Bearer tokens, known by their SHA-256 only, and the roles they carry.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use axum::http::{HeaderMap, header};

use super::problem::Problem;
use crate::config::{Role, TokenConfig};

/// Who makes a request. Put into the request by the layer that knows, read by the handlers.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub name: String,
    pub role: Role,
}

impl Caller {
    /// Whoever may open the control socket's file may do everything.
    pub fn local() -> Self {
        Self { name: "local".to_owned(), role: Role::Admin }
    }

    pub fn authenticate(headers: &HeaderMap, tokens: &[TokenConfig]) -> Result<Self, Problem> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Problem::Unauthenticated)?;
        let digest = hex::encode(Sha256::digest(given.as_bytes()));
        // Every token is compared, in constant time: how long it takes tells nothing.
        let mut found = None;
        for token in tokens {
            if bool::from(token.sha256.as_bytes().ct_eq(digest.as_bytes())) {
                found = Some(Self { name: token.name.clone(), role: token.role });
            }
        }
        found.ok_or(Problem::Unauthenticated)
    }

    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::Forbidden(match role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, secret: &str, role: Role) -> TokenConfig {
        TokenConfig { name: name.into(), sha256: hex::encode(Sha256::digest(secret)), role }
    }

    fn authenticate(authorization: &str) -> Result<Caller, Problem> {
        let tokens = [token("crib", "s3cret", Role::Operator), token("wall", "other", Role::Viewer)];
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        Caller::authenticate(&headers, &tokens)
    }

    #[test]
    fn a_token_is_known_by_its_hash() {
        assert_eq!(authenticate("Bearer s3cret").unwrap().name, "crib");
        assert_eq!(authenticate("bearer other").unwrap().name, "wall");
    }

    #[test]
    fn anything_else_is_unauthenticated() {
        let hash = hex::encode(Sha256::digest("s3cret"));
        for wrong in ["Bearer wrong", "Bearer", "Basic s3cret", "s3cret", &format!("Bearer {hash}")] {
            assert!(matches!(authenticate(wrong), Err(Problem::Unauthenticated)), "{wrong}");
        }
    }

    #[test]
    fn a_role_includes_those_below_it() {
        let operator = Caller { name: "x".into(), role: Role::Operator };
        assert!(operator.require(Role::Viewer).is_ok());
        assert!(operator.require(Role::Operator).is_ok());
        assert!(matches!(operator.require(Role::Admin), Err(Problem::Forbidden("admin"))));
    }
}
