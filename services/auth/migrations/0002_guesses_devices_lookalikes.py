"""Count guesses, know devices, and keep identifiers by their key."""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Frozen as they were: what this revision writes must not change with the service's code.
LOOKALIKES = {
    "-": "‐‒–—⁃ⲻ",
    "2": "ƨϩᒿꙅꛯꝛ",
    "3": "ȝɜʒзӡⳍꝫ\U000118ca\U00016f3b",
    "4": "ꮞ\U000118cf",
    "5": "\U000118db",
    "6": "бⳓꮾ",
    "7": "\U000104fa",
    "8": "ȣ৪੪\U0001031a",
    "9": "৭੧୨൭ⳋꝯ\U000118cc\U000118d6",
    "a": "ɑαаᗅꓮꭺ\U000102a0\U00016f40",
    "b": "ƅβвьᏼᑲᖯᗷꓐꞵꮟ\U00010282\U000102a1\U00010301",
    "c": "ςсᴄⲥꓚꮯ\U000102a2\U00010302\U0001043d\U0001051c\U000118e9\U000118f2",
    "d": "ԁᑯᗞᗪꓒꓓꭰꮷ",
    "e": "εеҽⴹꓰꬲꭼ\U00010286\U000118c6\U000118ce",
    "f": "ϝքᖴẝꓝꞙꬵ\U00010287\U000102a5\U00010525\U000118c2",
    "g": "ƍɡԍցᏻᶃꓖꮐ",
    "h": "ηнһհᕼⲏꓧꮋꮒ\U000102cf",
    "i": "ıɩɪιіꙇꭵ\U000118c3",
    "j": "ʝϳјᒍꓙꭻ",
    "k": "κкᛕⲕꓗꮶ\U00010518",
    "l": "ǀӏ۱ᒪᛁⲓⳑⵏꓡꓲꮮ\U0001028a\U00010309\U00010320\U00010443\U00010526\U000118d2\U00016f16\U00016f28",
    "m": "μϻмᗰᛖⲙꓟꮇ\U000102b0\U00010311",
    "n": "ոռⲛꓠ\U00010513",
    "o": (
        "οσоօ۵०০੦૦ଠ୦௦౦೦ഠ൦๐໐ဝ၀ჿዐᴏᴑⲟⵔ〇ꓳꬽ\U00010292\U000102ab\U0001042c\U000104ea\U00010516\U000114d0"
        "\U000118c8\U000118d5\U000118d7\U000118e0"
    ),
    "p": "ρрᑭⲣꓑꮲ\U00010295",
    "q": "ԛգզⵕ",
    "r": "ʀгᖇᴦⲅꓣꭇꭈꭱꮁꮢ\U000104dc\U00016f35",
    "s": "ƽѕտꓢꜱꮥꮪ\U00010296\U00010448\U000118c1\U00016f3a",
    "t": "τтⲧꓔꭲ\U00010297\U000102b1\U00010315\U00016f0a",
    "u": "ʋսሀᑌᴜꓴꞟꭎꭒ\U000104f6\U000118d8\U00016f42",
    "v": "νѵ۷ᐯᴠⴸꓦꛟꮩ\U0001051d\U00011706\U000118c0\U00016f08",
    "w": "ɯѡԝաᴡꓪꮃꮤ\U0001170a\U0001170e\U0001170f\U000118e6\U000118ef",
    "x": "χхᕁᕽ᙮ᚷⲭⵝꓫꭓ\U00010290\U000102b4\U00010317\U00010322\U00010527\U000118ec",
    "y": "ɣʏγυуүყᶌỿⲩꓬꭚꭹꮍ\U000102b2\U000118c4\U000118dc\U00016f43",
    "z": "ζᴢꓜꮓ\U000102f5\U000118c9\U000118e5",
}
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)
DOTTED_TWICE = re.compile("(?<=[ij])\u0307")  # the dot is there already (UTS 39, 4)
SUBSTITUTES = {ord(letter): plain for plain, letters in LOOKALIKES.items() for letter in letters}


def upgrade() -> None:
    op.create_table(
        "guess",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("forgotten_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("next_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_guess")),
    )
    op.create_index("ix_guess_forgotten_at", "guess", ["forgotten_at"], unique=False)
    op.add_column("user", sa.Column("devices_since", postgresql.TIMESTAMP(timezone=True), nullable=True))
    _key_identifiers()


def _key_identifiers() -> None:
    # Only what is not ASCII has a key of its own. Where the key is taken, because look-alikes have registered beside
    # each other before there were keys, both keep the row that they have: a log-in looks for the written form first.
    login = sa.table("login", sa.column("identifier", sa.Text()), sa.column("user_id", sa.Uuid()))
    connection = op.get_bind()
    foreign = sa.select(login).where(login.c.identifier.regexp_match("[^ -~]")).order_by(login.c.user_id)
    for written, user_id in connection.execute(foreign).all():
        row = {"identifier": _key(written), "user_id": user_id}
        connection.execute(postgresql.insert(login).values(row).on_conflict_do_nothing())


def _key(identifier: str) -> str:
    text = INVISIBLE.sub("", unicodedata.normalize("NFKC", identifier.strip().lower()).lower())
    text = DOTTED_TWICE.sub("", unicodedata.normalize("NFKD", text).translate(SUBSTITUTES))
    return unicodedata.normalize("NFC", text).strip()


def downgrade() -> None:
    op.drop_column("user", "devices_since")
    op.drop_index("ix_guess_forgotten_at", table_name="guess")
    op.drop_table("guess")
