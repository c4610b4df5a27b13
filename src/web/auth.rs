//! Bearer tokens, known by their SHA-256 only, with the roles and the sites they carry.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::config::{Role, TokenConfig, TokenList};
use crate::domain::orders::Scope;
use crate::domain::time::Timestamp;

/// Who makes a request. Put into the request by the layer that knows, read by the handlers.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub name: Arc<str>,
    pub role: Role,
    pub scope: Scope,
    /// What let them in; `None` on the control socket.
    token: Option<Arc<TokenConfig>>,
}

impl Caller {
    /// Whoever may open the control socket's file may do everything.
    pub fn local() -> Self {
        Self { name: "local".into(), role: Role::Admin, scope: Scope::Everywhere, token: None }
    }

    fn of(token: &Arc<TokenConfig>) -> Self {
        let scope = match &token.sites {
            Some(sites) => Scope::Sites(Arc::new(sites.iter().cloned().collect())),
            None => Scope::Everywhere,
        };
        Self { name: token.name.as_str().into(), role: token.role, scope, token: Some(token.clone()) }
    }

    /// Whether they would be let in again, as the same.
    pub fn is_still_let_in(&self, tokens: &TokenList, now: Timestamp) -> bool {
        let Some(token) = &self.token else { return true };
        token.expires.is_none_or(|end| now < end) && tokens.now().contains(token)
    }

    pub fn authenticate(
        headers: &HeaderMap,
        tokens: &[Arc<TokenConfig>],
        now: Timestamp,
    ) -> Result<Self, Problem> {
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
                found = Some(token);
            }
        }
        let valid = found.filter(|token| token.expires.is_none_or(|end| now < end));
        valid.map(Self::of).ok_or(Problem::Unauthenticated)
    }

    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role { Ok(()) } else { Err(Problem::Forbidden(role.as_str())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SiteId;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn token(name: &str, secret: &str, role: Role) -> TokenConfig {
        let sha256 = hex::encode(Sha256::digest(secret));
        TokenConfig { name: name.into(), sha256, role, sites: None, expires: None }
    }

    fn authenticate(authorization: &str) -> Result<Caller, Problem> {
        let ended = TokenConfig { expires: Some(NOW), ..token("old", "ended", Role::Admin) };
        let lasting = TokenConfig { expires: Some(NOW.offset(1)), ..token("new", "lasts", Role::Admin) };
        let sites = Some(vec![SiteId::new("leeds")]);
        let leeds = TokenConfig { sites, ..token("leeds", "there", Role::Operator) };
        let tokens = [
            token("crib", "s3cret", Role::Operator),
            token("wall", "other", Role::Viewer),
            ended,
            lasting,
            leeds,
        ];
        let tokens = tokens.map(Arc::new);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        Caller::authenticate(&headers, &tokens, NOW)
    }

    #[test]
    fn a_token_is_known_by_its_hash() {
        assert_eq!(&*authenticate("Bearer s3cret").unwrap().name, "crib");
        assert_eq!(&*authenticate("bearer other").unwrap().name, "wall");
    }

    #[test]
    fn anything_else_is_unauthenticated() {
        let hash = hex::encode(Sha256::digest("s3cret"));
        for wrong in ["Bearer wrong", "Bearer", "Basic s3cret", "s3cret", &format!("Bearer {hash}")] {
            assert!(matches!(authenticate(wrong), Err(Problem::Unauthenticated)), "{wrong}");
        }
    }

    #[test]
    fn who_is_in_goes_when_the_token_does() {
        let tokens = TokenList::new([token("crib", "s3cret", Role::Operator)]);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Bearer s3cret".parse().unwrap());
        let caller = Caller::authenticate(&headers, &tokens.now(), NOW).unwrap();
        let held = tokens.clone();
        assert!(caller.is_still_let_in(&held, NOW));
        // The same token with another role is another caller.
        for other in [vec![token("crib", "s3cret", Role::Viewer)], Vec::new()] {
            tokens.become_those_of(&TokenList::new(other));
            assert!(!caller.is_still_let_in(&held, NOW));
        }
        assert!(Caller::authenticate(&headers, &held.now(), NOW).is_err());
        assert!(Caller::local().is_still_let_in(&held, NOW));
    }

    #[test]
    fn a_token_ends_at_its_time() {
        assert!(matches!(authenticate("Bearer ended"), Err(Problem::Unauthenticated)));
        assert_eq!(&*authenticate("Bearer lasts").unwrap().name, "new");
    }

    #[test]
    fn a_token_covers_its_sites_and_nothing_else() {
        let (leeds, hamburg) = (SiteId::new("leeds"), SiteId::new("hamburg"));
        let scope = authenticate("Bearer there").unwrap().scope;
        assert!(scope.covers(Some(&leeds)) && !scope.covers(Some(&hamburg)) && !scope.covers(None));
        let everywhere = authenticate("Bearer s3cret").unwrap().scope;
        assert!(everywhere.covers(Some(&hamburg)) && everywhere.covers(None));
    }

    #[test]
    fn a_role_includes_those_below_it() {
        let operator = authenticate("Bearer s3cret").unwrap();
        assert!(operator.require(Role::Viewer).is_ok());
        assert!(operator.require(Role::Operator).is_ok());
        assert!(matches!(operator.require(Role::Admin), Err(Problem::Forbidden("admin"))));
    }
}
