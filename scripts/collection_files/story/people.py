"""Ana registers her bakery, and Bruno comes to work there."""

from scripts.collection_files.step import FRESH, NOBODY, Chapter, Step

PASSWORD = "correct horse battery"
NEW_PASSWORD = "correct horse battery staple"
COLLEAGUE_AT_HOME = "colleagueHomeToken"
COLLEAGUE = "colleagueToken"
UNKNOWN = "0197a3c0-0000-7000-8000-000000000001"

ANA = {"name": "Ana Souza", "password": PASSWORD, "organization_name": "Padaria Alicerce"}
BRUNO = {"name": "Bruno Lima", "email": f"bruno.{FRESH}@example.com", "password": PASSWORD}

REGISTRATION = Chapter(
    "1. A company registers",
    "Ana registers, and with her comes a tenant, her company, of which she is the owner. She logs in; the access token "
    "of that answer goes with every request from then on.",
    (
        Step(
            "auth.register",
            "Ana registers her bakery",
            {**ANA, "email": f"ana.{FRESH}@example.com"},
            "Nobody needs to be logged in for this. The address is random, so that the story can be told again.",
            shows={"user.name": "Ana Souza"},
            keeps={"email": "user.email"},
        ),
        Step(
            "auth.register",
            "The same address cannot register twice",
            {**ANA, "email": "{{email}}"},
            "Every refusal is an RFC 9457 problem document: `message` says what to do, `code` is for programs.",
            status=409,
            code="email_taken",
        ),
        Step(
            "auth.register",
            "An address has to be one",
            {**ANA, "email": "ana at example"},
            "What was understood but cannot be accepted is 422, with `errors` by field.",
            status=422,
            code="validation_error",
        ),
        Step(
            "auth.login",
            "A wrong password opens nothing",
            {"email": "{{email}}", "password": "not the password"},
            status=401,
            code="invalid_credentials",
        ),
        Step("auth.me", "Without a token, nobody is anybody", token=NOBODY, status=401, code="unauthenticated"),
        Step(
            "auth.login",
            "Ana logs in",
            {"email": "{{email}}", "password": PASSWORD},
            "The access token lives for half an hour, the refresh token brings a new pair.",
            shows={"token_type": "bearer"},
            keeps={"accessToken": "access_token", "refreshToken": "refresh_token", "tenantId": "tenant_id"},
        ),
        Step("auth.me", "Who am I?", shows={"tenants[0].role": "owner"}, keeps={"ownerId": "user.id"}),
        Step(
            "auth.validate_token",
            "Does my token hold?",
            {"token": "{{accessToken}}"},
            "For programs that were given a token and do not want to check its signature themselves.",
            members=("valid", "permissions"),
            shows={"valid": True},
        ),
        Step("auth.jwks", "The keys for those who check by themselves", shows={"keys[0].kty": "OKP"}),
        Step(
            "auth.refresh",
            "A new pair of tokens",
            {"refresh_token": "{{refreshToken}}"},
            "A refresh token works once. Used again, it ends the session: somebody has copied it.",
            keeps={"accessToken": "access_token", "refreshToken": "refresh_token"},
        ),
        Step(
            "auth.change_password",
            "Ana changes her password",
            {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        ),
    ),
)

TENANT = Chapter(
    "2. The company and its people",
    "A tenant has a name, settings and members. Members have one of four roles: viewer, member, admin, owner.",
    (
        Step("tenant.list_tenants", "My companies", shows={"total": 1}),
        Step("tenant.get_tenant", "My company", shows={"tenant.name": "Padaria Alicerce"}),
        Step(
            "tenant.get_tenant",
            "Somebody else's company does not exist",
            about="What belongs to another tenant answers exactly as what never was: 404.",
            at={"tenant_id": UNKNOWN},
            status=404,
            code="no_such_tenant",
        ),
        Step("tenant.update_tenant", "It gets a better name", {"name": "Padaria da Ana"}, shows={"tenant.version": 2}),
        Step("tenant.get_settings", "Its settings, defaults included"),
        Step(
            "tenant.update_settings",
            "Weeks begin on Monday",
            {"timezone": "America/Sao_Paulo", "week_starts_on": "monday"},
            shows={"settings.week_starts_on": "monday"},
        ),
        Step(
            "tenant.offer_membership",
            "Ana asks somebody, with a slip of the pen",
            {"email": f"bruna.{FRESH}@example.com", "role": "viewer"},
            "The answer is the same whether or not anybody has registered with this address.",
            shows={"offer.state": "pending"},
            keeps={"offerId": "offer.id"},
        ),
        Step("tenant.list_offers", "Whom she has asked", shows={"total": 1}),
        Step("tenant.withdraw_offer", "She takes it back"),
        Step(
            "auth.register",
            "Bruno registers",
            BRUNO,
            keeps={"colleagueEmail": "user.email", "userId": "user.id"},
        ),
        Step(
            "tenant.offer_membership",
            "Bruno is asked, and may look",
            {"email": "{{colleagueEmail}}", "role": "viewer"},
            "An owner is made later, by a change of role.",
            shows={"offer.role": "viewer"},
        ),
        Step("tenant.list_members", "Nobody is a member before he accepts", shows={"total": 1}),
        Step(
            "auth.login",
            "Bruno logs in",
            {"email": "{{colleagueEmail}}", "password": PASSWORD},
            "He gets to a company of his own.",
            keeps={COLLEAGUE_AT_HOME: "access_token"},
        ),
        Step(
            "tenant.list_received_offers",
            "He sees who asks him",
            token=COLLEAGUE_AT_HOME,
            shows={"total": 1, "offers[0].offered_by_name": "Ana Souza"},
            keeps={"offerId": "offers[0].id"},
        ),
        Step("tenant.accept_offer", "He accepts", token=COLLEAGUE_AT_HOME, shows={"membership.role": "viewer"}),
        Step("tenant.list_members", "Who works here", shows={"total": 2}),
        Step(
            "auth.login",
            "Bruno logs in, for Ana's company",
            {"email": "{{colleagueEmail}}", "password": PASSWORD, "tenant_id": "{{tenantId}}"},
            "He has a company of his own, too; without `tenant_id` he would get there.",
            keeps={COLLEAGUE: "access_token"},
        ),
        Step("customer.list_customers", "A viewer may read", token=COLLEAGUE, shows={"total": 0}),
        Step(
            "customer.create_customer",
            "A viewer may not write",
            {"name": "Mercado São João"},
            token=COLLEAGUE,
            status=403,
            code="forbidden",
        ),
        Step(
            "tenant.change_role",
            "Bruno may write from now on",
            {"role": "member"},
            "His old token ends within a second, because it says viewer.",
            shows={"member.role": "member"},
        ),
        Step(
            "auth.login",
            "Bruno logs in as a member",
            {"email": "{{colleagueEmail}}", "password": PASSWORD, "tenant_id": "{{tenantId}}"},
            keeps={COLLEAGUE: "access_token"},
        ),
    ),
)

CHAPTERS = (REGISTRATION, TENANT)
