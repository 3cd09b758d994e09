"""People go, companies close, sessions end."""

from scripts.collection_files.step import Chapter, Step
from scripts.collection_files.story.people import COLLEAGUE, NEW_PASSWORD, PASSWORD

ENDING = Chapter(
    "12. People go",
    "Members leave or are taken out, a company is closed, and a session ends. What was revoked opens nothing any more.",
    (
        Step("tenant.leave", "Bruno leaves", token=COLLEAGUE),
        Step(
            "tenant.offer_membership",
            "Ana asks him back",
            {"email": "{{colleagueEmail}}", "role": "admin"},
            keeps={"offerId": "offer.id"},
        ),
        Step(
            "auth.login",
            "Bruno logs in, at home",
            {"email": "{{colleagueEmail}}", "password": PASSWORD},
            keeps={COLLEAGUE: "access_token"},
        ),
        Step("tenant.accept_offer", "He comes back", token=COLLEAGUE),
        Step("tenant.remove_member", "She thinks again"),
        Step(
            "tenant.offer_membership",
            "She asks once more",
            {"email": "{{colleagueEmail}}"},
            keeps={"offerId": "offer.id"},
        ),
        Step(
            "tenant.decline_offer",
            "He has had enough",
            about="Ana is not told, and cannot ask again for 30 days.",
            token=COLLEAGUE,
        ),
        Step("tenant.list_offers", "It looks as if he had not answered", shows={"total": 1}),
        Step(
            "tenant.remove_member",
            "A company keeps an owner",
            at={"user_id": "{{ownerId}}"},
            status=409,
            code="last_owner",
        ),
        Step(
            "tenant.create_tenant",
            "Ana opens a second company",
            {"name": "Confeitaria da Ana"},
            keeps={"branchId": "tenant.id"},
        ),
        Step(
            "auth.switch_tenant",
            "She goes there",
            {"tenant_id": "{{branchId}}"},
            "The answer holds a token for the other company; the first one goes on.",
            keeps={"branchToken": "access_token"},
        ),
        Step("tenant.deactivate_tenant", "She closes it", at={"tenant_id": "{{branchId}}"}, token="branchToken"),
        Step(
            "auth.login",
            "She logs in anew",
            {"email": "{{email}}", "password": NEW_PASSWORD, "tenant_id": "{{tenantId}}"},
            keeps={"accessToken": "access_token", "refreshToken": "refresh_token"},
        ),
        Step(
            "tenant.activate_tenant",
            "Only an administrator of the platform can open it again",
            at={"tenant_id": "{{branchId}}"},
            status=403,
            code="forbidden",
        ),
        Step("auth.logout", "Ana logs out", {"scope": "global"}, "`local` would end this session only."),
        Step(
            "auth.validate_token",
            "Her token holds no more",
            {"token": "{{accessToken}}"},
            members=("valid", "reason"),
            shows={"valid": False},
        ),
        Step(
            "auth.refresh",
            "Nor does her refresh token",
            {"refresh_token": "{{refreshToken}}"},
            status=401,
            code="session_ended",
        ),
    ),
)

CHAPTERS = (ENDING,)
