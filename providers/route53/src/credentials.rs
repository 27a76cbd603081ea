//! Where the access key comes from: references of our own, the SDK's chain, and a role taken on
//! with either.

use crate::config::{Config, Role, Source};
use crate::transport;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use dns01_provider::SecretRef;
use secrecy::ExposeSecret as _;
use std::time::{Duration, SystemTime};

/// The service is global, and its region is this one, except in other partitions.
const REGION: &str = "us-east-1";
/// The time that the search for credentials may take: metadata services that are not there are
/// asked several times.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(20);

/// The service's client with the credentials of `config`. Files may be read; nothing is sent.
pub(crate) async fn client(config: &Config) -> aws_sdk_route53::Client {
    let base = base(config).await;
    let mut builder = aws_sdk_route53::config::Builder::from(&base);
    if let Some(url) = &config.endpoint_url {
        builder.set_endpoint_url(Some(url.clone()));
    }
    if let Some(role) = &config.role {
        let session = Session::new(&base, role, config);
        builder.set_credentials_provider(Some(SharedCredentialsProvider::new(session)));
        builder.set_identity_cache(cache());
    }
    aws_sdk_route53::Client::from_conf(builder.build())
}

/// What the clients of all services share.
async fn base(config: &Config) -> SdkConfig {
    let http = transport::http_client();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .region(region(config, &ProviderConfig::without_region().with_http_client(http)))
        // Calls are repeated by the layer above, which counts them.
        .retry_config(RetryConfig::disabled());
    let loader = match &config.source {
        Source::Keys(keys) => {
            // Read at each use, so that a key that was changed takes effect.
            loader.credentials_provider(keys.clone()).identity_cache(IdentityCache::no_cache())
        }
        Source::Chain { profile: Some(profile) } => loader.profile_name(profile).identity_cache(cache()),
        Source::Chain { profile: None } => loader.identity_cache(cache()),
        Source::WebIdentity { .. } => loader.no_credentials(),
    };
    loader.load().await
}

fn cache() -> aws_sdk_route53::config::SharedIdentityCache {
    IdentityCache::lazy().load_timeout(SEARCH_TIMEOUT).build()
}

/// The region that is configured, or what the usual places say. Instance metadata is not among
/// them: where there is none it would be waited for.
fn region(config: &Config, provider: &ProviderConfig) -> RegionProviderChain {
    let mut profile = ProfileFileRegionProvider::builder().configure(provider);
    if let Source::Chain { profile: Some(name) } = &config.source {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(config.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build())
        .or_else(Region::from_static(REGION))
}

/// References to an access key.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Its public half.
    pub access_key_id: SecretRef,
    /// Its secret half.
    pub secret_access_key: SecretRef,
    /// What temporary keys have beside it.
    pub session_token: Option<SecretRef>,
}

impl Keys {
    async fn read(&self) -> provider::Result {
        let read = async |secret: &SecretRef| secret.read().await.map_err(CredentialsError::not_loaded);
        let key = Credentials::builder()
            .access_key_id(read(&self.access_key_id).await?.expose_secret())
            .secret_access_key(read(&self.secret_access_key).await?.expose_secret())
            .provider_name("dns01");
        Ok(match &self.session_token {
            Some(token) => key.session_token(read(token).await?.expose_secret()).build(),
            None => key.build(),
        })
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.read())
    }
}

/// Temporary keys of a role, from the token service.
#[derive(Debug)]
struct Session {
    sts: aws_sdk_sts::Client,
    role: Role,
    /// The token of a web identity, in place of an access key.
    web_identity: Option<SecretRef>,
}

impl Session {
    fn new(base: &SdkConfig, role: &Role, config: &Config) -> Self {
        let mut builder = aws_sdk_sts::config::Builder::from(base);
        if let Some(url) = &config.sts_endpoint_url {
            builder.set_endpoint_url(Some(url.clone()));
        }
        let web_identity = match &config.source {
            Source::WebIdentity { token } => Some(token.clone()),
            Source::Keys(_) | Source::Chain { .. } => None,
        };
        Self { sts: aws_sdk_sts::Client::from_conf(builder.build()), role: role.clone(), web_identity }
    }

    async fn begin(&self) -> provider::Result {
        let given = match &self.web_identity {
            Some(token) => {
                let token = token.read().await.map_err(CredentialsError::not_loaded)?;
                let call = self
                    .sts
                    .assume_role_with_web_identity()
                    .role_arn(&self.role.arn)
                    .role_session_name(&self.role.session_name)
                    .web_identity_token(token.expose_secret());
                call.send().await.map_err(CredentialsError::provider_error)?.credentials
            }
            None => {
                let call = self
                    .sts
                    .assume_role()
                    .role_arn(&self.role.arn)
                    .role_session_name(&self.role.session_name)
                    .set_external_id(self.role.external_id.clone());
                call.send().await.map_err(CredentialsError::provider_error)?.credentials
            }
        };
        let given = given.ok_or_else(|| CredentialsError::unhandled("the token service gave no keys"))?;
        let ends = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
        let key = Credentials::builder()
            .access_key_id(given.access_key_id)
            .secret_access_key(given.secret_access_key)
            .session_token(given.session_token)
            .expiry(ends);
        Ok(key.provider_name("dns01").build())
    }
}

impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.begin())
    }
}
