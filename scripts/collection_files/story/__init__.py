"""The story: a bakery comes to the platform, and does everything that can be done there. A module for each part of it.

Every run registers new people with random addresses. All else lives in their tenant, so that documents, codes and
names can be the same each time.
"""

from scripts.collection_files.step import Chapter
from scripts.collection_files.story import catalogue, customers, ending, history, people

ABOUT = (
    "A bakery comes to the platform: read the folders from the top, and send their requests in this order. Each run "
    "registers new people, so it can be repeated, also where there is data. What a later request needs of an earlier "
    "answer, such as the access token and ids, it takes from there by itself."
)

CHAPTERS: tuple[Chapter, ...] = (
    *people.CHAPTERS,
    *customers.CHAPTERS,
    *catalogue.CHAPTERS,
    *history.CHAPTERS,
    customers.FILES,  # after somebody was forgotten: an import under way forbids that
    *ending.CHAPTERS,
)
