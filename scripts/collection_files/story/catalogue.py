"""What the bakery sells, and who may see it."""

from scripts.collection_files.step import NOBODY, Chapter, Step

KEY = {"X-Publishable-Key": "{{publishableKey}}"}

CATEGORIES = Chapter(
    "5. Categories",
    "A tree of categories, in which products have their place.",
    (
        Step("product.create_category", "A category", {"name": "Pães"}, keeps={"categoryId": "category.id"}),
        Step(
            "product.create_category",
            "One below it",
            {"name": "Salgados", "parent_id": "{{categoryId}}"},
            shows={"category.path": ["Pães", "Salgados"]},
            keeps={"subcategoryId": "category.id"},
        ),
        Step("product.list_categories", "All of them", shows={"total": 2}),
        Step("product.update_category", "A better name", {"name": "Padaria"}, shows={"category.name": "Padaria"}),
        Step(
            "product.get_category",
            "What is below knows of it",
            at={"category_id": "{{subcategoryId}}"},
            shows={"category.path": ["Padaria", "Salgados"]},
        ),
        Step(
            "product.remove_category",
            "A category in use stays",
            status=409,
            code="category_in_use",
        ),
        Step("product.remove_category", "An empty one can go", at={"category_id": "{{subcategoryId}}"}),
    ),
)

PRODUCTS = Chapter(
    "6. Products and prices",
    "Goods, services, bundles and subscriptions. Prices are kept in minor units and answered both ways; old ones stay.",
    (
        Step(
            "product.create_product",
            "A product",
            {
                "name": "Pão de queijo",
                "sku": "PQ-1",
                "price": "4.50",
                "unit": "un",
                "ncm": "1905.90.90",
                "category_id": "{{categoryId}}",
                "tags": ["quente"],
            },
            shows={"product.price_amount": 450, "product.ncm": "19059090"},
            keeps={"productId": "product.id"},
        ),
        Step(
            "product.create_product",
            "Its code is taken",
            {"name": "Pão de queijo pequeno", "sku": "PQ-1"},
            status=409,
            code="already_exists",
        ),
        Step(
            "product.create_product",
            "A subscription",
            {
                "name": "Clube do pão",
                "sku": "CL-1",
                "kind": "subscription",
                "price": "59.90",
                "billing_period": "month",
            },
            keeps={"subscriptionId": "product.id"},
        ),
        Step("product.update_product", "It becomes dearer", {"price": "4.90"}, shows={"product.price": "4.90"}),
        Step("product.list_prices", "What it has cost", shows={"total": 2, "prices[0].price_amount": 490}),
        Step("product.get_product", "The product", shows={"product.name": "Pão de queijo"}),
        Step(
            "product.list_products",
            "Goods for less than five",
            query={"filter[kind]": "good", "filter[price_amount][lte]": "500"},
            shows={"total": 1},
        ),
        Step("product.remove_product", "Out of the range", at={"product_id": "{{subscriptionId}}"}),
        Step("product.activate_product", "In it again", at={"product_id": "{{subscriptionId}}"}),
    ),
)

SHOP_WINDOW = Chapter(
    "7. A shop window",
    "A catalogue can be shown to visitors who are not logged in. A publishable key names the company; it is no secret.",
    (
        Step(
            "product.list_products",
            "Visitors see nothing by default",
            token=NOBODY,
            status=401,
            code="unauthenticated",
        ),
        Step("product.get_catalogue", "It is not public yet", shows={"catalogue.is_public": False}),
        Step(
            "product.update_catalogue",
            "Ana opens it",
            {"is_public": True},
            keeps={"publishableKey": "catalogue.publishable_key"},
        ),
        Step("product.list_products", "A visitor looks in", token=NOBODY, headers=KEY, shows={"total": 2}),
        Step("product.get_product", "A visitor looks closer", token=NOBODY, headers=KEY),
        Step("product.rotate_key", "A new key; the old one has stopped"),
        Step(
            "product.list_products",
            "The old key opens nothing",
            token=NOBODY,
            headers=KEY,
            status=401,
            code="unknown_publishable_key",
        ),
        Step("product.update_catalogue", "Ana closes it", {"is_public": False}, shows={"catalogue.is_public": False}),
    ),
)

CHAPTERS = (CATEGORIES, PRODUCTS, SHOP_WINDOW)
