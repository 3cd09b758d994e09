"""The tree of categories."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import selectinload

from kit import clock
from kit.errors import Conflict, NotFound, ValidationError
from kit.pages import Page, paginate
from services.product.models import Category, Product, db

MAX_DEPTH = 10
SORTABLE = {"name": Category.name, "created_at": Category.created_at, "id": Category.id}


class NoSuchCategory(NotFound):
    """This category does not exist."""


class CategoryInUse(Conflict):
    """This category holds products or other categories. Move them first."""


def create_category(*, name: str, parent_id: UUID | None = None) -> Category:
    """Keep a new category below another, or at the root. Raises ValidationError; a name that a sibling has: 409."""
    _hold_tree()
    category = Category(name=name)
    _place(category, parent_id)
    db.session.add(category)
    db.session.flush()
    return category


def get_category(category_id: UUID) -> Category:
    """One category. Raises NoSuchCategory."""
    return db.find(Category, category_id, NoSuchCategory)


def list_categories(*, parent_id: UUID | None = None, **page: Any) -> Page:
    """A page of all categories, or of the children of one."""
    query = select(Category).options(selectinload(Category.parent, recursion_depth=MAX_DEPTH))
    if parent_id:
        query = query.where(Category.parent_id == parent_id)
    return paginate(db, query, SORTABLE, **page)


def update_category(category_id: UUID, **changes: Any) -> Category:
    """Rename a category, or move it with all that is below it. Raises NoSuchCategory, ValidationError."""
    _hold_tree()
    category = db.lock(Category, category_id, NoSuchCategory)
    if "parent_id" in changes:
        _place(category, changes.pop("parent_id"))
    for name, value in changes.items():
        setattr(category, name, value)
    before = category.version
    db.session.flush()
    if category.version != before:
        _touch_below(category)
    db.session.expire(category, ["parent"])
    return category


def remove_category(category_id: UUID) -> None:
    """Remove an empty category for good. Raises NoSuchCategory, CategoryInUse."""
    _hold_tree()
    category = db.lock(Category, category_id, NoSuchCategory)
    children = select(Category.id).where(Category.parent_id == category_id)
    products = select(Product.id).where(Product.category_id == category_id)
    if db.session.scalar(children.limit(1)) or db.session.scalar(products.limit(1)):
        raise CategoryInUse
    db.session.delete(category)
    db.session.flush()


def check_category(category_id: UUID | None) -> None:
    """Raises ValidationError unless a product can be put here. What is found stays until the transaction ends."""
    query = select(Category.id).where(Category.id == category_id).with_for_update(read=True, key_share=True)
    if category_id and not db.session.scalar(query):
        raise ValidationError(errors={"category_id": ["There is no such category."]})


def below(category_id: UUID) -> Any:
    """The ids of a category and of everything below it, as a query."""
    tree = select(Category.id).where(Category.id == category_id).cte("tree", recursive=True)
    tree = tree.union_all(select(Category.id).where(Category.parent_id == tree.c.id))
    return select(tree.c.id)


def _touch_below(category: Category) -> None:
    """The paths of what stands below have changed as well, and their versions have to tell."""
    others = Category.id.in_(below(category.id)) & (Category.id != category.id)
    touched = update(Category).where(others).values(version=Category.version + 1, updated_at=clock.now())
    db.session.execute(touched, execution_options={"synchronize_session": False})


def _hold_tree() -> None:
    # A cycle needs two moves that do not see each other, so within a tenant each waits for the one before. A lock of
    # rows would not do: the rows to lock are known only once the tree has been read.
    db.hold("categories")


def _place(category: Category, parent_id: UUID | None) -> None:
    parent = db.session.scalar(select(Category).where(Category.id == parent_id)) if parent_id else None
    if parent_id and parent is None:
        raise ValidationError(errors={"parent_id": ["There is no such category."]})
    above = [parent] if parent else []
    while above and above[-1].parent:
        above.append(above[-1].parent)
    if category.id and category.id in [one.id for one in above]:
        raise ValidationError(errors={"parent_id": ["A category cannot stand below itself."]})
    if len(above) + _height(category) > MAX_DEPTH:
        raise ValidationError(errors={"parent_id": [f"Categories stand at most {MAX_DEPTH} deep."]})
    category.parent_id = parent_id


def _height(category: Category) -> int:
    """How many levels a category and what is below it take: 1 without children."""
    levels, level = 1, [category.id] if category.id else []
    while level := list(db.session.scalars(select(Category.id).where(Category.parent_id.in_(level)))):
        levels += 1
    return levels
